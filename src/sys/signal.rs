//! Interrupt and termination: the children are asked to end, and the operation then ends by itself,
//! with everything as it was.

use std::thread::JoinHandle;

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::{
    error::{Error, Result},
    sys::process::Children,
};

/// Watches for signals until it is dropped.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Passes SIGINT, SIGTERM and SIGHUP on to `children`.
///
/// # Errors
/// The handlers cannot be installed.
pub fn watch(children: &Children) -> Result<Watch> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Error::build("cannot watch for signals").because(error))?;
    let handle = signals.handle();
    let children = children.clone();
    let thread = std::thread::spawn(move || {
        for _ in signals.forever() {
            children.interrupt();
        }
    });
    Ok(Watch { handle, thread: Some(thread) })
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It only passes signals on; that it panicked changes nothing any more.
            let _ = thread.join();
        }
    }
}
