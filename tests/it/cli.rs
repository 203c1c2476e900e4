//! The command line itself: help, `doctor`, `verify`, and the library behind it.

use std::{env, fs, process::ExitCode};

use crate::support::{
    command::{longshore, plain},
    peer, program,
    workspace::Workspace,
};

#[test]
fn help_lists_the_commands_under_every_name() {
    let empty = Workspace::empty();
    let help = longshore(&empty, "--help").run();
    for verb in ["dist", "plan", "build", "verify", "image", "doctor"] {
        assert!(help.stdout.contains(&format!("\n  {verb} ")), "{}", help.stdout);
    }
    assert!(help.stdout.contains("Usage: cargo longshore "), "{}", help.stdout);
    // As cargo calls it.
    assert_eq!(longshore(&empty, "longshore --help").run().stdout, help.stdout);
    let dist = longshore(&empty, "dist --help").run().stdout;
    for heading in ["Package selection:", "Feature selection:", "Compilation options:"] {
        assert!(dist.contains(heading), "{dist}");
    }
    let version = format!("longshore {}", env!("CARGO_PKG_VERSION"));
    assert!(longshore(&empty, "--version").run().stdout.contains(&version));
    longshore(&empty, "").status(2).stderr("Usage:").run();
    longshore(&empty, "dist --no-such-flag").status(2).stderr("--no-such-flag").run();
}

#[test]
fn color_is_a_choice_and_quiet_is_quiet() {
    let empty = Workspace::empty();
    let error = |args: &str| longshore(&empty, args).status(2).run().stderr;
    assert!(error("plan --color always").contains("\u{1b}["));
    assert!(!error("plan --color never").contains("\u{1b}["));
    // No terminal here.
    assert!(!error("plan").contains("\u{1b}["));
    assert!(error("plan --quiet").starts_with("error: "));
}

#[test]
fn doctor_lists_tools_and_fixes() {
    let empty = Workspace::empty();
    let json = longshore(&empty, "doctor --message-format json").run().json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["healthy"], true);
    let names: Vec<_> =
        json["checks"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    for name in ["cargo", "rustc", "zig", "std x86_64-unknown-linux-musl", "run linux/arm64", "git"]
    {
        assert!(names.contains(&name), "no `{name}` in {names:?}");
    }
    longshore(&empty, "doctor").stdout("ready to build").stdout("cargo").run();
}

#[test]
fn doctor_fails_without_tools() {
    let empty = Workspace::empty();
    let cache = empty.path("cache");
    // cargo and rustc by their paths; zig, rustup, python and the rest are out of reach.
    let Some(rustc) = peer::find("rustc") else {
        return;
    };
    let rustc = format!("{}/bin/rustc", peer::run(&rustc, ["--print=sysroot"]).trim());
    let bare = |args: &str| {
        longshore(&empty, args)
            .env("PATH", empty.root())
            .env("RUSTC", &rustc)
            .env("LONGSHORE_CACHE_DIR", &cache)
            .env_remove("CARGO_ZIGBUILD_ZIG_PATH")
            .status(3)
    };
    let human = bare("doctor").stdout("not ready to build").run();
    assert!(human.stdout.contains("BAD  zig"), "{}", human.stdout);
    assert!(human.stdout.contains("fix: python3 -m pip install ziglang"), "{}", human.stdout);
    assert!(human.stdout.contains("none  git"), "{}", human.stdout);
    let json = bare("doctor --message-format json").stdout("{").run().json();
    assert_eq!(json["healthy"], false);
    let zig = json["checks"].as_array().unwrap().iter().find(|check| check["name"] == "zig");
    assert_eq!(zig.unwrap()["state"], "bad");
    // A named zig that is not there is not passed over.
    let gone = longshore(&empty, "doctor")
        .env("CARGO_ZIGBUILD_ZIG_PATH", empty.path("zig"))
        .status(3)
        .stdout("`CARGO_ZIGBUILD_ZIG_PATH` names `")
        .run();
    assert!(gone.stdout.contains("there is no such program"), "{}", gone.stdout);
    assert!(!cache.exists(), "doctor changes nothing");
}

#[test]
fn doctor_fails_without_rust() {
    let empty = Workspace::empty();
    longshore(&empty, "doctor")
        .env("PATH", empty.root())
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .status(3)
        .stdout("BAD  rust ")
        .stdout("rustup.rs")
        .run();
}

#[test]
fn broken_zig_versions_are_rejected_by_name() {
    let workspace = Workspace::hello().file("zig", "#!/bin/sh\necho 0.9.1\n");
    let zig = workspace.path("zig");
    let mut mode = fs::metadata(&zig).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(&zig, mode).unwrap();
    longshore(&workspace, "dist")
        .env("CARGO_ZIGBUILD_ZIG_PATH", &zig)
        .status(3)
        .stderr("zig 0.9.1 is known not to work with rustc")
        .hint("install zig 0.")
        .absent("Building")
        .run();
}

#[test]
fn verify_rejects_unreadable_files() {
    let workspace = Workspace::empty();
    fs::write(workspace.path("static"), program::amd64()).unwrap();
    longshore(&workspace, "verify static").run();
    let json = longshore(&workspace, "verify --message-format json static").run().json();
    assert_eq!(json["checked"][0]["verdict"]["accepted"], true);
    let wrong = longshore(&workspace, "verify static --target aarch64-unknown-linux-musl")
        .status(1)
        .stdout("machine")
        .run();
    assert!(wrong.stdout.contains("hint: "), "{}", wrong.stdout);
    longshore(&workspace, "verify gone").status(1).stdout("cannot read `gone`").run();
    workspace.write("text", "not a program\n");
    longshore(&workspace, "verify text").status(1).stdout("text").run();
    longshore(&workspace, "verify static --target x86_64-linux-musl").status(2).run();
}

/// Set in the process that the test below starts.
const INSIDE: &str = "LONGSHORE_TEST_TWICE";

#[test]
fn the_library_runs_twice_in_one_process() {
    let run = |args: &[&str]| longshore::run(args.iter().map(Into::into));
    if let Some(manifest) = env::var_os(INSIDE) {
        let manifest = manifest.to_str().unwrap();
        let plan = ["cargo-longshore", "plan", "--manifest-path", manifest];
        let unknown = [&plan[..], &["--target", "no-such-target"]].concat();
        assert_eq!(format!("{:?}", run(&plan)), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(format!("{:?}", run(&unknown)), format!("{:?}", ExitCode::from(2)));
        assert_eq!(format!("{:?}", run(&plan)), format!("{:?}", ExitCode::SUCCESS));
        return;
    }
    let hello = Workspace::hello();
    let mut command = plain(env::current_exe().unwrap());
    command
        .args(["--exact", "cli::the_library_runs_twice_in_one_process", "--nocapture"])
        .env(INSIDE, hello.path("Cargo.toml"));
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert_eq!(stdout.matches("image hello:0.1.0 for").count(), 2, "{stdout}");
    assert_eq!(stderr.matches("unknown target `no-such-target`").count(), 1, "{stderr}");
}
