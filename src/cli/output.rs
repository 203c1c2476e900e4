//! Messages on stderr: a verb in 12 columns, as cargo prints it, and a progress bar.
//! In a continuous-integration job there is no bar, but groups and a heartbeat (`watch`).

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::args::Color;
use crate::{
    ci::log::{DueLine, Heartbeat, provider::escape_commands},
    model::{
        error::{Error, Status},
        event::{Event, Events},
        markup,
        provider::Provider,
    },
    sys::{
        clock::{self, Stopwatch},
        env::Env,
    },
};

/// Stderr, with the progress bar in its last line.
#[derive(Debug)]
pub(super) struct Output {
    colors: bool,
    /// Whether there are bars: on an interactive terminal.
    pub(super) bars: bool,
    verbose: bool,
    pub(super) quiet: bool,
    provider: Option<Provider>,
    clock: Stopwatch,
    state: Mutex<OutputState>,
}

/// The state that events change.
pub(super) struct OutputState {
    sink: Box<dyn Write + Send>,
    bar: Option<String>,
    /// The open group, with when it began in seconds since 1970.
    group: Option<(&'static str, u64)>,
    pub(super) pulse: Heartbeat,
    /// The file that gets every event.
    pub(super) log: Option<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for OutputState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("bar", &self.bar).field("group", &self.group).finish()
    }
}

const GREEN: &str = "\u{1b}[1;32m";
const CYAN: &str = "\u{1b}[1;36m";
const YELLOW: &str = "\u{1b}[1;33m";
const RED: &str = "\u{1b}[1;31m";
const RESET: &str = "\u{1b}[0m";
/// Back to the first column, and erase the line (ECMA-48, EL).
const ERASE: &str = "\r\u{1b}[K";

impl Output {
    /// Returns the output to stderr. An unknown environment counts as an interactive terminal.
    pub(super) fn new(color: Color, verbose: u8, quiet: bool, env: Option<&Env>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colors = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !crate::sys::env::no_color(),
        };
        let provider = env.and_then(|env| Provider::detect(|name| env.var(name)));
        // Some of them give a terminal to their jobs, too (CircleCI).
        let job = provider.is_some() || env.is_some_and(Env::ci);
        let bars = terminal && !job;
        let sink = Box::new(std::io::stderr());
        Output {
            colors,
            bars,
            verbose: verbose > 0,
            ..Output::new_for_provider(sink, provider, quiet)
        }
    }

    /// Returns an output of lines without colours, for `provider`.
    fn new_for_provider(
        sink: Box<dyn Write + Send>,
        provider: Option<Provider>,
        quiet: bool,
    ) -> Self {
        let pulse = Heartbeat::new(None, None);
        Output {
            colors: false,
            bars: false,
            verbose: false,
            quiet,
            provider,
            clock: Stopwatch::start(),
            state: Mutex::new(OutputState { sink, bar: None, group: None, pulse, log: None }),
        }
    }

    /// Prints the error, its evidence and its hint. Nothing follows.
    pub(super) fn error(&self, error: &Error) {
        let mut text = format!("error: {}\n", self.escape(&error.to_string()));
        if let Some(detail) = error.detail_text().filter(|detail| !detail.is_empty()) {
            text.push_str(&indent_lines(&self.escape(detail)));
        }
        let hint = error
            .hint_text()
            .map(|hint| format!("hint: {}\n", self.escape(hint)))
            .unwrap_or_default();
        self.record(&mut self.state(), &format!("{text}{hint}"));
        let mut shown = match self.provider {
            Some(provider) if error.status() != Status::Interrupted => {
                let message = markup::escape_text(&error.to_string());
                provider.annotation("error", message.lines().next().unwrap_or_default())
            }
            _ => String::new(),
        };
        shown += &text.replacen("error:", &self.paint(RED, "error:"), 1);
        shown += &hint.replacen("hint:", &self.paint(CYAN, "hint:"), 1);
        let mut state = self.state();
        self.leave(&mut state);
        self.write(&mut state, &shown, None);
    }

    /// Ends the output of the command.
    pub(super) fn done(&self, status: Status) {
        let mut state = self.state();
        self.leave(&mut state);
        self.record(&mut state, &format!("ended with status {}", status.code()));
    }

    /// Prints what is due, and returns the time until the next output; `None` if there will be none.
    pub(super) fn print_due(&self) -> Option<Duration> {
        let mut state = self.state();
        let due = state.pulse.due(self.clock.elapsed());
        for due in due {
            match due {
                DueLine::Alive(text) => self.status(&mut state, "Running", &text),
                DueLine::Late(text) => {
                    let note = self.provider.map(|provider| provider.annotation("warning", &text));
                    let line = format!("{}{}", note.unwrap_or_default(), self.warning(&text));
                    self.record(&mut state, &format!("warning: {text}"));
                    self.line(&mut state, &line);
                }
            }
        }
        state.pulse.next_due(self.clock.elapsed())
    }

    fn status(&self, state: &mut OutputState, verb: &str, message: &str) {
        self.record(state, &format!("{verb:>12} {message}"));
        if !self.quiet {
            let line = format!("{} {message}", self.paint(GREEN, &format!("{verb:>12}")));
            self.line(state, &line);
        }
    }

    /// Returns `text`, parts of which can be untrusted, without anything that a terminal or the runner of the
    /// job would obey.
    fn escape(&self, text: &str) -> String {
        let text = markup::escape_text(text);
        if self.provider == Some(Provider::Github) { escape_commands(&text) } else { text }
    }

    fn warning(&self, message: &str) -> String {
        format!("{} {message}", self.paint(YELLOW, "warning:"))
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.colors { format!("{color}{text}{RESET}") } else { text.to_owned() }
    }

    /// Begins the group `name`, after the one that is open.
    fn enter(&self, state: &mut OutputState, name: &'static str) {
        self.leave(state);
        if let Some(provider) = self.provider.filter(|_| !self.quiet) {
            let now = clock::now();
            state.group = Some((name, now));
            self.write(state, &provider.begin(name, now), None);
        }
    }

    /// Ends the group that is open.
    fn leave(&self, state: &mut OutputState) {
        if let (Some(provider), Some((name, began))) = (self.provider, state.group.take()) {
            self.write(state, &provider.end(name, began, clock::now()), None);
        }
    }

    /// Writes `text` above the bar; `bar` is the new one.
    fn write(&self, state: &mut OutputState, text: &str, bar: Option<String>) {
        let mut out = String::new();
        if state.bar.is_some() {
            out.push_str(ERASE);
        }
        out.push_str(text);
        if let Some(bar) = &bar {
            out.push_str(bar);
        }
        state.bar = bar;
        if out.is_empty() {
            return;
        }
        state.pulse.printed(self.clock.elapsed());
        // There is no place left to report that stderr is closed.
        let _ = state.sink.write_all(out.as_bytes()).and_then(|()| state.sink.flush());
    }

    fn line(&self, state: &mut OutputState, text: &str) {
        let bar = state.bar.clone();
        self.write(state, &format!("{text}\n"), bar);
    }

    /// Adds lines to the file that gets everything, with the time since the start.
    pub(super) fn record(&self, state: &mut OutputState, text: &str) {
        let Some(log) = &mut state.log else { return };
        let time = self.clock.elapsed().as_secs_f64();
        let lines: String = text.lines().map(|line| format!("[{time:>9.3}] {line}\n")).collect();
        if let Err(error) = log.write_all(lines.as_bytes()) {
            state.log = None;
            let line = self.warning(&format!("the file in `LONGSHORE_LOG` ends here: {error}"));
            self.line(state, &line);
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn progress(&self, verb: &str, done: u64, total: u64, detail: &str) -> String {
        let width = terminal_width();
        let cells = 24;
        let full = usize::try_from(done * cells / total.max(1)).unwrap_or(0);
        let bar = format!("{}>{}", "=".repeat(full), " ".repeat(cells as usize - full.min(24)));
        let plain = format!(" [{bar}] {done}/{total}: {detail}");
        let room = width.saturating_sub(13);
        let plain: String = plain.chars().take(room).collect();
        format!("{}{plain}", self.paint(CYAN, &format!("{verb:>12}")))
    }
}

fn indent_lines(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.ok().map_or(80, |size| usize::from(size.ws_col)).max(20)
}

impl Events for Output {
    fn emit(&self, event: Event) {
        let state = &mut *self.state();
        state.pulse.note(&event, self.clock.elapsed());
        match event {
            Event::Stage { name } => {
                self.record(state, &format!("stage: {name}"));
                self.enter(state, name);
            }
            Event::Summary { text } => {
                let text = self.escape(&text);
                self.record(state, &text);
                self.leave(state);
                self.line(state, &text);
            }
            Event::Warning { message } => {
                let message = self.escape(&message);
                self.record(state, &format!("warning: {message}"));
                let line = self.warning(&message);
                self.line(state, &line);
            }
            Event::Status { verb, message } => self.status(state, verb, &self.escape(&message)),
            Event::Output { line } => {
                let line = self.escape(&line);
                self.record(state, &line);
                // A terminal shows the bar instead; without one, lines show the progress.
                if !self.quiet && (self.verbose || !self.bars) {
                    self.line(state, &line);
                }
            }
            Event::Progress { verb, done, total, detail } => {
                let detail = markup::escape_line(&detail);
                self.record(state, &format!("{verb:>12} {done}/{total}: {detail}"));
                if !self.quiet && self.bars {
                    let bar = self.progress(verb, done, total, &detail);
                    self.write(state, "", Some(bar));
                }
            }
            Event::ProgressDone => self.write(state, "", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The written bytes.
    #[derive(Clone, Debug, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Returns the output of a `dist` that fails while it packs, for `provider`.
    fn failing(provider: Option<Provider>, quiet: bool) -> (String, String) {
        let (sink, log) = (Sink::default(), Sink::default());
        let output = Output::new_for_provider(Box::new(sink.clone()), provider, quiet);
        output.state().log = Some(Box::new(log.clone()));
        let events: &dyn Events = &output;
        events.emit(Event::Stage { name: "build" });
        events.status("Building", "hello");
        events.emit(Event::Stage { name: "pack" });
        events.warn("odd");
        output.error(&Error::build("50% broke\nbadly").detail("end of\nthe log").hint("mend it"));
        output.done(Status::BuildFailed);
        (sink.text(), log.text())
    }

    const LAST: &str = "error: 50% broke\nbadly\n  end of\n  the log\nhint: mend it\n";

    #[test]
    fn groups_end_before_the_error() {
        let (github, _) = failing(Some(Provider::Github), false);
        assert_eq!(
            github,
            "::group::build\n    Building hello\n::endgroup::\n::group::pack\nwarning: odd\n\
             ::endgroup::\n::error::50%25 broke\n"
                .to_owned()
                + LAST
        );
        let (gitlab, _) = failing(Some(Provider::Gitlab), false);
        let plain: String = gitlab.chars().filter(|c| !c.is_ascii_digit()).collect();
        let group = |name: &str, inside: &str| {
            format!(
                "\u{1b}[Ksection_start::longshore_{name}_[collapsed=true]\r\u{1b}[K{name}\n{inside}\n\
                 \u{1b}[Ksection_end::longshore_{name}_\r\u{1b}[K\n"
            )
        };
        let last = LAST.replace("50", "");
        let expected =
            group("build", "    Building hello") + &group("pack", "warning: odd") + &last;
        assert_eq!(plain, expected);
        let (circle, _) = failing(Some(Provider::Circleci), false);
        assert_eq!(circle, "    Building hello\nwarning: odd\n".to_owned() + LAST);
        assert_eq!(failing(None, false).0, circle);
    }

    #[test]
    fn output_cannot_control_terminal_or_runner() {
        let sink = Sink::default();
        let output =
            Output::new_for_provider(Box::new(sink.clone()), Some(Provider::Github), false);
        let events: &dyn Events = &output;
        events.status("Ran", "a\u{1b}[2K\u{9b}b\rc");
        events.warn("x\n ::set-output name=a::b");
        output.emit(Event::Output { line: "  ::error::no ##[error]no".to_owned() });
        let error = Error::build("e\u{7}").detail("::add-mask::x\ty").hint("\u{202e}h");
        output.error(&error);
        assert_eq!(
            sink.text(),
            "         Ran a\\u{1b}[2K\\u{9b}b\\u{d}c\nwarning: x\n \\::set-output name=a::b\n  \
             \\::error::no ##\\[error]no\n::error::e\\u{7}\nerror: e\\u{7}\n  \
             \\::add-mask::x\ty\nhint: \\u{202e}h\n"
        );
    }

    #[test]
    fn quiet_has_no_groups() {
        let (github, log) = failing(Some(Provider::Github), true);
        assert_eq!(github, "warning: odd\n::error::50%25 broke\n".to_owned() + LAST);
        // The file has all events anyway.
        let lines: Vec<_> = log.lines().map(|line| line.split_once("] ").unwrap().1).collect();
        let expected = ["stage: build", "    Building hello", "stage: pack", "warning: odd"];
        let last = LAST.lines().chain(["ended with status 4"]);
        assert_eq!(lines, expected.into_iter().chain(last).collect::<Vec<_>>());
    }

    #[test]
    fn the_summary_is_outside_of_groups() {
        let sink = Sink::default();
        let output =
            Output::new_for_provider(Box::new(sink.clone()), Some(Provider::Github), false);
        output.emit(Event::Stage { name: "pack" });
        output.emit(Event::Summary { text: "made".to_owned() });
        output.done(Status::Done);
        assert_eq!(sink.text(), "::group::pack\n::endgroup::\nmade\n");
    }

    #[test]
    fn heartbeats_name_the_running_units() {
        let sink = Sink::default();
        let output = Output::new_for_provider(Box::new(sink.clone()), None, false);
        output.state().pulse = Heartbeat::new(Some(Duration::ZERO), None);
        output.emit(Event::Stage { name: "build" });
        let detail = "ring, syn".to_owned();
        output.emit(Event::Progress { verb: "Building", done: 1, total: 4, detail });
        assert_eq!(output.print_due(), Some(Duration::ZERO));
        assert_eq!(
            sink.text(),
            "     Running build, for 0 s; compiling ring (0 s), syn (0 s); 1 of 4 units are done\n"
        );
        output.state().pulse = Heartbeat::new(None, None);
        assert_eq!(output.print_due(), None);
    }
}
