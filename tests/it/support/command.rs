//! Running the real `cargo-longshore`, and what is expected of it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{peer, workspace::Workspace};

/// The program under test.
pub(crate) const LONGSHORE: &str = env!("CARGO_BIN_EXE_cargo-longshore");

/// One run of `cargo-longshore` in a workspace, with what is expected of it: status 0 unless it
/// says otherwise, and nothing on stdout where it fails.
#[derive(Debug)]
pub(crate) struct Test {
    /// The command, for what there is no method for.
    pub(crate) command: Command,
    status: i32,
    stdout: Vec<String>,
    stderr: Vec<String>,
    absent: Vec<String>,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its output to stdout.
    pub(crate) stdout: String,
    /// Its output to stderr.
    pub(crate) stderr: String,
}

impl Ran {
    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }
}

/// Returns the command `cargo-longshore` with `args`, separated by spaces, in `workspace`.
pub(crate) fn longshore(workspace: &Workspace, args: &str) -> Test {
    let mut command = plain(LONGSHORE);
    command.args(args.split_whitespace()).current_dir(workspace.root());
    Test { command, status: 0, stdout: Vec::new(), stderr: Vec::new(), absent: Vec::new() }
}

/// Returns the command `program` without the variables that the `cargo test` around us set, or that would make
/// it behave differently for different users.
#[track_caller]
pub(crate) fn plain(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if let Some(name) = program.as_ref().to_str().filter(|name| !name.contains('/')) {
        assert!(peer::listed(name), "`{name}` is not in tests/it/support/peers.txt; hint: add it");
    }
    let mut command = if signals_are_ignored() {
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP,INT,QUIT").arg(program);
        command
    } else {
        Command::new(program)
    };
    let of_cargo = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_BUILD_",
        "CARGO_TARGET_",
        "CARGO_PROFILE_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
        "CARGO_ENCODED_",
        "CARGO_TERM_",
        "CFLAGS",
        "CXXFLAGS",
        "RUSTFLAGS",
        "SOURCE_DATE_EPOCH",
        "NO_COLOR",
        // A hook of git that runs the tests has them.
        "GIT_",
        // Of the job that the tests run in.
        "GITHUB_",
        "GITLAB_CI",
        "CIRCLE",
        "CI_",
        "LONGSHORE_HEARTBEAT",
        "LONGSHORE_JOB_STARTED",
        "LONGSHORE_LOG",
        "LONGSHORE_TIME_LIMIT",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if of_cargo.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    // A repository around the temporary directory is none of the fixture's.
    command.env("GIT_CEILING_DIRECTORIES", ceilings()).stdin(Stdio::null());
    command
}

/// Returns whether this process ignores signals that interrupt a program, as a background job of a
/// shell does. Its children would ignore them, too.
fn signals_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [Signal::HUP, Signal::INT, Signal::QUIT]
        .iter()
        .any(|signal| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Returns the directories above which git must not look for a repository.
fn ceilings() -> OsString {
    let temporary = std::env::temp_dir();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/it-cache");
    let canonical = temporary.canonicalize().unwrap_or_else(|_| temporary.clone());
    std::env::join_paths([temporary, canonical, repository]).unwrap()
}

impl Test {
    /// Adds one argument, spaces and all.
    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it in another directory.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// It ends with `status`.
    pub(crate) fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// It says `text` on stdout.
    pub(crate) fn stdout(mut self, text: &str) -> Self {
        self.stdout.push(text.to_owned());
        self
    }

    /// It says `text` on stderr.
    pub(crate) fn stderr(mut self, text: &str) -> Self {
        self.stderr.push(text.to_owned());
        self
    }

    /// Returns its last line on stderr is this hint.
    pub(crate) fn hint(self, text: &str) -> Self {
        self.stderr(&format!("\nhint: {text}"))
    }

    /// It does not say `text` on stderr.
    pub(crate) fn absent(mut self, text: &str) -> Self {
        self.absent.push(text.to_owned());
        self
    }

    /// Runs it, and holds it to what is expected.
    #[track_caller]
    pub(crate) fn run(mut self) -> Ran {
        let output = self.command.output().unwrap_or_else(|e| panic!("{:?}: {e}", self.command));
        self.check_output(&output)
    }

    /// Starts it, with its output in pipes.
    pub(crate) fn spawn(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command))
    }

    /// Holds `output` to what is expected.
    #[track_caller]
    pub(crate) fn check_output(&self, output: &Output) -> Ran {
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        let all = format!(
            "{:?}\nstatus: {}\nstdout:\n{stdout}\nstderr:\n{stderr}",
            self.command, output.status
        );
        assert_eq!(output.status.code(), Some(self.status), "{all}");
        for text in &self.stdout {
            assert!(stdout.contains(text.as_str()), "no `{text}` on stdout of {all}");
        }
        for text in &self.stderr {
            assert!(stderr.contains(text.as_str()), "no `{text}` on stderr of {all}");
        }
        for text in &self.absent {
            assert!(!stderr.contains(text.as_str()), "`{text}` on stderr of {all}");
        }
        if self.status != 0 && self.stdout.is_empty() {
            assert_eq!(stdout, "", "machines read stdout: {all}");
        }
        Ran { stdout, stderr }
    }
}

/// Returns a directory under `target` that later runs find again.
pub(crate) fn cache(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/it-cache").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
