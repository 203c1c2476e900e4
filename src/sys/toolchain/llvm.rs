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

/// Returns the path of `llvm-profdata`. If it is missing, it is installed by rustup, else that of the same LLVM in
/// `PATH` is used, as a distribution's rustc has it.
///
/// # Errors
/// It cannot be installed, and `PATH` has none of this LLVM: all attempts, and the reason why each failed.
pub fn provide_profdata(cx: &Context, rust: &Rust, offline: bool) -> Result<Utf8PathBuf> {
    let path = profdata_path(rust);
    if path.is_file() {
        return Ok(path);
    }
    let mut tried = Vec::new();
    match rustup(cx, offline, &["component", "add", "llvm-tools"]) {
        Ok(()) if path.is_file() => return Ok(path),
        Ok(()) => tried.push(format!(
            "`rustup component add llvm-tools` installed nothing into `{}`",
            rust.sysroot
        )),
        Err(error) => tried.push(error.to_string()),
    }
    let llvm = rust.llvm.as_deref().unwrap_or("unknown");
    let major = llvm.split('.').next().unwrap_or(llvm);
    for name in [format!("llvm-profdata-{major}"), "llvm-profdata".to_owned()] {
        let Some(found) = cx.env.which(&name) else {
            tried.push(format!("`PATH` has no `{name}`"));
            continue;
        };
        let version = cx.children.read(&Command::new(found.as_str()).arg("--version"));
        let version = version.unwrap_or_default();
        if version.contains(&format!("LLVM version {major}.")) {
            return Ok(found);
        }
        let version = version.lines().map(str::trim).find(|line| line.contains("LLVM version"));
        tried.push(format!(
            "`{found}` is of another LLVM: expected {llvm}, found {}",
            version.unwrap_or("none")
        ));
    }
    let tried = tried.join("\n  ");
    Err(Error::tool(format!(
        "`--pgo` needs `llvm-profdata` of LLVM {llvm}, which rustc {} has, and `{path}` is missing:\n  {tried}",
        rust.version
    ))
    .hint("`rustup component add llvm-tools` installs it for rustup's toolchains"))
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
    Err(Error::build(format!(
        "the profiles of the training cannot be merged: `{command}` ended with {}",
        output.ending()
    ))
        .detail(output.tail(5))
        .hint(
            "a program that another compiler instrumented writes its profile there, too: start it without the variable \
             `LLVM_PROFILE_FILE`",
        ))
}

/// Checks that rustc reads the profile: of one that it cannot read, it warns once for each crate, and compiles without
/// it.
///
/// # Errors
/// It does not: what it reports.
pub fn check_profile(cx: &Context, rust: &Rust, file: &Utf8Path) -> Result<()> {
    let work = fs::TempDir::new("longshore-profile")?;
    let source = work.path.join("empty.rs");
    fs::write(&source, b"#![no_std]\npub fn empty() {}\n")?;
    let object = work.path.join("empty.o");
    let mut command = Command::new(&rust.rustc)
        .args(["--crate-type=lib", "--emit=obj", "-Copt-level=1"])
        .args([format!("-Cprofile-use={file}"), format!("-o{object}"), source.into_string()])
        .dir(&cx.env.dir);
    command.env = super::unset(cx);
    let output = cx.children.output(&command)?;
    let report = String::from_utf8_lossy(&output.stderr);
    // `warning: PATH: malformed instrumentation profile data: …`
    let Some((_, found)) = report.split_once(&format!("{file}: ")) else { return Ok(()) };
    let found = found.lines().next().unwrap_or_default();
    let llvm = rust.llvm.as_deref().unwrap_or("unknown");
    Err(Error::usage(format!(
        "rustc {} with LLVM {llvm} cannot read the profile `{file}`: {found}",
        rust.version
    ))
    .hint(
        "it is damaged, or of a newer rustc: train again with `--pgo`, and use the profile with the rustc that made it",
    ))
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
