//! The release of another revision, built for a comparison.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::request::BuildRequest,
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
        schema::dist::FILE,
    },
    ops::{dist, output::manifest},
    sys::{Context, cargo, fs, git},
};

/// The directory of releases of other revisions, below the target directory.
const BASE_DIRECTORY: &str = "longshore/base";

/// The number of them that are kept.
const MAX_CACHED: usize = 8;

/// Returns the directory of the release of the commit `hash`, built in a separate worktree with the same
/// request, and cached.
///
/// # Errors
/// The revision cannot be checked out or built; the build's log is named.
pub(super) fn build_base(cx: &Context, request: &BuildRequest, hash: &str) -> Result<Utf8PathBuf> {
    let workspace = cargo::workspace(cx, request)?;
    let location = workspace.target_directory.join(BASE_DIRECTORY);
    fs::create_dir_all(&location)?;
    let short = hash.get(..12).unwrap_or(hash);
    let _lock = fs::lock(&location.join("lock"), || {
        cx.status("Waiting", format!("for another build of a base in `{location}`"));
    })?;
    // Another request gives another release of the same commit.
    let key = format!("{}\n{hash}\n{request:?}", env!("CARGO_PKG_VERSION"));
    let made = location.join(format!("{short}-{}", &Digest::sha256(key.as_bytes()).hex()[..12]));
    if manifest::manifest_path(&made).is_some() {
        cx.status("Fresh", format!("base {short}"));
        return Ok(made);
    }
    cx.status("Building", format!("base {short}, to compare with"));
    // One directory for all of them, so that what did not change is not compiled again.
    let tree = location.join("tree");
    let checkout = git::check_out(cx, &workspace.root, &tree, hash)?;
    let root = checkout.dir.clone();
    check_buildable(&root, hash, request)?;
    let own = request.manifest_path.as_ref().and_then(|path| {
        cx.env.dir.join(path).strip_prefix(&workspace.root).map(|path| root.join(path)).ok()
    });
    let request = BuildRequest {
        manifest_path: Some(own.unwrap_or_else(|| root.join("Cargo.toml"))),
        target_dir: Some(location.join("target")),
        smoke: false,
        twice: false,
        ..request.clone()
    };
    // Cargo's configuration is that of the directory it runs in.
    let mut there = cx.clone();
    there.env.dir = root;
    let release = dist::make(&there, &request);
    let (_, output) = release.map_err(|error| {
        let log = location.join("target/dist.failed/logs");
        error.context(format!("the base `{short}` cannot be built")).hint(format!(
            "its logs are in `{log}`; the `dist.json` of an earlier release can be the base, too"
        ))
    })?;
    fs::rename(&output, &made)?;
    prune(&location)?;
    Ok(made)
}

/// Checks that the commit `hash`, checked out at `root`, has the files that a build of it needs.
fn check_buildable(root: &Utf8Path, hash: &str, request: &BuildRequest) -> Result<()> {
    let short = hash.get(..12).unwrap_or(hash);
    if !root.join("Cargo.toml").is_file() {
        return Err(Error::usage(format!(
            "commit `{short}` has no `Cargo.toml` in this directory"
        ))
        .hint("name a commit that has one, or the `dist.json` of an earlier release"));
    }
    if request.locked && !root.join("Cargo.lock").is_file() {
        return Err(Error::usage(format!("commit `{short}` has no `Cargo.lock`")).hint(
            "`--no-locked` builds it with the newest compatible dependencies; commit `Cargo.lock` \
             for the commits to come",
        ));
    }
    Ok(())
}

/// Removes the oldest releases, if there are many.
fn prune(location: &Utf8Path) -> Result<()> {
    let mut made = Vec::new();
    for name in fs::names(location)? {
        let dist = location.join(&name).join(FILE);
        if let Some((_, time, _)) = fs::stamp(&dist).filter(|_| name != "tree") {
            made.push((std::cmp::Reverse(time), location.join(name)));
        }
    }
    made.sort_stable();
    made.iter().skip(MAX_CACHED).try_for_each(|(_, path)| fs::remove_dir_all(path))
}
