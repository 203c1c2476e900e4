//! A release of another revision, built to be compared with.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::request::Request,
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::dist::FILE,
    },
    ops::{dist, output::manifest},
    sys::{Context, cargo, fs, git},
};

/// The directory of releases of other revisions, below the target directory.
const PLACE: &str = "longshore/base";

/// The number of them that are kept.
const KEPT: usize = 8;

/// Returns the directory of the release of the commit `hash`, built in a separate worktree with the
/// same request. It is kept for the next time.
///
/// # Errors
/// The revision cannot be checked out or built; the build's log is named.
pub(super) fn build(cx: &Context, request: &Request, hash: &str) -> Result<Utf8PathBuf> {
    let workspace = cargo::workspace(cx, request)?;
    let place = workspace.target_directory.join(PLACE);
    fs::create_dir_all(&place)?;
    let short = hash.get(..12).unwrap_or(hash);
    let _lock = fs::lock(&place.join("lock"), || {
        cx.status("Waiting", format!("for another build of a base in `{place}`"));
    })?;
    // Another request gives another release of the same commit.
    let key = format!("{}\n{hash}\n{request:?}", env!("CARGO_PKG_VERSION"));
    let made = place.join(format!("{short}-{}", &Digest::sha256(key.as_bytes()).hex()[..12]));
    if manifest::named(&made).is_some() {
        cx.status("Fresh", format!("base {short}"));
        return Ok(made);
    }
    cx.status("Building", format!("base {short}, to compare with"));
    // One directory for all of them, so that what did not change is not compiled again.
    let tree = place.join("tree");
    let checkout = git::check_out(cx, &workspace.root, &tree, hash)?;
    let root = checkout.dir.clone();
    complete(&root, hash, request)?;
    let own = request.manifest_path.as_ref().and_then(|path| {
        cx.env.dir.join(path).strip_prefix(&workspace.root).map(|path| root.join(path)).ok()
    });
    let request = Request {
        manifest_path: Some(own.unwrap_or_else(|| root.join("Cargo.toml"))),
        target_dir: Some(place.join("target")),
        smoke: false,
        twice: false,
        ..request.clone()
    };
    // Cargo's configuration is that of the directory it runs in.
    let mut there = cx.clone();
    there.env.dir = root;
    let release = dist::make(&there, &request);
    let (_, output) = release.map_err(|error| {
        let log = place.join("target/dist.failed/logs");
        error.context(format!("the base `{short}` cannot be built")).hint(format!(
            "its logs are in `{log}`; the `dist.json` of an earlier release can be the base, too"
        ))
    })?;
    fs::rename(&output, &made)?;
    prune(&place)?;
    Ok(made)
}

/// Checks that the commit `hash`, checked out at `root`, has what a build of it needs.
fn complete(root: &Utf8Path, hash: &str, request: &Request) -> Result<()> {
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

/// Removes the oldest of many.
fn prune(place: &Utf8Path) -> Result<()> {
    let mut made = Vec::new();
    for name in fs::names(place)? {
        let dist = place.join(&name).join(FILE);
        if let Some((_, time, _)) = fs::stamp(&dist).filter(|_| name != "tree") {
            made.push((std::cmp::Reverse(time), place.join(name)));
        }
    }
    made.sort();
    made.iter().skip(KEPT).try_for_each(|(_, path)| fs::remove_dir_all(path))
}
