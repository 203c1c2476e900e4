//! `doctor`: the state of everything that `dist` needs or can use.

use crate::{
    build::{
        request::Request,
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
        git::{self, State},
        toolchain,
    },
};

/// Checks everything; nothing is changed.
///
/// # Errors
/// cargo's configuration cannot be read.
pub fn doctor(cx: &Context, request: &Request) -> Result<Doctor> {
    let mut checks = Vec::new();
    let config = cargo::Config::load(cx, &[])?;
    // Also outside a workspace: then for the targets that are default everywhere.
    let targets = Targets::new([])?;
    let names: Vec<String> = match &request.targets[..] {
        [] => targets.iter().filter(|t| t.spec.default).map(|t| t.name.clone()).collect(),
        asked => asked.to_vec(),
    };
    match toolchain::rust::find(cx, &config.rustc()) {
        Ok(rust) => {
            checks.push(good("cargo", &rust.cargo_version));
            let detail = format!("{} in {}", rust.rustc_version, rust.sysroot);
            checks.push(good("rustc", &detail));
            checks.push(zig(cx, &rust));
            let wish = toolchain::std::Wish {
                targets: &names.iter().map(String::as_str).collect::<Vec<_>>(),
                rust_src: request.rust_src.as_deref(),
                options: &[],
                offline: true,
            };
            for (target, std) in toolchain::std::find(cx, &rust, &wish)? {
                checks.push(std_check(cx, &target, &std));
            }
        }
        Err(error) => checks.push(bad("rust", &error.to_string(), error.hint_text())),
    }
    for target in targets.iter().filter(|target| names.contains(&target.name)) {
        checks.push(runner(cx, target));
    }
    checks.push(git(cx));
    checks.push(engine(cx));
    let healthy = checks.iter().all(|check| check.state != CheckState::Bad);
    Ok(Doctor { schema: SCHEMA, healthy, checks })
}

fn check(name: &str, state: CheckState, detail: &str, fix: Option<&str>) -> Check {
    Check { name: name.into(), state, detail: detail.into(), fix: fix.map(Into::into) }
}

fn good(name: &str, detail: &str) -> Check {
    check(name, CheckState::Good, detail, None)
}

fn bad(name: &str, detail: &str, fix: Option<&str>) -> Check {
    check(name, CheckState::Bad, detail, fix)
}

fn zig(cx: &Context, rust: &toolchain::Rust) -> Check {
    let by_hand = format!("python3 -m pip install ziglang=={PINNED}");
    match toolchain::zig::find(cx, &rust.version) {
        Ok(Some(zig)) => good("zig", &format!("{} in {}", zig.version, zig.program)),
        Ok(None) => {
            let pip = ["uv", "python3", "pip3"].iter().find(|name| cx.env.which(name).is_some());
            match pip {
                Some(pip) => check(
                    "zig",
                    CheckState::Provided,
                    &format!("none yet; dist fetches {PINNED} with {pip}"),
                    Some(&by_hand),
                ),
                None => bad("zig", "none, and no uv, python3 or pip3 to fetch it", Some(&by_hand)),
            }
        }
        Err(error) => bad("zig", &error.to_string(), error.hint_text()),
    }
}

fn std_check(cx: &Context, target: &str, std: &Std) -> Check {
    let name = format!("std {target}");
    let fix = format!("rustup target add {target}");
    match std {
        Std::Installed => good(&name, "installed"),
        Std::Source { source, .. } => good(&name, &format!("built from {source}")),
        Std::Missing if cx.env.which("rustup").is_some() => {
            check(&name, CheckState::Provided, "not installed; dist asks rustup for it", Some(&fix))
        }
        Std::Missing => bad(
            &name,
            "not installed, and there is no rustup",
            Some("install the toolchain with rustup, or name a rust-src with `--rust-src DIR`"),
        ),
    }
}

fn runner(cx: &Context, target: &Target) -> Check {
    let name = format!("run {}", target.spec.platform);
    let Ok(runner) = smoke::runner(cx, target) else {
        let what = "no emulator: binaries are built and verified, but not run";
        let hint = Some("apt-get install qemu-user-static");
        return check(&name, CheckState::Optional, what, hint);
    };
    match smoke::unfit(cx, &runner).unwrap_or_else(|error| Some(error.to_string())) {
        None => good(&name, runner.emulator.as_ref().map_or("natively", |path| path.as_str())),
        Some(reason) => {
            let what = format!("binaries are built and verified, but not run: {reason}");
            check(&name, CheckState::Optional, &what, None)
        }
    }
}

/// Checks git, and its report on the workspace, or on the current directory.
fn git(cx: &Context) -> Check {
    let version = cx.children.read(&Command::new("git").arg("--version"));
    let version = version.as_deref().map(|text| text.trim_start_matches("git version "));
    let dir = cargo::root(cx, None).unwrap_or_else(|_| cx.env.dir.clone());
    let state = git::state(cx, &dir, &[], &git::Excluded::default());
    match (version, state) {
        (_, Err(error)) => bad("git", &error.to_string(), error.hint_text()),
        (Ok(version), Ok(State::At(revision))) => {
            let short = revision.hash.get(..12).unwrap_or(&revision.hash);
            good("git", &format!("{version}; commit {short}"))
        }
        (Ok(version), Ok(state)) => {
            good("git", &format!("{version}; {}", state.missing().unwrap_or_default()))
        }
        (Err(_), Ok(_)) => check(
            "git",
            CheckState::Optional,
            "none: releases carry no revision, and their time is 0",
            Some("apt-get install git"),
        ),
    }
}

fn engine(cx: &Context) -> Check {
    let engines: Vec<_> =
        ["docker", "podman"].iter().filter_map(|name| cx.env.which(name)).collect();
    match engines.first() {
        Some(path) => good("container engine", &format!("{path} (to run images; not needed)")),
        None => check(
            "container engine",
            CheckState::Optional,
            "none: images are made without one, but cannot be run here",
            None,
        ),
    }
}
