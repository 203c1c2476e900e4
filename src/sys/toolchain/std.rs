//! The standard library of a target: installed, else installed now, else built from source.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{build_std, debian, rust::Rust};
use crate::{
    model::{
        collect::CollectOrdered as _,
        command::Command,
        error::{Error, Result},
        schema::plan::{FOR_SIZE, Std},
    },
    sys::{
        Context, fs,
        seal::{self, Depth, SealState},
    },
};

/// The targets for which std is requested, and the options.
#[derive(Clone, Copy, Debug)]
pub struct StdRequest<'a> {
    /// The targets.
    pub targets: &'a [&'a str],
    /// The directory that the user names as the source of std.
    pub rust_src: Option<&'a Utf8Path>,
    /// The differences from the official one ([`crate::model::schema::plan::Profile::std_options`]).
    /// `optimize-for-size` if the source is there; unstable switches need the source.
    pub options: &'a [String],
    /// Whether nothing may be fetched.
    pub offline: bool,
}

impl StdRequest<'_> {
    fn needs_source(&self) -> bool {
        self.options.iter().any(|option| option != FOR_SIZE)
    }
}

/// Returns the current source of the std of each target; nothing is fetched.
///
/// # Errors
/// `rust_src` holds no source of std.
pub fn find(
    cx: &Context,
    rust: &Rust,
    std_request: &StdRequest<'_>,
) -> Result<BTreeMap<String, Std>> {
    let from_source = |source: Utf8PathBuf| Std::Source {
        sysroot: build_std::sysroot(cx, rust, &source, std_request.options).into_string(),
        source: source.into_string(),
        options: std_request.options.to_vec(),
    };
    if let Some(named) = std_request.rust_src {
        let source = library_directory(named).ok_or_else(|| {
            Error::usage(format!("`--rust-src {named}` has no `library/std/Cargo.toml`")).hint(
                "name the directory of the component `rust-src` that holds `library`, of the same \
                 version as rustc",
            )
        })?;
        let std = from_source(cx.env.dir.join(source));
        return Ok(std_request
            .targets
            .iter()
            .map(|target| ((*target).to_owned(), std.clone()))
            .collect_map());
    }
    let state = |target: &&str| {
        let installed = installed(rust, target);
        let std = if installed && std_request.options.is_empty() {
            Std::Installed
        } else if let Some(source) = source(cx, rust) {
            from_source(source)
        } else if installed && !std_request.needs_source() {
            Std::Installed
        } else {
            Std::Missing
        };
        ((*target).to_owned(), std)
    };
    Ok(std_request.targets.iter().map(state).collect_map())
}

/// Does as [`find`], but installs what is missing: `rustup target add`, else the source that is there,
/// else `rustup component add rust-src`, else the distribution's package of the source.
///
/// # Errors
/// A target with a std that is not available: all attempts, and the reason why each failed.
pub fn provide(
    cx: &Context,
    rust: &Rust,
    std_request: &StdRequest<'_>,
) -> Result<BTreeMap<String, Std>> {
    let StdRequest { targets, offline, .. } = *std_request;
    if std_request.rust_src.is_some() {
        let found = find(cx, rust, std_request)?;
        build_std::build(cx, rust, &found, offline)?;
        return Ok(found);
    }
    let absent = |target: &&str| !installed(rust, target) && !std_request.needs_source();
    let missing: Vec<&str> = targets.iter().copied().filter(absent).collect();
    let mut tried = Vec::new();
    for target in missing {
        if let Err(error) = rustup(cx, offline, &["target", "add", target]) {
            tried.push(error.to_string());
        } else if !installed(rust, target) {
            let sysroot = &rust.sysroot;
            tried.push(format!("`rustup target add {target}` installed nothing into `{sysroot}`"));
        }
    }
    if targets.iter().all(|target| installed(rust, target)) && !std_request.needs_source() {
        let found = find(cx, rust, std_request)?;
        build_std::build(cx, rust, &found, offline)?;
        return Ok(found);
    }
    if source(cx, rust).is_none() {
        match rustup(cx, offline, &["component", "add", "rust-src"]) {
            Ok(()) if source(cx, rust).is_none() => tried.push(format!(
                "`rustup component add rust-src` installed nothing into `{}`",
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
    let found = find(cx, rust, std_request)?;
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

fn installed(rust: &Rust, target: &str) -> bool {
    let lib = rust.sysroot.join("lib/rustlib").join(target).join("lib");
    // A directory that cannot be read holds nothing we could use.
    let names = fs::names(&lib).unwrap_or_default();
    names.iter().any(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
}

/// Returns the source of std that belongs to this rustc: the component in the sysroot, else the one
/// that was fetched before.
fn source(cx: &Context, rust: &Rust) -> Option<Utf8PathBuf> {
    let component = rust.sysroot.join("lib/rustlib/src/rust");
    library_directory(&component).or_else(|| {
        let fetched = library_directory(&debian::source_path(cx, &rust.version))?;
        (seal::check(&fetched, Depth::Stamps) == SealState::Sound).then_some(fetched)
    })
}

/// Returns `dir`, or the directory below it that holds `library`.
fn library_directory(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let candidates = [dir.to_owned(), dir.join("lib/rustlib/src/rust"), dir.join("rust")];
    let parent = dir.parent().filter(|_| dir.file_name() == Some("library"));
    let mut all = candidates.into_iter().chain(parent.map(Utf8Path::to_owned));
    all.find(|dir| dir.join("library/std/Cargo.toml").exists())
}

pub(super) fn rustup(cx: &Context, offline: bool, args: &[&str]) -> Result<()> {
    let command = Command::new("rustup").args(args.iter().copied());
    if offline {
        return Err(Error::tool(format!("`{command}` needs the network, and this is `--offline`")));
    }
    if cx.env.which("rustup").is_none() {
        return Err(Error::tool(format!("`{command}`: there is no rustup")));
    }
    cx.status("Installing", format!("with `{command}`"));
    let output = cx.run_reported(&command)?;
    if output.success() {
        return Ok(());
    }
    let tail = output.tail(3).replace('\n', "; ");
    Err(Error::tool(format!("`{command}` ended with {}: {tail}", output.ending())))
}
