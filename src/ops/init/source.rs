//! The source of longshore: its lines in `Cargo.toml`, with the digests of its files.

use std::sync::Arc;

use camino::Utf8Path;
use semver::Version;

use super::{InitRequest, InitState};
use crate::{
    build::config::tool::{RequestedTool, no_source_error},
    model::{
        digest::Digest,
        error::{Error, Result, Status},
    },
    sys::{Context, access, fs, host, registry::Session, temporary},
};

/// The largest file with the program that is downloaded.
const MAX_FILE: u64 = 1 << 30;

/// Returns the lines of the table `tool`. The files of a release are downloaded, and their digests become the pins.
///
/// # Errors
/// No source is known, it has no file for this machine, or it cannot be reached.
pub(super) fn tool_lines(
    cx: &Context,
    state: &InitState,
    request: &InitRequest,
) -> Result<Vec<String>> {
    let Some(tool) = request.tool.as_ref().or(state.installed.as_ref()) else {
        return Err(no_source_error().hint(
            "name it with `--tool archive=URL`, `--tool git=URL#COMMIT` or `--tool path=DIRECTORY`; \
             `--no-ci --no-xtask` writes nothing that needs it",
        ));
    };
    let version = request.tool_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let version: Version = version.parse().map_err(|error| {
        Error::usage(format!("`{version}` is not a version")).because(error).hint("such as `0.1.0`")
    })?;
    if let RequestedTool::Git(url, commit) = tool {
        cx.status("Pinned", format!("commit {commit} of {url}"));
    }
    let host = host::platform().replace("macos/", "darwin/");
    let session = Session::new(cx, &request.server);
    let mut digests = Vec::new();
    let files = tool.files(&version, &host)?;
    for (platform, url) in &files {
        if let Some(digest) = digest(cx, &session, url)? {
            cx.status("Pinned", format!("{url} for {platform}, sha256 {}", digest.hex()));
            digests.push((*platform, digest));
        }
    }
    if let (Some((_, url)), true) = (files.first(), digests.is_empty()) {
        return Err(Error::new(Status::Registry, format!("there is no `{url}`"))
            .hint("check the URL and `--tool-version`; the placeholders are in docs/ci.md"));
    }
    tool.lines(&version, &digests)
}

/// Returns the digest of the file at a URL; `None` if there is none.
fn digest(cx: &Context, session: &Arc<Session>, url: &str) -> Result<Option<Digest>> {
    if let Some(path) = url.strip_prefix("file://") {
        let path = Utf8Path::new(path);
        if access::is_absent(path) {
            return Ok(None);
        }
        return fs::digest(path).map(|(digest, _)| Some(digest));
    }
    cx.status("Downloading", url);
    let downloads = temporary::TempDir::new("longshore-init")?;
    let mut draft = temporary::draft(&downloads.path)?;
    if !session.download_file(url, MAX_FILE + 1, &mut draft)? {
        return Ok(None);
    }
    let path = downloads.path.join("tool");
    draft.persist(&path)?;
    let (digest, size) = fs::digest(&path)?;
    if size > MAX_FILE {
        return Err(Error::check(format!("`{url}` has more than {MAX_FILE} bytes")));
    }
    Ok(Some(digest))
}
