//! Prompting the user at the terminal.

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal, Read, Write},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};

use super::Context;
use crate::model::{
    error::{Error, Result, Status},
    secret::Secret,
};

/// The terminal of this process, which echoes input again once the value is dropped.
struct NoEcho {
    file: File,
    before: Termios,
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // A terminal that was closed needs nothing.
        let _ = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
        let _ = self.file.write_all(b"\n");
    }
}

/// Returns one line that is not shown while it is typed; `None` without a terminal.
///
/// # Errors
/// The terminal does not do what it must, or an interrupt came.
#[allow(clippy::disallowed_methods, reason = "the terminal is not an output file")]
pub fn prompt_secret(cx: &Context, prompt: &str) -> Result<Option<Secret>> {
    // Stdin and stdout may be files; this is the terminal itself (tty(4)).
    let Ok(file) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    let Ok(before) = tcgetattr(&file) else {
        return Ok(None);
    };
    let failed =
        |error: std::io::Error| Error::usage("the terminal does not answer").because(error);
    let mut raw = before.clone();
    raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
    // A read gives what is there after a fifth of a second, so that an interrupt ends the question
    // (termios(3), "timed read").
    raw.special_codes[SpecialCodeIndex::VMIN] = 0;
    raw.special_codes[SpecialCodeIndex::VTIME] = 2;
    let mut terminal = NoEcho { file, before };
    tcsetattr(&terminal.file, OptionalActions::Flush, &raw)
        .map_err(|error| failed(error.into()))?;
    terminal.file.write_all(prompt.as_bytes()).map_err(failed)?;
    let mut line = Vec::new();
    loop {
        cx.children.check()?;
        let mut byte = [0];
        match terminal.file.read(&mut byte) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        }
        match byte {
            [b'\n' | b'\r'] => break,
            // End of transmission, where nothing was typed: no answer.
            [4] if line.is_empty() => {
                return Err(Error::new(Status::Usage, "no password was given"));
            }
            // The entire line is removed: the boundaries of characters are unknown here.
            [8 | 21 | 127] => line.clear(),
            [other] => line.push(other),
        }
    }
    let text = String::from_utf8(line).map_err(|_| Error::usage("the password is not UTF-8"))?;
    Ok(Some(Secret::new(text)))
}

/// Returns whether there is a terminal on stdin, on which the user can answer.
pub fn can_prompt() -> bool {
    std::io::stdin().is_terminal()
}

/// Returns one line from the terminal on stdin, without white space around it. The prompt is on stderr.
///
/// # Errors
/// The terminal was closed, or an interrupt came.
pub fn prompt_line(cx: &Context, prompt: &str) -> Result<String> {
    let failed = |error: std::io::Error| Error::usage("the terminal cannot be read").because(error);
    let stdin = std::io::stdin();
    std::io::stderr().write_all(prompt.as_bytes()).map_err(failed)?;
    // A terminal is readable when a line is complete; until then an interrupt is noticed.
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        cx.children.check()?;
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&moment)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(failed(error.into())),
        }
    }
    let mut line = String::new();
    match stdin.read_line(&mut line).map_err(failed)? {
        0 => Err(Error::usage("the input ended before all questions were answered")),
        _ => Ok(line.trim().to_owned()),
    }
}
