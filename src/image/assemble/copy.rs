//! `COPY`: from the build context, or an earlier stage, into the file system of a stage. The result is
//! that of BuildKit (<https://github.com/tonistiigi/fsutil>, `copy/copy.go`), with one exception: a
//! pattern that matches nothing is an error here.

use std::collections::BTreeMap;

use crate::{
    archive::{
        tar::Meta,
        tree::{Node, Parts, Tree, TreeEntry},
    },
    image::dockerfile::{
        ignore::Ignore,
        pattern::{self, Pattern, PatternError},
    },
    model::error::{Error, Result},
};

/// The mode of directories without an explicit mode.
const DIRECTORY_MODE: u32 = 0o755;

/// The files to copy.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Paths and patterns, from the root of where they are taken from.
    pub sources: &'a [String],
    /// An absolute path, with a slash at its end where it is a directory in any case.
    pub destination: &'a str,
    /// `--chown`: the owner of all that is made; else files keep theirs.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`: the mode of all that is made; else files keep theirs.
    pub mode: Option<u32>,
    /// `--parents`: the directories that a source is in are made, too.
    pub parents: bool,
    /// `--exclude`: what is left out.
    pub exclude: Option<&'a Ignore>,
    /// The time of directories that are made on the way. What is copied keeps its own.
    pub mtime: u64,
}

/// Returns the parts of a path, as they are written.
pub(super) fn parts(path: &str) -> Parts {
    let mut parts = Parts::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name.to_owned()),
        }
    }
    parts
}

/// Makes the directory and those that lead to it, where they are not there.
///
/// # Errors
/// Something else is there.
pub(super) fn make_directories(to: &mut Tree, path: &[String], meta: Meta) -> Result<()> {
    for depth in 1..=path.len() {
        let at = path.get(..depth).unwrap_or_default();
        match to.get(at) {
            None => to.insert(at.to_vec(), TreeEntry { meta, node: Node::Directory }),
            Some(entry) if entry.node == Node::Directory => {}
            Some(_) => return Err(not_a_directory_error(at)),
        }
    }
    Ok(())
}

fn not_a_directory_error(path: &[String]) -> Error {
    Error::usage(format!("`/{}` in the image is a file, not a directory", path.join("/")))
        .hint("a destination that is a directory ends in `/`")
}

impl Copy<'_> {
    /// Copies from `from` to `to`. `origin` is what errors call the former.
    ///
    /// # Errors
    /// A source is not there, or a pattern is broken or matches nothing; the destination leads
    /// through a file, or a directory would become one.
    pub fn apply(&self, from: &Tree, origin: &str, to: &mut Tree) -> Result<()> {
        for source in self.sources {
            if self.parents {
                self.copy_with_parents(from, origin, source, to)?;
                continue;
            }
            for found in find_sources(from, origin, source)? {
                self.copy_source(from, origin, &found, to)?;
            }
        }
        Ok(())
    }

    fn new_directory_meta(&self) -> Meta {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        // Only the owner can write to it, whatever `--chmod` sets: BuildKit leaves directories on the
        // way to its own umask.
        Meta {
            mode: self.mode.unwrap_or(DIRECTORY_MODE) & DIRECTORY_MODE,
            uid,
            gid,
            mtime: self.mtime,
        }
    }

    /// Makes the directory of the destination, and returns its resolved path.
    fn make_destination(&self, to: &mut Tree) -> Result<Parts> {
        let path = parts(self.destination);
        let directory = match self.destination.ends_with('/') || path.is_empty() {
            true => path.as_slice(),
            false => path.get(..path.len() - 1).unwrap_or_default(),
        };
        let directory = to.resolve(directory, true)?;
        make_directories(to, &directory, self.new_directory_meta())?;
        to.resolve(&path, true)
    }

    fn copy_source(&self, from: &Tree, origin: &str, source: &Parts, to: &mut Tree) -> Result<()> {
        let mut target = self.make_destination(to)?;
        let followed = from.resolve(source, true)?;
        let is_directory = from.is_directory(&followed);
        if !is_directory && from.get(&followed).is_none() {
            return Err(missing_error(from, origin, &source.join("/")));
        }
        if !is_directory && to.is_directory(&target) {
            target.extend(source.last().cloned());
        }
        let directory = match is_directory {
            true => target.as_slice(),
            false => target.get(..target.len().saturating_sub(1)).unwrap_or_default(),
        };
        let new = to.get(&target).is_none();
        make_directories(to, directory, self.new_directory_meta())?;
        if let Some(source) = from.get(&followed).filter(|_| is_directory && new) {
            to.set_time(&target, source.meta.mtime);
        }
        let mut links = BTreeMap::new();
        if !is_directory {
            return self.copy_entry(from, &followed, target, to, &mut links);
        }
        for (path, _) in from.descendants(&followed) {
            let within = path.get(followed.len()..).unwrap_or_default();
            if self.is_excluded(within) {
                continue;
            }
            let target = [target.as_slice(), within].concat();
            self.copy_parents(from, path, &target, within.len(), to)?;
            self.copy_entry(from, path, target, to, &mut links)?;
        }
        Ok(())
    }

    /// Returns whether the path is excluded. If an exception to the exclusions is below it, the path
    /// itself is left out, and created again as the parent of that exception.
    fn is_excluded(&self, within: &[String]) -> bool {
        self.exclude.is_some_and(|exclude| exclude.excludes(&within.join("/")))
    }

    /// Copies all that the pattern `source` matches below its pivot, the part before `/./`, with the
    /// directories between.
    fn copy_with_parents(
        &self,
        from: &Tree,
        origin: &str,
        source: &str,
        to: &mut Tree,
    ) -> Result<()> {
        let (pivot, path) = source.split_once("/./").unwrap_or(("", source));
        let path = parts(path).join("/");
        let include = Ignore::new([path.as_str()]).map_err(pattern_error)?;
        let mut target = self.make_destination(to)?;
        let pivot = from.resolve(&parts(pivot), true)?;
        make_directories(to, &target, self.new_directory_meta())?;
        let (mut links, mut any) = (BTreeMap::new(), false);
        let base = target.len();
        for (path, _) in from.descendants(&pivot) {
            let within = path.get(pivot.len()..).unwrap_or_default();
            if !include.excludes(&within.join("/")) || self.is_excluded(within) {
                continue;
            }
            any = true;
            target.truncate(base);
            target.extend_from_slice(within);
            self.copy_parents(from, path, &target, within.len(), to)?;
            self.copy_entry(from, path, target.clone(), to, &mut links)?;
        }
        if any { Ok(()) } else { Err(no_match_error(origin, source)) }
    }

    /// Makes the directories above `target`, `depth` parts of which are copied, that are not there.
    fn copy_parents(
        &self,
        from: &Tree,
        source: &[String],
        target: &[String],
        depth: usize,
        to: &mut Tree,
    ) -> Result<()> {
        for above in (1..depth).rev() {
            let source = source.get(..source.len() - above).unwrap_or_default();
            let target = target.get(..target.len() - above).unwrap_or_default();
            if to.get(target).is_none()
                && let Some(entry) = from.get(source)
            {
                to.insert(target.to_vec(), self.with_options(entry));
            }
        }
        Ok(())
    }

    /// Copies what is at `source`, and not what is below it.
    fn copy_entry(
        &self,
        from: &Tree,
        source: &[String],
        target: Parts,
        to: &mut Tree,
        links: &mut BTreeMap<u64, u64>,
    ) -> Result<()> {
        let Some(entry) = from.get(source) else { return Ok(()) };
        let is_directory = entry.node == Node::Directory;
        match to.get(&target).map(|existing| existing.node == Node::Directory) {
            Some(true) if !is_directory => {
                return Err(Error::usage(format!(
                    "`/{}` in the image is a directory, and a file cannot take its place",
                    target.join("/")
                )));
            }
            Some(false) if is_directory => return Err(not_a_directory_error(&target)),
            _ => {}
        }
        let mut copied = self.with_options(entry);
        if let Node::File(content) = &mut copied.node {
            // Names of one file that are copied together stay names of one file.
            content.link =
                content.link.map(|link| *links.entry(link).or_insert_with(|| to.new_link_number()));
        }
        to.insert(target, copied);
        Ok(())
    }

    fn with_options(&self, entry: &TreeEntry) -> TreeEntry {
        let mut entry = entry.clone();
        if !matches!(entry.node, Node::Symlink(_)) {
            entry.meta.mode = self.mode.unwrap_or(entry.meta.mode);
        }
        if let Some((uid, gid)) = self.owner {
            (entry.meta.uid, entry.meta.gid) = (uid, gid);
        }
        entry
    }
}

/// Returns the files that a source matches: itself, or all matches of its pattern; of a directory that
/// matches, nothing below it is read.
fn find_sources(from: &Tree, origin: &str, source: &str) -> Result<Vec<Parts>> {
    let all = parts(source);
    let Some(first) = all.iter().position(|part| pattern::is_wild(part)) else {
        return Ok(vec![all]);
    };
    let (plain, wild) = all.split_at(first);
    let base = from.resolve(plain, true)?;
    let wild = Pattern::parse(&wild.join("/")).map_err(pattern_error)?;
    let mut found: Vec<Parts> = Vec::new();
    for (path, _) in from.descendants(&base) {
        if found.last().is_some_and(|last| path.starts_with(last)) {
            continue;
        }
        let within = path.get(base.len()..).unwrap_or_default().join("/");
        if wild.matches(&within) {
            found.push(path.clone());
        }
    }
    if found.is_empty() { Err(no_match_error(origin, source)) } else { Ok(found) }
}

/// Returns the error for an invalid pattern of the recipe.
pub(super) fn pattern_error(error: PatternError) -> Error {
    Error::usage(error.to_string())
}

fn no_match_error(origin: &str, pattern: &str) -> Error {
    Error::usage(format!("`{pattern}` matches nothing in {origin}"))
        .hint("a pattern that matches nothing would leave files out of the image")
}

fn missing_error(from: &Tree, origin: &str, path: &str) -> Error {
    let error = Error::usage(format!("there is no `{path}` in {origin}"));
    if let Some(TreeEntry { node: Node::Symlink(target), .. }) = from.get(&parts(path)) {
        return error.hint(format!(
            "it is a symbolic link to `{target}`, and links are followed only within {origin}"
        ));
    }
    let parent = parts(path);
    let parent = parent.get(..parent.len().saturating_sub(1)).unwrap_or_default();
    let names: Vec<&str> =
        from.children(parent).filter_map(|child| child.last()).map(String::as_str).collect();
    let name = path.rsplit('/').next().unwrap_or_default();
    match crate::model::suggest::nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("there is `{near}`")),
        None if from.is_directory(parent) && names.len() <= 12 && !names.is_empty() => {
            error.hint(format!("there are: {}", names.join(", ")))
        }
        None => error.hint("is it built, and not left out by `.dockerignore`?"),
    }
}
