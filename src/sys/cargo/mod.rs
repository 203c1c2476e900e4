//! Cargo's metadata of the workspace.

mod config;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{
    build::{request::BuildRequest, workspace::Workspace},
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::{Context, fs},
};

pub use self::config::{
    Compiler, Config, compilers, cpu_features, flag_variables, is_static, tool_notes,
};

/// Variables that have the same value in every build.
pub const FIXED_VARIABLES: [(&str, &str); 2] = [("LC_ALL", "C"), ("TZ", "UTC")];

/// Returns the workspace around the current directory, or of `--manifest-path`.
///
/// # Errors
/// There is none, its manifests are wrong, or its longshore tables are.
pub fn workspace(cx: &Context, request: &BuildRequest) -> Result<Workspace> {
    let mut command = Command::new(cx.env.cargo())
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .dir(&cx.env.dir);
    if let Some(path) = &request.manifest_path {
        command = command.args(["--manifest-path", path.as_str()]);
    }
    for config in &request.config {
        command = command.args(["--config", config]);
    }
    if let Some(dir) = &request.target_dir {
        // `cargo metadata` has no such flag, but takes the variable.
        command = command.env("CARGO_TARGET_DIR", dir.as_str());
    }
    let text = read_metadata(cx, &command)?;
    let metadata = MetadataCommand::parse(text.trim()).map_err(|error| {
        Error::tool(format!("`{command}` printed something that is not understood")).because(error)
    })?;
    let manifest = metadata.workspace_root.join("Cargo.toml");
    let manifest = fs::read_to_string_if_exists(&manifest)?.unwrap_or_default();
    Workspace::new(&metadata, &manifest)
}

/// Returns the directory of the workspace around the current directory, or of that manifest, which
/// takes less time than loading the workspace.
///
/// # Errors
/// There is none.
pub fn root(cx: &Context, manifest: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
    let args = ["locate-project", "--workspace", "--message-format", "plain"];
    let mut command = Command::new(cx.env.cargo()).args(args).dir(&cx.env.dir);
    if let Some(path) = manifest {
        command = command.args(["--manifest-path", path.as_str()]);
    }
    let manifest = read_metadata(cx, &command)?;
    Ok(Utf8Path::new(manifest.trim()).parent().unwrap_or(&cx.env.dir).to_owned())
}

/// Returns cargo's metadata of the workspace.
fn read_metadata(cx: &Context, command: &Command) -> Result<String> {
    let output = cx.children.output(command)?;
    if !output.success() {
        let reported = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let reported = reported.trim_start_matches("error: ");
        // rustup, which stands in for cargo.
        if reported.contains("toolchain") && reported.contains("is not installed") {
            return Err(Error::tool(format!("cargo cannot be started: {reported}")).hint(
                "`rustup toolchain install` installs the toolchain of `rust-toolchain.toml`",
            ));
        }
        let error = Error::usage(format!("cargo cannot read the workspace: {reported}"));
        return Err(if reported.contains("could not find `Cargo.toml`") {
            error.hint("run this inside a cargo workspace, or name one with `--manifest-path`")
        } else {
            error.hint(format!("`{command}` shows the same"))
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the packages that cargo resolves for `platforms`, with the dependencies of each.
/// `resolution` are the flags of the build that affect the resolution.
///
/// # Errors
/// Cargo cannot say it, or what it says is not understood.
pub fn resolved_metadata(
    cx: &Context,
    manifest: &Utf8Path,
    platforms: &BTreeSet<&str>,
    resolution: &[String],
) -> Result<Metadata> {
    let mut command = Command::new(cx.env.cargo())
        .args(["metadata", "--format-version", "1", "--manifest-path", manifest.as_str()])
        .args(resolution.iter().cloned())
        .dir(&cx.env.dir);
    // It runs rustc for facts about the platforms, and would keep the answers in the target directory: nothing is written
    // there before the build.
    command = command.env("CARGO_CACHE_RUSTC_INFO", "0");
    // The dependencies of other platforms may never have been fetched.
    for platform in platforms {
        command = command.args(["--filter-platform", platform]);
    }
    let output = cx.children.output(&command)?;
    if !output.success() {
        let reported = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::build("`cargo metadata` could not resolve the dependency graph")
            .detail(reported)
            .hint("`cargo fetch` downloads all dependencies, also those of tests"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    MetadataCommand::parse(text.trim()).map_err(|error| {
        Error::tool(format!("`{command}` printed something that is not understood")).because(error)
    })
}

/// Returns rustc's facts about a target, queried as cargo does it for conditional dependencies: with
/// the flags for that target.
///
/// # Errors
/// rustc does not know the target, or rejects a flag.
pub fn cfgs(
    cx: &Context,
    rustc: &str,
    target: &str,
    flags: &[&str],
    unstable: bool,
) -> Result<String> {
    let mut command = Command::new(rustc)
        .args(["--print=cfg", "--target", target])
        .args(flags.iter().copied())
        .dir(&cx.env.dir);
    if unstable {
        command = command.env("RUSTC_BOOTSTRAP", "1");
    }
    cx.children.read(&command)
}
