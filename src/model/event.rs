//! The events that the library emits while it works. It never prints; the caller decides how events are
//! shown.

use std::fmt;

/// An event while a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stage of a long command begins, and the one before it ends; the last one ends with the
    /// summary.
    Stage {
        /// A word or two, in lowercase (`build`).
        name: &'static str,
    },
    /// A step, in cargo's manner: a verb and what it is about (`Verifying`, `linux/amd64 rg`).
    Status {
        /// Capitalised verb of at most 12 characters.
        verb: &'static str,
        /// Its object, such as `linux/amd64 rg`.
        message: String,
    },
    /// Something the user should know, that does not stop the command.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A line that a child process wrote for people (a compiler's diagnostic).
    Output {
        /// The line, with the child's own colours.
        line: String,
    },
    /// The progress of a long step. `total` is 0 if unknown.
    Progress {
        /// Capitalised verb of at most 12 characters.
        verb: &'static str,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// The item that is processed now.
        detail: String,
    },
    /// The long step is over; its bar may go.
    ProgressDone,
    /// A result for people, printed last, without a verb.
    Summary {
        /// One or more lines.
        text: String,
    },
}

/// A receiver of events. It is called from several threads.
pub trait Events: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

impl fmt::Debug for dyn Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Events")
    }
}

/// A receiver that ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn emit(&self, _: Event) {}
}

/// Short forms for the events emitted most.
impl dyn Events + '_ {
    /// Emits [`Event::Status`].
    pub fn status(&self, verb: &'static str, message: impl Into<String>) {
        self.emit(Event::Status { verb, message: message.into() });
    }

    /// Emits [`Event::Warning`].
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning { message: message.into() });
    }
}
