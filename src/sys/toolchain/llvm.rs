//! The tools of LLVM for profiles, which are rustup's component `llvm-tools`, and profiles in the cache directory.

use camino::{Utf8Path, Utf8PathBuf};

use super::{rust::Rust, std::rustup};
use crate::{
    build::pgo,
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{Context, fs},
};

/// Returns the path of `llvm-profdata` of rustc's LLVM, whether it is there or not.
fn profdata_path(rust: &Rust) -> Utf8PathBuf {
    rust.sysroot.join("lib/rustlib").join(&rust.host).join("bin/llvm-profdata")
}

/// Returns the path of `llvm-profdata`, which is installed if it is missing.
///
/// # Errors
/// It cannot be installed.
pub fn provide_profdata(cx: &Context, rust: &Rust, offline: bool) -> Result<Utf8PathBuf> {
    let path = profdata_path(rust);
    if path.is_file() {
        return Ok(path);
    }
    let missing = |error: Error| {
        let what = format!("`{path}` is missing, which reads the profiles of rustc");
        Error::tool(what)
            .because(error)
            .hint("`rustup component add llvm-tools` installs it for rustup's toolchains")
    };
    rustup(cx, offline, &["component", "add", "llvm-tools"]).map_err(missing)?;
    if path.is_file() {
        return Ok(path);
    }
    Err(missing(Error::tool("`rustup component add llvm-tools` did not install it")))
}

/// Writes the profile `to`, made of all files in the directory `from`.
///
/// # Errors
/// The files are of different programs or of another LLVM.
pub fn merge_profiles(
    cx: &Context,
    profdata: &Utf8Path,
    from: &Utf8Path,
    to: &Utf8Path,
) -> Result<()> {
    let command = Command::new(profdata.as_str())
        .args(["merge", "-o", to.as_str(), from.as_str()])
        .dir(&cx.env.dir);
    let output = cx.children.output(&command)?;
    if output.success() {
        return Ok(());
    }
    Err(Error::build(format!("`{command}` ended with {}", output.ending()))
        .detail(output.tail(5))
        .hint("the profiles have to be of the program that this rustc compiled"))
}

/// Returns the path of a profile in the cache directory. It names the content: cargo compiles again for another
/// profile, and not for the same one in another directory.
pub fn cached_profile(cx: &Context, digest: &Digest) -> Utf8PathBuf {
    cx.env.cache.join(pgo::file_name(digest))
}

/// Copies a profile into the cache directory, unless it is there and undamaged.
///
/// # Errors
/// The file cannot be read, or changed meanwhile.
pub fn provide_profile(cx: &Context, file: &Utf8Path, digest: &Digest) -> Result<()> {
    let object = cached_profile(cx, digest);
    if let Some(dir) = object.parent() {
        fs::create_dir_all(dir)?;
    }
    super::provide_object(cx, &object, "the profile", |partial| {
        fs::copy(file, partial)?;
        let (found, _) = fs::digest(partial)?;
        if found == *digest {
            return Ok(());
        }
        Err(Error::build(format!("`{file}` changed: expected {digest}, found {found}")))
    })
}
