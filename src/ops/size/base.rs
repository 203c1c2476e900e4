//! A release of another revision, built to be compared with.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    command::Command,
    error::{Error, Result},
    oci::Digest,
    ops::dist,
    request::Request,
    sys::{Context, cargo, fs},
};

/// Where releases of other revisions are, below the target directory.
const PLACE: &str = "longshore/base";

/// How many of them are kept.
const KEPT: usize = 8;

/// The commit that `text` stands for in the repository of `dir`; none where git knows of none.
pub(super) fn commit(cx: &Context, dir: &Utf8Path, text: &str) -> Option<String> {
    // What begins with a dash would be taken for a flag.
    if text.starts_with('-') {
        return None;
    }
    let command = git(dir).args(["rev-parse", "--verify", "--quiet"]);
    let output = cx.children.output(&command.arg(format!("{text}^{{commit}}"))).ok()?;
    let hash = output.text().trim().to_owned();
    (output.success() && !hash.is_empty()).then_some(hash)
}

fn git(dir: &Utf8Path) -> Command {
    Command::new("git").dir(dir)
}

/// The directory of the release that the commit `hash` makes, built in a worktree of its own with
/// the same request. It is kept for the next time.
///
/// # Errors
/// The revision cannot be checked out or built; the build's log is named.
pub(super) fn build(cx: &Context, request: &Request, hash: &str) -> Result<Utf8PathBuf> {
    let workspace = cargo::workspace(cx, request)?;
    let top = cx.children.read(&git(&workspace.root).args(["rev-parse", "--show-toplevel"]))?;
    let inside = workspace.root.strip_prefix(top.trim()).unwrap_or(Utf8Path::new(""));
    let place = workspace.target_directory.join(PLACE);
    fs::create_dir_all(&place)?;
    let short = hash.get(..12).unwrap_or(hash);
    let _lock = fs::lock(&place.join("lock"), || {
        cx.status("Waiting", format!("for another build of a base in `{place}`"));
    })?;
    // Another request gives another release of the same commit.
    let key = format!("{}\n{hash}\n{request:?}", env!("CARGO_PKG_VERSION"));
    let made = place.join(format!("{short}-{}", &Digest::of(key.as_bytes()).hex()[..12]));
    if made.join("dist.json").is_file() {
        cx.status("Fresh", format!("base {short}"));
        return Ok(made);
    }
    cx.status("Building", format!("base {short}, to compare with"));
    // One directory for all of them, so that what did not change is not compiled again.
    let tree = place.join("tree");
    let _tree = Tree::check_out(cx, &workspace.root, &tree, hash)?;
    let root = tree.join(inside);
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
    dist::dist(&there, &request).map_err(|error| {
        let told =
            Error::new(error.status(), format!("the base `{short}` cannot be built: {error}"));
        let detail = error.detail_text().unwrap_or_default();
        let told = if detail.is_empty() { told } else { told.detail(detail) };
        let log = place.join("target/dist.failed/logs");
        told.hint(format!(
            "its logs are in `{log}`; the `dist.json` of an earlier release can be the base, too"
        ))
    })?;
    fs::rename(&place.join("target/dist"), &made)?;
    prune(&place)?;
    Ok(made)
}

/// Removes the oldest of many.
fn prune(place: &Utf8Path) -> Result<()> {
    let mut made = Vec::new();
    for name in fs::names(place)? {
        let dist = place.join(&name).join("dist.json");
        if let Some((_, time, _)) = fs::stamp(&dist).filter(|_| name != "tree") {
            made.push((std::cmp::Reverse(time), place.join(name)));
        }
    }
    made.sort();
    made.iter().skip(KEPT).try_for_each(|(_, path)| fs::remove_dir_all(path))
}

/// A worktree that goes with this value.
struct Tree<'a> {
    cx: &'a Context,
    repository: Utf8PathBuf,
    path: Utf8PathBuf,
}

impl<'a> Tree<'a> {
    fn check_out(
        cx: &'a Context,
        repository: &Utf8Path,
        path: &Utf8Path,
        hash: &str,
    ) -> Result<Self> {
        let tree = Tree { cx, repository: repository.to_owned(), path: path.to_owned() };
        // Of a run that was killed.
        tree.remove();
        let add = git(repository).args(["worktree", "add", "--detach", "--force"]);
        let output = cx.children.output(&add.arg(path.as_str()).arg(hash))?;
        if !output.success() {
            return Err(Error::build(format!("commit `{hash}` cannot be checked out"))
                .detail(output.tail(20))
                .hint("`git fetch --unshallow` gets what a shallow clone lacks"));
        }
        Ok(tree)
    }

    fn remove(&self) {
        let remove = git(&self.repository).args(["worktree", "remove", "--force"]);
        let _ = self.cx.children.output(&remove.arg(self.path.as_str()));
        let _ = fs::remove_dir_all(&self.path);
        let _ = self.cx.children.output(&git(&self.repository).args(["worktree", "prune"]));
    }
}

impl Drop for Tree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
