//! The standard library of a target: installed, else installed now, else built from source.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{build_std, debian, rust::Rust};
use crate::{
    command::Command,
    error::{Error, Result},
    schema::plan::Std,
    sys::{Context, fs},
};

/// Where the std of each of `targets` comes from as things are; nothing is fetched.
///
/// # Errors
/// `rust_src`, the directory that the user names, holds no source of std.
pub fn find(
    cx: &Context,
    rust: &Rust,
    rust_src: Option<&Utf8Path>,
    targets: &[String],
) -> Result<BTreeMap<String, Std>> {
    if let Some(named) = rust_src {
        let source = library(named).ok_or_else(|| {
            Error::usage(format!("`--rust-src {named}` holds no `library/std/Cargo.toml`")).hint(
                "name the directory of the component `rust-src` that holds `library`, of the same \
                 version as rustc",
            )
        })?;
        let std = from_source(cx, rust, cx.env.dir.join(source));
        return Ok(targets.iter().map(|target| (target.clone(), std.clone())).collect());
    }
    let state = |target: &String| {
        let std = if installed(rust, target) {
            Std::Installed
        } else if let Some(source) = source(cx, rust) {
            from_source(cx, rust, source)
        } else {
            Std::Missing
        };
        (target.clone(), std)
    };
    Ok(targets.iter().map(state).collect())
}

/// As [`find`], but provides what is not installed: `rustup target add`, else the source that is
/// there, else `rustup component add rust-src`, else the distribution's package of the source.
///
/// # Errors
/// A target whose std cannot be had: all that was tried, and why each failed.
pub fn provide(
    cx: &Context,
    rust: &Rust,
    rust_src: Option<&Utf8Path>,
    targets: &[String],
    offline: bool,
) -> Result<BTreeMap<String, Std>> {
    if rust_src.is_some() {
        let found = find(cx, rust, rust_src, targets)?;
        build_std::build(cx, rust, &found, offline)?;
        return Ok(found);
    }
    let missing: Vec<&String> = targets.iter().filter(|target| !installed(rust, target)).collect();
    let mut tried = Vec::new();
    for target in missing {
        if let Err(error) = rustup(cx, offline, &["target", "add", target]) {
            tried.push(error.to_string());
        } else if !installed(rust, target) {
            let sysroot = &rust.sysroot;
            tried.push(format!("`rustup target add {target}` put nothing into `{sysroot}`"));
        }
    }
    if targets.iter().all(|target| installed(rust, target)) {
        return find(cx, rust, None, targets);
    }
    if source(cx, rust).is_none() {
        match rustup(cx, offline, &["component", "add", "rust-src"]) {
            Ok(()) if source(cx, rust).is_none() => tried.push(format!(
                "`rustup component add rust-src` put nothing into `{}`",
                rust.sysroot
            )),
            Ok(()) => {}
            Err(error) => tried.push(error.to_string()),
        }
    }
    if source(cx, rust).is_none()
        && let Err(error) = debian::rust_src(cx, &rust.version, offline)
    {
        tried.push(error.to_string());
    }
    let found = find(cx, rust, None, targets)?;
    if let Some((target, _)) = found.iter().find(|(_, std)| **std == Std::Missing) {
        tried.push("`--rust-src` names no directory".to_owned());
        let tried = tried.join("\n  ");
        return Err(Error::tool(format!(
            "there is no standard library for `{target}`:\n  {tried}"
        ))
        .hint(format!(
            "`rustup target add {target}`, or a `rust-src` of rustc {} with `--rust-src`",
            rust.version
        )));
    }
    build_std::build(cx, rust, &found, offline)?;
    Ok(found)
}

fn from_source(cx: &Context, rust: &Rust, source: Utf8PathBuf) -> Std {
    Std::Source {
        sysroot: build_std::sysroot(cx, rust, &source).into_string(),
        source: source.into_string(),
    }
}

fn installed(rust: &Rust, target: &str) -> bool {
    let lib = rust.sysroot.join("lib/rustlib").join(target).join("lib");
    // A directory that cannot be read holds nothing we could use.
    let names = fs::names(&lib).unwrap_or_default();
    names.iter().any(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
}

/// The source of std that belongs to this rustc: the component in the sysroot, else what was
/// fetched before.
fn source(cx: &Context, rust: &Rust) -> Option<Utf8PathBuf> {
    let component = rust.sysroot.join("lib/rustlib/src/rust");
    library(&component).or_else(|| library(&debian::place(cx, &rust.version)))
}

/// `dir`, or the directory below it that holds `library`.
fn library(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let candidates = [dir.to_owned(), dir.join("lib/rustlib/src/rust"), dir.join("rust")];
    let parent = dir.parent().filter(|_| dir.file_name() == Some("library"));
    let mut all = candidates.into_iter().chain(parent.map(Utf8Path::to_owned));
    all.find(|dir| dir.join("library/std/Cargo.toml").exists())
}

fn rustup(cx: &Context, offline: bool, args: &[&str]) -> Result<()> {
    let command = Command::new("rustup").args(args.iter().copied());
    if offline {
        return Err(Error::tool(format!("`{command}` needs the network, and this is `--offline`")));
    }
    if cx.env.which("rustup").is_none() {
        return Err(Error::tool(format!("`{command}`: there is no rustup")));
    }
    cx.status("Installing", format!("with `{command}`"));
    let output = cx.children.output(&command)?;
    if output.success() {
        return Ok(());
    }
    let tail = output.tail(3).replace('\n', "; ");
    Err(Error::tool(format!("`{command}` ended with {}: {tail}", output.ending())))
}
