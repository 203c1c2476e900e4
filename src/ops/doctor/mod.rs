//! `doctor`: the state of everything that `dist` needs or can use.

use crate::{
    build::{
        request::BuildRequest,
        target::{Target, Targets},
        zig::PINNED,
    },
    model::{
        command::Command,
        error::Result,
        schema::{
            doctor::{Check, Doctor, SCHEMA, State as CheckState},
            plan::Std,
        },
    },
    ops::dist::smoke,
    sys::{
        Context, cargo,
        git::{self, RepositoryState},
        toolchain,
    },
};

/// Checks everything; nothing is changed.
///
/// # Errors
/// cargo's configuration cannot be read.
pub fn doctor(cx: &Context, request: &BuildRequest) -> Result<Doctor> {
    let mut checks = Vec::new();
    let config = cargo::Config::load(cx, &[])?;
    // Also outside a workspace: then for the targets that are default everywhere.
    let targets = Targets::new([])?;
    let names: Vec<String> = match &request.targets[..] {
        [] => targets.iter().filter(|t| t.spec.default).map(|t| t.name.clone()).collect(),
        requested => requested.to_vec(),
    };
    match toolchain::rust::find(cx, &config.rustc()) {
        Ok(rust) => {
            checks.push(passed("cargo", &rust.cargo_version));
            let detail = format!("{} in {}", rust.rustc_version, rust.sysroot);
            checks.push(passed("rustc", &detail));
            checks.push(zig_check(cx, &rust));
            let std_request = toolchain::std::StdRequest {
                targets: &names.iter().map(String::as_str).collect::<Vec<_>>(),
                rust_src: request.rust_src.as_deref(),
                options: &[],
                offline: true,
            };
            for (target, std) in toolchain::std::find(cx, &rust, &std_request)? {
                checks.push(std_check(cx, &target, &std));
            }
        }
        Err(error) => checks.push(failed("rust", &error.to_string(), error.hint_text())),
    }
    for target in targets.iter().filter(|target| names.contains(&target.name)) {
        checks.push(runner_check(cx, target));
    }
    checks.push(git_check(cx));
    checks.push(engine_check(cx));
    let healthy = checks.iter().all(|check| check.state != CheckState::Bad);
    Ok(Doctor { schema: SCHEMA, healthy, checks })
}

fn check(name: &str, state: CheckState, detail: &str, fix: Option<&str>) -> Check {
    Check { name: name.into(), state, detail: detail.into(), fix: fix.map(Into::into) }
}

fn passed(name: &str, detail: &str) -> Check {
    check(name, CheckState::Good, detail, None)
}

fn failed(name: &str, detail: &str, fix: Option<&str>) -> Check {
    check(name, CheckState::Bad, detail, fix)
}

fn zig_check(cx: &Context, rust: &toolchain::Rust) -> Check {
    let by_hand = format!("python3 -m pip install ziglang=={PINNED}");
    match toolchain::zig::find(cx, &rust.version) {
        Ok(Some(zig)) => passed("zig", &format!("{} in {}", zig.version, zig.program)),
        Ok(None) => {
            let pip = ["uv", "python3", "pip3"].iter().find(|name| cx.env.which(name).is_some());
            match pip {
                Some(pip) => check(
                    "zig",
                    CheckState::Provided,
                    &format!("none yet; dist fetches {PINNED} with {pip}"),
                    Some(&by_hand),
                ),
                None => {
                    failed("zig", "none, and no uv, python3 or pip3 to fetch it", Some(&by_hand))
                }
            }
        }
        Err(error) => failed("zig", &error.to_string(), error.hint_text()),
    }
}

fn std_check(cx: &Context, target: &str, std: &Std) -> Check {
    let name = format!("std {target}");
    let fix = format!("rustup target add {target}");
    match std {
        Std::Installed => passed(&name, "installed"),
        Std::Source { source, .. } => passed(&name, &format!("built from {source}")),
        Std::Missing if cx.env.which("rustup").is_some() => check(
            &name,
            CheckState::Provided,
            "not installed; dist installs it with rustup",
            Some(&fix),
        ),
        Std::Missing => failed(
            &name,
            "not installed, and there is no rustup",
            Some("install the toolchain with rustup, or name a rust-src with `--rust-src DIR`"),
        ),
    }
}

fn runner_check(cx: &Context, target: &Target) -> Check {
    let name = format!("run {}", target.spec.platform);
    let Ok(runner) = smoke::runner(cx, target) else {
        let what = "no emulator: binaries are built and verified, but not run";
        let hint = Some("apt-get install qemu-user-static");
        return check(&name, CheckState::Optional, what, hint);
    };
    match smoke::unusable_reason(cx, &runner).unwrap_or_else(|error| Some(error.to_string())) {
        None => passed(&name, runner.emulator.as_ref().map_or("natively", |path| path.as_str())),
        Some(reason) => {
            let what = format!("binaries are built and verified, but not run: {reason}");
            check(&name, CheckState::Optional, &what, None)
        }
    }
}

/// Checks git, and its report on the workspace, or on the current directory.
fn git_check(cx: &Context) -> Check {
    let version = cx.children.read(&Command::new("git").arg("--version"));
    let version = version.as_deref().map(|text| text.trim_start_matches("git version "));
    let dir = cargo::root(cx, None).unwrap_or_else(|_| cx.env.dir.clone());
    let state = git::state(cx, &dir, &[], &git::Excluded::default());
    match (version, state) {
        (_, Err(error)) => failed("git", &error.to_string(), error.hint_text()),
        (Ok(version), Ok(RepositoryState::At(revision))) => {
            let short = revision.hash.get(..12).unwrap_or(&revision.hash);
            passed("git", &format!("{version}; commit {short}"))
        }
        (Ok(version), Ok(state)) => {
            passed("git", &format!("{version}; {}", state.unknown_reason().unwrap_or_default()))
        }
        (Err(_), Ok(_)) => check(
            "git",
            CheckState::Optional,
            "none: releases carry no revision, and their time is 0",
            Some("apt-get install git"),
        ),
    }
}

fn engine_check(cx: &Context) -> Check {
    let engines: Vec<_> =
        ["docker", "podman"].iter().filter_map(|name| cx.env.which(name)).collect();
    match engines.first() {
        Some(path) => passed("container engine", &format!("{path} (to run images; not needed)")),
        None => check(
            "container engine",
            CheckState::Optional,
            "none: images are made without one, but cannot be run here",
            None,
        ),
    }
}
