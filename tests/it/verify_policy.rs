//! Policies: their own tables, sizes and waivers, and programs that are run.

use std::{fs, path::Path, process::Command};

use crate::{
    support::{command::longshore, peer, program, workspace::Workspace},
    verify::tool,
    verify_archive::tar,
    verify_cli::{check, directory, write},
};

/// Returns a file that is judged under a policy of that text.
#[track_caller]
fn under(dir: &Path, policy: &str, args: &[&str], status: i32) -> String {
    fs::write(dir.join("policy.toml"), policy).unwrap();
    check(dir, &[args, &["--policy", "policy.toml"]].concat(), status)
}

/// Returns a dynamic program of the host's compiler, or none after saying that the test is skipped.
fn dynamic(dir: &Path) -> Option<()> {
    let gcc = tool("gcc")?;
    let source = "#include <stdio.h>\n#include <pthread.h>\nint main(void) { \
                  pthread_t t; puts(\"x\"); return pthread_create(&t, 0, 0, 0) < 0; }\n";
    fs::write(dir.join("x.c"), source).unwrap();
    let mut command = Command::new(gcc);
    let flags = ["-s", "-Wl,-z,now", "-Wl,-z,noseparate-code", "x.c", "-o", "x"];
    assert!(command.args(flags).current_dir(dir).status().unwrap().success());
    Some(())
}

#[test]
fn linkage_glibc_and_libraries() {
    let dir = directory("policy-linkage");
    write(&dir.join("static"), &program::fixed_amd64(), 0o755);
    under(&dir, "linkage = 'static'", &["static"], 0);
    assert!(under(&dir, "linkage = 'static-pie'", &["static"], 1).contains("deny static-pie"));
    assert!(under(&dir, "linkage = 'dynamic'", &["static"], 1).contains("deny dynamic"));
    let Some(()) = dynamic(&dir) else { return };
    under(&dir, "linkage = 'dynamic'\nglibc = '9.9'\nlibraries = ['libc.so.*']", &["x"], 0);
    assert!(under(&dir, "linkage = 'static'", &["x"], 1).contains("deny static:"));
    let text = under(&dir, "glibc = '2.2'", &["x"], 1);
    assert!(text.contains("deny glibc: the program does not start with glibc 2.2"), "{text}");
    let text = under(&dir, "libraries = ['libm.so.6']", &["x"], 1);
    assert!(text.contains("deny libraries") && text.contains("DT_NEEDED `libc.so.6`"), "{text}");
    let text = under(&dir, "page-size = 65536", &["x"], 1);
    assert!(text.contains("deny page-size"), "{text}");
}

#[test]
fn sizes_and_growth() {
    let dir = directory("policy-size");
    let good = program::amd64();
    write(&dir.join("x"), &good, 0o755);
    let archive = tar(&[("x", 0o755, &good)]);
    write(&dir.join("x.tar"), &archive, 0o644);
    under(&dir, "max-size.file = '1 kB'\nmax-size.archive = '1 MiB'", &["x", "x.tar"], 0);
    let text = under(&dir, "max-size.file = 100", &["x"], 1);
    assert!(text.contains("deny size: the program is larger than 100 B"), "{text}");
    let text = under(&dir, "max-size.archive = '2 kB'", &["x", "x.tar"], 1);
    assert!(text.contains("the archive is larger than 2.00 kB"), "{text}");
    let base = |size: usize| {
        let file = serde_json::json!({ "size": 0, "sha256": format!("sha256:{}", "0".repeat(64)) });
        let artifact = serde_json::json!({
            "name": "x", "package": "x", "version": "1.0.0",
            "target": "x86_64-unknown-linux-musl", "platform": "linux/amd64", "path": "x",
            "size": size, "sha256": file["sha256"], "unstripped": file,
            "allocator": { "allocator": "system", "origin": "it is so" },
        });
        let release = serde_json::json!({ "name": "x", "source-date-epoch": 0, "tools": {} });
        let dist = serde_json::json!({
            "schema": 1, "release": release, "units": { "compiled": 0, "fresh": 0, "each": [] },
            "artifacts": [artifact], "images": [], "archives": [{
                "kind": "binaries", "package": "x", "version": "1.0.0",
                "target": "x86_64-unknown-linux-musl", "platform": "linux/amd64",
                "path": "archives/x-1.0.0-x86_64.tar", "size": archive.len() - 5,
                "sha256": file["sha256"], "contents": [],
            }],
        });
        fs::write(dir.join("base.json"), dist.to_string()).unwrap();
    };
    let args = ["x", "--base", "base.json"];
    base(good.len());
    under(&dir, "max-growth.file = '0%'", &args, 0);
    base(good.len() - 50);
    under(&dir, "max-growth.file = 50", &args, 0);
    let text = under(&dir, "max-growth.file = '1%'", &args, 1);
    assert!(text.contains("became larger by more than 1.00 %"), "{text}");
    assert!(text.contains("50 more than the"), "{text}");
    // An archive of the next version is held against that of the one before.
    fs::create_dir_all(dir.join("archives")).unwrap();
    let next = "archives/x-1.1.0-x86_64.tar";
    write(&dir.join(next), &archive, 0o644);
    let args = [next, "--base", "base.json"];
    under(&dir, "max-growth.archive = 5", &args, 0);
    let text = under(&dir, "max-growth.archive = 4", &args, 1);
    assert!(text.contains("the archive became larger by more than 4 B"), "{text}");
    under(&dir, "", &["x", "--base", "missing.json"], 1);
}

#[test]
fn waivers_are_reported_with_their_reason() {
    let dir = directory("policy-waive");
    write(&dir.join("open"), &program::amd64(), 0o777);
    let waiver = |more: &str| {
        format!("deny = ['mode']\n[[waive]]\nlint = 'mode'\nreason = 'a shared host'\n{more}")
    };
    let text = under(&dir, &waiver(""), &["open"], 0);
    assert!(text.contains("waived mode") && text.contains("because: a shared host"), "{text}");
    under(&dir, &waiver("paths = ['open']"), &["open"], 0);
    under(&dir, &waiver("paths = ['other', 'x/*']"), &["open"], 1);
    under(&dir, &waiver("until = '9999-12-31'"), &["open"], 0);
    let text = under(&dir, &waiver("until = '2020-01-31'"), &["open"], 1);
    assert!(text.contains("it was waived until 2020-01-31"), "{text}");
    let args = ["open", "--message-format"];
    let sarif = under(&dir, &waiver(""), &[&args[..], &["sarif"]].concat(), 0);
    assert_ne!(crate::schema::valid_sarif(&sarif), Some(false));
    assert!(sarif.contains("\"justification\": \"a shared host\""), "{sarif}");
    let json = under(&dir, &waiver(""), &[&args[..], &["json"]].concat(), 0);
    assert_ne!(crate::schema::valid("verify.v1", &json), Some(false));
    // What was not read cannot be waived.
    for (policy, told) in [
        ("[[waive]]\nlint = 'readable'\nreason = 'x'", "unknown lint `readable`"),
        ("[[waive]]\nlint = 'mode'\nreason = ' '", "has no reason"),
        ("[[waive]]\nlint = 'mode'", "missing field `reason`"),
        ("linkag = 'static'", "did you mean `linkage`?"),
        ("page-size = 5", "must be a power of two"),
        ("max-size.file = '5 apples'", "is not a size"),
        ("glibc = 'new'", "is not a version of glibc"),
        ("deny = ['statc']", "did you mean `static`?"),
    ] {
        fs::write(dir.join("policy.toml"), policy).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-longshore"));
        command.args(["verify", "open", "--policy", "policy.toml"]).current_dir(&dir);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{policy}: {errors}");
        assert!(errors.contains(told), "{policy}: {errors}");
    }
    check(&dir, &["open", "--policy", "missing.toml"], 2);
}

#[test]
fn a_budget_holds_in_dist() {
    let metadata = "[workspace.metadata.longshore.verify]\nmax-size.file = '1 kB'\n\
                    [[workspace.metadata.longshore.verify.waive]]\nlint = 'build-id'\nreason = 'x'\n";
    let workspace = Workspace::members(&["app"], metadata);
    let build = "build --target x86_64-unknown-linux-musl --no-smoke";
    let told = "deny size: the program is larger than 1.00 kB";
    longshore(&workspace, build).status(1).stderr(told).run();
    assert!(!workspace.dist().exists());
}

/// C code that needs what the processor of the name has, and no more.
const WIDE: &str = "__attribute__((target(\"avx2\"))) int main(void) { \
                    volatile long long a[4] = {1, 2, 3, 4}; long long b[4]; \
                    __asm__ volatile (\"vmovdqu %1, %%ymm0; vpaddq %%ymm0, %%ymm0, %%ymm0; \
                    vmovdqu %%ymm0, %0\" : \"=m\"(b) : \"m\"(a) : \"xmm0\"); return b[0] == 2 ? 0 : 1; }";

#[test]
fn programs_are_run_on_the_baseline_cpu() {
    let (Some(_), Some(_)) = (peer::find("qemu-x86_64-static"), peer::find("qemu-aarch64-static"))
    else {
        return;
    };
    let dir = directory("policy-run");
    write(&dir.join("amd64"), &program::amd64(), 0o755);
    write(&dir.join("arm64"), &program::arm64(), 0o755);
    write(&dir.join("x.tar"), &tar(&[("x", 0o755, &program::arm64())]), 0o644);
    let text = check(&dir, &["amd64", "arm64", "x.tar", "--run", "--deny", "runs"], 0);
    assert!(!text.contains("deny"), "{text}");
    let json = check(&dir, &["x.tar", "--run", "--message-format", "json"], 0);
    assert!(json.contains("\"runs\""), "{json}");
    // An instruction that there is not, and one that reads what is not there.
    let replace = |code: &[u8]| {
        let mut bytes = program::amd64();
        let at = 64 + 2 * 56;
        bytes[at..at + code.len()].copy_from_slice(code);
        bytes
    };
    write(&dir.join("illegal"), &replace(&[0x0f, 0x0b]), 0o755);
    let text = check(&dir, &["illegal", "--run"], 1);
    assert!(
        text.contains("is killed by an illegal instruction on the processor Nehalem"),
        "{text}"
    );
    write(&dir.join("crash"), &replace(&[0x31, 0xc0, 0x8b, 0x00]), 0o755);
    assert!(check(&dir, &["crash", "--run"], 1).contains("it is killed by signal 11"));
    write(&dir.join("endless"), &replace(&[0xeb, 0xfe]), 0o755);
    check(&dir, &["endless", "--run", "--run-timeout", "1"], 0);
    if dynamic(&dir).is_some() {
        let text = check(&dir, &["x", "--run"], 1);
        assert!(text.contains("a file that it needs is missing"), "{text}");
    }
    if let Some(gcc) = tool("gcc").filter(|_| cfg!(target_arch = "x86_64")) {
        fs::write(dir.join("wide.c"), WIDE).unwrap();
        let mut command = Command::new(gcc);
        let flags = ["-O1", "-static", "-s", "wide.c", "-o", "wide"];
        assert!(command.args(flags).current_dir(&dir).status().unwrap().success());
        check(&dir, &["wide"], 0);
        assert!(check(&dir, &["wide", "--run"], 1).contains("an illegal instruction"));
        under(&dir, "cpu = 'x86-64-v3'", &["wide", "--run"], 0);
        let text = under(&dir, "cpu = 'x86-64-v4'", &["wide", "--run"], 1);
        assert!(text.contains("qemu emulates no processor of x86-64-v4"), "{text}");
    }
}
