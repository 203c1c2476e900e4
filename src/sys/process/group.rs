//! The process groups of running children, which receive the signals of an interrupt, and which the watchdog
//! kills when this process is killed.

use std::io::PipeWriter;

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use super::{Children, run, watchdog};

/// A running child, as the thread that handles signals sees it.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    pid: Pid,
    waker: Option<PipeWriter>,
}

impl ProcessGroup {
    /// Sends `signal` to every process of the group, and wakes the thread that waits for it.
    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
        if let Some(waker) = &self.waker {
            run::wake(waker);
        }
    }
}

/// Sends `signal` to the group of a child that is not reaped yet, and to the child if it has left its
/// group. Processes that are already gone need no signal.
pub(super) fn send(child: Pid, signal: Signal) {
    let _ = kill_process_group(child, signal);
    if getpgid(Some(child)) != Ok(child) {
        let _ = kill_process(child, signal);
    }
}

/// Keeps a group in the list for as long as it lives.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    children: &'a Children,
    pid: Pid,
}

impl<'a> Registration<'a> {
    pub(super) fn new(children: &'a Children, pid: Pid, waker: Option<PipeWriter>) -> Self {
        watchdog::add(pid);
        let group = ProcessGroup { pid, waker };
        let mut groups = children.groups();
        // Under the lock: an interrupt either finds the group in the list, or is seen here.
        if children.check().is_err() {
            group.signal(Signal::TERM);
        }
        groups.push(group);
        Registration { children, pid }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.children.groups().retain(|group| group.pid != self.pid);
        watchdog::remove(self.pid);
    }
}
