//! A `dist.json` that cannot be read: every command that reads one fails in the same way.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::run,
    support::{dist::Dist, program},
};

/// The commands, each with `DIR` for the directory of the release.
const COMMANDS: [&str; 13] = [
    "image DIR",
    "image DIR --output oci=layout",
    "package DIR",
    "package list DIR",
    "package repo DIR --apt site",
    "push localhost:1/x --dist DIR",
    "sign --dist DIR --minisign-key key",
    "size DIR",
    "size program --base DIR",
    "size program --html page.html --history DIR",
    "verify DIR",
    "verify program --base DIR/dist.json",
    "merge DIR --into merged",
];

/// One way in which it cannot be read.
struct Failure {
    make: fn(&Path),
    message: &'static str,
}

fn failures() -> Vec<Failure> {
    fn changed(path: &Path, change: impl FnOnce(&mut Value)) {
        let mut json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }
    fn replaced(path: &Path) {
        fs::remove_file(path).unwrap();
    }
    let failure = |make, message| Failure { make, message };
    vec![
        failure(
            |path| {
                replaced(path);
                symlink("nowhere", path).unwrap();
            },
            "cannot read `PATH`: it is a symbolic link to a file that does not exist",
        ),
        failure(
            |path| {
                replaced(path);
                symlink("dist.json", path).unwrap();
            },
            "cannot read `PATH`: Too many levels of symbolic links",
        ),
        failure(
            |path| {
                replaced(path);
                fs::create_dir(path).unwrap();
            },
            "cannot read `PATH`: it is not a regular file",
        ),
        failure(
            |path| {
                replaced(path);
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    path,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                    0,
                )
                .unwrap();
            },
            "cannot read `PATH`: it is not a regular file",
        ),
        failure(
            |path| fs::write(path, "{").unwrap(),
            "`PATH` is not a release manifest: EOF while parsing",
        ),
        failure(
            |path| fs::write(path, "plain text").unwrap(),
            "`PATH` is not a release manifest: expected value at line 1 column 1",
        ),
        failure(
            |path| fs::write(path, "{}").unwrap(),
            "`PATH` is not a release manifest: missing field `schema`",
        ),
        failure(
            |path| changed(path, |json| json["artifacts"] = json!(1)),
            "`PATH` is not a release manifest: invalid type",
        ),
        failure(
            |path| changed(path, |json| json["schema"] = json!(2)),
            "`PATH` is not a release manifest: expected schema 1, found 2",
        ),
        failure(
            |path| changed(path, |json| json["artifacts"][0]["path"] = json!("../x")),
            "`PATH` is not a release manifest: it names `../x`, which is outside its directory",
        ),
        failure(
            |path| fs::File::create(path).unwrap().set_len((64 << 20) + 1).unwrap(),
            "`PATH` is not a release manifest: expected at most 67108864 bytes",
        ),
    ]
}

/// Runs every command on the `dist.json` at `path`, which fails with `message`.
fn check(home: &Path, commands: &[&str], path: &Path, message: &str) {
    let message = message.replace("PATH", &path.display().to_string());
    for command in commands {
        let command = command.replace("DIR", &path.parent().unwrap().display().to_string());
        let ran = run(home, &command).command.output().unwrap();
        let text = [ran.stdout, ran.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{command}: {message}: {text}");
        assert!(text.contains(&message), "{command}: expected {message}, found {text}");
    }
}

/// Returns a directory with a program and a key, in which the commands run.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("program"), program::amd64()).unwrap();
    fs::write(home.path().join("key"), "").unwrap();
    fs::write(home.path().join("Cargo.toml"), crate::support::workspace::manifest("hello", ""))
        .unwrap();
    fs::create_dir(home.path().join("src")).unwrap();
    fs::write(home.path().join("src/main.rs"), "fn main() {}").unwrap();
    home
}

#[test]
fn unreadable_manifests_fail_every_command_equally() {
    let home = home();
    for failure in failures() {
        let dist = Dist::new(&[("linux/amd64", &program::amd64()[..])], json!({}));
        let path = dist.root().join("dist.json");
        (failure.make)(&path);
        check(home.path(), &COMMANDS, &path, failure.message);
    }
}

#[test]
fn missing_manifests_fail_every_command_equally() {
    let home = home();
    let path = home.path().join("nowhere/dist.json");
    // A path that does not exist is a release only by its name for those that also read other files.
    let commands = COMMANDS.iter().filter(|command| !command.starts_with("package list"));
    let commands = commands.map(|command| match command.split(' ').next() {
        Some("size" | "verify") => command.replace("DIR/dist.json", "DIR") + "/dist.json",
        _ => (*command).to_owned(),
    });
    let commands: Vec<String> = commands.collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    check(home.path(), &commands, &path, "there is no `PATH`");
}
