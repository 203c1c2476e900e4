//! The installation script, run by several shells, and the formula for Homebrew.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use longshore::model::digest::Digest;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dist::shared,
    support::{
        command::{longshore, plain},
        peer,
        tree::tree,
        web::Web,
        workspace::{Workspace, manifest},
    },
};

const ARCHIVE: &str = "hello-0.1.0-x86_64-unknown-linux-musl.tar.gz";

fn archives() -> PathBuf {
    shared().0.dist().join("archives")
}

/// A shell, and the directories of its commands.
struct Shell {
    command: Vec<PathBuf>,
    path: Option<PathBuf>,
}

/// Returns the shells that are installed. BusyBox has only its own commands.
fn shells(home: &Path) -> Vec<Shell> {
    let shell = |name: &str| peer::find(name).map(|path| Shell { command: vec![path], path: None });
    let mut shells: Vec<Shell> = ["sh", "bash"].into_iter().filter_map(shell).collect();
    if let Some(busybox) = peer::find("busybox") {
        let applets = home.join("applets");
        fs::create_dir(&applets).unwrap();
        let mut install = Command::new(&busybox);
        assert!(install.args(["--install", "-s"]).arg(&applets).status().unwrap().success());
        shells.push(Shell { command: vec![busybox, "sh".into()], path: Some(applets) });
    }
    shells
}

impl Shell {
    fn run(&self, script: &Path, home: &Path, args: &[&str]) -> Output {
        let [program, first @ ..] = &self.command[..] else { panic!("no shell") };
        let mut command = plain(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command.args(first).arg(script).args(args).env("HOME", home).output().unwrap()
    }

    /// Runs the script, which must fail with this message, and leave `to` as it was.
    #[track_caller]
    fn fails(&self, script: &Path, home: &Path, to: &Path, args: &[&str], message: &str) {
        let before = to.is_dir().then(|| tree(to));
        let all = [args, &["--to", to.to_str().unwrap()]].concat();
        let ran = self.run(script, home, &all);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{:?}: {error}", self.command);
        assert!(error.contains(message), "no `{message}` in {error}");
        if let Some(before) = before {
            assert_eq!(tree(to), before, "{error}");
        }
    }
}

#[test]
fn the_script_has_no_fault_for_shellcheck() {
    let Some(shellcheck) = peer::find("shellcheck") else { return };
    let script = archives().join("hello-install.sh");
    peer::run(
        &shellcheck,
        [
            "--shell=sh",
            "--enable=all",
            "--exclude=SC2250,SC2310,SC2311,SC2312",
            script.to_str().unwrap(),
        ],
    );
}

#[test]
fn the_script_installs_what_it_has_verified() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let home = TempDir::new().unwrap();
    let script = archives().join("hello-install.sh");
    let web = Web::start(&archives());
    let expected = &shared().1["artifacts"][0]["sha256"];
    for (number, shell) in shells(home.path()).iter().enumerate() {
        let to = home.path().join(format!("a directory {number}"));
        let place = to.to_str().unwrap();
        let ran = shell.run(&script, home.path(), &["--version"]);
        assert_eq!(ran.stdout, b"hello 0.1.0\n", "{ran:?}");
        assert!(shell.run(&script, home.path(), &["--help"]).status.success());
        assert_eq!(shell.run(&script, home.path(), &["--unknown"]).status.code(), Some(2));
        let ran = shell.run(&script, home.path(), &["--to", place, "--from", &web.url]);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(text, format!("installed {place}/hello 0.1.0\nhint: {place} is not in PATH\n"));
        let program = to.join("hello");
        assert_eq!(
            Value::from(Digest::sha256(&fs::read(&program).unwrap()).to_string()),
            *expected
        );
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "nothing else is left");
        // A path is a mirror, too, and an existing program is replaced.
        fs::write(&program, "old").unwrap();
        let mirror = archives();
        let ran = shell.run(
            &script,
            home.path(),
            &[&format!("--to={place}"), &format!("--from={}/", mirror.display())],
        );
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_ne!(fs::read(&program).unwrap(), b"old");
    }
}

#[test]
fn the_script_installs_nothing_else() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let home = TempDir::new().unwrap();
    let script = archives().join("hello-install.sh");
    let (mirror, to) = (home.path().join("mirror"), home.path().join("to"));
    fs::create_dir(&mirror).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(to.join("hello"), "old").unwrap();
    let web = Web::start(&mirror);
    let good = fs::read(archives().join(ARCHIVE)).unwrap();
    let shells = shells(home.path());
    for shell in &shells {
        let fails = |message: &str| {
            shell.fails(&script, home.path(), &to, &["--from", &web.url], message);
        };
        let _ = fs::remove_file(mirror.join(ARCHIVE));
        fails("cannot download");
        let mut bad = good.clone();
        bad[100] ^= 1;
        fs::write(mirror.join(ARCHIVE), &bad).unwrap();
        fails("is corrupt: expected the SHA-256 digest");
        fs::write(mirror.join(ARCHIVE), &good).unwrap();
        web.cut(true);
        let args = ["--from", web.url.as_str()];
        let ran =
            shell.run(&script, home.path(), &[&args[..], &["--to", to.to_str().unwrap()]].concat());
        assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(fs::read(to.join("hello")).unwrap(), b"old");
        web.cut(false);
        // Nobody can create files there.
        let proc = Path::new("/proc");
        shell.fails(
            &script,
            home.path(),
            &proc.join("x"),
            &[],
            "cannot create the directory /proc/x",
        );
        let ran = shell.run(&script, home.path(), &["--to", "/proc"]);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(error.contains("cannot write to the directory /proc"), "{error}");
        // A script that was cut off does nothing.
        let text = fs::read_to_string(&script).unwrap();
        let cut = home.path().join("cut.sh");
        fs::write(&cut, &text[..text.rfind("main \"$@\"").unwrap()]).unwrap();
        let ran =
            shell.run(&cut, home.path(), &[&args[..], &["--to", to.to_str().unwrap()]].concat());
        assert_eq!((ran.stdout.len(), fs::read(to.join("hello")).unwrap()), (0, b"old".to_vec()));
    }
    // Without a command for digests, nothing is downloaded.
    if let Some(busybox) = shells.iter().find(|shell| shell.path.is_some()) {
        for name in ["sha256sum", "shasum", "openssl"] {
            let _ = fs::remove_file(busybox.path.as_ref().unwrap().join(name));
        }
        busybox.fails(
            &script,
            home.path(),
            &to,
            &["--from", &web.url],
            "cannot verify the archive",
        );
    }
    // Another machine.
    let other = fs::read_to_string(&script).unwrap().replace("x86_64 ", "m68k ");
    let path = home.path().join("other.sh");
    fs::write(&path, other).unwrap();
    shells[0].fails(&path, home.path(), &to, &[], "hello 0.1.0 has no programs for x86_64");
}

#[test]
fn the_formula_is_ruby_with_the_digests_of_the_archives() {
    let (_, json) = shared();
    let path = archives().join("hello.rb");
    let text = fs::read_to_string(&path).unwrap();
    for archive in json["archives"].as_array().unwrap() {
        let file = archive["path"].as_str().unwrap().rsplit('/').next().unwrap();
        let digest = archive["sha256"].as_str().unwrap().trim_start_matches("sha256:");
        let lines =
            format!("url \"https://example.org/hello/0.1.0/{file}\"\n      sha256 \"{digest}\"\n");
        assert_eq!(
            text.contains(&lines),
            archive["kind"] == "binaries" && file.ends_with(".tar.gz"),
            "{text}"
        );
    }
    assert!(text.contains("man1.install \"share/man/man1/hello.1\""), "{text}");
    if let Some(ruby) = peer::find("ruby") {
        assert_eq!(peer::run(&ruby, ["-wc", path.to_str().unwrap()]), "Syntax OK\n");
    }
}

#[test]
fn verify_compares_scripts_and_formulae_with_the_release() {
    let (workspace, _) = shared();
    let copy = Workspace::empty();
    let from = format!("{}/.", workspace.root().display());
    assert!(Command::new("cp").args(["-a", &from]).arg(copy.root()).status().unwrap().success());
    longshore(&copy, "verify target/dist").run();
    // A script with different digests, which is recorded as it is.
    let script = copy.dist().join("archives/hello-install.sh");
    let text = fs::read_to_string(&script).unwrap();
    let changed = text.replacen("x86_64 ", "x86_64 0", 1).replacen(" hello-0", "hello-0", 1);
    for name in ["dist.json", "archives/SHA256SUMS"] {
        let path = copy.dist().join(name);
        let old = Digest::sha256(text.as_bytes()).hex();
        let new = Digest::sha256(changed.as_bytes()).hex();
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(&old, &new)).unwrap();
    }
    fs::remove_file(&script).unwrap();
    fs::write(&script, &changed).unwrap();
    longshore(&copy, "verify target/dist")
        .status(1)
        .stdout("hello-install.sh` refused")
        .stdout("it does not have the digest of `archives/hello-0.1.0-x86_64-unknown-linux-musl.tar.gz`")
        .run();
    fs::remove_file(&script).unwrap();
    longshore(&copy, "verify target/dist").status(1).stdout("hello-install.sh").run();
}

#[test]
fn scripts_and_formulae_need_a_url() {
    let plan = |more: &str| {
        let more = format!("description = \"x\"\n{more}");
        let workspace = Workspace::hello().file("Cargo.toml", &manifest("hello", &more));
        let test = longshore(&workspace, "plan --message-format json");
        (workspace, test)
    };
    let (_w, test) = plan("[package.metadata.longshore]\ninstaller = true");
    test.status(2).stderr("the URL of its archives is not known").hint("set `installer.url`").run();
    let (_w, test) = plan("[package.metadata.longshore]\ninstaller.url = \"https://x/'$(id)'\"");
    test.status(2).stderr("is not the URL of a directory").run();
    let (_w, test) = plan(
        "repository = \"https://github.com/acme/hello\"\n[package.metadata.longshore]\narchive.formats = ['zip']\ninstaller = true",
    );
    test.status(2).stderr("it downloads archives in the format `tar.gz`").run();
    let (_w, test) = plan("[package.metadata.longshore]\nhomebrew.url = 'https://example.org'");
    test.status(2).stderr("it has no home page").run();
    let (_w, test) = plan(
        "repository = \"https://github.com/acme/hello.git\"\n[package.metadata.longshore]\ninstaller = true\nhomebrew = true",
    );
    let json = test.run().json();
    let url = "https://github.com/acme/hello/releases/download/v0.1.0";
    for key in ["installer", "homebrew"] {
        assert_eq!(json["archives"][0][key]["url"], url);
    }
}
