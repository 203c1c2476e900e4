//! rust-lld as rustc starts it: through this program, which translates the arguments of a C compiler.

use std::{ffi::OsString, os::unix::process::CommandExt};

use super::malloc::linked_allocator;
use crate::build::{
    linker::{
        arguments::{translate, write_response},
        malloc,
    },
    zig::filter::{is_response_file, read_response},
};

/// The word after `zig` that requests it.
pub(in crate::sys) const VERB: &str = "rust-lld";

/// Starts rust-lld instead of this process. `args` are its program, the directory of the C library, `--`, and the
/// arguments for a C compiler.
///
/// # Errors
/// The arguments cannot be translated, a response file cannot be read or written, or rust-lld cannot be started.
#[allow(
    clippy::disallowed_methods,
    reason = "the process becomes rust-lld, and nothing of it remains"
)]
pub(in crate::sys) fn start_rust_lld(args: &[OsString]) -> Result<(), String> {
    // A path that is not UTF-8 fails in the linker, by its name.
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let [program, libraries, separator, words @ ..] = &words[..] else {
        return Err("`zig rust-lld` is for longshore's own scripts".to_owned());
    };
    if separator != "--" {
        return Err("`zig rust-lld` is for longshore's own scripts".to_owned());
    }
    let mut all = Vec::with_capacity(words.len());
    let mut response = None;
    for word in words {
        match word.strip_prefix('@').filter(|_| is_response_file(word)) {
            Some(file) => {
                let text = std::fs::read_to_string(file);
                let text = text.map_err(|error| format!("cannot read `{file}`: {error}"))?;
                all.extend(read_response(&text));
                response = Some(file);
            }
            None => all.push(word.clone()),
        }
    }
    if let Some(at) = all.iter().position(|arg| arg == malloc::FLAG) {
        let definitions = linked_allocator(&all).map(malloc::definitions).unwrap_or_default();
        all.splice(at..=at, definitions);
    }
    let mut translated = translate(&all, libraries).map_err(|error| {
        format!("{error}; `linker = \"zig\"` in `[workspace.metadata.longshore]` links with zig")
    })?;
    if let Some(file) = response {
        // The flavor is read before response files are.
        let rest = translated.split_off(2);
        let written = std::fs::write(file, write_response(&rest));
        written.map_err(|error| format!("cannot write `{file}`: {error}"))?;
        translated.push(format!("@{file}"));
    }
    let error = std::process::Command::new(program).args(translated).exec();
    Err(format!("cannot start `{program}`: {error}"))
}
