//! Optimisation by a profile: training, comparison and reproducibility.

use std::fs;

use serde_json::Value;

use crate::support::{
    command::{Test, cache, longshore},
    git::committed,
    peer,
    workspace::Workspace,
};

/// The target of this machine, which can run the programs.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: &str = "x86_64-unknown-linux-musl";
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: &str = "aarch64-unknown-linux-musl";

/// A program with functions that stay, one of which is called often. Its argument makes it fail, not end, end without a
/// profile, or write another file where profiles are.
const MAIN: &str = r#"
use std::{os::unix::process::CommandExt, process::Command};
extern "C" { fn _exit(code: i32) -> !; }
#[inline(never)]
fn often(n: u64) -> u64 { if n % 3 == 0 { n.rotate_left(7) ^ 5 } else { n.wrapping_mul(31) } }
#[inline(never)]
fn seldom(n: u64) -> u64 { n.swap_bytes() / 3 }
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("loop") => loop { std::thread::park() },
        Some("abort") => std::process::abort(),
        Some("_exit") => unsafe { _exit(0) },
        Some("exec") => panic!("{}", Command::new("sh").args(["-c", ":"]).exec()),
        Some("copy") => {
            let file = std::env::var("LLVM_PROFILE_FILE").unwrap();
            let start = [0x81, b'r', b'f', b'o', b'r', b'p', b'l', 0xff, 8, 0, 0, 0, 0, 0, 0, 0];
            std::fs::write(file.replace("%p", "other"), [&start[..], &[0; 512]].concat()).unwrap();
        }
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

pub(crate) fn program(settings: &str) -> Workspace {
    Workspace::empty()
        .package("hello", &format!("[workspace]\n[package.metadata.longshore.pgo]\n{settings}"))
        .file("src/main.rs", MAIN)
}

pub(crate) fn build(workspace: &Workspace, args: &str) -> Test {
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
    // The program that won is the release: nothing is compiled after the comparison.
    assert_eq!(json["units"]["compiled"], 0, "{:#}", json["units"]);
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
    let plain = &plain["artifacts"][0]["sha256"];
    assert_ne!(*plain, digests[0]);
    let won = if pgo["used"] == true { &digests[0] } else { plain };
    assert_eq!(json["artifacts"][0]["sha256"], *won);
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
