//! Running commands. Each child leads a process group of its own, so that an interrupt reaches
//! cargo and every rustc below it, and nothing outlives the program.

use std::{
    fmt,
    io::{BufRead, BufReader, PipeReader},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    command::Command,
    error::{Error, Result, Status},
};

/// The running children, and whether an interrupt has come. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    interrupted: AtomicBool,
    groups: Mutex<Vec<Pid>>,
    nested: Mutex<Vec<Children>>,
    hooks: Mutex<Hooks>,
    /// Wakes whoever pauses; goes with `hooks`.
    woken: Condvar,
}

/// What is called when an interrupt comes, each with its number.
#[derive(Default)]
struct Hooks(Vec<(u64, Box<dyn Fn() + Send + Sync>)>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}

/// Something that is called when an interrupt comes, as long as this value lives.
#[derive(Debug)]
pub struct Hook {
    children: Children,
    number: u64,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.children.hooks().0.retain(|(number, _)| *number != self.number);
    }
}

/// What a command gave.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; absent where a signal or the time limit ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Stdout as text without surrounding white space.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The last `lines` lines of stderr, else of stdout.
    pub fn tail(&self, lines: usize) -> String {
        let bytes = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, for people: `exit status 2`, `signal 11`.
    pub fn ending(&self) -> String {
        match (self.timed_out, self.code, self.signal) {
            (true, _, _) => "its time was up".into(),
            (_, Some(code), _) => format!("exit status {code}"),
            (_, None, Some(signal)) => format!("signal {signal}"),
            _ => "an unknown ending".into(),
        }
    }
}

/// Which pipe a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Children {
    /// Children that end with these, and can also be ended alone.
    pub fn nested(&self) -> Children {
        let nested = Children::default();
        let mut all = self.0.nested.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.push(nested.clone());
        drop(all);
        // An interrupt that came before would not reach it any more.
        if self.check().is_err() {
            nested.interrupt();
        }
        nested
    }

    /// Notes an interrupt and asks every running child to end. Called from the thread that waits
    /// for signals.
    pub fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::SeqCst);
        for group in self.groups().iter() {
            // A group that is already gone is what was wanted.
            let _ = kill_process_group(*group, Signal::TERM);
        }
        let nested = self.0.nested.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        nested.iter().for_each(Children::interrupt);
        drop(nested);
        let hooks = self.hooks();
        self.0.woken.notify_all();
        hooks.0.iter().for_each(|(_, hook)| hook());
    }

    /// Calls `hook` when an interrupt comes, or now where one has come: something that waits for the
    /// network is to be ended by it, for example. `hook` must not use these children.
    pub fn when_interrupted(&self, hook: impl Fn() + Send + Sync + 'static) -> Hook {
        let mut hooks = self.hooks();
        if self.check().is_err() {
            hook();
        }
        let number = hooks.0.last().map_or(0, |(number, _)| number + 1);
        hooks.0.push((number, Box::new(hook)));
        Hook { children: self.clone(), number }
    }

    /// Waits for so long, or until an interrupt comes. The one place where time passes for its own
    /// sake.
    ///
    /// # Errors
    /// [`Status::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<()> {
        let goes_on = |_: &mut Hooks| !self.0.interrupted.load(Ordering::SeqCst);
        // Whoever interrupts takes the same lock before it wakes: no call is missed.
        let waited = self.0.woken.wait_timeout_while(self.hooks(), time, goes_on);
        drop(waited);
        self.check()
    }

    /// Fails once an interrupt has come.
    ///
    /// # Errors
    /// [`Status::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.0.interrupted.load(Ordering::SeqCst) {
            return Err(Error::new(Status::Interrupted, "interrupted"));
        }
        Ok(())
    }

    /// Runs `command` to its end, whatever that is, and collects what it writes.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn output(&self, command: &Command) -> Result<Output> {
        self.output_within(command, None)
    }

    /// As [`Children::output`], but ends the command when `limit` has passed.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn output_within(&self, command: &Command, limit: Option<Duration>) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut output = self.pipe(command, limit, None, |stream, bytes| match stream {
            Stream::Stdout => stdout.extend_from_slice(bytes),
            Stream::Stderr => stderr.extend_from_slice(bytes),
        })?;
        (output.stdout, output.stderr) = (stdout, stderr);
        Ok(output)
    }

    /// Runs `command`, which must succeed, and gives its stdout as trimmed text.
    ///
    /// # Errors
    /// It could not be started, failed, or an interrupt came; the message holds the command and
    /// the end of what it wrote.
    pub fn read(&self, command: &Command) -> Result<String> {
        let output = self.output(command)?;
        if !output.success() {
            return Err(Error::build(format!(
                "`{command}` ended with {}: {}",
                output.ending(),
                output.tail(5)
            )));
        }
        Ok(output.text())
    }

    /// Runs `command` and gives each line to `take` as it comes. A line ends with `\n` or, as
    /// progress bars end it, `\r`; the terminator is kept. `input` is written to its stdin.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn stream(
        &self,
        command: &Command,
        input: Option<Vec<u8>>,
        take: impl FnMut(Stream, &[u8]) + Send,
    ) -> Result<Output> {
        self.pipe(command, None, input, take)
    }

    /// As [`Children::output_within`], with `input` on its stdin.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn answer(&self, command: &Command, input: Vec<u8>, limit: Duration) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut output = self.pipe(command, Some(limit), Some(input), |stream, bytes| {
            let all = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            // More is no answer, and is not kept.
            all.extend_from_slice(&bytes[..bytes.len().min(LONGEST.saturating_sub(all.len()))]);
        })?;
        (output.stdout, output.stderr) = (stdout, stderr);
        Ok(output)
    }

    fn pipe(
        &self,
        command: &Command,
        limit: Option<Duration>,
        input: Option<Vec<u8>>,
        take: impl FnMut(Stream, &[u8]) + Send,
    ) -> Result<Output> {
        self.check()?;
        let pipe = || std::io::pipe().map_err(|error| Error::build("no pipe").because(error));
        let ((out_reader, out_writer), (err_reader, err_writer)) = (pipe()?, pipe()?);
        let mut expression = expression(command).stdout_file(out_writer).stderr_file(err_writer);
        expression = match input {
            Some(bytes) => expression.stdin_bytes(bytes),
            None => expression.stdin_null(),
        };
        let handle = expression.start().map_err(|error| not_started(command, error))?;
        // The expression holds the writing ends; while it lives the readers see no end of file.
        drop(expression);
        let group = handle.pids().first().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(group) = group {
            self.groups().push(group);
        }
        // An interrupt between the check above and the push has not seen this child.
        if self.check().is_err() {
            self.interrupt();
        }
        let take = Mutex::new(take);
        let mut timed_out = false;
        let output = std::thread::scope(|scope| {
            let take = &take;
            scope.spawn(move || read_lines(out_reader, Stream::Stdout, take));
            scope.spawn(move || read_lines(err_reader, Stream::Stderr, take));
            let within = match limit {
                Some(limit) => handle.wait_timeout(limit),
                None => handle.wait().map(Some),
            };
            let output = match within {
                Ok(None) => {
                    timed_out = true;
                    if let Some(group) = group {
                        let _ = kill_process_group(group, Signal::KILL);
                    }
                    handle.wait().cloned()
                }
                Ok(Some(output)) => Ok(output.clone()),
                Err(error) => Err(error),
            };
            // What a child left running would keep the pipes open, and the readers waiting.
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::TERM);
            }
            output
        });
        if let Some(group) = group {
            self.groups().retain(|other| *other != group);
        }
        self.check()?;
        let output = output
            .map_err(|error| Error::build(format!("cannot wait for `{command}`")).because(error))?;
        Ok(Output {
            code: if timed_out { None } else { output.status.code() },
            signal: std::os::unix::process::ExitStatusExt::signal(&output.status),
            timed_out,
            stdout: Vec::new(),
            stderr: Vec::new(),
        })
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Pid>> {
        // The list is whole at every moment, also after a panic of another thread.
        self.0.groups.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The process of `command`. An empty `HOME` or `TMPDIR` counts as unset: cargo, rustc and zig would
/// write into the current directory.
#[allow(clippy::disallowed_methods, reason = "children inherit the variables of the process")]
fn expression(command: &Command) -> duct::Expression {
    let mut expression = duct::cmd(&command.program, &command.args).unchecked();
    if let Some(dir) = &command.dir {
        expression = expression.dir(dir);
    }
    if command.env_clear {
        let none: [(&str, &str); 0] = [];
        expression = expression.full_env(none);
    }
    for name in ["HOME", "TMPDIR"] {
        if std::env::var_os(name).is_some_and(|value| value.is_empty()) {
            expression = expression.env_remove(name);
        }
    }
    if !command.credentials {
        for name in super::env::withheld() {
            expression = expression.env_remove(name);
        }
    }
    for (name, value) in &command.env {
        expression = match value {
            Some(value) => expression.env(name, value),
            None => expression.env_remove(name),
        };
    }
    expression.before_spawn(|command| {
        std::os::unix::process::CommandExt::process_group(command, 0);
        Ok(())
    })
}

fn not_started(command: &Command, error: std::io::Error) -> Error {
    let program = &command.program;
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let error = Error::tool(format!("cannot start `{program}`")).because(error);
    if missing { error.hint(format!("install `{program}`, or put it on `PATH`")) } else { error }
}

/// Longest piece given to `take` at once: a child that never ends its line cannot fill the memory.
const LONGEST: usize = 1 << 20;

fn read_lines<F: FnMut(Stream, &[u8])>(pipe: PipeReader, stream: Stream, take: &Mutex<F>) {
    let mut reader = BufReader::with_capacity(1 << 16, pipe);
    let mut line = Vec::new();
    let give = |line: &mut Vec<u8>| {
        let mut take = take.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        take(stream, line);
        line.clear();
    };
    loop {
        let buffer = match reader.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(buffer) => buffer,
        };
        let used = match buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => end + 1,
            None => buffer.len(),
        };
        line.extend_from_slice(&buffer[..used]);
        reader.consume(used);
        if line.ends_with(b"\n") || line.ends_with(b"\r") || line.len() >= LONGEST {
            give(&mut line);
        }
    }
    if !line.is_empty() {
        give(&mut line);
    }
}
