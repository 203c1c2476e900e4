//! A commit, checked out in a separate directory.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Repository, command, escape, line, message, repository};
use crate::{
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::{
        Context, fs,
        process::{Children, Output},
    },
};

/// The maximum depth of submodules in submodules that are checked out.
const MAX_DEPTH: usize = 16;

/// A worktree of another commit. It is removed when this value is dropped.
#[derive(Debug)]
pub struct Checkout<'a> {
    cx: &'a Context,
    repository: Repository,
    path: Utf8PathBuf,
    /// The directory in it that is the one it was made for.
    pub dir: Utf8PathBuf,
}

/// Checks out the commit `hash` of the repository of `dir` at `path`, with its submodules. Nothing is
/// fetched, and no hook runs.
///
/// # Errors
/// The repository cannot be used, or the commit or one of its submodules is not complete in it.
pub fn check_out<'a>(
    cx: &'a Context,
    dir: &Utf8Path,
    path: &Utf8Path,
    hash: &str,
) -> Result<Checkout<'a>> {
    let Some(repository) = repository(cx, dir)? else {
        return Err(Error::usage(format!("`{dir}` is not in a git repository")));
    };
    let inside = repository.dir.strip_prefix(&repository.top).unwrap_or(Utf8Path::new(""));
    let dir = if inside.as_str().is_empty() { path.to_owned() } else { path.join(inside) };
    let checkout = Checkout { cx, repository, path: path.to_owned(), dir };
    // Of a run that was killed.
    checkout.remove();
    let add = checkout.git().args(["worktree", "add", "--quiet", "--detach", "--force"]);
    let output = cx.children.output(&add.arg(path.as_str()).arg(hash))?;
    if !output.success() {
        return Err(Error::build(format!(
            "commit `{hash}` cannot be checked out: {}",
            message(&output)
        ))
        .detail(output.tail(20))
        .hint("`git fetch --unshallow` completes a shallow clone"));
    }
    let common = checkout.read(checkout.git().args(["rev-parse", "--git-common-dir"]), hash)?;
    let common = checkout.repository.dir.join(line(&common));
    let here = checkout.repository.top.clone();
    checkout.submodules(&SourceCommit { git_dir: common, work_tree: Some(here), hash }, path, 0)?;
    Ok(checkout)
}

/// A commit of a repository or of a submodule.
struct SourceCommit<'a> {
    git_dir: Utf8PathBuf,
    /// Its work tree in the user's checkout; `None` if there is none.
    work_tree: Option<Utf8PathBuf>,
    hash: &'a str,
}

impl Checkout<'_> {
    /// Returns the command `git` in the user's repository.
    fn git(&self) -> Command {
        command(self.cx, &self.repository.dir)
    }

    fn read(&self, command: Command, hash: &str) -> Result<Output> {
        let output = self.cx.children.output(&command)?;
        if output.success() {
            return Ok(output);
        }
        Err(Error::build(format!("commit `{hash}` cannot be checked out: {}", message(&output)))
            .detail(output.tail(20)))
    }

    /// Checks out the submodules of `source`, which is checked out at `tree`.
    fn submodules(&self, source: &SourceCommit<'_>, tree: &Utf8Path, depth: usize) -> Result<()> {
        let list = self.git().args(["--git-dir", source.git_dir.as_str()]);
        let list = list.args(["ls-tree", "-r", "-z", "--full-tree", source.hash]);
        let listed = self.read(list, source.hash)?;
        let mut names = None;
        for entry in String::from_utf8_lossy(&listed.stdout).split('\0') {
            // The mode, `commit` and the hash, a tab, and the path.
            let Some((kind, path)) = entry.split_once('\t') else { continue };
            let Some(hash) = kind.strip_prefix("160000 commit ") else { continue };
            let names = match &mut names {
                Some(names) => names,
                none => none.insert(self.names(tree)?),
            };
            let known = names.iter().find(|(_, known)| known == path);
            let name = known.map_or(path, |(name, _)| name.as_str());
            let here = source.work_tree.as_ref().map(|dir| dir.join(path));
            let Some(found) = self.source(source, name, here.as_deref(), hash)? else {
                // Submodules that the user's own checkout lacks are left out of its base, too.
                if here.as_deref().is_some_and(is_empty_dir) {
                    let shown = escape(path.as_bytes());
                    self.cx.status("Skipping", format!("submodule `{shown}`: not initialized"));
                    continue;
                }
                return Err(missing_error(source.hash, path, hash));
            };
            if depth == MAX_DEPTH {
                return Err(Error::build(format!(
                    "submodule `{}` is more than {MAX_DEPTH} submodules deep",
                    escape(path.as_bytes())
                )));
            }
            let to = tree.join(path);
            self.write_files(&found, &to)?;
            self.submodules(&found, &to, depth + 1)?;
        }
        Ok(())
    }

    /// Returns the names and paths of the submodules in `.gitmodules` of `tree`.
    fn names(&self, tree: &Utf8Path) -> Result<Vec<(String, String)>> {
        let file = tree.join(".gitmodules");
        if !file.is_file() {
            return Ok(Vec::new());
        }
        let list = self.git().args(["config", "--file", file.as_str(), "-z", "--get-regexp"]);
        let output = self.cx.children.output(&list.arg(r"^submodule\..*\.path$"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let entry = |entry: &str| {
            let (key, path) = entry.split_once('\n')?;
            let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
            Some((name.to_owned(), path.to_owned()))
        };
        Ok(text.split('\0').filter_map(entry).collect())
    }

    /// Returns the repository with the commit `hash` of the submodule `name`: the one that git keeps
    /// for it, or that of its directory `here`. `None` if it is in neither.
    fn source<'h>(
        &self,
        source: &SourceCommit<'_>,
        name: &str,
        here: Option<&Utf8Path>,
        hash: &'h str,
    ) -> Result<Option<SourceCommit<'h>>> {
        let mut locations = Vec::new();
        // As git: a name that leads out of the directory is not one.
        let leads_out = name.split(['/', '\\']).any(|part| part.is_empty() || part == "..");
        if !leads_out {
            locations.push(source.git_dir.join("modules").join(name));
        }
        if let Some(own) = here.map(|here| here.join(".git")).filter(|own| own.is_dir()) {
            locations.push(own);
        }
        for git_dir in locations.into_iter().filter(|location| location.is_dir()) {
            let object = format!("{hash}^{{commit}}");
            let has = self.git().args(["--git-dir", git_dir.as_str(), "cat-file", "-e"]);
            if self.cx.children.output(&has.arg(object))?.success() {
                let work_tree = here.map(Utf8Path::to_owned);
                return Ok(Some(SourceCommit { git_dir, work_tree, hash }));
            }
        }
        Ok(None)
    }

    /// Writes the files of a submodule's commit to `to`. Its own index and `HEAD` stay as they are.
    fn write_files(&self, source: &SourceCommit<'_>, to: &Utf8Path) -> Result<()> {
        fs::create_dir_all(to)?;
        let index = fs::TempDir::new("longshore-git")?;
        let git = command(self.cx, to)
            .args(["--git-dir", source.git_dir.as_str(), "--work-tree", to.as_str()])
            .args(["-c", "core.bare=false", "read-tree", "--reset", "-u", source.hash])
            .env("GIT_INDEX_FILE", index.path.join("index").as_str());
        self.read(git, source.hash)?;
        Ok(())
    }

    fn remove(&self) {
        // Also after an interrupt, which ends the other children.
        let children = Children::default();
        let remove = self.git().args(["worktree", "remove", "--force", "--force"]);
        let _ = children.output(&remove.arg(self.path.as_str()));
        let _ = fs::remove_dir_all(&self.path);
        let _ = children.output(&self.git().args(["worktree", "prune"]));
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

fn is_empty_dir(path: &Utf8Path) -> bool {
    path.is_dir() && fs::names(path).is_ok_and(|names| names.is_empty())
}

fn missing_error(commit: &str, path: &str, hash: &str) -> Error {
    let shown = escape(path.as_bytes());
    Error::build(format!(
        "commit `{commit}` has the submodule `{shown}` at `{hash}`, which is not in this clone"
    ))
    .hint(format!(
        "`git submodule update --init --recursive` fetches submodules, and `git -C {} fetch origin \
         {hash}` one commit; the `dist.json` of an earlier release can be the base, too",
        crate::model::command::quote(&shown)
    ))
}
