//! `cargo xtask test`: everything that has to hold before a change is taken, with real peers.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, thread, time::Instant};

use longshore::{
    model::{event::Silent, feature::Feature},
    sys::{Context, toolchain},
};

use crate::{
    peers,
    run::{Result, cargo, ci, command, find, repository, step},
    slowest,
};

/// The targets that longshore is for, which its tests build.
const TARGETS: &str = "x86_64-unknown-linux-musl aarch64-unknown-linux-musl";

/// Installs what is missing, and runs every check. Peers are installed while cargo compiles.
pub(crate) fn test() -> Result {
    let start = Instant::now();
    let (checked, peers) = thread::scope(|scope| {
        let peers = scope.spawn(peers::provide);
        let checked = checks();
        (checked, peers.join())
    });
    checked?;
    let missing = peers.map_err(|_| "installing the peers panicked")??;
    // Those that take seconds come first, so that what they find is known at once.
    step("unit tests", &mut cargo("test --workspace --locked --lib --bins"))?;
    step("documentation tests", &mut cargo("test --workspace --locked --doc"))?;
    let mut integration = cargo("test --workspace --locked --test it");
    slowest::step("integration tests", threads(), &mut integration)?;
    let time = start.elapsed().as_secs();
    eprintln!("all tests passed after {} min {} s", time / 60, time % 60);
    for name in missing {
        eprintln!("    tests that need {name} were skipped");
    }
    Ok(())
}

/// Returns how many tests run at once: one more than there are processors, since many of them wait
/// for servers and containers.
fn threads() -> usize {
    let set = std::env::var("RUST_TEST_THREADS").ok().and_then(|set| set.parse().ok());
    set.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from) + 1)
}

/// Runs what needs no peer: format, clippy, documentation, macOS, and the compilation of the tests.
fn checks() -> Result {
    components()?;
    step("format", &mut cargo("fmt --all --check"))?;
    // No package of the workspace.
    let runtime = "--check --edition 2021 runtime/memory/lib.rs";
    step("format of runtime", &mut command("rustfmt", runtime))?;
    step("clippy", &mut cargo("clippy --workspace --all-targets --locked -- -D warnings"))?;
    let mut documentation = cargo("doc --workspace --no-deps --locked");
    step("documentation", documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    features()?;
    macos()?;
    step("compilation of the tests", &mut cargo("test --workspace --locked --no-run"))
}

/// Runs clippy without cargo features, which compiles every replacement of one; with each of them alone
/// only among the slow tests, since that finds little more.
fn features() -> Result {
    let slow = std::env::var_os("LONGSHORE_SLOW_TESTS").is_some();
    let alone = Feature::ALL.map(Feature::name).into_iter().filter(|_| slow);
    for features in [""].into_iter().chain(alone) {
        let check = "clippy --package longshore --lib --bins --locked --no-default-features";
        let name = format!("features: {}", if features.is_empty() { "none" } else { features });
        let mut check = cargo(&format!("{check} --features={features} -- -D warnings"));
        step(&name, &mut check)?;
    }
    Ok(())
}

/// Returns the parts of the toolchain that are not there by themselves.
fn components() -> Result {
    if find("rustup").is_none() {
        eprintln!("    no rustup: what the toolchain lacks is built from source, or missing");
        return Ok(());
    }
    // longshore gets these itself; here they are asked for so that tests do not wait for each
    // other, and so that both ways to a std are tried.
    for (name, args) in [
        ("components", "component add rustfmt clippy rust-src"),
        ("targets", &format!("target add {TARGETS}")),
    ] {
        // Where rustup's server is out of reach, longshore has other ways, and the tests take them.
        if let Err(error) = step(name, &mut command("rustup", args)) {
            eprintln!("    going on without: {error}");
        }
    }
    Ok(())
}

/// The name of the target is that of zig, and not the one that cc passes.
const MACOS_CC: &str = r#"#!/bin/sh
for arg do
    shift
    case $arg in --target=*) ;; *) set -- "$@" "$arg" ;; esac
done
exec "$ZIG" cc -target aarch64-macos-none "$@"
"#;

/// Returns whether it compiles for macOS, as far as that can be told from elsewhere: C code is compiled by zig,
/// and nothing is linked.
fn macos() -> Result {
    const TARGET: &str = "aarch64-apple-darwin";
    let mut add = command("rustup", &format!("target add {TARGET}"));
    if let Err(error) = step("std for macOS", &mut add) {
        if ci() {
            return Err(error);
        }
        eprintln!("    skipped: {error}");
        return Ok(());
    }
    let cx = Context::new(Arc::new(Silent)).map_err(|error| error.to_string())?;
    let mut check = cargo(&format!("check --lib --bins --locked --target {TARGET}"));
    let zig = toolchain::rust::find(&cx, "rustc")
        .and_then(|rust| toolchain::zig::provide(&cx, &rust.version, false))
        .map_err(|error| format!("zig for macOS: {error:?}"))?;
    let directory = repository().join("target/macos");
    let script = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&path, text))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(path)
    };
    check.env("ZIG", &zig.program);
    check.env("CC_aarch64_apple_darwin", script("cc", MACOS_CC)?);
    check.env("AR_aarch64_apple_darwin", script("ar", "#!/bin/sh\nexec \"$ZIG\" ar \"$@\"\n")?);
    step("check for macOS", &mut check)
}
