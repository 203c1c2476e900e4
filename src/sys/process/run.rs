//! One child process from its start to its end, in one loop that waits for everything that can
//! happen: output, room for input, the child's end, an interrupt, and the passage of time. It starts
//! no threads.

use std::{
    io::{PipeReader, PipeWriter, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use duct::Handle;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, waitid},
};

use super::{
    Children, Limits, Output, Stream,
    group::{self, Registration},
};
use crate::model::{
    command::Command,
    error::{Error, Result},
};

/// The time that a child has to end after an interrupt, before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// The time for which the pipes are read after the end of a child, if another process keeps them open.
const LINGER: Duration = Duration::from_millis(500);

/// The interval at which a child is checked if the system cannot report its end.
const SLICE: Duration = Duration::from_millis(20);

/// The standard input of a child.
#[derive(Debug)]
pub(in crate::sys) enum Input {
    /// End of file.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The writing end of a pipe, by which a helper process reports to us.
    Channel(PipeWriter),
}

/// A child that runs.
struct Running<'a> {
    child: Handle,
    group: Option<Pid>,
    limits: Limits,
    children: &'a Children,
    streams: [(Stream, Option<OwnedFd>, u64); 2],
    stdin: Option<(OwnedFd, Vec<u8>, usize)>,
    /// Becomes readable when the child has ended.
    pidfd: Option<OwnedFd>,
    wake: Option<PipeReader>,
    started: Instant,
    /// The time at which it ended.
    ended: Option<Instant>,
    /// The time at which it is killed after an interrupt.
    kill_at: Option<Instant>,
    timed_out: bool,
    excess: bool,
}

/// Runs `command` to its end and gives `take` what it writes.
pub(super) fn run(
    children: &Children,
    command: &Command,
    input: Input,
    limits: Limits,
    take: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Output> {
    children.check()?;
    let Spawned { child, stdin, streams } = spawn(&children.complete(command), input)?;
    let group = child.pids().first().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let failed =
        |error: std::io::Error| Error::build(format!("cannot wait for `{command}`")).because(error);
    let (wake, waker) = match std::io::pipe() {
        Ok((wake, waker)) => (Some(wake), Some(waker)),
        // Out of files: an interrupt is then noticed when the child ends or writes.
        Err(_) => (None, None),
    };
    let registration = group.map(|group| Registration::new(children, group, waker));
    let stdin = stdin.map(|(pipe, bytes)| {
        // A child that does not read its input cannot block us.
        let _ = rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK);
        (pipe, bytes, 0)
    });
    let [stdout, stderr] = streams;
    let streams = [(Stream::Stdout, Some(stdout), 0), (Stream::Stderr, Some(stderr), 0)];
    let mut running = Running {
        child,
        group,
        limits,
        children,
        streams,
        stdin,
        pidfd: group.and_then(pidfd),
        wake,
        started: Instant::now(),
        ended: None,
        kill_at: None,
        timed_out: false,
        excess: false,
    };
    let waited = running.wait(take);
    // The group is removed from the list before its number can be used again.
    running.kill(Signal::KILL);
    drop(registration);
    let status = running.child.wait().map(|output| output.status);
    children.check()?;
    waited.map_err(failed)?;
    let status = status.map_err(failed)?;
    let stopped = running.timed_out || running.excess;
    Ok(Output {
        code: if stopped { None } else { status.code() },
        signal: std::os::unix::process::ExitStatusExt::signal(&status).filter(|_| !stopped),
        timed_out: running.timed_out,
        excess: running.excess,
        stdout: Vec::new(),
        stderr: Vec::new(),
    })
}

/// A child, and our ends of its pipes.
struct Spawned {
    child: Handle,
    /// The pipe to its stdin, and what to write to it.
    stdin: Option<(OwnedFd, Vec<u8>)>,
    /// Its stdout and stderr.
    streams: [OwnedFd; 2],
}

/// Starts it in a separate process group. An empty `HOME` or `TMPDIR` counts as unset: cargo, rustc and
/// zig would write into the current directory.
#[allow(clippy::disallowed_methods, reason = "children inherit the variables of the process")]
fn spawn(command: &Command, input: Input) -> Result<Spawned> {
    let no_pipe =
        |error| Error::tool(format!("cannot start `{}`: no pipe", command.program)).because(error);
    let (stdout, child_stdout) = std::io::pipe().map_err(no_pipe)?;
    let (stderr, child_stderr) = std::io::pipe().map_err(no_pipe)?;
    let mut expression = duct::cmd(&command.program, &command.args)
        .unchecked()
        .stdout_file(child_stdout)
        .stderr_file(child_stderr);
    let mut stdin = None;
    expression = match input {
        Input::Nothing => expression.stdin_null(),
        Input::Bytes(bytes) => {
            let (child_stdin, pipe) = std::io::pipe().map_err(no_pipe)?;
            stdin = Some((OwnedFd::from(pipe), bytes));
            expression.stdin_file(child_stdin)
        }
        Input::Channel(writer) => expression.stdin_file(writer),
    };
    if let Some(dir) = &command.dir {
        expression = expression.dir(dir);
    }
    // The layers of an expression apply from the outermost to the innermost one: what is set last
    // here is overridden by what is set before.
    for (name, value) in &command.env {
        expression = match value {
            Some(value) => expression.env(name, value),
            None => expression.env_remove(name),
        };
    }
    for name in ["HOME", "TMPDIR"] {
        if std::env::var_os(name).is_some_and(|value| value.is_empty()) {
            expression = expression.env_remove(name);
        }
    }
    if !command.credentials {
        for name in crate::sys::env::withheld() {
            expression = expression.env_remove(name);
        }
    }
    if command.env_clear {
        let none: [(&str, &str); 0] = [];
        expression = expression.full_env(none);
    }
    let expression = expression.before_spawn(|process| {
        std::os::unix::process::CommandExt::process_group(process, 0);
        Ok(())
    });
    let child = expression.start().map_err(|error| not_started(command, error))?;
    Ok(Spawned { child, stdin, streams: [stdout.into(), stderr.into()] })
}

fn not_started(command: &Command, error: std::io::Error) -> Error {
    let program = &command.program;
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let busy = error.kind() == std::io::ErrorKind::WouldBlock;
    let error = Error::tool(format!("cannot start `{program}`")).because(error);
    if missing {
        error.hint(format!("install `{program}`, or put it on `PATH`"))
    } else if busy {
        error.hint("raise the limit on the number of processes: `ulimit -u`")
    } else {
        error
    }
}

#[cfg(target_os = "linux")]
fn pidfd(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn pidfd(_: Pid) -> Option<OwnedFd> {
    None
}

impl Running<'_> {
    fn kill(&self, signal: Signal) {
        if let Some(group) = self.group {
            group::send(group, signal);
        }
    }

    /// Waits until the child has ended and its pipes are closed, or time is up for both.
    fn wait(&mut self, take: &mut dyn FnMut(Stream, &[u8])) -> std::io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            self.check_end()?;
            self.check_time();
            let open = self.streams.iter().any(|(_, pipe, _)| pipe.is_some());
            if let Some(ended) = self.ended {
                self.stdin = None;
                if !open || ended.elapsed() >= LINGER {
                    return Ok(());
                }
            }
            let ready = self.poll()?;
            for (index, ready) in ready.streams.into_iter().enumerate() {
                if ready {
                    self.read(index, &mut buffer, take)?;
                }
            }
            if ready.stdin {
                self.write()?;
            }
            if ready.wake {
                // One byte says it all; the flag is read below.
                self.wake = None;
            }
        }
    }

    /// Notes that the child has ended. It is not reaped yet: until then its group's number belongs
    /// to it.
    fn check_end(&mut self) -> std::io::Result<()> {
        let Some(pid) = self.group.filter(|_| self.ended.is_none()) else { return Ok(()) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), options) {
            Ok(None) | Err(Errno::INTR) => return Ok(()),
            Ok(Some(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.ended = Some(Instant::now());
        // Processes that it left running would keep the pipes open.
        self.kill(Signal::TERM);
        Ok(())
    }

    fn check_time(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let now = Instant::now();
        if self.limits.time.is_some_and(|limit| now.duration_since(self.started) >= limit)
            && !self.timed_out
        {
            self.timed_out = true;
            self.kill(Signal::KILL);
        }
        if self.kill_at.is_none() && self.children.check().is_err() {
            self.kill_at = Some(now + GRACE);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill(Signal::KILL);
            // Once a second is enough for a group that grows while it is killed.
            self.kill_at = Some(now + Duration::from_secs(1));
        }
    }

    /// Returns the time for which nothing has to be done.
    fn idle(&self) -> Option<Duration> {
        let now = Instant::now();
        let limit = self.limits.time.filter(|_| !self.timed_out).map(|limit| self.started + limit);
        let until = match self.ended {
            Some(ended) => [Some(ended + LINGER), None],
            None => [limit, self.kill_at],
        };
        let idle = until.into_iter().flatten().map(|at| at.saturating_duration_since(now)).min();
        // If the system does not report the child's end or an interrupt.
        let blind = self.pidfd.is_none() || self.wake.is_none() && self.kill_at.is_none();
        if blind && self.ended.is_none() {
            return Some(idle.map_or(SLICE, |idle| idle.min(SLICE)));
        }
        idle
    }

    fn poll(&self) -> std::io::Result<Ready> {
        let mut ready = Ready::default();
        let input = PollFlags::IN;
        let mut fds: Vec<(PollEvent, BorrowedFd<'_>, PollFlags)> = Vec::new();
        for (index, (_, pipe, _)) in self.streams.iter().enumerate() {
            fds.extend(pipe.as_ref().map(|pipe| (PollEvent::Stream(index), pipe.as_fd(), input)));
        }
        if let Some((pipe, ..)) = &self.stdin {
            fds.push((PollEvent::Stdin, pipe.as_fd(), PollFlags::OUT));
        }
        fds.extend(self.wake.as_ref().map(|wake| (PollEvent::Wake, wake.as_fd(), input)));
        if let Some(pidfd) = self.pidfd.as_ref().filter(|_| self.ended.is_none()) {
            fds.push((PollEvent::End, pidfd.as_fd(), input));
        }
        let mut polled: Vec<PollFd<'_>> =
            fds.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = self.idle().map(|idle| Timespec {
            tv_sec: i64::try_from(idle.as_secs()).unwrap_or(i64::MAX),
            // Rounded up to a millisecond: woken early, it would spin.
            tv_nsec: (i64::from(idle.subsec_nanos()) + 1_000_000).min(999_999_999),
        });
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for ((event, ..), polled) in fds.iter().zip(&polled) {
            if polled.revents().is_empty() {
                continue;
            }
            match event {
                PollEvent::Stream(index) => ready.streams[*index] = true,
                PollEvent::Stdin => ready.stdin = true,
                PollEvent::Wake => ready.wake = true,
                PollEvent::End => {}
            }
        }
        Ok(ready)
    }

    fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        take: &mut dyn FnMut(Stream, &[u8]),
    ) -> std::io::Result<()> {
        let (stream, pipe, total) = &mut self.streams[index];
        let Some(open) = pipe else { return Ok(()) };
        let count = match rustix::io::read(open, &mut *buffer) {
            Ok(count) => count,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            *pipe = None;
            return Ok(());
        }
        *total += count as u64;
        if *total > self.limits.output {
            if !self.excess {
                self.excess = true;
                self.kill(Signal::KILL);
            }
            return Ok(());
        }
        take(*stream, &buffer[..count]);
        Ok(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        let Some((pipe, bytes, at)) = &mut self.stdin else { return Ok(()) };
        match rustix::io::write(&*pipe, bytes.get(*at..).unwrap_or_default()) {
            Ok(count) => *at += count,
            Err(Errno::INTR | Errno::AGAIN) => {}
            // It has read enough.
            Err(Errno::PIPE) => *at = bytes.len(),
            Err(error) => return Err(error.into()),
        }
        if *at >= bytes.len() {
            self.stdin = None;
        }
        Ok(())
    }
}

/// The event that [`Running::poll`] waits for.
#[derive(Clone, Copy, Debug)]
enum PollEvent {
    Stream(usize),
    Stdin,
    Wake,
    End,
}

#[derive(Debug, Default)]
struct Ready {
    streams: [bool; 2],
    stdin: bool,
    wake: bool,
}

/// Reads what a helper process reported, until the end of the file or for a moment.
pub(in crate::sys) fn read_report(mut pipe: PipeReader) -> String {
    let deadline = Instant::now() + LINGER;
    let mut report = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) if left.is_zero() => break,
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => break,
        }
        match pipe.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => report.extend_from_slice(&buffer[..count]),
        }
        // A report is one short line.
        if report.len() > buffer.len() {
            break;
        }
    }
    String::from_utf8_lossy(&report).into_owned()
}

/// Wakes the loop that waits at the other end.
pub(super) fn wake(mut waker: &PipeWriter) {
    // A loop that has ended has closed the pipe.
    let _ = waker.write(&[1]);
}
