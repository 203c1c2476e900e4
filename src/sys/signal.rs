//! Interrupt and termination: the children are terminated, and the operation then ends with an error,
//! with everything as it was.

use std::thread::JoinHandle;

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::{
    model::error::{Error, Result},
    sys::{parallel, process::Children},
};

/// Watches for signals until it is dropped.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Ends `children` at SIGINT, SIGTERM, SIGHUP and SIGQUIT: the first signal requests their end, a later
/// one kills them. A signal that was ignored when the program was started stays ignored, as nohup(1)
/// and the background jobs of shells have it.
///
/// # Errors
/// The handlers cannot be installed, or no thread can be started.
pub fn watch(children: &Children) -> Result<Watch> {
    let ignored = ignored();
    let handled = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter();
    let handled = handled.filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(handled)
        .map_err(|error| Error::build("cannot watch for signals").because(error))?;
    let handle = signals.handle();
    let children = children.clone();
    let watch = move || {
        for (count, _) in signals.forever().enumerate() {
            if count == 0 {
                children.interrupt();
            } else {
                children.kill();
            }
        }
    };
    let thread = std::thread::Builder::new().spawn(watch).map_err(parallel::not_started)?;
    Ok(Watch { handle, thread: Some(thread) })
}

/// Returns the set of signals that are ignored, with bit 0 for signal 1 (proc(5), `SigIgn`); empty if
/// the system does not report it.
#[allow(clippy::disallowed_methods, reason = "a file of the kernel, about this process")]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It only passes signals on; a panic of it changes nothing.
            let _ = thread.join();
        }
    }
}
