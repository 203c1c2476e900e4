//! The error type of the program: what failed, a hint that fixes it, and the exit status.
//!
//! Messages are lowercase fragments with the offending value in backticks. A hint is printed on a separate
//! line.

use std::fmt;

/// The exit status of the process. This is the only table of exit statuses; `docs/exit-status.md`
/// is checked against it by a test.
///
/// ```
/// assert_eq!(longshore::Status::CheckFailed.code(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Status {
    /// Everything that was requested is done.
    Done = 0,
    /// A check failed: a lint, a smoke run, a budget.
    CheckFailed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A tool or a part of the toolchain is missing, or is known not to work.
    MissingTool = 3,
    /// A build failed, or a file it needs could not be read or written.
    BuildFailed = 4,
    /// The registry refused or was unreachable.
    Registry = 5,
    /// Ended by an interrupt or a termination signal (128 + SIGINT, the shell's convention).
    Interrupted = 130,
}

impl Status {
    /// Every status with the sentence the documentation gives for it.
    pub const TABLE: [(Status, &'static str); 7] = [
        (Status::Done, "done"),
        (Status::CheckFailed, "a check failed"),
        (Status::Usage, "usage or configuration"),
        (Status::MissingTool, "a tool or toolchain is missing"),
        (Status::BuildFailed, "a build failed, or a file it needs could not be read or written"),
        (Status::Registry, "the registry refused or was unreachable"),
        (Status::Interrupted, "interrupted"),
    ];

    /// Returns the number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The result of everything here that can fail.
///
/// ```
/// fn version(text: &str) -> longshore::Result<u32> {
///     text.parse().map_err(|error| longshore::Error::usage("no version").because(error))
/// }
/// assert!(version("1").is_ok() && version("x").is_err());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: a message, its cause, a hint that fixes it, and the exit status.
///
/// ```
/// use longshore::{Error, Status};
///
/// let error = Error::check("the binary is dynamic").hint("build it for a musl target");
/// assert_eq!(error.status(), Status::CheckFailed);
/// assert_eq!(error.hint_text(), Some("build it for a musl target"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    status: Status,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Creates an error that ends the program with `status`.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            status,
            message: message.into(),
            detail: None,
            hint: None,
            source: None,
        }))
    }

    /// Creates the error of a failed check (status 1).
    pub fn check(message: impl Into<String>) -> Self {
        Self::new(Status::CheckFailed, message)
    }

    /// Creates the error of a wrong command line or configuration (status 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    /// Creates the error of a missing or unsuitable tool (status 3).
    pub fn tool(message: impl Into<String>) -> Self {
        Self::new(Status::MissingTool, message)
    }

    /// Creates the error of a failed build or file operation (status 4).
    pub fn build(message: impl Into<String>) -> Self {
        Self::new(Status::BuildFailed, message)
    }

    /// Sets the hint. A later hint replaces an earlier one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(printable(&hint.into()));
        self
    }

    /// Sets the detail: lines such as the end of a log, which are printed after the message.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets the underlying error, which is printed after the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns a copy as text, for an error that is reported in two places.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Error(Box::new(Inner {
            status: self.0.status,
            message: self.to_string(),
            detail: self.0.detail.clone(),
            hint: self.0.hint.clone(),
            source: None,
        }))
    }

    /// Adds `hint` if there is none.
    #[must_use]
    pub fn or_hint(self, hint: impl Into<String>) -> Self {
        if self.0.hint.is_some() { self } else { self.hint(hint) }
    }

    /// Adds the operation or its object before the message. Hint, detail, status and source stay.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Replaces the exit status.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        self.0.status = status;
        self
    }

    /// Returns the exit status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// Returns the detail: lines such as the end of a log.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Returns the hint: the command or setting that fixes it.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.message))?;
        let mut source = self.0.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(error) = source {
            write!(f, ": {}", printable(&error.to_string()))?;
            source = error.source();
        }
        Ok(())
    }
}

/// Escapes text for a terminal: messages contain bytes of files and of other crates' errors.
/// Control characters, and those that change the direction of text, are escaped.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        let direction = matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if direction || char.is_control() && !matches!(char, '\n' | '\t') {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(detail) = self.detail_text() {
            write!(f, "\n{detail}")?;
        }
        if let Some(hint) = self.hint_text() {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

// The chain is already part of `Display`, so `source` stays empty: otherwise printers that walk it would
// print everything twice.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_hint_detail_status_and_source() {
        let source = || std::io::Error::other("no such file");
        let error = Error::tool("cannot read `b`").because(source()).detail("line").hint("make it");
        let error = error.context("`a`").or_hint("another");
        assert_eq!(error.to_string(), "`a`: cannot read `b`: no such file");
        assert_eq!(error.status(), Status::MissingTool);
        assert_eq!((error.detail_text(), error.hint_text()), (Some("line"), Some("make it")));
        let error = Error::check("x").context("y").with_status(Status::Usage).or_hint("z");
        assert_eq!((error.status(), error.hint_text()), (Status::Usage, Some("z")));
    }

    #[test]
    fn control_characters_are_escaped() {
        let source = std::io::Error::other("\u{9b}2K");
        let error = Error::check("`\u{1b}]0;x\u{7}` \u{202e}").because(source).hint("\r\u{1b}");
        let text = format!("{error:?}");
        assert_eq!(text, "`\\u{1b}]0;x\\u{7}` \\u{202e}: \\u{9b}2K\nhint: \\r\\u{1b}");
    }
}
