//! mimalloc: its source through cargo, pinned and checked by digest, and the object made of it, once
//! for each target in the user's cache directory.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::MetadataCommand;

use super::{rust::Rust, zig::Zig};
use crate::{
    build::allocator::MIMALLOC,
    model::{
        collect::SortStable as _,
        command::Command,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{Context, fs, tree, zig},
};

/// The manifest of a package that depends on the source alone, and its lock file with the digest. Cargo leaves
/// directories with a `Cargo.toml` out of a package, hence the names.
const MANIFEST: &str = include_str!("mimalloc/manifest.toml");
const LOCK: &str = include_str!("mimalloc/lock.toml");

/// The flags of mimalloc's own build for a release with a `malloc` that replaces the program's
/// (`CMakeLists.txt` in the source), one file that includes all others. Functions in separate sections
/// can be left out by the linker. Nothing of it is visible outside the program, and as it is a part of
/// one, thread-local variables have fixed addresses.
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

/// The digest of the source: of the list of all files below `include` and `src`, sorted, each as
/// `<sha256> <path>` and a line end.
const SOURCE_DIGEST: &str = "c05a1a6660689c4aaee4fe4b3f339df67a6213ebaf5535334d6824fed7d91ce9";

/// Returns the path of the object for `target`, compiled for `cpu` by the zig with this identity.
pub fn object(cx: &Context, target: &str, cpu: Option<&str>, zig: &str) -> Utf8PathBuf {
    let cpu = cpu.unwrap_or_default();
    let key = format!("{target}\n{cpu}\n{zig}\n{MIMALLOC}\n{SOURCE_DIGEST}\n{}", FLAGS.join(" "));
    let key = Digest::sha256(key.as_bytes()).short();
    cx.env.cache.join(format!("allocator/mimalloc-{MIMALLOC}-{target}-{key}.o"))
}

/// Compiles the object for `target` and `cpu`, unless it is there and undamaged.
///
/// # Errors
/// The source cannot be fetched, or does not compile.
pub fn provide(
    cx: &Context,
    (rust, zig): (&Rust, &Zig),
    target: &str,
    cpu: Option<&str>,
    object: &Utf8Path,
    offline: bool,
) -> Result<()> {
    super::provide_object(cx, object, &format!("mimalloc for {target}"), |partial| {
        compile(cx, (rust, zig), target, cpu, partial, offline)
    })
}

fn compile(
    cx: &Context,
    (rust, zig): (&Rust, &Zig),
    target: &str,
    cpu: Option<&str>,
    object: &Utf8Path,
    offline: bool,
) -> Result<()> {
    let source = source(cx, rust, offline)?;
    let (compiler, env) = zig::compiler(cx, zig, target, cpu, &package(cx))?;
    cx.status("Building", format!("mimalloc for {target}, once for all workspaces"));
    let mut command = Command::new(compiler)
        .args(FLAGS.iter().copied())
        .arg(format!("-ffile-prefix-map={source}=/mimalloc"))
        .args(["-I", source.join("include").as_str()])
        .args(["-c", source.join("src/static.c").as_str(), "-o", object.as_str()])
        .dir(package(cx));
    command.env = env;
    let output = cx.run_reported(&command)?;
    if !output.success() {
        return Err(Error::build(format!(
            "mimalloc cannot be compiled for `{target}`: the C compiler ended with {}",
            output.ending()
        ))
        .detail(output.tail(20))
        .hint("`--allocator system` does without it"));
    }
    Ok(())
}

/// Returns the directory of the package that depends on the source.
fn package(cx: &Context) -> Utf8PathBuf {
    cx.env.cache.join(format!("allocator/source-{MIMALLOC}"))
}

/// Returns the directory of mimalloc's source, fetched by cargo. It is compared with [`SOURCE_DIGEST`]: cargo
/// accepts changed files in a directory of vendored sources, and in its own unpacked copies.
fn source(cx: &Context, rust: &Rust, offline: bool) -> Result<Utf8PathBuf> {
    let package = package(cx);
    fs::write(&package.join("Cargo.toml"), MANIFEST.as_bytes())?;
    fs::write(&package.join("Cargo.lock"), LOCK.as_bytes())?;
    fs::write(&package.join("src/lib.rs"), b"")?;
    // A mirror may be configured beside the workspace; and where that is a directory of vendored
    // sources, which has no mimalloc or a changed one, the user's own configuration may have it.
    let first = source_from(cx, rust, &cx.env.dir, offline);
    first.or_else(|first| source_from(cx, rust, &package, offline).map_err(|_| first))
}

/// Returns the source as cargo finds it with the configuration of `dir`.
fn source_from(cx: &Context, rust: &Rust, dir: &Utf8Path, offline: bool) -> Result<Utf8PathBuf> {
    let manifest = package(cx).join("Cargo.toml");
    let mut command = Command::new(&rust.cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--manifest-path", manifest.as_str()])
        .dir(dir);
    if offline {
        command = command.arg("--offline");
    }
    let output = cx.children.output(&command)?;
    let missing = |why: String| {
        Error::tool(format!("the source of mimalloc cannot be fetched: {why}"))
            .hint("`--allocator system` does without it; once fetched, it is kept")
    };
    if !output.success() {
        return Err(
            missing(format!("cargo ended with {}", output.ending())).detail(output.tail(10))
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let metadata = MetadataCommand::parse(text.trim())
        .map_err(|error| missing("`cargo metadata` printed invalid JSON".into()).because(error))?;
    let found = metadata.packages.iter().find(|package| *package.name == "libmimalloc-sys");
    let dir = found.and_then(|package| package.manifest_path.parent());
    let dir = dir.map(|dir| dir.join("c_src/mimalloc/v2"));
    let dir = dir
        .filter(|dir| dir.join("src/static.c").exists())
        .ok_or_else(|| missing("the crate has no `c_src/mimalloc/v2`".into()))?;
    let digest = source_digest(&dir)?;
    if digest != SOURCE_DIGEST {
        return Err(Error::tool(format!(
            "the source of mimalloc in `{dir}` was changed: expected the digest `{SOURCE_DIGEST}`, found \
             `{digest}`"
        ))
        .hint("remove the directory and its copies; cargo fetches the source again"));
    }
    Ok(dir)
}

/// Returns the digest of the source in `dir`, as [`SOURCE_DIGEST`] describes it.
fn source_digest(dir: &Utf8Path) -> Result<String> {
    let mut lines = Vec::new();
    for part in ["include", "src"] {
        for entry in tree::walk(&dir.join(part), |_| false)? {
            let path = format!("{part}/{}", entry.path);
            match entry.kind {
                tree::EntryKind::Directory => {}
                tree::EntryKind::File(_) => {
                    let (digest, _) = fs::digest(&dir.join(&path))?;
                    lines.push((path, digest.hex()));
                }
                tree::EntryKind::Link => lines.push((path, "link".to_owned())),
            }
        }
    }
    lines.sort_stable();
    let list: String = lines.iter().map(|(path, digest)| format!("{digest} {path}\n")).collect();
    Ok(Digest::sha256(list.as_bytes()).hex())
}
