//! `cargo xtask test`: everything that has to hold before a change is taken, with real peers.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use longshore::{
    event::Silent,
    sys::{Context, toolchain, zig},
};

use crate::run::{Result, cargo, ci, command, find, repository, step};

/// Programs that tests need, and the Debian packages that have them.
const PEERS: [(&str, &str); 34] = [
    ("bsdtar", "libarchive-tools"),
    ("buildah", "buildah"),
    ("checksec", "checksec"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("cmake", "cmake"),
    ("dockerd", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("dpkg", "dpkg"),
    ("eu-elfclassify", "elfutils"),
    ("file", "file"),
    ("gcc", "gcc"),
    ("gdb", "gdb"),
    ("git", "git"),
    ("hardening-check", "devscripts"),
    ("lintian", "lintian"),
    ("llvm-nm", "llvm"),
    ("minisign", "minisign"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("podman", "podman"),
    ("qemu-aarch64-static", "qemu-user-static"),
    ("readelf", "binutils"),
    ("rsync", "rsync"),
    ("scanelf", "pax-utils"),
    ("shellcheck", "shellcheck"),
    ("skopeo", "skopeo"),
    ("strace", "strace"),
    ("umoci", "umoci"),
    ("unshare", "util-linux"),
    ("unzip", "unzip"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("python3", "python3"),
];

/// The targets that longshore is for, which its tests build.
const TARGETS: &str = "x86_64-unknown-linux-musl aarch64-unknown-linux-musl";

/// What reads our JSON schemas: a Python package, in a directory of its own.
const JSON_SCHEMA: &str = "check-jsonschema==0.39.0";

/// What reads our provenance: a Python package, in a directory of its own.
const IN_TOTO: &str = "in-toto-attestation==0.9.3";

/// An engine whose images are ours byte for byte, and a program that validates images.
const BUILDKIT: &str = "tests/it/support/buildkit.sh target/peers/buildkit";
const CRANE: &str = "tests/it/support/crane.sh target/peers/crane";

/// Programs that sign, whose two versions do not have the same arguments.
const COSIGN_2: &str = "tests/it/support/cosign.sh target/peers/cosign2 trixie";
const COSIGN_3: &str = "tests/it/support/cosign.sh target/peers/cosign3 forky";

/// The ELF files that other tools are tested with.
const CORPUS: &str = "tests/it/support/corpus.sh target/peers/corpus";

/// What says whether our SARIF is SARIF.
const SARIF: &str = "tests/it/support/sarif.sh target/peers/sarif";

/// What says whether our bills of materials are such.
const BOM: &str = "tests/it/support/bom.sh target/peers/bom";

/// What says whether CI files are such, and runs them.
const CI_FILES: &str = "tests/it/support/ci.sh target/peers/ci";

/// Installs what is missing, and runs every check.
pub(crate) fn test() -> Result {
    let start = Instant::now();
    let missing = peers()?;
    components()?;
    step("format", &mut cargo("fmt --all --check"))?;
    step("clippy", &mut cargo("clippy --workspace --all-targets --locked -- -D warnings"))?;
    let mut documentation = cargo("doc --workspace --no-deps --locked");
    step("documentation", documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    macos()?;
    step("tests", &mut cargo("test --workspace --locked"))?;
    let time = start.elapsed().as_secs();
    eprintln!("all is well after {} min {} s", time / 60, time % 60);
    for name in missing {
        eprintln!("    tests that need {name} were skipped");
    }
    Ok(())
}

/// Finds or installs the peers. Gives what is still missing, which is an error in CI.
fn peers() -> Result<Vec<String>> {
    let missing = |()| PEERS.iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<_> = missing(()).map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        install(&packages)?;
    }
    let mut left: Vec<String> = missing(()).map(|(program, _)| (*program).to_owned()).collect();
    for (name, result) in [
        ("BuildKit", step("BuildKit", &mut command("sh", BUILDKIT))),
        ("crane", step("crane", &mut command("sh", CRANE))),
        ("cosign 2", step("cosign 2", &mut command("sh", COSIGN_2))),
        ("cosign 3", step("cosign 3", &mut command("sh", COSIGN_3))),
        ("corpus", step("corpus", &mut command("sh", CORPUS))),
        ("SARIF's schema", step("SARIF's schema", &mut command("sh", SARIF))),
        ("bills of materials", step("bills of materials", &mut command("sh", BOM))),
        ("CI files", step("CI files", &mut command("sh", CI_FILES))),
        ("check-jsonschema", python("check-jsonschema", "check_jsonschema", JSON_SCHEMA)),
        ("in-toto", python("in-toto", "in_toto_attestation", IN_TOTO)),
    ] {
        if let Err(error) = result {
            eprintln!("    {error}");
            left.push(name.to_owned());
        }
    }
    if ci() && !left.is_empty() {
        return Err(format!("missing in CI: {}", left.join(", ")));
    }
    Ok(left)
}

/// Installs Debian packages, where this is Debian and we may.
fn install(packages: &[&str]) -> Result {
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        eprintln!("    not installed, and there is no apt-get: {list}");
        return Ok(());
    }
    let root = is_root();
    let sudo = find("sudo").is_some() && !root;
    if !root && !sudo {
        eprintln!("    not installed: `apt-get install {list}` as root installs them");
        return Ok(());
    }
    let apt = |args: &str| {
        let mut command = match sudo {
            true => command("sudo", &format!("-n apt-get {args}")),
            false => command("apt-get", args),
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A laptop's owner may not want to give a password for this.
    let installed = step("package lists", &mut apt("update --quiet")).and_then(|()| {
        let args = format!("install --quiet --yes --no-install-recommends {list}");
        step("packages", &mut apt(&args))
    });
    match installed {
        Err(error) if !ci() => eprintln!("    {error}"),
        other => return other,
    }
    Ok(())
}

/// Whether this is root: what `id` says, which is everywhere.
fn is_root() -> bool {
    command("id", "-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// A Python package in the directory `name` of its own, in which `module` is then found.
fn python(name: &str, module: &str, package: &str) -> Result {
    let dir: PathBuf = repository().join("target/peers").join(name);
    if dir.join(module).exists() {
        return Ok(());
    }
    let mut pip = command("python3", "-m pip install --quiet --disable-pip-version-check --target");
    step(name, pip.arg(&dir).arg(package))
}

/// The parts of the toolchain that are not there by themselves.
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

/// Whether it compiles for macOS, as far as that can be told from elsewhere: C code is compiled by
/// zig, as longshore itself has it done, and nothing is linked.
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
    let variables = toolchain::rust::find(&cx, "rustc").and_then(|rust| {
        let zig = toolchain::zig::provide(&cx, &rust.version, false)?;
        let args = ["build", "--target", TARGET].map(str::to_owned);
        zig::environment(&cx, &rust, &zig, "check for macOS", &args, &BTreeMap::new())
    });
    for (name, value) in variables.map_err(|error| format!("zig for macOS: {error:?}"))? {
        match value {
            Some(value) => check.env(name, value),
            None => check.env_remove(name),
        };
    }
    step("check for macOS", &mut check)
}
