//! `size --base` of a commit: what its checkout has in it, and what it leaves alone. The bases here
//! end at a `build.rs` that fails with what it found, so that nothing is linked.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::support::{
    command::{LONGSHORE, Test, longshore},
    dist::Dist,
    git::{commit, committed, git, run},
    peer, program,
    workspace::{Workspace, lock},
};

/// Returns a release to compare a base with.
fn head() -> Dist {
    Dist::new(&[("linux/amd64", &program::amd64())], json!({}))
}

/// Returns the command `size HEAD --base BASE` in `workspace`.
fn size(workspace: &Workspace, head: &Dist, base: &str) -> Test {
    let args = "--preset quick --target x86_64-unknown-linux-musl --base";
    longshore(workspace, "size").arg(head.root()).args(args).arg(base)
}

trait Args {
    fn args(self, args: &str) -> Self;
}

impl Args for Test {
    fn args(self, args: &str) -> Self {
        args.split_whitespace().fold(self, Test::arg)
    }
}

/// Returns a `build.rs` that fails, and prints the content of `file` or that it is not there.
fn reads(file: &str) -> String {
    format!(
        "fn main() {{\n    let text = std::fs::read_to_string({file:?});\n    \
         panic!(\"found <{{}}>\", text.map_or_else(|e| e.kind().to_string(), |t| \
         t.trim().to_owned()));\n}}\n"
    )
}

/// Returns the package `hello` with two commits of `src/main.rs`, which its build script prints.
fn two_commits() -> Workspace {
    let workspace = Workspace::hello()
        .file(".gitignore", "/target\n")
        .file("build.rs", &reads("src/main.rs"))
        .file("src/main.rs", "fn main() {} // one\n");
    committed(&workspace);
    workspace.write("src/main.rs", "fn main() {} // two\n");
    commit(&workspace, "two");
    workspace
}

fn hook(repository: &Path, name: &str, script: &str) {
    let path = repository.join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_base_build_in_a_hook_does_not_change_the_commit() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, head) = (two_commits(), head());
    git(workspace.root(), ["worktree", "add", "--quiet", "-b", "linked", "target/linked"]);
    let log = workspace.path("target/hook.log");
    let script = format!(
        "'{LONGSHORE}' size '{}' --base HEAD~1 --preset quick --target x86_64-unknown-linux-musl \
         >> '{}' 2>&1 || true",
        head.root().display(),
        log.display()
    );
    let root = workspace.root().to_owned();
    hook(&root.join(".git"), "pre-commit", &script);
    let linked = workspace.path("target/linked");
    let ways: [(&Path, &[&str]); 5] = [
        (&root, &["commit", "--quiet", "--all", "--message", "all"]),
        (&root, &["commit", "--quiet", "--message", "named", "src/main.rs"]),
        (&root, &["commit", "--quiet", "--message", "added"]),
        (&linked, &["commit", "--quiet", "--all", "--message", "linked"]),
        (&linked, &["commit", "--quiet", "--message", "linked", "src/main.rs"]),
    ];
    for (number, (dir, args)) in ways.into_iter().enumerate() {
        let text = format!("fn main() {{}} // number {number}\n");
        fs::write(dir.join("src/main.rs"), &text).unwrap();
        if args.contains(&"added") {
            git(dir, ["add", "--all"]);
        }
        git(dir, args);
        assert_eq!(git(dir, ["show", "HEAD:src/main.rs"]), text.trim_end(), "{args:?}");
        assert_eq!(git(dir, ["status", "--porcelain"]), "", "{args:?}");
    }
    // The hook came as far as to build the base.
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("the base `").count(), 5, "{log}");
    assert!(log.contains("found <fn main() {} // one>"), "{log}");
    assert!(!workspace.path("target/longshore/base/tree").exists());
    assert_eq!(git(&root, ["worktree", "list"]).lines().count(), 2);
}

#[test]
fn a_build_script_of_a_base_sees_no_variables_of_the_hook() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, head) = (two_commits(), head());
    let script = "fn main() { panic!(\"found <{:?}>\", \
                  [\"GIT_DIR\", \"GIT_INDEX_FILE\"].map(std::env::var_os)) }\n";
    workspace.write("build.rs", script);
    commit(&workspace, "three");
    size(&workspace, &head, "HEAD")
        .env("GIT_DIR", workspace.path(".git"))
        .env("GIT_INDEX_FILE", workspace.path(".git/index"))
        .status(4)
        .stderr("found <[None, None]>")
        .run();
}

#[test]
fn hooks_of_the_repository_do_not_run_for_a_base() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, head) = (two_commits(), head());
    let marker = workspace.path("target/started");
    fs::create_dir_all(workspace.path("target")).unwrap();
    let script = format!("touch '{}'", marker.display());
    for name in ["post-checkout", "post-index-change", "reference-transaction"] {
        hook(&workspace.path(".git"), name, &script);
    }
    size(&workspace, &head, "HEAD~1").status(4).stderr("// one>").run();
    assert!(!marker.exists());
}

/// Returns a package with a submodule `csrc`, which has a submodule `deep`, in a clone; and its origin.
fn with_submodules() -> (Workspace, Workspace) {
    let deep = Workspace::empty().file("deep.h", "deep one\n");
    committed(&deep);
    let csrc = Workspace::empty().file("x.c", "one\n");
    committed(&csrc);
    let url = |workspace: &Workspace| workspace.root().to_str().unwrap().to_owned();
    git(csrc.root(), ["submodule", "--quiet", "add", &url(&deep), "deep"]);
    commit(&csrc, "deep");
    let origin = Workspace::hello()
        .file(".gitignore", "/target\n")
        .file("build.rs", &reads("csrc/deep/deep.h"));
    committed(&origin);
    let add = ["submodule", "--quiet", "add", "--name", "other name", &url(&csrc), "csrc"];
    git(origin.root(), add);
    git(origin.root(), ["submodule", "--quiet", "update", "--init", "--recursive"]);
    commit(&origin, "with");
    origin.write("build.rs", &reads("csrc/x.c"));
    commit(&origin, "with x.c");
    csrc.write("x.c", "two\n");
    commit(&csrc, "two");
    git(&origin.path("csrc"), ["pull", "--quiet", "origin", "main"]);
    commit(&origin, "two");
    (origin, csrc)
}

#[test]
fn submodules_of_a_base_come_from_the_clone() {
    if peer::find("git").is_none() {
        return;
    }
    let ((workspace, csrc), head) = (with_submodules(), head());
    let base = |workspace: &Workspace, base: &str| size(workspace, &head, base).status(4);
    // The origin of the submodule is not needed.
    fs::rename(csrc.root(), csrc.root().with_extension("gone")).unwrap();
    let before = git(workspace.root(), ["submodule", "status", "--recursive"]);
    base(&workspace, "HEAD").stderr("found <two>").run();
    base(&workspace, "HEAD~1").stderr("found <one>").run();
    base(&workspace, "HEAD~2").stderr("found <deep one>").run();
    assert_eq!(git(workspace.root(), ["submodule", "status", "--recursive"]), before);
    assert_eq!(git(workspace.root(), ["status", "--porcelain"]), "");
    // A commit of the submodule that the clone lacks.
    let tree = git(workspace.root(), ["write-tree"]);
    let listed = git(workspace.root(), ["ls-tree", "HEAD", "csrc"]);
    let hash = listed.split([' ', '\t']).nth(2).unwrap();
    let absent = "0123456789abcdef0123456789abcdef01234567";
    git(workspace.root(), ["update-index", "--cacheinfo", &format!("160000,{absent},csrc")]);
    let lacking = git(workspace.root(), ["write-tree"]);
    let lacking = git(workspace.root(), ["commit-tree", "-m", "x", &lacking]);
    git(workspace.root(), ["read-tree", &tree]);
    assert_ne!(hash, absent);
    base(&workspace, &lacking)
        .stderr(&format!("has the submodule `csrc` at `{absent}`, which is not in this clone"))
        .hint("`git submodule update --init --recursive` fetches submodules")
        .run();
    assert!(!workspace.path("target/longshore/base/tree").exists());
    // A clone without submodules builds its base without them, too.
    let clone = Workspace::empty();
    let from = workspace.root().to_str().unwrap();
    let output = run(clone.root(), ["clone", "--quiet", "--no-recurse-submodules", from, "."], &[]);
    assert!(output.status.success(), "{output:?}");
    base(&clone, "HEAD")
        .stderr("Skipping submodule `csrc`: not initialized")
        .stderr("found <entity not found>")
        .run();
}

#[test]
fn a_base_without_a_lock_file_has_a_hint() {
    if peer::find("git").is_none() {
        return;
    }
    let workspace = Workspace::hello()
        .file(".gitignore", "/target\nCargo.lock\n")
        .file("build.rs", &reads("src/main.rs"))
        .file("src/main.rs", "fn main() {} // one\n");
    committed(&workspace);
    let head = head();
    size(&workspace, &head, "HEAD")
        .status(2)
        .stderr(" has no `Cargo.lock`")
        .hint("`--no-locked` builds it")
        .run();
    size(&workspace, &head, "HEAD").arg("--no-locked").status(4).stderr("// one>").run();
    // A head that was built without it.
    let path = head.root().join("dist.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("\"release\":{", "\"release\":{\"asked\":{\"no-locked\":true},", 1);
    fs::write(&path, text).unwrap();
    let args = "--target x86_64-unknown-linux-musl --base HEAD";
    let ran = longshore(&workspace, "size").arg(head.root()).args(args);
    ran.status(4).stderr("// one>").run();
    // A commit from before the package was there.
    let outer = Workspace::empty().file("README.md", "x\n");
    committed(&outer);
    let inner = Workspace::at(&outer.path("inner")).file("Cargo.lock", &lock(&["hello"]));
    let inner = inner.package("hello", "");
    commit(&outer, "two");
    size(&inner, &head, "HEAD~1").status(2).stderr("has no `Cargo.toml` in this directory").run();
}

#[test]
fn base_builds_report_gits_message() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, head) = (two_commits(), head());
    size(&workspace, &head, "HEAD~1")
        .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        .status(2)
        .stderr("dubious ownership")
        .stderr("safe.directory")
        .run();
}
