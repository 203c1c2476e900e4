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
        command::{Test, longshore},
        gate::{GATED, Gate},
        git::{commit, committed, git},
        peer,
        registry::Registry,
        tree::tree,
        web::Web,
        workspace::Workspace,
    },
};

const ONE: &str = "--target x86_64-unknown-linux-musl --no-smoke";

const PACKAGE: &str = r#"
description = "says hello"
license = "MIT"
[package.metadata.longshore]
deb.maintainer = "A <a@example.org>"
archive.formats = ["tar.gz", "zip"]
"#;

const MAIN: &str = r#"
#[no_mangle]
#[inline(never)]
pub extern "C" fn greeting_of_this_program() -> &'static str { "hello from the release" }
fn main() { println!("{}", greeting_of_this_program()) }
"#;

/// A repository, and the release of its only commit.
struct Released {
    source: Workspace,
    release: Workspace,
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
    dist(&source, ONE).run();
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

fn released() -> &'static Released {
    static RELEASED: OnceLock<Released> = OnceLock::new();
    RELEASED.get_or_init(|| make(package()))
}

/// Returns the command `reproduce RELEASE`, in another directory than that of the release, with a directory
/// of its own to build in.
fn reproduce(released: &Released, release: &str, work: &Path) -> Test {
    longshore(&Workspace::empty(), "reproduce")
        .arg(release)
        .arg("--source")
        .arg(released.source.root())
        .arg("--work-dir")
        .arg(work)
        .dir(work)
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

/// Returns the directories that are left in the directory of rebuilds.
fn left(work: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(work).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn manifest(release: &Workspace) -> Value {
    serde_json::from_slice(&fs::read(release.path("dist.json")).unwrap()).unwrap()
}

fn edit(release: &Workspace, edit: impl FnOnce(&mut Value)) {
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
    for kind in
        ["binary", "sizes", "archive", "package", "image", "sbom", "checksums", "provenance"]
    {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for artifact in artifacts {
        assert_eq!(artifact["outcome"], "identical", "{artifact:#}");
    }
    assert_eq!(json["causes"], Value::Null);
    // Nothing is left: no worktree, no build.
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
    assert_eq!(git(released.source.root(), ["worktree", "list"]).lines().count(), 1);
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
    for list in ["artifacts", "archives", "documents"] {
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
        .file("src/main.rs", &MAIN.replace("from the release", "from somewhere"))
        .file("README.md", "# Hello\n");
    let toml = fs::read_to_string(other.path("Cargo.toml")).unwrap();
    other.write("Cargo.toml", &toml.replace("says hello", "says Hello"));
    let other = make(other);
    edit(&other.release, |dist| {
        dist["release"]["revision"] = json!(released.revision);
        let time = manifest(&released.release)["release"]["source-date-epoch"].clone();
        dist["release"]["source-date-epoch"] = time;
    });
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
    assert!(program["section"].is_string() && program["offset"].is_number(), "{program:#}");
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
    assert_eq!(git(released.source.root(), ["worktree", "list"]).lines().count(), 1);
}

/// Files that were changed, with a `dist.json` that has their digests.
#[test]
fn forged_releases_are_found_by_the_rebuild() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let copy = released.copy();
    let program = copy.path("linux/amd64/bin/hello");
    let mut bytes = fs::read(&program).unwrap();
    let text = b"hello from the release";
    let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
    bytes[at] = b'H';
    fs::write(&program, &bytes).unwrap();
    let mut archive = String::new();
    edit(&copy, |dist| {
        dist["artifacts"][0]["sha256"] = json!(Digest::sha256(&bytes));
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
        .status(1)
        .stdout("section `.rodata`")
        .stdout("recorded: `")
        .stdout("field `contents[0].size`: `dist.json` records something else about it")
        .stdout("not reproduced: hello 0.1.0 from commit ")
        .stdout("\nlikely cause: ")
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
    assert_eq!(git(released.source.root(), ["worktree", "list"]).lines().count(), 2);
    kill_process(Pid::from_raw(running.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ended = running.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    gate.ended();
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
    assert_eq!(git(released.source.root(), ["worktree", "list"]).lines().count(), 1);
}

#[test]
fn an_image_is_reproduced_from_its_provenance() {
    let Some(registry) = Registry::start() else { return };
    let (released, work) = (released(), TempDir::new().unwrap());
    let name = format!("{}/hello", registry.address);
    let push = |dist: &Workspace, tag: &str, args: &str| {
        let push = longshore(&Workspace::empty(), &format!("push {name}:{tag} {args} --dist"));
        push.arg(dist.root()).run();
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
    // Another image, without a provenance.
    let other = released.copy();
    longshore(&Workspace::empty(), "image").arg(other.root()).arg("--label=a=b").status(2).run();
    let bare = format!("{}/bare", registry.address);
    longshore(&Workspace::empty(), &format!("push {bare}:1 --no-attach --dist"))
        .arg(released.release.root())
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
    reproduce(released, &format!("{}/", web.url), work.path())
        .stderr(&downloaded)
        .stdout("reproduced: hello 0.1.0")
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

#[test]
fn releases_that_cannot_be_reproduced_are_rejected_by_name() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let rejected = |edit_release: &dyn Fn(&mut Value), status: i32, message: &str, hint: &str| {
        let copy = Workspace::empty();
        fs::copy(released.release.path("dist.json"), copy.path("dist.json")).unwrap();
        edit(&copy, |dist| edit_release(dist));
        reproduce(released, copy.root().to_str().unwrap(), work.path())
            .status(status)
            .stderr(message)
            .stderr(&format!("\nhint: {hint}"))
            .run();
    };
    let none = |dist: &mut Value| {
        dist["release"].as_object_mut().unwrap().remove("revision");
        dist["release"]["no-revision"] = json!("not in a git repository");
    };
    rejected(
        &none,
        1,
        "does not record its commit: not in a git repository",
        "`--revision COMMIT`",
    );
    let dirty = |dist: &mut Value| {
        dist["release"]["dirty"] = json!(true);
        dist["release"]["changes"] = json!({ "count": 2, "files": ["src/x.rs"] });
    };
    rejected(&dirty, 1, "not in its commit: `src/x.rs` and 1 more", "release from a clean tree");
    let gone = |dist: &mut Value| dist["release"]["revision"] = json!("0123456789".repeat(4));
    rejected(&gone, 2, "has no commit `0123456789", "`git fetch --tags`");
    let option = |dist: &mut Value| dist["release"]["revision"] = json!("--upload-pack=touch x");
    rejected(&option, 1, "records the commit `--upload-pack=touch x`", "a commit has 40 or 64");
    let newer = |dist: &mut Value| dist["schema"] = json!(99);
    rejected(&newer, 1, "expected schema 1, found 99", "a newer longshore wrote it");
    let outside = |dist: &mut Value| dist["archives"][0]["path"] = json!("../../x.tar.gz");
    rejected(&outside, 1, "which is outside its directory", "use only a `dist.json`");
    let huge = |dist: &mut Value| dist["artifacts"][0]["unstripped"]["size"] = json!(u64::MAX);
    rejected(&huge, 4, "has no space for the rebuild: expected ", "free some space");
    let config = |dist: &mut Value| {
        dist["release"]["asked"] = json!({ "config": ["build.rustc-wrapper='/tmp/x'"] });
    };
    rejected(&config, 2, "which can name programs that cargo runs", "`--allow-config`");
    let empty = |dist: &mut Value| dist["release"]["tools"] = json!({});
    rejected(&empty, 1, "does not record the version of longshore", "`--any-tools`");
    let zig = |dist: &mut Value| dist["release"]["tools"]["zig"] = json!("../../x");
    rejected(&zig, 1, "does not record the version of zig", "`--any-tools`");
    let package = |dist: &mut Value| {
        dist["release"]["asked"] = json!({ "packages": ["--config=x"] });
    };
    rejected(&package, 2, "no package `--config=x`", "");
    let target = |dist: &mut Value| dist["artifacts"][0]["target"] = json!("../x.json");
    rejected(&target, 2, "../x.json", "");
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
    assert_eq!(git(released.source.root(), ["worktree", "list"]).lines().count(), 1);
}

#[test]
fn missing_tools_are_named() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let copy = Workspace::empty();
    fs::copy(released.release.path("dist.json"), copy.path("dist.json")).unwrap();
    edit(&copy, |dist| {
        dist["release"]["tools"]["rustc"] = json!("1.0.1 (0123abcde 2015-06-01)");
        dist["release"]["tools"]["longshore"] = json!("9.9.9");
    });
    let release = copy.root().to_str().unwrap();
    reproduce(released, release, work.path())
        .arg("--offline")
        .status(3)
        .stderr("made with longshore 9.9.9, and this is longshore ")
        .stderr("expected rustc 1.0.1 (0123abcde 2015-06-01), found ")
        .hint("install that toolchain")
        .run();
    edit(&copy, |dist| {
        dist["release"]["tools"]["rustc"] =
            manifest(&released.release)["release"]["tools"]["rustc"].clone();
        dist["release"]["tools"]["zig"] = json!("0.14.99");
    });
    reproduce(released, release, work.path())
        .arg("--offline")
        .status(3)
        .stderr("the release was made with zig 0.14.99")
        .hint("install zig 0.14.99")
        .run();
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
}

#[test]
fn sources_and_releases_that_do_not_exist_are_named() {
    let (released, work) = (released(), TempDir::new().unwrap());
    let fails = |release: &str, args: &str, status: i32, message: &str| {
        let mut test = reproduce(released, release, work.path());
        for arg in args.split_whitespace() {
            test = test.arg(arg);
        }
        test.status(status).stderr(message).run();
    };
    fails("absent", "", 2, "there is no `absent`");
    fails("absent/dist.json", "", 2, "there is no `absent/dist.json`");
    fails(work.path().to_str().unwrap(), "", 1, "dist.json`");
    fails("docker://127.0.0.1:1/x:1", "", 5, "127.0.0.1:1");
    fails("http://127.0.0.1:1/x", "", 5, "cannot get `http://127.0.0.1:1/x/dist.json`");
    fails("http://example.org/x", "", 2, "would be connected to over plain HTTP");
    fails("https://me:secret@example.org/x", "", 2, "expected a URL without user and password");
    let release = released.release.path("dist.json");
    let release = release.to_str().unwrap();
    let run = |source: &str, status: i32, message: &str| {
        let test = longshore(&Workspace::empty(), "reproduce").arg(release).arg("--source");
        let test = test.arg(source).arg("--work-dir").arg(work.path()).dir(work.path());
        test.status(status).stderr(message).absent("secret").run();
    };
    run("absent", 2, "there is no directory `absent`");
    run(work.path().to_str().unwrap(), 2, "is not in a git repository");
    run("http://me:secret@127.0.0.1:1/x.git", 5, "`http://127.0.0.1:1/x.git` cannot be cloned");
    run("ext::sh -c touch% x", 5, "cannot be cloned");
    assert!(!work.path().join("x").exists());
    fails(release, "--manifest-path absent/Cargo.toml", 2, "has no `absent/Cargo.toml`");
    fails(release, "--manifest-path ../Cargo.toml", 2, "has no `");
    assert_eq!(left(work.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_clone_of_a_url_is_a_source() {
    let source = Workspace::hello()
        .file(".gitignore", "/target\n")
        .file("build.rs", "fn main() { panic!(\"found <{:?}>\", std::env::current_dir()) }\n");
    let revision = committed(&source);
    source.write("build.rs", "fn main() {}\n");
    commit(&source, "two");
    let (released, work) = (released(), TempDir::new().unwrap());
    let copy = Workspace::empty();
    fs::copy(released.release.path("dist.json"), copy.path("dist.json")).unwrap();
    edit(&copy, |dist| dist["release"]["revision"] = json!(revision));
    let url = format!("file://{}", source.root().display());
    let mut test = longshore(&Workspace::empty(), "reproduce").arg(copy.root());
    test = test.arg("--source").arg(&url).arg("--work-dir").arg(work.path()).dir(work.path());
    // The build ends at the first commit's build script, in a directory with the name of the release.
    test.status(4).stderr("/source/hello\"").stderr("the rebuild failed: ").hint("").run();
    assert!(peer::find("git").is_some());
}
