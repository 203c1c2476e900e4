//! rustc as cargo starts it where crates depend on packages outside the workspace: through this program,
//! which gives those crates an identity that does not depend on where they are.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::Path,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::cargo::identity::{Identities, with_identity},
    model::{
        digest::Digest,
        error::{Error, Result},
    },
    sys::{Context, fs},
};

/// The name that this program is started by, instead of rustc.
pub(in crate::sys) const NAME: &str = "longshore-rustc";

/// Returns the program to set as cargo's `RUSTC_WRAPPER` for builds in `target_directory`; `None` where
/// cargo's own identities do not depend on a path.
///
/// # Errors
/// It cannot be written.
pub fn wrapper(
    cx: &Context,
    target_directory: &str,
    identities: &Identities,
) -> Result<Option<Utf8PathBuf>> {
    if identities.packages.is_empty() {
        return Ok(None);
    }
    let key = Digest::sha256(target_directory.as_bytes()).short();
    let program = cx.env.cache.join(format!("linker/{key}/{NAME}"));
    let text = serde_json::to_vec(identities)
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    fs::write(&program.with_extension("json"), &text)?;
    fs::symlink(&cx.env.exe, &program)?;
    Ok(Some(program))
}

/// Replaces this process with the command that cargo requests, `args[1..]`. `args[0]` is the path that
/// [`wrapper`] returned.
///
/// # Errors
/// The identities cannot be read, or the program cannot be started.
#[allow(
    clippy::disallowed_methods,
    reason = "the process becomes rustc, and nothing of it remains"
)]
pub(in crate::sys) fn start_rustc(args: &[OsString]) -> std::result::Result<(), String> {
    let path = Path::new(args.first().map_or(OsStr::new(""), OsString::as_os_str));
    let file = path.with_extension("json");
    let unreadable = |error: String| format!("cannot read `{}`: {error}", file.display());
    let text = std::fs::read(&file).map_err(|error| unreadable(error.to_string()))?;
    let identities: Identities =
        serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    let package = std::env::var("CARGO_MANIFEST_DIR").ok();
    let package = package.and_then(|dir| identities.packages.get(Utf8Path::new(&dir)));
    let mut words: Vec<OsString> = identities.wrapper.iter().map(OsString::from).collect();
    let rest = args.get(1..).unwrap_or_default();
    match (package, rest.iter().map(|arg| arg.to_str().map(str::to_owned)).collect()) {
        (Some(package), Some(rest)) => {
            let rest: Vec<String> = rest;
            words.extend(with_identity(package, &rest).into_iter().map(OsString::from));
        }
        // Cargo passes the paths of a crate as text, or does not start rustc for it.
        _ => words.extend(rest.iter().cloned()),
    }
    let Some((program, words)) = words.split_first() else {
        return Err(format!("`{NAME}` needs the program to start"));
    };
    let error = std::process::Command::new(program).args(words).exec();
    Err(format!("cannot start `{}`: {error}", program.display()))
}
