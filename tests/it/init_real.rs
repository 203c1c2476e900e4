//! `init` in published programs: from the author's source to a verified release, without an editor.

use std::{fs, time::Instant};

use crate::{
    published::{copy, source},
    support::{
        ci::{faults, peers},
        command::{longshore, plain},
        git, peer,
        pinned::{release, tool, xtask},
        tree::tree,
        workspace::Workspace,
    },
};

/// Name, version, and whether a release is built: those are the ones that build in a few minutes.
const PROGRAMS: [(&str, &str, bool); 5] = [
    ("hexyl", "0.17.0", true),
    ("just", "1.48.0", true),
    ("fd-find", "10.5.0", false),
    ("bat", "0.26.1", false),
    ("zoxide", "0.10.0", false),
];

#[test]
fn published_programs_go_from_init_to_a_release() {
    if !peer::slow() {
        return;
    }
    let Some(peers) = peers() else { return };
    for (name, version, built) in PROGRAMS {
        let published = source(name, version);
        let workspace = Workspace::empty();
        copy(published.root(), workspace.root());
        let _ = fs::remove_dir_all(workspace.path("target"));
        git::committed(&workspace);
        longshore(&workspace, "init --yes --tool").arg(tool(release())).run();
        let before = tree(workspace.root());
        longshore(&workspace, "init --yes").stderr("Fresh").run();
        assert_eq!(tree(workspace.root()), before, "{name}");
        git::commit(&workspace, "init");
        for file in ["longshore-check.yml", "longshore-release.yml"] {
            let path = workspace.path(&format!(".github/workflows/{file}"));
            assert_eq!(faults(&peers, "github", &path), "", "{name}");
        }
        let clone = Workspace::empty();
        let url = workspace.root().to_str().unwrap();
        git::git(clone.root(), ["clone", "--quiet", url, "clone"]);
        let start = Instant::now();
        let mut help = plain("cargo");
        let output =
            help.args(["xtask", "--help"]).current_dir(clone.path("clone")).output().unwrap();
        let time = start.elapsed().as_secs_f64();
        assert!(output.status.success(), "{name}: {output:?}");
        eprintln!("{name}: `cargo xtask --help` in a fresh clone: {time:.1} s");
        let run = |args: &[&str]| {
            let output =
                xtask(&workspace, args).env("CARGO_PROFILE_DIST_LTO", "off").output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {args:?}: {error}");
            String::from_utf8(output.stdout).unwrap()
        };
        let plan = run(&["plan"]);
        for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
            assert!(plan.contains(target), "{name}: {plan}");
        }
        run(&["ci", "check"]);
        if built {
            run(&["dist", "--preset", "quick"]);
            run(&["verify", "target/dist"]);
        }
    }
}
