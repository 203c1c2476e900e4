//! A file system as a value: a build context, the layers so far, or one layer.

use std::{collections::BTreeMap, sync::Arc};

use super::tar::{Meta, Writer};
use crate::model::error::{Error, Result};

/// The parts of a path, from the root; none for the root itself.
pub type Parts = Vec<String>;

/// The most symbolic links that are followed in one path: Linux' limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its mode, owner and time.
    pub meta: Meta,
    /// Its type.
    pub node: Node,
}

/// The type of an entry.
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
    /// The source of the bytes.
    pub source: ContentSource,
    /// The number of bytes.
    pub size: u64,
    /// The same number for all names of one file (hard links); `None` for a file with one name.
    pub link: Option<u64>,
}

/// The source of a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentSource {
    /// The bytes themselves.
    Bytes(Arc<[u8]>),
    /// The name under which a [`FileStore`] opens them.
    Named(String),
}

impl Content {
    /// Creates a content of these bytes.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Content { size: bytes.len() as u64, source: ContentSource::Bytes(bytes), link: None }
    }
}

/// A store that opens the contents of [`ContentSource::Named`].
pub trait FileStore: Sync {
    /// Opens the bytes of that name, from the beginning.
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
    entries: BTreeMap<Parts, TreeEntry>,
    links: u64,
}

impl Tree {
    /// Returns every entry, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (&Parts, &TreeEntry)> {
        self.entries.iter()
    }

    /// Returns whether the tree has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entry at exactly that path: symbolic links are not followed. The root has no
    /// entry.
    pub fn get(&self, parts: &[String]) -> Option<&TreeEntry> {
        self.entries.get(parts)
    }

    /// Sets the time of the entry at that path.
    pub fn set_time(&mut self, parts: &[String], mtime: u64) {
        if let Some(entry) = self.entries.get_mut(parts) {
            entry.meta.mtime = mtime;
        }
    }

    /// Returns whether that path is a directory, as the root always is.
    pub fn is_directory(&self, parts: &[String]) -> bool {
        parts.is_empty() || matches!(self.get(parts), Some(e) if e.node == Node::Directory)
    }

    /// Puts `entry` at that path, replacing any earlier entry. The caller adds its parents.
    pub fn insert(&mut self, parts: Parts, entry: TreeEntry) {
        self.entries.insert(parts, entry);
    }

    /// Returns a number for [`Content::link`] that no file in this tree has.
    pub fn new_link_number(&mut self) -> u64 {
        self.links += 1;
        self.links
    }

    /// Returns all entries below the directory; their paths include it.
    pub fn descendants<'a>(
        &'a self,
        parts: &'a [String],
    ) -> impl Iterator<Item = (&'a Parts, &'a TreeEntry)> {
        let start = std::ops::Bound::Excluded(parts.to_vec());
        let range = self.entries.range((start, std::ops::Bound::Unbounded));
        range.take_while(move |(path, _)| path.starts_with(parts))
    }

    /// Returns the entries in the directory, by name.
    pub fn children<'a>(&'a self, parts: &'a [String]) -> impl Iterator<Item = &'a Parts> {
        let depth = parts.len() + 1;
        self.descendants(parts).map(|(path, _)| path).filter(move |path| path.len() == depth)
    }

    /// Adds the file `path`, absolute in the image: `/usr/local/bin/rg`. Missing parents are
    /// created with `ancestor`.
    ///
    /// # Errors
    /// The path is not absolute and plain, is there already, or leads through a file.
    pub fn add_file(
        &mut self,
        path: &str,
        ancestor: Meta,
        meta: Meta,
        content: Content,
    ) -> Result<()> {
        self.add_entry(path, ancestor, TreeEntry { meta, node: Node::File(content) })
    }

    /// Adds the directory `path`, absolute in the image.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn add_directory(&mut self, path: &str, ancestor: Meta, meta: Meta) -> Result<()> {
        self.add_entry(path, ancestor, TreeEntry { meta, node: Node::Directory })
    }

    fn add_entry(&mut self, path: &str, ancestor: Meta, entry: TreeEntry) -> Result<()> {
        let parts = absolute_parts(path)?;
        if self.entries.contains_key(&parts) {
            return Err(Error::usage(format!("`{path}` is in the layer twice")));
        }
        for depth in 1..parts.len() {
            let directory = TreeEntry { meta: ancestor, node: Node::Directory };
            let existing = self.entries.entry(parts[..depth].to_vec()).or_insert(directory);
            if existing.node != Node::Directory {
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
        let mut remaining: Vec<String> = path.iter().rev().cloned().collect();
        let mut at = Parts::new();
        let mut links = MAX_LINKS;
        while let Some(part) = remaining.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => at.push(part),
            }
            if remaining.is_empty() && !last {
                break;
            }
            let Some(TreeEntry { node: Node::Symlink(target), .. }) = self.get(&at) else {
                continue;
            };
            links = links.checked_sub(1).ok_or_else(|| {
                Error::usage(format!("`{}` leads through too many symbolic links", path.join("/")))
            })?;
            at.pop();
            if target.starts_with('/') {
                at.clear();
            }
            remaining.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(at)
    }

    /// Returns the entries that are not in `before`, with all their parents: the layer that turns
    /// `before` into this tree. A directory differs by its mode and owner; its time is not
    /// compared, and is `mtime` in the layer if the directory existed before.
    #[must_use]
    pub fn difference_from(&self, before: &Tree, mtime: u64) -> Tree {
        let mut layer = Tree::default();
        for (path, entry) in &self.entries {
            let same = before.get(path).is_some_and(|old| match (&old.node, &entry.node) {
                (Node::Directory, Node::Directory) => {
                    Meta { mtime: 0, ..old.meta } == Meta { mtime: 0, ..entry.meta }
                }
                (Node::File(a), Node::File(b)) => {
                    old.meta == entry.meta && a.source == b.source && a.size == b.size
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

    /// Applies `layer` to this tree.
    pub fn apply_layer(&mut self, layer: &Tree) {
        for (path, entry) in layer.iter() {
            self.entries.insert(path.clone(), entry.clone());
        }
    }

    /// Writes the tar to `out`; `files` has the bytes that are not in the tree.
    ///
    /// # Errors
    /// An entry does not fit the format, a file cannot be read or is not of its size any more, or
    /// `out` failed.
    pub fn write(&self, files: &dyn FileStore, out: impl std::io::Write) -> Result<()> {
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
                    match &content.source {
                        ContentSource::Bytes(bytes) => tar.bytes(&path, meta, bytes)?,
                        ContentSource::Named(name) => {
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

/// Splits an absolute path without `.`, `..` and empty parts.
fn absolute_parts(path: &str) -> Result<Parts> {
    let is_invalid =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
    match path.strip_prefix('/') {
        Some(rest) if !rest.split('/').any(is_invalid) => {
            Ok(rest.split('/').map(Into::into).collect())
        }
        _ => Err(Error::usage(format!("`{path}` is not a plain absolute path"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

    struct NoFiles;

    impl FileStore for NoFiles {
        fn open(&self, name: &str) -> Result<Box<dyn std::io::Read + '_>> {
            Err(Error::build(name))
        }
    }

    fn file(tree: &mut Tree, path: &str) -> Result<()> {
        tree.add_file(path, META, META, Content::bytes(path.as_bytes()))
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for path in ["/a-b", "/a/c", "/a/B"] {
            file(&mut tree, path).unwrap();
        }
        tree
    }

    fn link(tree: &mut Tree, path: &str, target: &str) {
        let parts = absolute_parts(path).unwrap();
        tree.insert(parts, TreeEntry { meta: META, node: Node::Symlink(target.into()) });
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
    fn invalid_paths_are_rejected() {
        for path in ["", "/", "a", "/a", "/a/c", "/a/c/d", "/a/", "/../a"] {
            assert!(file(&mut tree(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_stay_within_the_root() {
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
    fn layers_contain_changes_and_their_parents() {
        let before = tree();
        let mut after = before.clone();
        file(&mut after, "/a/new").unwrap();
        let mut touched = after.get(&parts("/a")).unwrap().clone();
        touched.meta.mtime = 7;
        after.insert(parts("/a"), touched);
        let paths = |tree: &Tree| tree.iter().map(|(p, _)| p.join("/")).collect::<Vec<_>>();
        assert_eq!(paths(&after.difference_from(&before, 9)), ["a", "a/new"]);
        assert!(after.difference_from(&after, 9).is_empty());
        let mut result = before.clone();
        result.apply_layer(&after.difference_from(&before, 9));
        assert_eq!(paths(&result), paths(&after));
        let below: Vec<_> = after.children(&parts("/a")).map(|p| p.join("/")).collect();
        assert_eq!(below, ["a/B", "a/c", "a/new"]);
    }

    #[test]
    fn a_file_with_two_names_is_written_once() {
        let mut tree = Tree::default();
        for path in ["/b", "/a"] {
            let content = Content { link: Some(1), ..Content::bytes(*b"12345") };
            tree.add_file(path, META, META, content).unwrap();
        }
        let mut tar = Vec::new();
        tree.write(&NoFiles, &mut tar).unwrap();
        assert_eq!((tar[156], tar[1024 + 156]), (b'0', b'1'));
        assert_eq!(&tar[1024 + 157..1024 + 159], b"a\0");
    }
}
