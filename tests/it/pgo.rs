//! Optimisation by a profile: training, comparison, reproducibility, and what is wrong with profiles and commands.

use std::fs;

use serde_json::Value;

use crate::support::{
    command::{Test, cache, longshore},
    git::committed,
    peer,
    workspace::{Workspace, manifest},
};

/// The target of this machine, which can run the programs.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "x86_64-unknown-linux-musl";
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "aarch64-unknown-linux-musl";

/// A program with functions that stay, one of which is called often; with the argument `loop` it does not end, and with
/// `abort` it writes no profile.
const MAIN: &str = r#"
#[inline(never)]
fn often(n: u64) -> u64 { if n % 3 == 0 { n.rotate_left(7) ^ 5 } else { n.wrapping_mul(31) } }
#[inline(never)]
fn seldom(n: u64) -> u64 { n.swap_bytes() / 3 }
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("loop") => loop { std::thread::park() },
        Some("abort") => std::process::abort(),
        Some("fail") => { eprintln!("it fails"); std::process::exit(3) }
        Some("online") => {
            let error = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|it| it.connect("192.0.2.1:9"));
            assert!(error.is_err(), "there is a network");
        }
        _ => {}
    }
    let mut n = 1;
    for i in 0..200_000 { n = if i == 77 { seldom(n) } else { often(n + i) } }
    println!("{n}");
}
"#;

fn program(settings: &str) -> Workspace {
    Workspace::empty()
        .package("hello", &format!("[workspace]\n[package.metadata.longshore.pgo]\n{settings}"))
        .file("src/main.rs", MAIN)
}

fn build(workspace: &Workspace, args: &str) -> Test {
    let all =
        format!("build --message-format json --preset quick --no-smoke --target {NATIVE} {args}");
    longshore(workspace, &all)
}

/// Returns what the release records about the profile of its only program.
fn recorded(json: &Value) -> &Value {
    &json["artifacts"][0]["pgo"]
}

#[test]
fn a_program_is_trained_compared_and_rebuilt_with_its_profile() {
    let workspace =
        program("train = [[\"hello\"], [\"hello\", \"online\"]]\ncheck = [[\"hello\", \"x\"]]\n");
    let json = build(&workspace, "--pgo").run().json();
    let pgo = recorded(&json);
    // The comparison decides; a program this short may not gain.
    assert!(pgo["origin"].as_str().unwrap().starts_with("--pgo"), "{pgo:#}");
    assert_eq!(pgo["comparison"]["rounds"], 10);
    assert!(pgo["comparison"]["plain"]["median"].as_f64() > Some(0.0), "{pgo:#}");
    let profile = workspace.path("target/longshore/pgo/program.profdata");
    let digest = longshore::model::digest::Digest::sha256(&fs::read(&profile).unwrap());
    assert_eq!(pgo["profile"], digest.to_string());
    // With a given profile, two directories give the same bytes, which are not those without.
    let digests: Vec<Value> = ["one", "a longer name"]
        .map(|name| {
            let other = Workspace::at(&cache(&format!("pgo {name}")));
            other.write("Cargo.toml", &fs::read_to_string(workspace.path("Cargo.toml")).unwrap());
            other.write("Cargo.lock", &fs::read_to_string(workspace.path("Cargo.lock")).unwrap());
            other.write("src/main.rs", MAIN);
            let json = build(&other, "--pgo-profile").arg(&profile).run().json();
            let pgo = recorded(&json);
            assert_eq!((&pgo["used"], &pgo["origin"]), (&true.into(), &"--pgo-profile".into()));
            assert_eq!(pgo["profile"], digest.to_string());
            json["artifacts"][0]["sha256"].clone()
        })
        .to_vec();
    assert_eq!(digests[0], digests[1]);
    let plain = build(&workspace, "").run().json();
    assert!(recorded(&plain).is_null());
    assert_ne!(plain["artifacts"][0]["sha256"], digests[0]);
    // The profile of this program fits no other one.
    let other = Workspace::empty().package("other", "[workspace]\n").file("src/main.rs", MAIN);
    build(&other, "--pgo-profile")
        .arg(&profile)
        .status(1)
        .stderr("has no function of the program for")
        .hint("it is of another program, version or compiler")
        .run();
}

#[test]
fn what_is_wrong_with_a_training_is_reported() {
    let without = Workspace::hello();
    build(&without, "--pgo").status(2).stderr("no package has any").hint("set `train = [[").run();
    let misnamed = program("train = [[\"helo\"]]\n");
    build(&misnamed, "--pgo").status(2).stderr("starts `helo`").hint("did you mean `hello`?").run();
    let workspace = program("train = [[\"hello\", \"fail\"]]\ntimeout = 2\n");
    let again = |command: &str| {
        let text = format!(
            "[workspace]\n[package.metadata.longshore.pgo]\ntrain = [[\"hello\", \"{command}\"]]\ntimeout = 2\n"
        );
        workspace.write("Cargo.toml", &manifest("hello", &text));
        build(&workspace, "--pgo")
    };
    again("fail").status(1).stderr("ended with exit status: 3").stderr("it fails").run();
    again("loop").status(1).stderr("ended with a timeout").hint("`timeout` in").run();
    again("abort").status(1).stderr("signal: 6").run();
}

#[test]
fn what_is_wrong_with_a_profile_is_reported() {
    let workspace = Workspace::hello().file("text", "not a profile");
    fs::write(workspace.path("raw"), b"\x81rforpl\xff and more").unwrap();
    let with = |file: &str| build(&workspace, "--pgo-profile").arg(file);
    with("missing").status(2).stderr("there is no profile").run();
    with("text").status(2).stderr("expected LLVM's indexed format, found something else").run();
    with("raw").status(2).stderr("found the raw format").hint("`llvm-profdata merge").run();
    let both = build(&workspace, "--pgo --pgo-profile text");
    both.status(2).stderr("cannot be used with").run();
}

#[test]
fn each_target_gets_a_profile_and_a_release_is_reproduced_with_it() {
    if peer::find("qemu-aarch64-static").is_none() || cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let source = program("train = [[\"hello\"]]\n").file(".gitignore", "/target\n");
    committed(&source);
    let other = "aarch64-unknown-linux-musl";
    let trained = build(&source, &format!("--pgo --target {other}"))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .stderr("`pgo.check` is not set")
        .run()
        .json();
    let artifacts = trained["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 2);
    for artifact in artifacts {
        assert_eq!(artifact["pgo"]["used"], true, "{artifact:#}");
    }
    let profile = source.path("target/longshore/pgo/program.profdata");
    let text = format!("dist --preset quick --no-smoke --target {NATIVE} --pgo-profile");
    longshore(&source, &text).arg(&profile).env("SOURCE_DATE_EPOCH", "1700000000").run();
    let work = Workspace::empty();
    let reproduce = || {
        longshore(&work, "reproduce")
            .arg(source.dist())
            .arg("--source")
            .arg(source.root())
            .arg("--work-dir")
            .arg(work.root())
    };
    reproduce().status(2).stderr("was optimised with the profile sha256:").run();
    let wrong = source.path("Cargo.toml");
    reproduce().arg("--pgo-profile").arg(wrong).status(2).stderr("is not the profile of").run();
    reproduce().arg("--pgo-profile").arg(&profile).run();
}
