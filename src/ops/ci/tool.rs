//! `ci tool`: a copy of the running program, for jobs that must not compile.

use camino::Utf8Path;

use crate::{
    ci::pipeline::TOOL_NAME,
    model::{digest::Digest, error::Result, source::Source},
    sys::{Context, file, fs},
};

/// Copies the running program into a directory, as `cargo-longshore`, and returns its digest.
///
/// # Errors
/// The program cannot be read, or the copy cannot be written.
pub fn export_tool(cx: &Context, directory: &Utf8Path) -> Result<Digest> {
    let directory = cx.env.dir.join(directory);
    fs::create_dir_all(&directory)?;
    let program = file::open(&cx.env.exe)?;
    let path = directory.join(TOOL_NAME);
    let digest = fs::write_from(&path, Source::File(&program), 0o755, 0)?;
    cx.status("Copied", format!("`{}` to `{path}`", cx.env.exe));
    Ok(digest)
}
