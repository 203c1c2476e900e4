//! std built from source, once, into a separate sysroot in the user's cache directory. The builds that
//! use it are then ordinary ones of a stable cargo: nothing in them can detect unstable features, as it
//! could if std were built among them with `-Zbuild-std`.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::rust::Rust;
use crate::{
    model::{
        collect::CollectOrdered as _,
        command::Command,
        digest::Digest,
        error::{Error, Result},
        schema::{
            plan::{FOR_SIZE, Std},
            profile::Unstable,
        },
    },
    sys::{
        Context, fs,
        seal::{self, Depth, SealState},
    },
};

const MANIFEST: &str = "\
[package]
name = \"std-for-longshore\"
version = \"0.0.0\"
edition = \"2021\"

[workspace]
";

const LOCK: &str = "\
version = 4

[[package]]
name = \"std-for-longshore\"
version = \"0.0.0\"
";

/// Returns the path of the sysroot that is built from `source` with this rustc.
pub fn sysroot(cx: &Context, rust: &Rust, source: &Utf8Path, options: &[String]) -> Utf8PathBuf {
    // The last part is for how it is built here.
    let options = options.iter().map(|option| format!("{option}\n")).collect::<String>();
    let key = format!("{}\n{}\n{source}\n{options}3", rust.rustc_version, rust.host);
    let key = Digest::sha256(key.as_bytes()).short();
    cx.env.cache.join(format!("std/{}-{key}", rust.version))
}

/// Builds std for every target in `all` that comes from source and is not built yet.
///
/// # Errors
/// Its dependencies cannot be fetched, or it does not compile: the end of what cargo wrote.
pub fn build(cx: &Context, rust: &Rust, all: &BTreeMap<String, Std>, offline: bool) -> Result<()> {
    for (target, std) in all {
        let Std::Source { source, sysroot, options } = std else {
            continue;
        };
        let destination = Utf8PathBuf::from(sysroot).join("lib/rustlib").join(target);
        let is_built = || seal::check(&destination, Depth::Stamps) == SealState::Sound;
        if is_built() {
            continue;
        }
        let _lock = fs::lock(&Utf8PathBuf::from(format!("{sysroot}.lock")), || {
            cx.status("Waiting", format!("for another longshore that builds std for {target}"));
        })?;
        if !is_built() {
            let how = if options.is_empty() {
                String::new()
            } else {
                format!(" ({})", options.join(", "))
            };
            cx.status(
                "Building",
                format!("std for {target}{how} from {source}, once for all workspaces"),
            );
            build_one(cx, rust, source, target, options, &destination, offline)?;
        }
    }
    Ok(())
}

fn build_one(
    cx: &Context,
    rust: &Rust,
    source: &str,
    target: &str,
    options: &[String],
    destination: &Utf8Path,
    offline: bool,
) -> Result<()> {
    let work = Utf8PathBuf::from(format!("{destination}.build"));
    fs::remove_dir_all(&work)?;
    fs::write(&work.join("Cargo.toml"), MANIFEST.as_bytes())?;
    fs::write(&work.join("Cargo.lock"), LOCK.as_bytes())?;
    fs::write(&work.join("src/lib.rs"), b"#![no_std]\n")?;
    let mut command = command(cx, rust, source, target, options, &work);
    if offline {
        command = command.arg("--offline");
    }
    let output = cx.run_reported(&command)?;
    if !output.success() {
        return Err(Error::tool(format!(
            "std for `{target}` cannot be built from `{source}`: cargo ended with {}",
            output.ending()
        ))
        .detail(output.tail(20))
        .hint(format!("`rustup target add {target}` makes this unnecessary")));
    }
    let deps = work.join("target").join(target).join("release/deps");
    let staged = destination.with_extension("partial");
    fs::remove_dir_all(&staged)?;
    for name in fs::names(&deps)? {
        if name.ends_with(".rlib") && !name.starts_with("libstd_for_longshore") {
            fs::link(&deps.join(&name), &staged.join("lib").join(&name))?;
        }
    }
    seal::remove(destination)?;
    fs::rename(&staged, destination)?;
    seal::seal(destination)?;
    fs::remove_dir_all(&work)
}

/// Returns the command that builds std with `options`, in the package at `work`.
fn command(
    cx: &Context,
    rust: &Rust,
    source: &str,
    target: &str,
    options: &[String],
    work: &Utf8Path,
) -> Command {
    let commit = rust.commit.clone().unwrap_or_else(|| rust.version.to_string());
    let for_size = options.iter().any(|option| option == FOR_SIZE);
    let mut flags = vec![
        "-Clink-self-contained=no".to_owned(),
        // For link-time optimisation of what links it; cargo leaves it out of a build without.
        "-Cembed-bitcode=yes".to_owned(),
        format!("--remap-path-prefix={work}=/workspace"),
    ];
    if let Some(home) = cx.env.cargo_home() {
        flags.push(format!("--remap-path-prefix={home}=/cargo"));
    }
    // The official std says this of its source.
    flags.push(format!("--remap-path-prefix={source}=/rustc/{commit}"));
    if for_size {
        flags.push("-Cforce-unwind-tables=no".to_owned());
    }
    for switch in Unstable::ALL {
        if options.iter().any(|option| option == switch.name()) {
            flags.extend(switch.flags().iter().map(|flag| (*flag).to_owned()));
        }
    }
    let aborts = for_size || options.iter().any(|option| option == Unstable::ImmediateAbort.name());
    let mut command = Command::new(&rust.cargo)
        .args(["build", "--release", "--locked"])
        .args(["--target", target, "--target-dir", "target"])
        .dir(work)
        // Only std is compiled here, which is what this is for.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", format!("{source}/library"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("RUSTC", &rust.rustc)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    // It is shared by all workspaces: settings of one (`CARGO_PROFILE_*`, flags, compilers) do not
    // affect it.
    command.env = super::unset(cx).into_iter().chain(command.env).collect_map();
    command = command.arg(match aborts {
        true => "-Zbuild-std=std,panic_abort",
        false => "-Zbuild-std=std,panic_unwind",
    });
    if aborts {
        command = command.env("CARGO_PROFILE_RELEASE_PANIC", "abort");
        // Without unwinding there are no backtraces, and no need for what reads them.
        let features = if for_size { "optimize_for_size" } else { "" };
        command = command.arg(format!("-Zbuild-std-features={features}"));
    }
    if for_size {
        command = command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z");
    }
    command
}
