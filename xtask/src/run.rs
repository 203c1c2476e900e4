//! Running other programs, with what they say on the terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "scripts")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

/// The result of a script: nothing, or the reason for its failure.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// Returns the directory of the workspace.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the exit status of a script.
pub(crate) fn exit(result: Result) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether a continuous-integration system runs this.
pub(crate) fn ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// Returns the program `name` on `PATH` or among the system's servers.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let all = std::env::split_paths(&path).chain(servers);
    all.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Returns the command `program` with `args`, separated by spaces, in the workspace.
pub(crate) fn command(program: &str, args: &str) -> Command {
    let mut command = Command::new(program);
    command.args(args.split_whitespace()).current_dir(repository());
    command
}

/// Returns the cargo that runs us, without what it set for this program only.
pub(crate) fn cargo(args: &str) -> Command {
    let mut command = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Says what is done, runs it, and says how long it took.
pub(crate) fn step(name: &str, command: &mut Command) -> Result {
    eprintln!("==> {name}");
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{name}: {command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{name}: {command:?} ended with {status}"));
    }
    eprintln!("    {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a step beside others: prints its output only if it fails, and otherwise how long it took.
pub(crate) fn quiet_step(name: &str, command: &mut Command) -> Result {
    let start = Instant::now();
    let output = command.output().map_err(|error| format!("{name}: {command:?}: {error}"))?;
    if !output.status.success() {
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        return Err(format!("{name}: {command:?} ended with {}\n{stdout}{stderr}", output.status));
    }
    eprintln!("    {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
