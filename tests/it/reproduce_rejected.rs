//! `reproduce` of releases that cannot be reproduced: what is wrong is named, and nothing is left behind.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    reproduce::{edit, left, manifest, released, reproduce, worktrees},
    support::{
        command::longshore,
        git::{commit, committed},
        workspace::Workspace,
    },
};

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
    assert_eq!(worktrees(released, work.path()), 0);
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
}
