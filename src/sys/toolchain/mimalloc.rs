//! mimalloc: its source through cargo, pinned and checked by digest, and the object made of it, once
//! for each target in the user's cache directory.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::MetadataCommand;
use semver::Version;

use super::rust::Rust;
use crate::{
    allocator::MIMALLOC,
    command::Command,
    error::{Error, Result},
    oci::Digest,
    sys::{Context, fs},
};

/// A package that depends on the source alone, and the lock file with its digest.
const MANIFEST: &str = include_str!("mimalloc/Cargo.toml");
const LOCK: &str = include_str!("mimalloc/Cargo.lock");

/// What mimalloc's own build passes for a release whose `malloc` is to be the program's
/// (`CMakeLists.txt` in the source), one file that includes all others. Functions in sections of
/// their own can be left out by the linker. Nothing of it is visible outside the program, and as it
/// is a part of one, thread-local variables have fixed places.
const FLAGS: &[&str] = &[
    "-O2",
    "-g0",
    "-fPIC",
    "-DNDEBUG",
    "-DMI_DEBUG=0",
    "-DMI_BUILD_RELEASE=1",
    "-DMI_LIBC_MUSL=1",
    "-DMI_MALLOC_OVERRIDE=1",
    "-fno-builtin-malloc",
    "-ffunction-sections",
    "-fdata-sections",
    "-fvisibility=hidden",
    "-ftls-model=local-exec",
    // It says when it was compiled, and is compiled once for releases of any time.
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"\"",
    "-D__TIME__=\"\"",
];

/// Where the object for `target` is, compiled for `cpu` by this zig.
pub fn object(cx: &Context, target: &str, cpu: Option<&str>, zig: &Version) -> Utf8PathBuf {
    let key =
        format!("{target}\n{}\n{zig}\n{MIMALLOC}\n{}", cpu.unwrap_or_default(), FLAGS.join(" "));
    let key = Digest::of(key.as_bytes()).short();
    cx.env.cache.join(format!("allocator/mimalloc-{MIMALLOC}-{target}-{key}.o"))
}

/// Compiles the object, unless it is there. `env` holds the variables of the build, among them the
/// C compiler of the target.
///
/// # Errors
/// The source cannot be fetched, or does not compile.
pub fn provide(
    cx: &Context,
    rust: &Rust,
    target: &str,
    object: &Utf8Path,
    env: &BTreeMap<String, Option<String>>,
    offline: bool,
) -> Result<()> {
    if object.exists() {
        return Ok(());
    }
    let _lock = fs::lock(&Utf8PathBuf::from(format!("{object}.lock")), || {
        cx.status("Waiting", format!("for another longshore that compiles mimalloc for {target}"));
    })?;
    if object.exists() {
        return Ok(());
    }
    let source = source(cx, rust, offline)?;
    let name = format!("CC_{}", target.replace('-', "_"));
    let compiler = env.get(&name).cloned().flatten();
    let compiler = compiler.or_else(|| cx.env.var(&name).map(str::to_owned)).ok_or_else(|| {
        Error::tool(format!("there is no C compiler for `{target}`: `{name}` is not set"))
    })?;
    cx.status("Building", format!("mimalloc for {target}, once for all workspaces"));
    let partial = Utf8PathBuf::from(format!("{object}.partial"));
    let mut command = Command::new(compiler)
        .args(FLAGS.iter().copied())
        .arg(format!("-ffile-prefix-map={source}=/mimalloc"))
        .args(["-I", source.join("include").as_str()])
        .args(["-c", source.join("src/static.c").as_str(), "-o", partial.as_str()]);
    command.env.clone_from(env);
    let output = cx.told(&command)?;
    if !output.success() {
        return Err(Error::build(format!(
            "mimalloc cannot be compiled for `{target}`: the C compiler ended with {}",
            output.ending()
        ))
        .detail(output.tail(20))
        .hint("`--allocator system` does without it"));
    }
    fs::rename(&partial, object)
}

/// The directory of mimalloc's source, fetched by cargo, which compares its digest.
fn source(cx: &Context, rust: &Rust, offline: bool) -> Result<Utf8PathBuf> {
    let place = cx.env.cache.join(format!("allocator/source-{MIMALLOC}"));
    fs::write(&place.join("Cargo.toml"), MANIFEST.as_bytes())?;
    fs::write(&place.join("Cargo.lock"), LOCK.as_bytes())?;
    fs::write(&place.join("src/lib.rs"), b"")?;
    let manifest = place.join("Cargo.toml");
    let ask = |dir: &Utf8Path| {
        let mut command = Command::new(&rust.cargo)
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--manifest-path", manifest.as_str()])
            .dir(dir);
        if offline {
            command = command.arg("--offline");
        }
        cx.children.output(&command)
    };
    // A mirror may be configured beside the workspace; and where that is one of vendored sources,
    // which have no mimalloc, the user's own configuration still leads somewhere.
    let mut output = ask(&cx.env.dir)?;
    if !output.success() {
        output = ask(&place)?;
    }
    let missing = |why: String| {
        Error::tool(format!("the source of mimalloc cannot be had: {why}"))
            .hint("`--allocator system` does without it; once fetched, it is kept")
    };
    if !output.success() {
        return Err(
            missing(format!("cargo ended with {}", output.ending())).detail(output.tail(10))
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let metadata = MetadataCommand::parse(text.trim()).map_err(|error| {
        missing("cargo said something that is not understood".into()).because(error)
    })?;
    let package = metadata.packages.iter().find(|package| *package.name == "libmimalloc-sys");
    let dir = package.and_then(|package| package.manifest_path.parent());
    dir.map(|dir| dir.join("c_src/mimalloc/v2"))
        .filter(|dir| dir.join("src/static.c").exists())
        .ok_or_else(|| missing("the crate has no `c_src/mimalloc/v2`".into()))
}
