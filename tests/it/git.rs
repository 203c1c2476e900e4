//! The commit that a release is made of: what git reports, and what it cannot report.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
};

use longshore::sys::git::LOCAL_VARIABLES;
use serde_json::Value;

use crate::support::{
    command::{Ran, longshore, plain},
    git::{commit, committed, git, hello, run},
    peer,
    workspace::Workspace,
};

const PLAN: &str = "plan --message-format json";

/// Returns `release` in the plan of `workspace`.
#[track_caller]
fn release(workspace: &Workspace) -> Value {
    release_of(&longshore(workspace, PLAN).run())
}

#[track_caller]
fn release_of(ran: &Ran) -> Value {
    ran.json()["release"].clone()
}

/// Returns the changed files that the plan names.
#[track_caller]
fn changed(workspace: &Workspace) -> Vec<String> {
    let release = release(workspace);
    let files = release["changes"]["files"].as_array().cloned().unwrap_or_default();
    assert_eq!(release["dirty"], !files.is_empty(), "{release:#}");
    files.iter().map(|file| file.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_of_local_variables_covers_the_output_of_git() {
    if peer::find("git").is_none() {
        return;
    }
    let workspace = Workspace::empty();
    let listed = git(workspace.root(), ["rev-parse", "--local-env-vars"]);
    assert!(listed.contains("GIT_INDEX_FILE"), "{listed}");
    let missing: Vec<_> = listed.lines().filter(|name| !LOCAL_VARIABLES.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn repositories_of_other_owners_are_an_error_with_gits_message() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, hash) = hello();
    let foreign =
        |args: &str| longshore(&workspace, args).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    for verb in ["plan", "build", "dist"] {
        foreign(verb)
            .status(2)
            .stderr("detected dubious ownership in repository")
            .stderr("hint: `git config --global --add safe.directory ")
            .run();
    }
    assert!(!workspace.dist().exists());
    foreign("doctor --message-format json")
        .status(3)
        .stdout("detected dubious ownership")
        .stdout("safe.directory")
        .run();
    // The exception that CI jobs set by the environment counts.
    let trusted = foreign(PLAN)
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "core.worktree")
        .env("GIT_CONFIG_VALUE_0", "/nowhere")
        .env("GIT_CONFIG_KEY_1", "safe.directory")
        .env("GIT_CONFIG_VALUE_1", "*");
    assert_eq!(release_of(&trusted.run())["revision"], hash.as_str());
}

/// A way to break the repository of a workspace, and the words of the error.
type Broken = (&'static str, fn(&Workspace), &'static str);

#[test]
fn unusable_repositories_are_an_error() {
    if peer::find("git").is_none() {
        return;
    }
    let ways: [Broken; 7] = [
        ("HEAD", |w| w.write(".git/HEAD", "garbage\n"), "not a git repository"),
        ("HEAD emptied", |w| w.write(".git/HEAD", ""), "not a git repository"),
        ("configuration", |w| w.write(".git/config", "[core\nx"), "bad config line 1"),
        ("index", |w| w.write(".git/index", "garbage"), "index file"),
        ("branch", |w| w.write(".git/refs/heads/main", "garbage\n"), "broken"),
        (
            "commit",
            |w| {
                let hash = git(w.root(), ["rev-parse", "HEAD"]);
                let (dir, name) = hash.split_at(2);
                let path = w.path(&format!(".git/objects/{dir}/{name}"));
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::remove_file(path).unwrap();
            },
            "bad object",
        ),
        (
            "link to a repository that is not there",
            |w| {
                fs::remove_dir_all(w.path(".git")).unwrap();
                w.write(".git", "gitdir: /nowhere/.git/modules/hello\n");
            },
            "not a git repository",
        ),
    ];
    for (what, break_it, words) in ways {
        let (workspace, _) = hello();
        break_it(&workspace);
        let ran = longshore(&workspace, "plan").status(2).stderr(words).stderr("\nhint: ").run();
        assert!(ran.stderr.contains("git cannot use the repository `"), "{what}: {}", ran.stderr);
    }
}

#[test]
fn broken_nested_repositories_are_an_error() {
    if peer::find("git").is_none() {
        return;
    }
    let outer = Workspace::empty().file("README.md", "outer\n");
    committed(&outer);
    let inner = Workspace::at(&outer.path("inner")).package("hello", "");
    inner.write(".git/HEAD", "garbage\n");
    longshore(&inner, "plan").status(2).stderr("inner/.git`: not a git repository").run();
    // An empty directory is not a repository.
    fs::remove_file(inner.path(".git/HEAD")).unwrap();
    let release = release(&inner);
    assert!(release["no-revision"].as_str().unwrap().contains("does not track"), "{release:#}");
}

#[test]
fn a_repository_without_git_is_an_error() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, _) = hello();
    // All programs but git.
    let bin = Workspace::empty();
    for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let to = bin.path(entry.file_name().to_str().unwrap());
            if entry.file_name() != "git" && !to.exists() {
                let _ = std::os::unix::fs::symlink(entry.path(), to);
            }
        }
    }
    let without =
        |workspace: &Workspace, args: &str| longshore(workspace, args).env("PATH", bin.root());
    without(&workspace, "plan").status(3).stderr("cannot start `git`").hint("install git").run();
    let outside = Workspace::hello();
    let ran = without(&outside, PLAN).run();
    assert_eq!(release_of(&ran)["no-revision"], "not in a git repository");
}

#[test]
fn the_plan_has_the_reason_for_a_missing_commit() {
    if peer::find("git").is_none() {
        return;
    }
    let outside = Workspace::hello();
    longshore(&outside, "plan").stdout("none: not in a git repository").run();
    let assert_unknown = |workspace: &Workspace, reason: &str| {
        let release = release(workspace);
        assert_eq!((&release["revision"], &release["dirty"]), (&Value::Null, &Value::Null));
        assert_eq!(release["source-date-epoch"], 0);
        assert!(release["no-revision"].as_str().unwrap().contains(reason), "{release:#}");
    };
    assert_unknown(&outside, "not in a git repository");
    git(outside.root(), ["init", "--quiet"]);
    assert_unknown(&outside, "has no commit yet");
    // The repository of something else: its `Cargo.toml` is ignored, or not tracked.
    for ignored in ["inner\n", ""] {
        let outer = Workspace::empty().file(".gitignore", ignored).file("notes", "x\n");
        committed(&outer);
        let inner = Workspace::at(&outer.path("inner")).package("hello", "");
        assert_unknown(&inner, "does not track this `Cargo.toml`");
        longshore(&inner, "plan").stdout("none: the git repository `").run();
        let with_time = longshore(&inner, PLAN).env("SOURCE_DATE_EPOCH", "1234567890").run();
        assert_eq!(release_of(&with_time)["source-date-epoch"], 1_234_567_890);
        // As if it were not there.
        let ceiling = longshore(&inner, PLAN).env("GIT_CEILING_DIRECTORIES", outer.root()).run();
        assert_eq!(release_of(&ceiling)["no-revision"], "not in a git repository");
        // Once it is tracked, it is that repository's.
        git(outer.root(), ["add", "--force", "inner"]);
        assert_eq!(release(&inner)["dirty"], true);
    }
}

#[test]
fn variables_of_another_repository_change_nothing() {
    if peer::find("git").is_none() {
        return;
    }
    let (other, _) = hello();
    let (workspace, hash) = hello();
    workspace.write("src/main.rs", "fn main() {}\n");
    let hash = {
        let second = commit(&workspace, "two");
        assert_ne!(second, hash);
        second
    };
    let git_dir = other.path(".git");
    let index = other.path(".git/index");
    let ran = longshore(&workspace, PLAN)
        .env("GIT_DIR", &git_dir)
        .env("GIT_COMMON_DIR", &git_dir)
        .env("GIT_WORK_TREE", other.root())
        .env("GIT_INDEX_FILE", &index)
        .env("GIT_OBJECT_DIRECTORY", other.path(".git/objects"))
        .env("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.worktree")
        .env("GIT_CONFIG_VALUE_0", other.root())
        .env("GIT_ICASE_PATHSPECS", "1")
        .env("GIT_NOGLOB_PATHSPECS", "1")
        .run();
    let release = release_of(&ran);
    assert_eq!((release["revision"].as_str(), &release["dirty"]), (Some(&*hash), &false.into()));
    // Outside of a repository, the variable alone names none.
    let outside = Workspace::hello();
    let ran = longshore(&outside, PLAN).env("GIT_DIR", &git_dir).run();
    assert_eq!(release_of(&ran)["no-revision"], "not in a git repository (`GIT_DIR` is ignored)");
}

#[test]
fn changed_files_are_named() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, _) = hello();
    workspace.write("docs/index", "");
    commit(&workspace, "two");
    assert_eq!(changed(&workspace), Vec::<String>::new());
    workspace.write("gha-creds-0123.json", "{}");
    assert_eq!(changed(&workspace), ["gha-creds-0123.json"]);
    longshore(&workspace, "plan").stdout(" (dirty: `gha-creds-0123.json`)").run();
    for number in 0..6 {
        workspace.write(&format!("b/{number}"), "");
        workspace.write(&format!("z{number}"), "");
    }
    workspace.remove("src/main.rs");
    workspace.write("src/main.rs", "fn main() { println!(\"changed\") }\n");
    longshore(&workspace, "plan").stdout("and 4 more)").run();
    assert_eq!(release(&workspace)["changes"]["count"], 9);
    // A name that a terminal would obey.
    fs::write(workspace.path("a\u{1b}[2K\n"), "").unwrap();
    fs::write(workspace.root().join(OsStr::from_bytes(b"docs/a\xff")), "").unwrap();
    let text = longshore(&workspace, "plan").run().stdout;
    assert!(text.contains(r"`a\u{1b}[2K\n`") && text.contains("`docs/a\u{fffd}`"), "{text}");
    // The names are relative to the workspace, in a directory of the repository too.
    let outer = Workspace::empty();
    let inner = Workspace::at(&outer.path("tools/inner")).package("hello", "");
    committed(&outer);
    inner.write("more", "");
    assert_eq!(changed(&inner), ["more"]);
}

#[test]
fn settings_do_not_hide_changes() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, _) = hello();
    workspace.write("notes", "x\n");
    commit(&workspace, "two");
    let git = |args: &[&str]| git(workspace.root(), args);
    for (key, value) in [
        ("status.showUntrackedFiles", "no"),
        ("core.untrackedCache", "true"),
        ("core.checkStat", "minimal"),
        ("core.trustctime", "false"),
        ("core.ignoreStat", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("status.submoduleSummary", "true"),
        ("status.short", "true"),
        ("status.branch", "true"),
        ("status.relativePaths", "true"),
        ("log.showSignature", "true"),
    ] {
        git(&["config", key, value]);
    }
    git(&["status"]);
    assert_eq!(changed(&workspace), Vec::<String>::new());
    workspace.write("new", "");
    assert_eq!(changed(&workspace), ["new"]);
    workspace.remove("new");
    // Bits in the index.
    for (set, clear) in
        [("--assume-unchanged", "--no-assume-unchanged"), ("--skip-worktree", "--no-skip-worktree")]
    {
        git(&["update-index", set, "notes"]);
        assert_eq!(changed(&workspace), Vec::<String>::new(), "{set}");
        let text = fs::read_to_string(workspace.path("notes")).unwrap();
        workspace.write("notes", "y\n");
        let index = fs::read(workspace.path(".git/index")).unwrap();
        assert_eq!(changed(&workspace), ["notes"], "{set}");
        workspace.remove("notes");
        assert_eq!(changed(&workspace), ["notes"], "{set}: removed");
        workspace.write("notes", &text);
        // The index of the user is as it was.
        assert_eq!(fs::read(workspace.path(".git/index")).unwrap(), index);
        git(&["update-index", clear, "notes"]);
    }
}

#[test]
fn a_sparse_checkout_is_clean_until_a_file_differs() {
    if peer::find("git").is_none() {
        return;
    }
    let workspace = Workspace::hello().file(".gitignore", "/target\n").file("docs/big", "x\n");
    committed(&workspace);
    git(workspace.root(), ["sparse-checkout", "set", "--no-cone", "/*", "!/docs/"]);
    assert!(!workspace.path("docs").exists());
    assert_eq!(changed(&workspace), Vec::<String>::new());
    workspace.write("docs/big", "y\n");
    assert_eq!(changed(&workspace), ["docs/big"]);
}

#[test]
fn changes_in_submodules_count() {
    if peer::find("git").is_none() {
        return;
    }
    let library = Workspace::empty().file("x.c", "int x;\n");
    committed(&library);
    let (workspace, _) = hello();
    let url = library.root().to_str().unwrap();
    git(workspace.root(), ["submodule", "--quiet", "add", url, "csrc"]);
    commit(&workspace, "two");
    git(workspace.root(), ["config", "submodule.csrc.ignore", "all"]);
    git(workspace.root(), ["config", "diff.ignoreSubmodules", "all"]);
    assert_eq!(changed(&workspace), Vec::<String>::new());
    workspace.write("csrc/x.c", "int y;\n");
    assert_eq!(changed(&workspace), ["csrc"]);
    workspace.write("csrc/x.c", "int x;\n");
    workspace.write("csrc/new.c", "int y;\n");
    assert_eq!(changed(&workspace), ["csrc"]);
}

#[test]
fn members_outside_of_the_root_count() {
    if peer::find("git").is_none() {
        return;
    }
    let outer = Workspace::empty();
    let root = Workspace::at(&outer.path("ws"))
        .file("Cargo.toml", "[workspace]\nmembers = [\"../side\"]\nresolver = \"3\"\n")
        .file("Cargo.lock", &crate::support::workspace::lock(&["side"]))
        .file(".gitignore", "target\n");
    let manifest = crate::support::workspace::manifest("side", "workspace = \"../ws\"");
    outer.write("side/Cargo.toml", &manifest);
    outer.write("side/src/main.rs", "fn main() {}\n");
    outer.write("other", "x\n");
    committed(&outer);
    assert_eq!(changed(&root), Vec::<String>::new());
    outer.write("other", "y\n");
    assert_eq!(changed(&root), Vec::<String>::new());
    outer.write("side/src/main.rs", "fn main() { panic!() }\n");
    assert_eq!(changed(&root), ["side/src/main.rs"]);
}

#[test]
fn files_written_by_builds_are_not_changes() {
    if peer::find("git").is_none() {
        return;
    }
    // Nothing is ignored here.
    let workspace = Workspace::hello();
    committed(&workspace);
    workspace.write("target/debug/hello", "");
    workspace.write("target/dist/dist.json", "");
    // As `cache save .cache` leaves it, alone and among other directories.
    let hex = "0".repeat(64);
    for dir in [".cache", "ci/cache"] {
        workspace.write(&format!("{dir}/longshore-cache.json"), "{}");
        workspace.write(&format!("{dir}/{hex}.tar.zst"), "");
    }
    assert_eq!(changed(&workspace), Vec::<String>::new());
    let caches = ["LONGSHORE_CACHE_DIR", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"];
    for (number, variable) in caches.into_iter().enumerate() {
        workspace.write(&format!("of-{number}/x/y"), "");
        let ran = longshore(&workspace, PLAN).env(variable, format!("of-{number}")).run();
        assert_eq!(release_of(&ran)["dirty"], false, "{variable}");
        fs::remove_dir_all(workspace.path(&format!("of-{number}"))).unwrap();
    }
    // A file of the user in such a directory counts.
    workspace.write("ci/cache/notes", "");
    assert_eq!(changed(&workspace), ["ci/"]);
    workspace.remove("ci/cache/notes");
    // A tracked file counts wherever it is.
    for dir in ["target", "src", "."] {
        let args = format!("{PLAN} --target-dir {dir}");
        workspace.write("src/main.rs", "fn main() { panic!() }\n");
        let ran = longshore(&workspace, &args).run();
        assert_eq!(release_of(&ran)["changes"]["files"][0], "src/main.rs", "{dir}");
        workspace.write("src/main.rs", crate::support::workspace::HELLO);
        workspace.write("src/new.rs", "");
        let ran = longshore(&workspace, &args).run();
        assert_eq!(release_of(&ran)["changes"]["files"][0], "src/new.rs", "{dir}");
        workspace.remove("src/new.rs");
    }
}

#[test]
fn programs_of_the_repository_are_not_started() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, hash) = hello();
    let marker = workspace.path("target/started");
    fs::create_dir_all(workspace.path("target")).unwrap();
    let script = format!("#!/bin/sh\necho \"$0\" >> '{}'\n", marker.display());
    let hooks = ["post-checkout", "post-index-change", "fsmonitor", "reference-transaction"];
    for name in hooks {
        let path = format!(".git/hooks/{name}");
        workspace.write(&path, &script);
        fs::set_permissions(workspace.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let monitor = workspace.path(".git/hooks/fsmonitor");
    git(workspace.root(), ["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    git(workspace.root(), ["config", "gpg.program", monitor.to_str().unwrap()]);
    git(workspace.root(), ["config", "core.pager", monitor.to_str().unwrap()]);
    git(workspace.root(), ["config", "log.showSignature", "true"]);
    // git itself starts them.
    git(workspace.root(), ["update-index", "--refresh", "--force-write-index"]);
    assert!(marker.exists());
    fs::remove_file(&marker).unwrap();
    assert_eq!(release(&workspace)["revision"], hash.as_str());
    longshore(&workspace, "doctor").run();
    assert!(!marker.exists(), "{}", fs::read_to_string(&marker).unwrap_or_default());
}

#[test]
fn doctor_reports_the_state_of_the_repository() {
    if peer::find("git").is_none() {
        return;
    }
    let (workspace, hash) = hello();
    let detail = |workspace: &Workspace| {
        let mut command = plain(crate::support::command::LONGSHORE);
        command.args(["doctor", "--message-format", "json"]).current_dir(workspace.root());
        let output = command.output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = json["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["name"] == "git").unwrap();
        check["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail(&workspace).ends_with(&format!("; commit {}", &hash[..12])));
    let empty = Workspace::empty();
    assert!(detail(&empty).ends_with("; not in a git repository"));
    assert!(run(empty.root(), ["init", "--quiet"], &[]).status.success());
    assert!(detail(&empty).ends_with(" has no commit yet"), "{}", detail(&empty));
}
