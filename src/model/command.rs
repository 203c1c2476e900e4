//! A command to run, as plain data. It displays as a line that a person can paste into a shell;
//! only `sys::process` runs it.

use std::{collections::BTreeMap, fmt};

use camino::Utf8PathBuf;

/// A program, its arguments, and what differs from the environment it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// A path, or a name to look up on `PATH`.
    pub program: String,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// Variables that are set, or (`None`) removed.
    pub env: BTreeMap<String, Option<String>>,
    /// The directory it runs in; the caller's own when absent.
    pub dir: Option<Utf8PathBuf>,
    /// Whether it starts without any inherited variable.
    pub env_clear: bool,
    /// Whether it inherits variables that hold credentials ([`crate::model::withheld`]).
    pub credentials: bool,
}

impl Command {
    /// Creates the command `program` without arguments, in the inherited environment.
    pub fn new(program: impl Into<String>) -> Self {
        Command {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            dir: None,
            env_clear: false,
            credentials: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes one variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<String>) -> Self {
        self.env.insert(name.into(), None);
        self
    }

    /// Starts without any inherited variable.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Inherits variables that hold credentials, too: for programs that exist to use them.
    #[must_use]
    pub fn with_credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Runs in `dir`.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<Utf8PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(dir) = &self.dir {
            write!(f, "cd {} && ", quote(dir.as_str()))?;
        }
        if self.env_clear {
            f.write_str("env -i ")?;
        } else if self.env.values().any(Option::is_none) {
            f.write_str("env ")?;
            for (name, _) in self.env.iter().filter(|(_, value)| value.is_none()) {
                write!(f, "-u {name} ")?;
            }
        }
        for (name, value) in &self.env {
            if let Some(value) = value {
                write!(f, "{name}={} ", quote(value))?;
            }
        }
        f.write_str(&quote(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quote(arg))?;
        }
        Ok(())
    }
}

/// Quotes `text` as one word of a POSIX shell (XCU 2.2). A control character is written in the
/// `$'…'` form, so that a line stays a line.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        let mut quoted = String::from("$'");
        for c in text.chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
                c => quoted.push(c),
            }
        }
        quoted.push('\'');
        quoted
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pastes() {
        let command = Command::new("cargo")
            .args(["build", "--config", "profile.dist.lto=\"fat\""])
            .env("FLAGS", "-C\u{1f}opt-level=3")
            .env_remove("RUSTFLAGS")
            .dir("/a b");
        assert_eq!(
            command.to_string(),
            r#"cd '/a b' && env -u RUSTFLAGS FLAGS=$'-C\x1fopt-level=3' cargo build --config 'profile.dist.lto="fat"'"#
        );
        assert_eq!(Command::new("it's").to_string(), r"'it'\''s'");
    }
}
