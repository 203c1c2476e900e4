//! Releases of longshore that a workspace can pin.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tempfile::TempDir;

use super::{
    command::{LONGSHORE, cache, plain},
    workspace::Workspace,
};

/// The version of the program under test.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name of an archive, with placeholders.
pub(crate) const ARCHIVE: &str = "longshore-{version}-{target}.tar.gz";

const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Returns the value of `--tool` for the archives in a directory.
pub(crate) fn tool(dir: &Path) -> String {
    format!("archive=file://{}/{ARCHIVE}", dir.display())
}

/// Returns a directory with archives of the program under test.
pub(crate) fn release() -> &'static Path {
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let dir = cache("pinned");
        pack(Path::new(LONGSHORE), VERSION, &dir);
        dir
    })
}

/// Returns a directory with archives of a script that reports `version`, and prints its arguments otherwise.
pub(crate) fn fake(version: &str, named: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let program = dir.path().join("cargo-longshore");
    script(&program, version);
    pack(&program, named, dir.path());
    dir
}

/// Writes a program that reports `version`; otherwise it prints its arguments, and ends with 7.
pub(crate) fn script(path: &Path, version: &str) {
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then\n  echo \"cargo longshore {version}\"\n  exit\nfi\n\
         printf '%s\\n' \"$@\"\nexit 7\n"
    );
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Packs a program into an archive for each target.
fn pack(program: &Path, version: &str, dir: &Path) {
    for target in TARGETS {
        let root = format!("longshore-{version}-{target}");
        let name = program.file_name().unwrap().to_str().unwrap();
        let mut tar = plain("tar");
        tar.args(["--use-compress-program", "gzip -1", "-cf"])
            .arg(dir.join(format!("{root}.tar.gz")))
            .arg(format!("--transform=s,^,{root}/,"))
            .arg("-C")
            .arg(program.parent().unwrap())
            .arg(name);
        let output = tar.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Returns the command `cargo xtask` in a workspace, without a directory that other workspaces share.
pub(crate) fn xtask(workspace: &Workspace, args: &[&str]) -> std::process::Command {
    let mut command = plain("cargo");
    command.arg("xtask").args(args).current_dir(workspace.root());
    command.env_remove("LONGSHORE_TOOL");
    command
}
