//! The xtask that `init` writes: it runs the longshore that the workspace pins, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

use longshore::model::digest::Digest;
use tempfile::TempDir;

use crate::support::{
    command::{LONGSHORE, longshore, plain},
    git, peer,
    pinned::{ARCHIVE, VERSION, fake, release, script, tool, xtask},
    tls::{Front, certificate},
    web::Web,
    workspace::{Workspace, lock, manifest},
};

/// Returns a workspace with an xtask, and the settings `tool` for it.
fn pinned(tool: &str) -> Workspace {
    let release = fake("0.1.0", "0.1.0");
    let workspace = Workspace::hello();
    let init = longshore(&workspace, "init --yes --no-ci --tool").arg(self::tool(release.path()));
    init.run();
    let text = fs::read_to_string(workspace.path("Cargo.toml")).unwrap();
    let at = text.find("[workspace.metadata.longshore.ci.tool]\n").unwrap();
    let table = "[workspace.metadata.longshore.ci.tool]";
    workspace.write("Cargo.toml", &format!("{}{table}\n{tool}\n", &text[..at]));
    workspace
}

/// Returns the settings of a file for this machine.
fn file(format: &str, url: &str, version: &str, path: &Path) -> String {
    let digest = Digest::sha256(&fs::read(path).unwrap()).hex();
    let platform = longshore::sys::host::platform();
    format!("{format} = \"{url}\"\nversion = \"{version}\"\nsha256.\"{platform}\" = \"{digest}\"")
}

/// Returns the settings of a fake archive in a directory.
fn archive(dir: &Path, base: &str, version: &str) -> String {
    let url = format!("{base}/{}", named(version));
    file("archive", &url, version, &dir.join(named(version)))
}

/// Returns the name of the archive for this machine.
fn named(version: &str) -> String {
    let target = format!("{}-unknown-linux-musl", longshore::sys::host::machine());
    ARCHIVE.replace("{version}", version).replace("{target}", &target)
}

fn base(dir: &Path) -> String {
    format!("file://{}", dir.display())
}

fn run(workspace: &Workspace, args: &[&str]) -> Output {
    xtask(workspace, args).output().unwrap()
}

/// Checks the outcome of a run that does not start longshore.
#[track_caller]
fn fails(output: &Output, status: i32, message: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{error}");
    assert!(error.contains(message), "no `{message}` in {error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "longshore was not started");
}

/// Returns the names in the directory of installed programs.
fn installed(workspace: &Workspace) -> Vec<String> {
    let entries = fs::read_dir(workspace.path("target/longshore")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn is_linux() -> bool {
    cfg!(target_os = "linux")
}

#[test]
fn it_downloads_once_and_passes_arguments_and_status_on() {
    if !is_linux() {
        return peer::skip("the archives are for Linux");
    }
    let release = fake("0.1.0", "0.1.0");
    let workspace = pinned(&archive(release.path(), &base(release.path()), "0.1.0"));
    let output = run(&workspace, &["one", "a b", "", "--flag"]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\na b\n\n--flag\n");
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("Downloading longshore 0.1.0 from file://")
    );
    // Without the source, in a directory of the workspace, and without a word.
    drop(release);
    let output = xtask(&workspace, &["x"]).current_dir(workspace.path("src")).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"x\n"[..]), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let [directory] = &installed(&workspace)[..] else { panic!("{:?}", installed(&workspace)) };
    assert!(directory.starts_with("0.1.0-") && directory.len() == 22, "{directory}");
}

#[test]
fn nothing_is_started_that_is_not_the_pinned_file() {
    if !is_linux() {
        return peer::skip("the archives are for Linux");
    }
    let release = fake("0.1.0", "0.1.0");
    let right = archive(release.path(), &base(release.path()), "0.1.0");
    // One byte more.
    let path = release.path().join(named("0.1.0"));
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    let workspace = pinned(&right);
    fails(&run(&workspace, &["x"]), 1, "expected sha256 ");
    assert_eq!(installed(&workspace), Vec::<String>::new());
    // The right digest of a file with a different version, or without the program.
    let other = fake("0.1.1", "0.1.0");
    let workspace = pinned(&archive(other.path(), &base(other.path()), "0.1.0"));
    fails(&run(&workspace, &["x"]), 1, "expected 0.1.0, got 0.1.1");
    assert_eq!(installed(&workspace), Vec::<String>::new());
    let empty = TempDir::new().unwrap();
    fs::write(empty.path().join("x"), "").unwrap();
    let mut tar = plain("tar");
    tar.arg("-czf").arg(empty.path().join(named("0.1.0"))).arg("-C").arg(empty.path()).arg("x");
    assert!(tar.status().unwrap().success());
    let workspace = pinned(&archive(empty.path(), &base(empty.path()), "0.1.0"));
    fails(&run(&workspace, &["x"]), 1, "does not contain `cargo-longshore`");
    let text = right.replace(&longshore::sys::host::platform(), "darwin/arm64");
    fails(&run(&pinned(&text), &["x"]), 2, "has no SHA-256 for linux/");
    fails(&run(&pinned("xtask = true"), &["x"]), 2, "set `LONGSHORE_TOOL`");
    let workspace = pinned(&right);
    fs::create_dir_all(workspace.path("target")).unwrap();
    workspace.write("target/longshore", "in the way");
    fails(&run(&workspace, &["x"]), 4, "cannot create");
}

#[test]
fn a_server_is_reached_by_curl_or_wget() {
    let (Some(_), Some(_), true) = (peer::find("curl"), peer::find("wget"), is_linux()) else {
        return;
    };
    let release = fake("0.1.0", "0.1.0");
    let web = Web::start(release.path());
    let settings = archive(release.path(), &web.url, "0.1.0");
    web.cut(true);
    let workspace = pinned(&settings);
    fails(&run(&workspace, &["x"]), 5, "cannot download http://127.0.0.1:");
    assert_eq!(installed(&workspace), Vec::<String>::new());
    web.cut(false);
    assert_eq!(run(&workspace, &["x"]).status.code(), Some(7));
    // Only wget is installed.
    let path = TempDir::new().unwrap();
    for name in ["wget", "tar", "gzip", "sha256sum", "sh", "cc", "as", "ld"] {
        if let Some(found) = peer::find(name) {
            std::os::unix::fs::symlink(found, path.path().join(name)).unwrap();
        }
    }
    let workspace = pinned(&settings);
    let Some(rustup) = peer::find("rustup") else { return };
    let cargo = peer::output(&rustup, ["which", "cargo"]);
    let cargo = String::from_utf8(cargo.stdout).unwrap();
    let bin = Path::new(cargo.trim()).parent().unwrap().to_owned();
    let on_path = std::env::join_paths([path.path(), &bin]).unwrap();
    let mut command = plain(bin.join("cargo"));
    command.args(["xtask", "x"]).current_dir(workspace.root()).env("PATH", &on_path);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    fs::remove_file(path.path().join("wget")).unwrap();
    fs::remove_dir_all(workspace.path("target/longshore")).unwrap();
    let output = command.output().unwrap();
    fails(&output, 3, "not installed: curl or wget");
    fails(&run(&pinned(&settings.replace(".tar.gz", ".tgz")), &["x"]), 5, "cannot download");
}

/// `init` gets the digests from a server with TLS, and so does the xtask.
#[test]
fn init_pins_what_a_server_with_tls_has() {
    let (Some(_), true) = (peer::find("curl"), is_linux()) else { return };
    let release = fake("0.1.0", "0.1.0");
    let dir = TempDir::new().unwrap();
    let Some(authority) = certificate(dir.path(), "server", "IP:127.0.0.1", true, None) else {
        return;
    };
    let web = Web::start(release.path());
    let front = Front::start(&authority, web.url.trim_start_matches("http://"));
    let workspace = Workspace::hello();
    let source = format!("archive=https://{}/{ARCHIVE}", front.address);
    longshore(&workspace, "init --yes --tool")
        .arg(&source)
        .arg("--ca")
        .arg(&authority.path)
        .stderr("for linux/amd64, sha256 ")
        .stderr("for linux/arm64, sha256 ")
        .run();
    let mut command = xtask(&workspace, &["x"]);
    command.env("CURL_CA_BUNDLE", &authority.path);
    assert_eq!(command.output().unwrap().status.code(), Some(7));
    let other = Workspace::hello();
    let again = longshore(&other, "init --yes --tool").arg(&source);
    again.status(5).stderr("certificate").run();
}

#[test]
fn every_format_of_a_release_can_be_pinned() {
    if !is_linux() {
        return peer::skip("the programs are for Linux");
    }
    let dir = TempDir::new().unwrap();
    let program = dir.path().join("cargo-longshore");
    script(&program, "0.1.0");
    let sh = |text: &str| {
        let mut command = plain("sh");
        let output = command.args(["-c", text]).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let mut formats: Vec<(&str, PathBuf)> = Vec::new();
    if peer::find("npm").is_some() {
        sh("mkdir -p package/bin && cp cargo-longshore package/bin && tar -czf x.tgz package");
        formats.push(("npm", dir.path().join("x.tgz")));
    }
    if peer::find("python3").is_some() {
        sh("mkdir -p x.data/scripts && cp cargo-longshore x.data/scripts && \
            python3 -m zipfile -c x.whl x.data");
        formats.push(("wheel", dir.path().join("x.whl")));
    }
    if peer::find("dpkg-deb").is_some() {
        sh("mkdir -p deb/DEBIAN deb/usr/bin && cp cargo-longshore deb/usr/bin && \
            printf 'Package: x\\nVersion: 0.1.0\\nArchitecture: amd64\\nMaintainer: x <x@example.org>\\n\
            Description: x\\n' >deb/DEBIAN/control && dpkg-deb --build deb x.deb");
        formats.push(("deb", dir.path().join("x.deb")));
    }
    for (format, path) in formats {
        let url = format!("file://{}", path.display());
        let output = run(&pinned(&file(format, &url, "0.1.0", &path)), &["x"]);
        assert_eq!(output.status.code(), Some(7), "{format}: {output:?}");
    }
}

#[test]
fn an_installed_program_is_used_if_it_has_the_version() {
    let release = fake("0.1.0", "0.1.0");
    let settings = archive(release.path(), "file:///nowhere", "0.1.0");
    let workspace = pinned(&settings);
    let with = |version: &str| -> Output {
        let program = release.path().join(version);
        script(&program, version);
        xtask(&workspace, &["x"]).env("LONGSHORE_TOOL", program).output().unwrap()
    };
    assert_eq!(with("0.1.0").status.code(), Some(7));
    fails(&with("0.1.1"), 1, "`LONGSHORE_TOOL`: `");
    let mut missing = xtask(&workspace, &["x"]);
    fails(&missing.env("LONGSHORE_TOOL", "/nowhere").output().unwrap(), 3, "cannot start");
}

/// Runs at the same time share one download; none sees a part of it.
#[test]
fn two_runs_at_the_same_time_are_safe() {
    if !is_linux() {
        return peer::skip("the archives are for Linux");
    }
    let release = fake("0.1.0", "0.1.0");
    let workspace = pinned(&archive(release.path(), &base(release.path()), "0.1.0"));
    // Compiled before, so that the downloads are at the same time.
    assert!(
        plain("cargo")
            .args(["build", "--quiet", "--package", "xtask"])
            .current_dir(workspace.root())
            .status()
            .unwrap()
            .success()
    );
    let program = workspace.path("target/debug/xtask");
    thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut command = Command::new(&program);
                    command.arg("x").current_dir(workspace.root()).env_remove("LONGSHORE_TOOL");
                    command.env("CARGO_MANIFEST_DIR", workspace.path("xtask")).output().unwrap()
                })
            })
            .collect();
        for run in runs {
            let output = run.join().unwrap();
            assert_eq!(output.status.code(), Some(7), "{output:?}");
        }
    });
    assert_eq!(installed(&workspace).len(), 1, "{:?}", installed(&workspace));
}

/// A package with the name and the binary of longshore, which compiles at once.
fn small_source(workspace: &Workspace, directory: &str) {
    let bin = "[[bin]]\nname = \"cargo-longshore\"\npath = \"main.rs\"\n";
    let main = "fn main() {\n    println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>());\n    \
                std::process::exit(7)\n}\n";
    workspace
        .write(&format!("{directory}/Cargo.toml"), &(manifest("longshore", bin) + "[workspace]\n"));
    workspace.write(&format!("{directory}/Cargo.lock"), &lock(&["longshore"]));
    workspace.write(&format!("{directory}/main.rs"), main);
}

#[test]
fn a_commit_or_a_directory_is_compiled() {
    let workspace = pinned("path = \"vendor/longshore\"");
    small_source(&workspace, "vendor/longshore");
    let text = fs::read_to_string(workspace.path("Cargo.toml")).unwrap();
    let text = text.replace("[workspace]\n", "[workspace]\nexclude = [\"vendor\"]\n");
    workspace.write("Cargo.toml", &text);
    let output = run(&workspace, &["x", "y"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[\"x\", \"y\"]\n", "{output:?}");
    assert_eq!(output.status.code(), Some(7));
    let source = Workspace::empty();
    small_source(&source, ".");
    let hash = git::committed(&source);
    let settings = format!("git = \"file://{}\"\nrev = \"{hash}\"", source.root().display());
    let workspace = pinned(&settings);
    for _ in 0..2 {
        let output = run(&workspace, &["x"]);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"[\"x\"]\n"[..]));
        // The second run needs no repository.
        let _ = fs::remove_dir_all(source.path(".git"));
    }
    assert!(workspace.path(&format!("target/longshore/{hash}/bin/cargo-longshore")).exists());
}

/// Its formatting is rustfmt's, and clippy finds nothing: users check all members.
#[test]
fn it_passes_the_checks_of_users() {
    let workspace = pinned("xtask = true");
    for args in [
        &["fmt", "--package", "xtask", "--check"][..],
        &["clippy", "--quiet", "--package", "xtask", "--", "-D", "warnings"],
    ] {
        let mut command = plain("cargo");
        let output = command.args(args).current_dir(workspace.root()).output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The program under test, from an archive: its help names the xtask, and a release that it builds is verified.
#[test]
fn it_builds_a_release() {
    if !is_linux() {
        return peer::skip("the archives are for Linux");
    }
    let workspace = Workspace::hello();
    longshore(&workspace, "init --yes --tool").arg(tool(release())).run();
    git::committed(&workspace);
    let output = run(&workspace, &["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("cargo xtask {VERSION}\n"));
    let args = ["dist", "--preset", "quick", "--target", "x86_64-unknown-linux-musl"];
    let output = run(&workspace, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(&workspace, &["verify", "target/dist"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // `LONGSHORE_TOOL` with the same program.
    let mut command = xtask(&workspace, &["ci", "check"]);
    let output = command.env("LONGSHORE_TOOL", LONGSHORE).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
