//! zig as cargo and C builds start it: through this program, which translates the arguments.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use semver::Version;

use super::malloc::linked_allocator;
use crate::build::{
    linker::{malloc, notice::is_notice},
    zig::{
        PREFIX_MAP,
        compiler::zig_release,
        filter::{Filter, is_response_file, read_response, write_response},
        link,
    },
};

/// Starts `zig cc` or `zig c++` instead of this process; for a link beside it, without its notices. `args` are the
/// version of zig, the words that start it, `--`, and the arguments for the compiler.
///
/// # Errors
/// A response file cannot be read or written, or zig cannot be started.
#[allow(clippy::disallowed_methods, reason = "the process becomes zig, and nothing of it remains")]
pub(in crate::sys) fn start_zig(tool: &str, args: &[OsString]) -> Result<(), String> {
    // A path that is not UTF-8 fails in the linker, by its name.
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let at = words.iter().position(|word| word == "--");
    let Some((Some((version, [program, before @ ..])), args)) =
        at.map(|at| (words[..at].split_first(), words[at + 1..].to_vec()))
    else {
        return Err(format!("`zig {tool}` is for longshore's own scripts"));
    };
    let version = Version::parse(version).map_err(|error| format!("`{version}`: {error}"))?;
    let maps = std::env::var(PREFIX_MAP).unwrap_or_default();
    let args = link::with_prefix_map(link::without_cpu_extensions(args), &maps);
    let is_file = |path: &str| Path::new(path).is_file();
    let mut filter = Filter::new(&args, zig_release(&version), &is_file);
    let mut translated = Vec::new();
    let mut inputs = args.clone();
    for arg in &args {
        if let Some(beginning) = malloc_beginning(arg) {
            if let Some(prefix) = linked_allocator(&inputs) {
                let path = malloc::assembly_path(beginning, prefix);
                translated.extend(link::assembly_args(&path, &maps));
            }
        } else if let Some(file) = arg.strip_prefix('@').filter(|_| is_response_file(arg)) {
            let more = translate_response_file(file, &mut filter);
            inputs.extend(more.map_err(|error| format!("`{file}`: {error}"))?);
            translated.push(arg.clone());
        } else {
            translated.extend(filter.translate(arg));
        }
    }
    let mut command = Command::new(program);
    command.args(before).arg(tool).args(translated);
    let cannot = |error| format!("cannot start `{program}`: {error}");
    if link::only_links(&args) {
        return without_notices(&mut command).map_err(cannot);
    }
    Err(cannot(command.exec()))
}

/// Runs `command`, passes on what it writes except for notices, and ends this process as it ended.
#[allow(clippy::disallowed_methods, reason = "the process stands for zig, and ends as it does")]
fn without_notices(command: &mut Command) -> std::io::Result<()> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(stderr) = child.stderr.take() {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if !is_notice(&line) {
                std::io::stderr().write_all(&line)?;
            }
            line.clear();
        }
    }
    let status = child.wait()?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Returns the value of the argument that gives C code the program's allocator.
fn malloc_beginning(arg: &str) -> Option<&str> {
    arg.strip_prefix(malloc::FLAG)?.strip_prefix('=')
}

/// Translates the arguments in a response file of rustc, in place, and returns them.
#[allow(clippy::disallowed_methods, reason = "the file is rustc's, for this one process")]
fn translate_response_file(file: &str, filter: &mut Filter<'_>) -> std::io::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)?;
    let args: Vec<String> =
        read_response(&text).iter().flat_map(|arg| filter.translate(arg)).collect();
    std::fs::write(file, write_response(&args))?;
    Ok(args)
}
