//! What people read, on stderr: cargo's manner of a verb in 12 columns, and a bar while it is long.

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, MutexGuard},
};

use super::args::Color;
use crate::{
    error::Error,
    event::{Event, Events},
};

/// Stderr, with the bar that stands in its last line.
#[derive(Debug)]
pub(super) struct Output {
    colors: bool,
    terminal: bool,
    verbose: bool,
    quiet: bool,
    bar: Mutex<Option<String>>,
}

const GREEN: &str = "\u{1b}[1;32m";
const CYAN: &str = "\u{1b}[1;36m";
const YELLOW: &str = "\u{1b}[1;33m";
const RED: &str = "\u{1b}[1;31m";
const RESET: &str = "\u{1b}[0m";
/// Back to the first column, and erase the line (ECMA-48, EL).
const ERASE: &str = "\r\u{1b}[K";

impl Output {
    pub(super) fn new(color: Color, verbose: u8, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colors = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !crate::sys::env::no_color(),
        };
        Output { colors, terminal, verbose: verbose > 0, quiet, bar: Mutex::new(None) }
    }

    /// The error, what shows it, and what to do.
    pub(super) fn error(&self, error: &Error) {
        let mut text = format!("{} {error}\n", self.paint(RED, "error:"));
        if let Some(detail) = error.detail_text().filter(|detail| !detail.is_empty()) {
            text.push_str(&indent(detail));
        }
        if let Some(hint) = error.hint_text() {
            text.push_str(&format!("{} {hint}\n", self.paint(CYAN, "hint:")));
        }
        self.write(&text, None);
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.colors { format!("{color}{text}{RESET}") } else { text.to_owned() }
    }

    /// Writes `text` above the bar; `bar` is the new one.
    fn write(&self, text: &str, bar: Option<String>) {
        let mut current = self.bar();
        let mut out = String::new();
        if current.is_some() {
            out.push_str(ERASE);
        }
        out.push_str(text);
        if let Some(bar) = &bar {
            out.push_str(bar);
        }
        *current = bar;
        // There is nowhere left to say that stderr is gone.
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(out.as_bytes()).and_then(|()| stderr.flush());
    }

    fn line(&self, text: &str) {
        let bar = self.bar().clone();
        self.write(&format!("{text}\n"), bar);
    }

    fn bar(&self) -> MutexGuard<'_, Option<String>> {
        self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.ok().map_or(80, |size| usize::from(size.ws_col)).max(20)
}

impl Events for Output {
    fn emit(&self, event: Event) {
        match event {
            Event::Summary { text } => self.line(&text),
            Event::Warning { message } => {
                self.line(&format!("{} {message}", self.paint(YELLOW, "warning:")));
            }
            _ if self.quiet => {}
            Event::Status { verb, message } => {
                self.line(&format!("{} {message}", self.paint(GREEN, &format!("{verb:>12}"))));
            }
            // A terminal shows the bar instead; where there is none, lines show that it goes on.
            Event::Output { line } if self.verbose || !self.terminal => self.line(&line),
            Event::Progress { verb, done, total, detail } if self.terminal => {
                self.write("", Some(self.progress(verb, done, total, &detail)));
            }
            Event::ProgressDone => self.write("", None),
            Event::Output { .. } | Event::Progress { .. } => {}
        }
    }
}
