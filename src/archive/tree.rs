//! A file system as a value: what is in a build context, in the layers so far, or in one layer.

use std::{collections::BTreeMap, sync::Arc};

use super::tar::{Meta, Writer};
use crate::model::error::{Error, Result};

/// The parts of a path, from the root; none for the root itself.
pub type Parts = Vec<String>;

/// The most symbolic links that are followed in one path: Linux' limit (path_resolution(7)).
const LINKS: usize = 40;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its mode, owner and time.
    pub meta: Meta,
    /// What it is.
    pub node: Node,
}

/// What a path can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link, and what it leads to.
    Symlink(String),
}

/// The content of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where the bytes are.
    pub place: Place,
    /// How many there are.
    pub size: u64,
    /// The same number for all names that are one file (hard links); none for a file with one name.
    pub link: Option<u64>,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Bytes(Arc<[u8]>),
    /// Where [`Files`] knows to find them by this name.
    Named(String),
}

impl Content {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Content { size: bytes.len() as u64, place: Place::Bytes(bytes), link: None }
    }
}

/// Opens what [`Place::Named`] names.
pub trait Files: Sync {
    /// The bytes of that name, from the beginning.
    ///
    /// # Errors
    /// They cannot be read.
    fn open(&self, name: &str) -> Result<Box<dyn std::io::Read + '_>>;
}

/// Files and directories by their paths.
///
/// An archive of it lists each directory before what it holds, and the names within a directory in
/// the order of their bytes, as BuildKit does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    // Keyed by the parts of the path, so that `a/b` comes before `a-b`.
    entries: BTreeMap<Parts, Entry>,
    links: u64,
}

impl Tree {
    /// Every path, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (&Parts, &Entry)> {
        self.entries.iter()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is at exactly that path: a symbolic link is not followed. The root has no entry.
    pub fn get(&self, parts: &[String]) -> Option<&Entry> {
        self.entries.get(parts)
    }

    /// Gives what is at that path another time.
    pub fn set_time(&mut self, parts: &[String], mtime: u64) {
        if let Some(entry) = self.entries.get_mut(parts) {
            entry.meta.mtime = mtime;
        }
    }

    /// Whether that path is a directory, as the root always is.
    pub fn is_directory(&self, parts: &[String]) -> bool {
        parts.is_empty() || matches!(self.get(parts), Some(e) if e.node == Node::Directory)
    }

    /// Puts `entry` at that path, in the place of what was there. Its parents are the caller's care.
    pub fn insert(&mut self, parts: Parts, entry: Entry) {
        self.entries.insert(parts, entry);
    }

    /// A number for [`Content::link`] that nothing in this tree has.
    pub fn link(&mut self) -> u64 {
        self.links += 1;
        self.links
    }

    /// The directory and what is below it, without itself: the paths have it still.
    pub fn below<'a>(
        &'a self,
        parts: &'a [String],
    ) -> impl Iterator<Item = (&'a Parts, &'a Entry)> {
        let start = std::ops::Bound::Excluded(parts.to_vec());
        let range = self.entries.range((start, std::ops::Bound::Unbounded));
        range.take_while(move |(path, _)| path.starts_with(parts))
    }

    /// What is directly in the directory, by name.
    pub fn children<'a>(&'a self, parts: &'a [String]) -> impl Iterator<Item = &'a Parts> {
        let depth = parts.len() + 1;
        self.below(parts).map(|(path, _)| path).filter(move |path| path.len() == depth)
    }

    /// Adds the file `path`, absolute in the image: `/usr/local/bin/rg`. Directories that lead to it
    /// and are not there get `ancestor`.
    ///
    /// # Errors
    /// The path is not absolute and plain, is there already, or leads through a file.
    pub fn file(&mut self, path: &str, ancestor: Meta, meta: Meta, content: Content) -> Result<()> {
        self.add(path, ancestor, Entry { meta, node: Node::File(content) })
    }

    /// Adds the directory `path`, absolute in the image.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn directory(&mut self, path: &str, ancestor: Meta, meta: Meta) -> Result<()> {
        self.add(path, ancestor, Entry { meta, node: Node::Directory })
    }

    fn add(&mut self, path: &str, ancestor: Meta, entry: Entry) -> Result<()> {
        let parts = plain(path)?;
        if self.entries.contains_key(&parts) {
            return Err(Error::usage(format!("`{path}` is in the layer twice")));
        }
        for depth in 1..parts.len() {
            let directory = Entry { meta: ancestor, node: Node::Directory };
            let there = self.entries.entry(parts[..depth].to_vec()).or_insert(directory);
            if there.node != Node::Directory {
                let file = parts[..depth].join("/");
                return Err(Error::usage(format!(
                    "`{path}` cannot be in the layer: `/{file}` is a file"
                )));
            }
        }
        self.entries.insert(parts, entry);
        Ok(())
    }

    /// Resolves the symbolic links in `path`, without ever leaving the tree: an absolute link begins at
    /// the root, and `..` ends there. The last component is followed only if `last` is set. Missing
    /// files are accepted as they are.
    ///
    /// # Errors
    /// There are more links than Linux would follow.
    pub fn resolve(&self, path: &[String], last: bool) -> Result<Parts> {
        let mut left: Vec<String> = path.iter().rev().cloned().collect();
        let mut at = Parts::new();
        let mut links = LINKS;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => at.push(part),
            }
            if left.is_empty() && !last {
                break;
            }
            let Some(Entry { node: Node::Symlink(target), .. }) = self.get(&at) else { continue };
            links = links.checked_sub(1).ok_or_else(|| {
                Error::usage(format!("`{}` leads through too many symbolic links", path.join("/")))
            })?;
            at.pop();
            if target.starts_with('/') {
                at.clear();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(at)
    }

    /// What of this tree is not in `before`, with every directory that leads there: the layer that
    /// makes this of that. A directory differs by its mode and owner; the time that something in it
    /// changed does not count, and is `mtime` in the layer where the directory was there before.
    #[must_use]
    pub fn since(&self, before: &Tree, mtime: u64) -> Tree {
        let mut layer = Tree::default();
        for (path, entry) in &self.entries {
            let same = before.get(path).is_some_and(|old| match (&old.node, &entry.node) {
                (Node::Directory, Node::Directory) => {
                    Meta { mtime: 0, ..old.meta } == Meta { mtime: 0, ..entry.meta }
                }
                (Node::File(a), Node::File(b)) => {
                    old.meta == entry.meta && a.place == b.place && a.size == b.size
                }
                _ => old == entry,
            });
            if same {
                continue;
            }
            for depth in 1..path.len() {
                if let Some(parent) = self.get(&path[..depth]) {
                    layer.entries.entry(path[..depth].to_vec()).or_insert_with(|| parent.clone());
                }
            }
            layer.entries.insert(path.clone(), entry.clone());
        }
        for (path, entry) in &mut layer.entries {
            if entry.node == Node::Directory && before.is_directory(path) {
                entry.meta.mtime = mtime;
            }
        }
        layer
    }

    /// Lays `layer` over this tree.
    pub fn extend(&mut self, layer: &Tree) {
        for (path, entry) in layer.iter() {
            self.entries.insert(path.clone(), entry.clone());
        }
    }

    /// Writes the tar to `out`; `files` has the bytes that are not in the tree.
    ///
    /// # Errors
    /// An entry does not fit the format, a file cannot be read or is not of its size any more, or
    /// `out` failed.
    pub fn write(&self, files: &dyn Files, out: impl std::io::Write) -> Result<()> {
        let mut tar = Writer::new(out);
        // The first name of each file that has several.
        let mut first: BTreeMap<u64, String> = BTreeMap::new();
        for (parts, entry) in &self.entries {
            let (path, meta) = (parts.join("/"), entry.meta);
            match &entry.node {
                Node::Directory => tar.directory(&path, meta)?,
                Node::Symlink(target) => tar.symlink(&path, meta, target)?,
                Node::File(content) => {
                    if let Some(first) = content.link.and_then(|link| first.get(&link)) {
                        tar.hard_link(&path, meta, first)?;
                        continue;
                    }
                    match &content.place {
                        Place::Bytes(bytes) => tar.bytes(&path, meta, bytes)?,
                        Place::Named(name) => {
                            tar.file(&path, meta, content.size, &mut files.open(name)?)?;
                        }
                    }
                    if let Some(link) = content.link {
                        first.insert(link, path);
                    }
                }
            }
        }
        tar.finish().map(drop)
    }
}

/// The parts of an absolute path without `.`, `..` and empty parts.
fn plain(path: &str) -> Result<Parts> {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
    match path.strip_prefix('/') {
        Some(rest) if !rest.split('/').any(bad) => Ok(rest.split('/').map(Into::into).collect()),
        _ => Err(Error::usage(format!("`{path}` is not a plain absolute path"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

    struct NoFiles;

    impl Files for NoFiles {
        fn open(&self, name: &str) -> Result<Box<dyn std::io::Read + '_>> {
            Err(Error::build(name))
        }
    }

    fn file(tree: &mut Tree, path: &str) -> Result<()> {
        tree.file(path, META, META, Content::bytes(path.as_bytes()))
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for path in ["/a-b", "/a/c", "/a/B"] {
            file(&mut tree, path).unwrap();
        }
        tree
    }

    fn link(tree: &mut Tree, path: &str, target: &str) {
        let parts = plain(path).unwrap();
        tree.insert(parts, Entry { meta: META, node: Node::Symlink(target.into()) });
    }

    fn parts(path: &str) -> Parts {
        path.split('/').filter(|part| !part.is_empty()).map(Into::into).collect()
    }

    #[test]
    fn sorted_by_parts_with_each_directory_once() {
        let mut tar = Vec::new();
        tree().write(&NoFiles, &mut tar).unwrap();
        let names: Vec<&str> = tar
            .chunks_exact(512)
            .filter(|block| &block[257..262] == b"ustar")
            .map(|block| std::str::from_utf8(&block[..4]).unwrap())
            .collect();
        assert_eq!(names, ["a/\0\0", "a/B\0", "a/c\0", "a-b\0"]);
    }

    #[test]
    fn refused() {
        for path in ["", "/", "a", "/a", "/a/c", "/a/c/d", "/a/", "/../a"] {
            assert!(file(&mut tree(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_never_lead_out() {
        let mut tree = tree();
        link(&mut tree, "/out", "../../../etc");
        link(&mut tree, "/abs", "/a");
        link(&mut tree, "/a/up", "../a-b");
        link(&mut tree, "/loop", "loop");
        let resolve = |path: &str, last| tree.resolve(&parts(path), last).map(|p| p.join("/"));
        assert_eq!(resolve("/out/passwd", true).unwrap(), "etc/passwd");
        assert_eq!(resolve("/abs/c", true).unwrap(), "a/c");
        assert_eq!(resolve("/abs/up", true).unwrap(), "a-b");
        assert_eq!(resolve("/abs/up", false).unwrap(), "a/up");
        assert!(resolve("/loop", true).unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn a_layer_is_what_changed_and_what_leads_there() {
        let before = tree();
        let mut after = before.clone();
        file(&mut after, "/a/new").unwrap();
        let mut touched = after.get(&parts("/a")).unwrap().clone();
        touched.meta.mtime = 7;
        after.insert(parts("/a"), touched);
        let paths = |tree: &Tree| tree.iter().map(|(p, _)| p.join("/")).collect::<Vec<_>>();
        assert_eq!(paths(&after.since(&before, 9)), ["a", "a/new"]);
        assert!(after.since(&after, 9).is_empty());
        let mut again = before.clone();
        again.extend(&after.since(&before, 9));
        assert_eq!(paths(&again), paths(&after));
        let below: Vec<_> = after.children(&parts("/a")).map(|p| p.join("/")).collect();
        assert_eq!(below, ["a/B", "a/c", "a/new"]);
    }

    #[test]
    fn a_file_with_two_names_is_written_once() {
        let mut tree = Tree::default();
        for path in ["/b", "/a"] {
            let content = Content { link: Some(1), ..Content::bytes(*b"12345") };
            tree.file(path, META, META, content).unwrap();
        }
        let mut tar = Vec::new();
        tree.write(&NoFiles, &mut tar).unwrap();
        assert_eq!((tar[156], tar[1024 + 156]), (b'0', b'1'));
        assert_eq!(&tar[1024 + 157..1024 + 159], b"a\0");
    }
}
