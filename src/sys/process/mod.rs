//! Running commands. Each child leads a separate process group, so that an interrupt reaches cargo and
//! every rustc below it, and nothing outlives the program.

mod capture;
mod group;
mod malloc;
pub mod measure;
mod run;
pub(in crate::sys) mod rust_lld;
pub mod rustc;
pub(in crate::sys) mod watchdog;
pub(in crate::sys) mod zig;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;

pub use self::capture::KeepOutput;
pub(in crate::sys) use self::run::{Input, read_report};
use self::{
    capture::{Capture, Lines},
    group::ProcessGroup,
};
use crate::model::{
    bytes::Size,
    command::Command,
    error::{Error, Result, Status},
};

/// The most that a child may write to one of its streams where the output is kept in memory.
pub const MAX_OUTPUT: u64 = 64 << 20;

/// The most that a child may write to one of its streams where it is processed line by line.
const MAX_STREAMED: u64 = 256 << 20;

/// The running children, and whether an interrupt has come. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Shared>, Variables);

/// Variables that children get besides those of this process.
type Variables = Arc<BTreeMap<String, String>>;

#[derive(Debug, Default)]
struct Shared {
    interrupted: AtomicBool,
    groups: Mutex<Vec<ProcessGroup>>,
    nested: Mutex<Vec<Children>>,
    hooks: Mutex<Hooks>,
    /// Wakes the pausing thread; used with `hooks`.
    woken: Condvar,
}

/// The callbacks for an interrupt, each with its number.
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

/// The limits of one command.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time limit.
    pub time: Option<Duration>,
    /// The maximum number of bytes that it may write to each of its streams.
    pub output: u64,
    /// The number of bytes of each stream that are kept.
    pub keep: KeepOutput,
}

impl Default for Limits {
    /// Returns limits without a time limit, and with complete output of at most [`MAX_OUTPUT`].
    fn default() -> Self {
        Limits { time: None, output: MAX_OUTPUT, keep: KeepOutput::All }
    }
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; `None` if a signal or a limit ended it.
    pub code: Option<i32>,
    /// The signal that ended it; `None` if that was the signal by which a limit was enforced.
    pub signal: Option<i32>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Whether it was ended because it wrote too much.
    pub excess: bool,
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Returns whether it ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns stdout as text without surrounding white space.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Returns the last `lines` lines of stderr, else of stdout, for people: long lines are truncated,
    /// and control characters are escaped.
    pub fn tail(&self, lines: usize) -> String {
        let bytes = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        let all: Vec<&str> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].iter();
        let cut = |line: &&str| match line.char_indices().nth(MAX_PRINTED) {
            Some((end, _)) => format!("{}…", printable(&line[..end])),
            None => printable(line),
        };
        last.map(cut).collect::<Vec<_>>().join("\n")
    }

    /// Returns how it ended, for people: `exit status 2`, `signal 11`.
    pub fn ending(&self) -> String {
        match (self.code, self.signal) {
            _ if self.timed_out => "a timeout".into(),
            _ if self.excess => "too much output".into(),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".into(),
        }
    }
}

/// The pipe that a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Children {
    /// Returns a set of children that ends with this one, and can also be ended alone.
    pub fn nested(&self) -> Children {
        let nested = Children::default().with_variables(&self.1);
        let mut all = self.0.nested.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.push(nested.clone());
        drop(all);
        // An interrupt that came before would not reach it any more.
        if self.check().is_err() {
            nested.interrupt();
        }
        nested
    }

    /// Returns the same children; those that are started through the returned value get `variables`, too.
    #[must_use]
    pub fn with_variables(&self, variables: &BTreeMap<String, String>) -> Children {
        let mut all = BTreeMap::clone(&self.1);
        all.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        Children(self.0.clone(), Arc::new(all))
    }

    /// Adds the variables of these children to `command`, which may set them to other values.
    fn complete(&self, command: &Command) -> Command {
        let mut command = command.clone();
        for (name, value) in self.1.iter() {
            command.env.entry(name.clone()).or_insert_with(|| Some(value.clone()));
        }
        command
    }

    /// Notes an interrupt and terminates every running child; one that does not end is killed after a
    /// few seconds. Called from the thread that waits for signals.
    pub fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::SeqCst);
        self.signal(Signal::TERM);
        let nested = self.0.nested.lock().unwrap_or_else(PoisonError::into_inner);
        nested.iter().for_each(Children::interrupt);
        drop(nested);
        let hooks = self.hooks();
        self.0.woken.notify_all();
        hooks.0.iter().for_each(|(_, hook)| hook());
    }

    /// Kills every running child at once: for the second interrupt.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        let nested = self.0.nested.lock().unwrap_or_else(PoisonError::into_inner);
        nested.iter().for_each(Children::kill);
    }

    fn signal(&self, signal: Signal) {
        self.groups().iter().for_each(|group| group.signal(signal));
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

    /// Sleeps for that time, or until an interrupt comes.
    ///
    /// # Errors
    /// [`Status::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<()> {
        let goes_on = |_: &mut Hooks| !self.0.interrupted.load(Ordering::SeqCst);
        // The interrupting thread takes the same lock before it wakes this one: no call is missed.
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
    /// It could not be started, wrote more than [`MAX_OUTPUT`], or an interrupt came.
    pub fn output(&self, command: &Command) -> Result<Output> {
        self.run_with_input(command, Input::Nothing)
    }

    /// Runs `command` with `input` on its stdin, and collects what it writes.
    ///
    /// # Errors
    /// As [`Children::output`].
    pub fn output_with_input(&self, command: &Command, input: Vec<u8>) -> Result<Output> {
        self.run_with_input(command, Input::Bytes(input))
    }

    fn run_with_input(&self, command: &Command, input: Input) -> Result<Output> {
        let output = self.capture(command, input, Limits::default())?;
        if output.excess {
            let most = Size(MAX_OUTPUT);
            let error = Error::build(format!("`{command}` wrote more than {most}"));
            return Err(error.hint("run it yourself to see its output"));
        }
        Ok(output)
    }

    /// Runs `command` within `limits`, and collects what it writes.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn output_within(&self, command: &Command, limits: Limits) -> Result<Output> {
        self.capture(command, Input::Nothing, limits)
    }

    pub(in crate::sys) fn capture(
        &self,
        command: &Command,
        input: Input,
        limits: Limits,
    ) -> Result<Output> {
        let (mut stdout, mut stderr) = (Capture::new(limits.keep), Capture::new(limits.keep));
        let mut output = run::run(self, command, input, limits, &mut |stream, bytes| {
            if stream == Stream::Stdout { stdout.add(bytes) } else { stderr.add(bytes) }
        })?;
        (output.stdout, output.stderr) = (stdout.finish(), stderr.finish());
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
    /// progress bars end it, `\r`; the terminator is kept. `input` is written to its stdin. The
    /// result has the first and last 64 KiB of each stream.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn stream(
        &self,
        command: &Command,
        input: Option<Vec<u8>>,
        mut take: impl FnMut(Stream, &[u8]),
    ) -> Result<Output> {
        let input = input.map_or(Input::Nothing, Input::Bytes);
        let limits =
            Limits { time: None, output: MAX_STREAMED, keep: KeepOutput::Ends(STREAM_END) };
        let new = || (Lines::default(), Capture::new(limits.keep));
        let (mut stdout, mut stderr) = (new(), new());
        let mut output = run::run(self, command, input, limits, &mut |stream, bytes| {
            let (lines, ends) = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            ends.add(bytes);
            lines.add(bytes, |line| take(stream, line));
        })?;
        stdout.0.finish(|line| take(Stream::Stdout, line));
        stderr.0.finish(|line| take(Stream::Stderr, line));
        (output.stdout, output.stderr) = (stdout.1.finish(), stderr.1.finish());
        Ok(output)
    }

    /// Runs like [`Children::output_with_input`], within a time limit and with the first and last MiB of its output.
    ///
    /// # Errors
    /// It could not be started, or an interrupt came.
    pub fn answer_within(
        &self,
        command: &Command,
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<Output> {
        let limits =
            Limits { time: Some(limit), output: MAX_OUTPUT, keep: KeepOutput::Ends(MAX_ANSWER) };
        self.capture(command, Input::Bytes(input), limits)
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Vec<ProcessGroup>> {
        // The list is complete at every moment, also after a panic of another thread.
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The maximum number of characters of a line that are shown.
const MAX_PRINTED: usize = 2000;

/// The number of bytes at each end that are kept of a stream that is processed line by line.
const STREAM_END: usize = 64 << 10;

/// The number of bytes at each end of an answer that are kept.
const MAX_ANSWER: usize = 1 << 20;

/// Escapes a line that another program wrote, for a terminal or the log of a job: control characters
/// and invisible ones, and the beginning of commands to CI systems (`::error`, `##[error]`).
pub fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let text = line.trim_start();
    if text.starts_with("::") {
        shown.push_str(&line[..line.len() - text.len()]);
        shown.push_str("\\u{3a}");
        push_printable(&mut shown, &text[1..]);
    } else {
        push_printable(&mut shown, line);
    }
    shown
}

fn push_printable(shown: &mut String, text: &str) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let command = || {
            let name = after.strip_prefix('#')?;
            name.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).strip_prefix('[')
        };
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if c == '\t' {
            shown.push(c);
        } else if c.is_control() || hidden || c == '#' && command().is_some() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn printed_lines_are_escaped() {
        let cases = [
            ("plain ünïcode \"quoted\" \\ \ttab", "plain ünïcode \"quoted\" \\ \ttab"),
            ("\u{1b}]0;title\u{7}x", "\\u{1b}]0;title\\u{7}x"),
            ("a\rb\u{9b}2K", "a\\u{d}b\\u{9b}2K"),
            ("::error::no", "\\u{3a}:error::no"),
            ("  ::stop-commands::x", "  \\u{3a}:stop-commands::x"),
            ("a::b", "a::b"),
            ("x ##[error]y", "x \\u{23}#[error]y"),
            ("##vso[task.x]y", "\\u{23}#vso[task.x]y"),
            ("## Heading #[a]", "## Heading #[a]"),
            ("\u{202e}txet", "\\u{202e}txet"),
        ];
        for (line, expected) in cases {
            assert_eq!(printable(line), expected);
        }
    }
}
