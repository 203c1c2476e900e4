//! The log of a job: groups, heartbeats, the time limit, and the error at its end.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
};

use crate::{
    dist::dist,
    support::{
        command::{Test, longshore},
        gate::{GATED, Gate},
        peer,
        workspace::Workspace,
    },
};

/// One target is enough.
const ONE: &str = "--target x86_64-unknown-linux-musl --no-smoke";

fn broken() -> Workspace {
    Workspace::hello().file("src/main.rs", "fn main() { no_such_function() }\n")
}

fn failing(workspace: &Workspace, provider: &str) -> Test {
    dist(workspace, ONE)
        .env("CI", "true")
        .env(provider, "true")
        .status(4)
        .stderr("cannot find function `no_such_function`")
}

/// Returns the lines after the last line that begins as the error does.
fn end(stderr: &str) -> &str {
    let at = stderr.rfind("\nerror: cannot build `hello v0.1.0`").expect(stderr);
    &stderr[at + 1..]
}

#[test]
fn groups_end_before_the_error() {
    let workspace = broken();
    let ran = failing(&workspace, "GITHUB_ACTIONS").run();
    let commands: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(
        commands,
        [
            "::group::plan",
            "::endgroup::",
            "::group::build",
            "::endgroup::",
            "::error::cannot build `hello v0.1.0`: cargo ended with exit status 101",
        ]
    );
    let log = workspace.path("target/dist.failed/logs/build.log");
    let hint = format!("hint: the complete log is `{}`\n", log.display());
    let last = end(&ran.stderr);
    assert!(last.contains("no_such_function") && last.ends_with(&hint), "{last}");
    assert!(!last.contains("::"), "{last}");

    let ran = failing(&workspace, "GITLAB_CI").run();
    let marks = |what: &str| -> Vec<String> {
        let lines = ran.stderr.lines().filter(|line| line.contains(what));
        // The identifier, which is the same at both ends.
        let id = |line: &str| -> String {
            let id = line.split(':').nth(2).unwrap().split(['[', '\r']).next();
            id.unwrap().to_owned()
        };
        lines.map(id).collect()
    };
    let (begun, ended) = (marks("section_start:"), marks("section_end:"));
    assert_eq!(begun.len(), 2, "{}", ran.stderr);
    assert_eq!(begun, ended);
    assert!(begun[1].starts_with("longshore_build_"), "{begun:?}");
    let last = end(&ran.stderr);
    assert!(last.ends_with(&hint) && !last.contains("section_"), "{last}");

    let ran = failing(&workspace, "CIRCLECI").absent("::group").absent("section_start").run();
    assert!(end(&ran.stderr).ends_with(&hint));
}

#[test]
fn heartbeats_name_compiled_units() {
    let workspace = Workspace::hello().file("build.rs", GATED);
    let gate = Gate::new();
    let mut child = dist(&workspace, ONE)
        .env("CI", "true")
        .env("GATE", gate.dir())
        .env("LONGSHORE_HEARTBEAT", "1")
        .spawn();
    gate.reached();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    // It ends at the end of the build, which waits for the gate.
    while !seen.contains("     Running build, for ") || !seen.contains("compiling hello(build)") {
        assert_ne!(stderr.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    gate.open();
    stderr.read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success(), "{seen}");
}

#[test]
fn the_file_of_events_and_the_time_limit() {
    let workspace = broken();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let log = workspace.path("logs/job.log");
    let test = || {
        failing(&workspace, "GITHUB_ACTIONS")
            .env("LONGSHORE_LOG", "logs/job.log")
            .env("LONGSHORE_TIME_LIMIT", "60")
            .env("LONGSHORE_JOB_STARTED", (now - 3000).to_string())
    };
    let ran = test()
        .stderr("\nwarning: 9 min ")
        .stderr(" left of the job's time limit of 1 h")
        .stderr("::warning::9 min ")
        .run();
    assert_eq!(ran.stderr.matches("\nwarning: ").count(), 1, "{}", ran.stderr);
    let text = fs::read_to_string(&log).unwrap();
    for line in text.lines() {
        let (time, _) = line.strip_prefix('[').unwrap().split_once("] ").expect(line);
        assert!(time.trim().parse::<f64>().is_ok(), "{line}");
    }
    for part in ["stage: build\n", "Compiling hello", "error: cannot build", "job's time limit"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(text.ends_with("] ended with status 4\n"), "{text}");
    // A second run is added.
    test().run();
    assert!(fs::read_to_string(&log).unwrap().starts_with(&text));
}

#[test]
fn output_of_smoke_tests_is_logged() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let main =
        "fn main() { println!(\"out\"); eprintln!(\"first\\nlast\"); panic!(\"no luck\") }\n";
    let workspace = Workspace::hello().file("src/main.rs", main);
    dist(&workspace, "--target x86_64-unknown-linux-musl")
        .env("GITHUB_ACTIONS", "true")
        .status(1)
        .stderr("::group::smoke-test\n::endgroup::\n::error::`hello --version` for ")
        .run();
    let log = workspace.path("target/dist.failed/logs/smoke.log");
    let text = fs::read_to_string(log).unwrap();
    for part in ["/hello --version\n", "\nout\nfirst\nlast\n", "no luck", "\nexit status 101\n"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn invalid_values_are_rejected_by_name() {
    let workspace = Workspace::empty();
    for (name, value) in [
        ("LONGSHORE_HEARTBEAT", "soon"),
        ("LONGSHORE_TIME_LIMIT", "0"),
        ("LONGSHORE_JOB_STARTED", "yesterday"),
    ] {
        longshore(&workspace, "doctor")
            .env(name, value)
            .status(2)
            .stderr(&format!("error: `{name}` is `{value}`\nhint: "))
            .run();
    }
    longshore(&workspace, "doctor")
        .env("LONGSHORE_LOG", "/proc/none/job.log")
        .status(4)
        .stderr("`/proc/none")
        .run();
}
