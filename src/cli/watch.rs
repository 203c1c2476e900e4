//! The thread that prints the heartbeat while a command is silent, and the warning of the job's time
//! limit.

use std::{sync::Arc, thread::JoinHandle};

use camino::Utf8Path;

use super::output::Output;
use crate::{
    ci::log::{Heartbeat, Settings},
    model::error::Result,
    sys::{Context, clock, fs, parallel, process::Children},
};

/// Watches until it is dropped, and prints nothing after that.
#[derive(Debug)]
pub(super) struct Watch {
    children: Children,
    thread: Option<JoinHandle<()>>,
}

/// Opens the event log and starts to watch, as the environment variables configure.
///
/// # Errors
/// A variable has no such value, the file cannot be written, or there are no more threads.
pub(super) fn watch(cx: &Context, output: &Arc<Output>) -> Result<Watch> {
    let mut settings = Settings::read(|name| cx.env.var(name), clock::now())?;
    if let Some(path) = cx.env.var("LONGSHORE_LOG") {
        let log = fs::append(&cx.env.dir.join(Utf8Path::new(path)))?;
        let mut state = output.state();
        state.log = Some(Box::new(log));
        let version = env!("CARGO_PKG_VERSION");
        output.record(&mut state, &format!("longshore {version}, {}", clock::time()));
    }
    // A bar already shows progress, and `--quiet` disables the heartbeat.
    if output.bars || output.quiet {
        settings.heartbeat = None;
    }
    // Paused on, and ended, alone.
    let children = cx.children.nested();
    output.state().pulse = Heartbeat::new(settings.heartbeat, settings.limit);
    let mut watch = Watch { children: children.clone(), thread: None };
    if settings.heartbeat.is_some() || settings.limit.is_some() {
        let output = output.clone();
        let beats = move || {
            while let Some(idle) = output.print_due() {
                if children.pause(idle).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().spawn(beats);
        watch.thread = Some(thread.map_err(parallel::not_started)?);
    }
    Ok(watch)
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.children.interrupt();
        if let Some(thread) = self.thread.take() {
            // It only prints; that it panicked changes nothing any more.
            let _ = thread.join();
        }
    }
}
