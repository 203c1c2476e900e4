//! The object of memory functions, compiled by the user's rustc, once for each target in the user's cache
//! directory.

use camino::{Utf8Path, Utf8PathBuf};

use super::rust::Rust;
use crate::{
    build::memory::SOURCES,
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result},
        schema::plan::Std,
    },
    sys::{Context, fs},
};

/// The flags for rustc: optimised code for any address, in one unit, without anything that differs from
/// machine to machine.
const FLAGS: &[&str] = &[
    "--edition=2021",
    "--crate-name=longshore_memory",
    "--crate-type=lib",
    "--emit=obj",
    "--cap-lints=allow",
    "-Copt-level=3",
    "-Ccodegen-units=1",
    "-Cpanic=abort",
    "-Coverflow-checks=no",
    "-Cdebug-assertions=no",
    "-Cdebuginfo=0",
    "-Cembed-bitcode=no",
    "-Crelocation-model=pic",
];

/// Returns the path of the object for `target` and `cpu`, compiled by `rust`.
pub fn object(cx: &Context, rust: &Rust, target: &str, cpu: Option<&str>) -> Utf8PathBuf {
    let (rustc, flags) = (&rust.rustc_version, FLAGS.join(" "));
    let sources = SOURCES.map(|(_, text)| text).concat();
    let cpu = cpu.unwrap_or_default();
    let key = format!("{target}\n{cpu}\n{rustc}\n{}\n{flags}\n{sources}", rust.host);
    let key = Digest::sha256(key.as_bytes()).short();
    cx.env.cache.join(format!("memory/memory-{target}-{key}.o"))
}

/// Compiles the object for `target` and `cpu`, unless it is there and undamaged.
///
/// # Errors
/// The source does not compile.
pub fn provide(
    cx: &Context,
    rust: &Rust,
    std: Option<&Std>,
    target: &str,
    cpu: Option<&str>,
    object: &Utf8Path,
) -> Result<()> {
    super::provide_object(cx, object, &format!("memory functions for {target}"), |partial| {
        cx.status("Building", format!("memory functions for {target}, once for all workspaces"));
        let source = Utf8PathBuf::from(format!("{object}.src"));
        fs::create_dir_all(&source)?;
        for (name, text) in SOURCES {
            fs::write(&source.join(name), text.as_bytes())?;
        }
        let mut command = Command::new(&rust.rustc)
            .args(FLAGS.iter().copied())
            .args([format!("--target={target}"), format!("--remap-path-prefix={source}=memory")])
            .args(["-o", partial.as_str()])
            .dir(&cx.env.dir);
        if let Some(Std::Source { sysroot, .. }) = std {
            command = command.arg(format!("--sysroot={sysroot}"));
        }
        if let Some(cpu) = cpu {
            command = command.arg(format!("-Ctarget-cpu={cpu}"));
        }
        command = command.arg(source.join("lib.rs").as_str());
        command.env = super::unset(cx);
        let output = cx.run_reported(&command)?;
        fs::remove_dir_all(&source)?;
        if output.success() {
            return Ok(());
        }
        Err(Error::build(format!(
            "the memory functions cannot be compiled for `{target}`: rustc ended with {}",
            output.ending()
        ))
        .detail(output.tail(20))
        .hint(
            "`memory-functions = \"system\"` in `[workspace.metadata.longshore]` does without them",
        ))
    })
}
