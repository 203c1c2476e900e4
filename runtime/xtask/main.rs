//! `cargo xtask`: runs the version of longshore that the workspace pins.
//!
//! The pin is `tool` in `[workspace.metadata.longshore.ci]` of the workspace's `Cargo.toml`; generated CI files
//! use the same one. A program that is missing is downloaded into the target directory. It is started only if
//! the SHA-256 of the download is the pinned one, and if it reports the pinned version.
//! `LONGSHORE_TOOL=PATH` names an installed program, which needs no download.
//!
//! `cargo longshore init` wrote this file. It uses the standard library only, so that it compiles in a second,
//! and programs that every system has: curl or wget, sha256sum or shasum, tar.

mod download;
mod json;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use crate::json::Json;

/// The name of the program.
const PROGRAM: &str = "cargo-longshore";
/// The variable that names an installed program.
const VARIABLE: &str = "LONGSHORE_TOOL";
/// The table with the pin.
const PIN: &str = "`tool` in `[workspace.metadata.longshore.ci]` of `Cargo.toml`";

/// An error: the exit status, as longshore has them, and the message.
struct Failure(u8, String);

type Result<T> = std::result::Result<T, Failure>;

/// A digest or a version is not the pinned one.
const CHECK: u8 = 1;
/// The configuration is wrong.
const USAGE: u8 = 2;
/// A program is missing.
const TOOL: u8 = 3;
/// A file cannot be written, or a build failed.
const BUILD: u8 = 4;
/// A server cannot be reached, or does not have the file.
const REMOTE: u8 = 5;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(Failure(status, message)) => {
            eprintln!("error: {message}");
            ExitCode::from(status)
        }
    }
}

fn run() -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let program = match env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => workspace.installed(PathBuf::from(path))?,
        None => workspace.provide()?,
    };
    let mut command = Command::new(&program);
    command.args(env::args_os().skip(1));
    start(command, &program)
}

/// Starts longshore as this process, so that it gets all signals, and its status is the status.
#[cfg(unix)]
fn start(mut command: Command, program: &Path) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    // Its messages then name `cargo xtask`.
    let error = command.arg0("xtask").exec();
    Err(Failure(
        TOOL,
        format!("cannot start `{}`: {error}", program.display()),
    ))
}

#[cfg(not(unix))]
fn start(mut command: Command, program: &Path) -> Result<ExitCode> {
    let status = command.status();
    let status = status.map_err(|error| {
        Failure(
            TOOL,
            format!("cannot start `{}`: {error}", program.display()),
        )
    })?;
    std::process::exit(status.code().unwrap_or(1))
}

/// The workspace, as cargo describes it.
struct Workspace {
    root: PathBuf,
    /// The directory for downloaded and compiled programs.
    directory: PathBuf,
    cargo: OsString,
    /// The pin.
    tool: Json,
}

impl Workspace {
    fn read() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let own = env::var_os("CARGO_MANIFEST_DIR");
        let own = own.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let mut command = Command::new(&cargo);
        command
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .arg("--manifest-path")
            .arg(Path::new(&own).join("Cargo.toml"));
        let text = output(&mut command)?;
        let metadata = Json::parse(&text).ok_or_else(|| {
            Failure(
                TOOL,
                "`cargo metadata` printed something else than JSON".into(),
            )
        })?;
        let path = |key| {
            let found = metadata.get(key).and_then(Json::text).map(PathBuf::from);
            found.ok_or_else(|| Failure(TOOL, format!("`cargo metadata` printed no `{key}`")))
        };
        let tool = ["metadata", "longshore", "ci", "tool"];
        let tool = tool.iter().try_fold(&metadata, |value, key| value.get(key));
        Ok(Workspace {
            root: path("workspace_root")?,
            directory: path("target_directory")?.join("longshore"),
            cargo,
            tool: tool
                .cloned()
                .ok_or_else(|| Failure(USAGE, format!("there is no {PIN}")))?,
        })
    }

    /// Returns a text of the pin.
    fn pinned(&self, key: &str) -> Result<&str> {
        let found = self.tool.get(key).and_then(Json::text);
        found.ok_or_else(|| Failure(USAGE, format!("{PIN} has no `{key}`")))
    }

    /// Returns the program that the variable names, if it has the pinned version.
    fn installed(&self, path: PathBuf) -> Result<PathBuf> {
        if let Some(version) = self.tool.get("version").and_then(Json::text) {
            check_version(&path, version).map_err(|Failure(status, message)| {
                Failure(status, format!("`{VARIABLE}`: {message}"))
            })?;
        }
        Ok(path)
    }

    /// Returns the pinned program, which is downloaded or compiled if it is missing.
    fn provide(&self) -> Result<PathBuf> {
        if let Some(format) = download::FORMATS
            .iter()
            .find(|format| self.tool.get(format).is_some())
        {
            return download::provide(self, format);
        }
        if let Some(url) = self.tool.get("git").and_then(Json::text) {
            return self.install(url, self.pinned("rev")?);
        }
        if let Some(path) = self.tool.get("path").and_then(Json::text) {
            return self.compile(&self.root.join(path));
        }
        Err(Failure(
            USAGE,
            format!("{PIN} has no source that `cargo xtask` can use; set `{VARIABLE}`"),
        ))
    }

    /// Compiles a commit with cargo, which locks the directory.
    fn install(&self, url: &str, revision: &str) -> Result<PathBuf> {
        let root = self.directory.join(revision);
        let program = root.join("bin").join(PROGRAM);
        if program.is_file() {
            return Ok(program);
        }
        let mut command = Command::new(&self.cargo);
        command
            .args([
                "install", "--locked", "--debug", "--git", url, "--rev", revision,
            ])
            .args(["--bin", PROGRAM])
            .arg("--target-dir")
            .arg(self.directory.join("tool"))
            .arg("--root")
            .arg(&root)
            .arg("longshore");
        build(command)?;
        Ok(program)
    }

    /// Compiles the source in a directory; cargo decides whether something changed.
    fn compile(&self, source: &Path) -> Result<PathBuf> {
        let directory = self.directory.join("tool");
        let mut command = Command::new(&self.cargo);
        command
            .args([
                "build",
                "--quiet",
                "--locked",
                "--package",
                "longshore",
                "--bin",
                PROGRAM,
            ])
            .arg("--target-dir")
            .arg(&directory)
            .current_dir(source);
        build(command)?;
        Ok(directory.join("debug").join(PROGRAM))
    }
}

/// Runs cargo, with its output on stderr.
fn build(mut command: Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(
            BUILD,
            format!("longshore cannot be compiled: {status}"),
        )),
        Err(error) => Err(Failure(TOOL, format!("cargo cannot be started: {error}"))),
    }
}

/// Compares the version that a program reports with the pinned one.
fn check_version(program: &Path, expected: &str) -> Result<()> {
    let text = output(Command::new(program).arg("--version"))?;
    let found = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().last());
    if found == Some(expected) {
        return Ok(());
    }
    let (program, found) = (program.display(), found.unwrap_or("nothing"));
    Err(Failure(
        CHECK,
        format!("`{program} --version`: expected {expected}, got {found}"),
    ))
}

/// Returns the output of a command that must end with 0.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output =
        output.map_err(|error| Failure(TOOL, format!("cannot start `{name}`: {error}")))?;
    if !output.status.success() {
        return Err(Failure(TOOL, format!("`{name}` failed: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> Failure + 'a {
    move |error| {
        Failure(
            BUILD,
            format!("cannot {doing} `{}`: {error}", path.display()),
        )
    }
}
