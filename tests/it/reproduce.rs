//! `reproduce`: a release is rebuilt somewhere else, and every difference is named.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use longshore::model::digest::Digest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    dist::dist,
    schema::valid,
    support::{
        command::{Test, longshore, plain},
        gate::{GATED, Gate},
        git::{committed, git},
        peer,
        registry::Registry,
        tree::tree,
        web::Web,
        workspace::Workspace,
    },
};

const ONE: &str = "--target x86_64-unknown-linux-musl --no-smoke";

const PACKAGE: &str = r#"
description = "Says hello"
homepage = "https://example.org"
license = "MIT"
[package.metadata.longshore]
deb.maintainer = "A <a@example.org>"
archive.formats = ["tar.gz", "zip"]
rpm = true
arch = true
wheel = true
npm = true
installer.url = "https://example.org"
homebrew.url = "https://example.org"
"#;

const MAIN: &str = r#"
#[no_mangle]
#[inline(never)]
pub extern "C" fn number_of_this_program(n: usize) -> usize { n.wrapping_mul(0x1234567) }
fn main() { println!("{} from the release", number_of_this_program(std::env::args().len())) }
"#;

/// A repository, and the release of its only commit.
pub(crate) struct Released {
    pub(crate) source: Workspace,
    pub(crate) release: Workspace,
    revision: String,
}

impl Released {
    /// Returns a copy of the release, which a test may change.
    fn copy(&self) -> Workspace {
        let copy = Workspace::empty();
        copy_files(self.release.root(), copy.root());
        copy
    }
}

fn copy_files(from: &Path, to: &Path) {
    for path in tree(from).keys() {
        let to = to.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(path), to).unwrap();
    }
}

/// Returns a repository, and the release of what is committed in it.
fn make(source: Workspace) -> Released {
    let revision = committed(&source);
    release(source, revision)
}

fn release(source: Workspace, revision: String) -> Released {
    dist(&source, ONE).env("SOURCE_DATE_EPOCH", "1700000000").run();
    let release = Workspace::empty();
    copy_files(&source.dist(), release.root());
    Released { source, release, revision }
}

fn package() -> Workspace {
    Workspace::empty()
        .package("hello", PACKAGE)
        .file("src/main.rs", MAIN)
        .file("LICENSE", "Do as you like.\n")
        .file("README.md", "# hello\n")
        .file(".gitignore", "/target\n")
}

pub(crate) fn released() -> &'static Released {
    static RELEASED: OnceLock<Released> = OnceLock::new();
    RELEASED.get_or_init(|| make(package()))
}

/// Returns the command `reproduce RELEASE`, in another directory than that of the release, with a directory
/// of its own to build in.
pub(crate) fn reproduce(released: &Released, release: &str, work: &Path) -> Test {
    reproduce_from(released.source.root(), release, work)
}

/// Does as [`reproduce`], with the source in a directory.
fn reproduce_from(source: &Path, release: &str, work: &Path) -> Test {
    longshore(&Workspace::empty(), "reproduce")
        .arg(release)
        .arg("--source")
        .arg(source)
        .arg("--work-dir")
        .arg(work)
        .dir(work)
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

/// Runs `test` as another user: root is user 1000 of a user namespace, without its rights over other users'
/// files. Other users stay themselves.
fn as_other_user(mut test: Test) -> Test {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        return test;
    }
    let Some(unshare) = peer::find("unshare") else { return test };
    let map = ["--user", "--map-user=1000", "--map-group=1000"];
    let mut command = plain(unshare);
    command.args(map).arg(test.command.get_program()).args(test.command.get_args());
    for (name, value) in test.command.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(test.command.get_current_dir().unwrap());
    test.command = command;
    test
}

/// Returns the directories that are left in the directory of rebuilds.
pub(crate) fn left(work: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(work).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Returns the number of worktrees of the source in that directory; other tests have others.
pub(crate) fn worktrees(released: &Released, work: &Path) -> usize {
    let list = git(released.source.root(), ["worktree", "list"]);
    let work = work.canonicalize().unwrap();
    list.lines().filter(|line| line.starts_with(work.to_str().unwrap())).count()
}

pub(crate) fn manifest(release: &Workspace) -> Value {
    serde_json::from_slice(&fs::read(release.path("dist.json")).unwrap()).unwrap()
}

pub(crate) fn edit(release: &Workspace, edit: impl FnOnce(&mut Value)) {
    let mut value = manifest(release);
    edit(&mut value);
    release.write("dist.json", &value.to_string());
}

#[test]
fn a_release_is_reproduced_elsewhere() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let attestation = work.path().join("rebuild.intoto.json");
    let mut test = reproduce(released, released.release.root().to_str().unwrap(), work.path())
        .arg("--attestation")
        .arg(&attestation)
        .arg("--message-format=json")
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "de_DE.UTF-8")
        .env("USER", "other");
    test = as_other_user(test);
    #[allow(unsafe_code)]
    // SAFETY: umask(2) is async-signal-safe and touches no memory.
    unsafe {
        test.command.pre_exec(|| {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            Ok(())
        });
    }
    let ran = test.run();
    assert_ne!(valid("reproduce.v1", &ran.stdout), Some(false));
    let json = ran.json();
    assert_eq!((&json["reproduced"], &json["rebuilt"]), (&json!(true), &json!(true)), "{json:#}");
    assert_eq!(json["revision"], released.revision);
    let artifacts = json["artifacts"].as_array().unwrap();
    let kinds: Vec<&str> = artifacts.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    let files = ["binary", "sizes", "archive", "package", "installer", "formula"];
    let others = ["image", "sbom", "checksums", "provenance"];
    for kind in files.iter().chain(&others) {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    for artifact in artifacts {
        assert_eq!(artifact["outcome"], "identical", "{artifact:#}");
    }
    assert_eq!(json["causes"], Value::Null);
    // Nothing is left: no worktree, no build.
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
    assert_eq!(worktrees(released, work.path()), 0);
    assert_eq!(git(released.source.root(), ["status", "--porcelain"]), "");
    let statement: Value = serde_json::from_slice(&fs::read(attestation).unwrap()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://in-toto.io/attestation/svr/v0.1");
    assert_eq!(statement["predicate"]["properties"], json!(["LONGSHORE_REPRODUCED"]));
    assert_eq!(statement["subject"].as_array().unwrap().len(), artifacts.len());
    let subject = &statement["subject"][0];
    assert_eq!(subject["name"], "linux/amd64/bin/hello");
    let recorded = artifacts[0]["sha256"].as_str().unwrap();
    assert_eq!(format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap()), recorded);
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn one_changed_byte_of_any_file_is_named_before_a_build() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let json = manifest(&released.release);
    let image = &json["images"][0];
    let layer = image["platforms"][0]["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let blob = format!("{}/blobs/{layer}", image["path"].as_str().unwrap());
    let mut cases = vec![(blob.clone(), image["path"].as_str().unwrap().to_owned())];
    cases.push((format!("{}/index.json", cases[0].1), cases[0].1.clone()));
    for list in ["artifacts", "archives", "channels", "documents"] {
        for entry in json[list].as_array().unwrap() {
            let path = entry["path"].as_str().unwrap().to_owned();
            cases.push((path.clone(), path));
        }
    }
    assert!(cases.len() > 8, "{cases:?}");
    let copy = released.copy();
    for (file, named) in &cases {
        let path = copy.path(file);
        let before = fs::read(&path).unwrap();
        flip(&path);
        let ran = reproduce(released, copy.root().to_str().unwrap(), work.path())
            .status(1)
            .stdout("not rebuilt: 1 of ")
            .absent("Building")
            .absent("Checking out")
            .run();
        let line = ran.stdout.lines().find(|line| line.starts_with("changed")).unwrap();
        assert!(line.contains(named.as_str()), "{file}: {line}");
        fs::write(&path, before).unwrap();
    }
    let ran = reproduce(released, copy.root().to_str().unwrap(), work.path());
    flip(&copy.path(&blob));
    ran.status(1).stdout(&format!("file `blobs/{layer}`: the blob does not match its name")).run();
}

/// A release of another commit that claims to be of this one.
#[test]
fn a_different_source_is_found_and_located() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let other = package()
        .file("src/main.rs", &MAIN.replace("0x1234567", "0x7654321"))
        .file("README.md", "# Hello\n");
    let toml = fs::read_to_string(other.path("Cargo.toml")).unwrap();
    other.write("Cargo.toml", &toml.replace("says hello", "says Hello"));
    let other = make(other);
    edit(&other.release, |dist| dist["release"]["revision"] = json!(released.revision));
    let path = other.release.root().to_str().unwrap();
    let attestation = work.path().join("rebuild.json");
    let json = reproduce(released, path, work.path())
        .arg("--message-format=json")
        .arg("--attestation")
        .arg(&attestation)
        .status(1)
        .stdout("\"reproduced\": false")
        .stderr("rebuild.json` is not written: the release is not reproduced")
        .run()
        .json();
    assert!(!attestation.exists());
    let named = |path: &str| {
        let artifacts = json["artifacts"].as_array().unwrap();
        let found = artifacts.iter().find(|it| it["path"].as_str().unwrap().ends_with(path));
        let found = found.unwrap_or_else(|| panic!("no {path} in {json:#}"));
        assert_eq!(found["outcome"], "different", "{found:#}");
        &found["difference"]
    };
    let program = named("bin/hello");
    assert_eq!(program["section"], ".text", "{program:#}");
    assert_eq!(program["symbol"], "number_of_this_program", "{program:#}");
    let archive = named("linux-musl.tar.gz");
    assert!(archive["file"].as_str().unwrap().starts_with("hello-0.1.0"), "{archive:#}");
    let package = named(".deb");
    assert!(package["file"].is_string(), "{package:#}");
    let image = named("image/hello");
    assert!(image["file"].is_string() || image["field"].is_string(), "{image:#}");
    let causes = json["causes"].to_string();
    assert!(!causes.contains("unknown: "), "{causes}");
    // The rebuild is kept to be inspected, and replaced by the next one.
    let kept = json["rebuild"].as_str().unwrap();
    assert!(Path::new(kept).join("dist.json").exists(), "{kept}");
    assert_eq!(left(work.path()).len(), 1);
    assert_eq!(worktrees(released, work.path()), 0);
}

/// Files that were changed, with a `dist.json` that has their digests.
#[test]
fn forged_releases_are_found_by_the_rebuild() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let copy = released.copy();
    let program = copy.path("linux/amd64/bin/hello");
    let mut bytes = fs::read(&program).unwrap();
    let text = b" from the release";
    let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
    bytes[at + 1] = b'F';
    fs::write(&program, &bytes).unwrap();
    let mut archive = String::new();
    edit(&copy, |dist| {
        dist["artifacts"][0]["sha256"] = json!(Digest::sha256(&bytes));
        dist["release"]["tools"]["rustc"] = json!("1.0.1 (0123abcde 2015-06-01)");
        for entry in dist["archives"].as_array_mut().unwrap() {
            let path = entry["path"].as_str().unwrap().to_owned();
            if path.ends_with(".zip") {
                let mut bytes = fs::read(copy.path(&path)).unwrap();
                let name = bytes.windows(9).rposition(|part| part == b"README.md").unwrap();
                bytes[name] = b'W';
                fs::write(copy.path(&path), &bytes).unwrap();
                entry["sha256"] = json!(Digest::sha256(&bytes));
                archive = path;
            } else if path.ends_with(".tar.gz") {
                // The right file, and a lie about its content.
                entry["contents"][0]["size"] = json!(1);
            }
        }
    });
    let path = copy.path("dist.json");
    let ran = reproduce(released, path.to_str().unwrap(), work.path())
        .arg("--any-tools")
        .status(1)
        .stdout("tool: rustc: recorded 1.0.1 (0123abcde 2015-06-01), used ")
        .stdout("likely cause: another compiler: the release was made with rustc `1.0.1 ")
        .stdout("section `.rodata`")
        .stdout("recorded: `")
        .stdout("field `contents[0].size`: `dist.json` records something else about it")
        .stdout("not reproduced: hello 0.1.0 from commit ")
        .stdout("the rebuild is in ")
        .run();
    let line = |path: &str| {
        let line = ran.stdout.lines().find(|line| line.contains(path)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(line("linux/amd64/bin/hello"), "different", "{}", ran.stdout);
    assert_eq!(line(&archive), "different", "{}", ran.stdout);
    assert_eq!(line(".deb"), "identical", "{}", ran.stdout);
    assert_eq!(line("image/hello"), "identical", "{}", ran.stdout);
    // The checksums are those of the files that were released.
    assert_eq!(line("archives/SHA256SUMS"), "identical", "{}", ran.stdout);
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let source = Workspace::hello().file("build.rs", GATED).file(".gitignore", "/target\n");
    let (released, work) = (make(source), TempDir::new().unwrap());
    let gate = Gate::new();
    let release = released.release.root().to_str().unwrap();
    let running = reproduce(&released, release, work.path()).env("GATE", gate.dir()).spawn();
    gate.reached();
    assert_eq!(worktrees(&released, work.path()), 1);
    kill_process(Pid::from_raw(running.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ended = running.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    gate.ended();
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
    assert_eq!(worktrees(&released, work.path()), 0);
}

#[test]
fn an_image_is_reproduced_from_its_provenance() {
    let Some(registry) = Registry::start() else { return };
    let (released, work) = (released(), TempDir::new().unwrap());
    let name = format!("{}/hello", registry.address);
    let push = |dist: &Workspace, tag: &str, args: &str| {
        let push = longshore(&Workspace::empty(), &format!("push {name}:{tag} {args} --dist"));
        push.arg(dist.root()).dir(work.path()).run();
    };
    push(&released.release, "1", "");
    let ran =
        reproduce(released, &format!("{name}:1"), work.path()).arg("--message-format=json").run();
    let json = ran.json();
    assert_eq!(json["reproduced"], true, "{json:#}");
    let paths: Vec<&str> = json["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"image/hello") && paths.contains(&"linux/amd64/bin/hello"),
        "{paths:?}"
    );
    // The same image, without a provenance.
    let bare = format!("{}/bare", registry.address);
    longshore(&Workspace::empty(), &format!("push {bare}:1 --no-attach --dist"))
        .arg(released.release.root())
        .dir(work.path())
        .run();
    reproduce(released, &format!("{bare}:1"), work.path())
        .status(1)
        .stderr("has no provenance of longshore attached")
        .hint("`cargo longshore push` attaches it")
        .run();
    reproduce(released, &format!("{name}:absent"), work.path()).status(5).run();
}

#[test]
fn a_release_at_a_url_is_downloaded_and_compared() {
    let (released, work) = (released(), TempDir::new().unwrap());
    // As forges have it: every download under its name alone.
    let flat = Workspace::empty();
    fs::copy(released.release.path("dist.json"), flat.path("dist.json")).unwrap();
    let archives = released.release.path("archives");
    copy_files(&archives, flat.root());
    let web = Web::start(flat.root());
    let count = fs::read_dir(&archives).unwrap().count();
    let downloaded = format!("Downloaded {count} files of the release");
    // The directory of the source is one in the workspace.
    reproduce_from(&released.source.path("src"), &format!("{}/", web.url), work.path())
        .stderr(&downloaded)
        // Another builder, with a different provenance.
        .env("GITLAB_CI", "true")
        .env("CI_PROJECT_URL", "https://example.org/hello")
        .env("CI_COMMIT_REF_NAME", "v1")
        .stdout("field `runDetails.builder.id`: it has the same source and request, and describes")
        .stdout("reproduced: hello 0.1.0")
        .stdout("are identical; 1 is a statement about the original build")
        .run();
    let archive = fs::read_dir(flat.root()).unwrap().map(|entry| entry.unwrap().path());
    let archive = archive.into_iter().find(|path| path.extension().is_some_and(|it| it == "deb"));
    flip(&archive.unwrap());
    reproduce(released, &format!("{}/dist.json?token=secret", web.url), work.path())
        .status(1)
        .stdout("changed")
        .stdout(".deb")
        .absent("secret")
        .run();
    let absent = reproduce(released, &format!("{}/absent", web.url), work.path());
    absent.status(1).stderr(&format!("there is no `{}/absent/dist.json`", web.url)).run();
    drop(web);
}
