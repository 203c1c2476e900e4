//! The build context: the files that a recipe may copy, as they are on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    archive::{
        tar::Meta,
        tree::{Content, ContentSource, FileStore, Node, Parts, Tree, TreeEntry},
    },
    image::dockerfile::ignore::Ignore,
    model::error::Result,
    sys::{
        file::{self, FileStamp},
        fs,
        tree::{self, EntryKind},
    },
};

/// The files of a directory, and the properties that show whether one changed.
#[derive(Debug)]
pub(super) struct BuildContext {
    /// Its path.
    pub(super) root: Utf8PathBuf,
    /// Its files. Owners are 0, as in the context that a Docker client sends.
    pub(super) tree: Tree,
    stamps: BTreeMap<String, FileStamp>,
}

impl BuildContext {
    /// Lists `root`, without the files that `ignore` excludes. Files that are newer than `epoch`, in seconds
    /// since 1970, get that time (<https://reproducible-builds.org/specs/source-date-epoch/>).
    ///
    /// # Errors
    /// A file cannot be read, has a name that is not UTF-8, or is not a file, directory or link.
    pub(super) fn read(root: &Utf8Path, ignore: &Ignore, epoch: u64) -> Result<Self> {
        let mut found = Vec::new();
        let mut leading = BTreeSet::new();
        for entry in tree::walk(root, |path| ignore.skips(path.as_str()))? {
            if !ignore.excludes(entry.path.as_str()) {
                leading.extend(entry.path.ancestors().skip(1).map(Utf8Path::to_owned));
                found.push(entry);
            } else if entry.kind == EntryKind::Directory {
                // It may lead to what an exception brings back.
                found.push(entry);
            }
        }
        let mut names: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for entry in found.iter().filter(|entry| matches!(entry.kind, EntryKind::File(_))) {
            *names.entry(entry.inode).or_default() += 1;
        }
        let mut context =
            BuildContext { root: root.to_owned(), tree: Tree::default(), stamps: BTreeMap::new() };
        for entry in &found {
            let path = entry.path.as_str();
            if ignore.excludes(path) && !leading.contains(&entry.path) {
                continue;
            }
            context.add(entry, epoch, names.get(&entry.inode).is_some_and(|&count| count > 1))?;
        }
        Ok(context)
    }

    /// Returns the state of the file of that name when it was listed.
    pub(super) fn stamp(&self, name: &str) -> Option<FileStamp> {
        self.stamps.get(name).copied()
    }

    fn add(&mut self, entry: &tree::TreeEntry, epoch: u64, several: bool) -> Result<()> {
        let path = entry.path.as_str();
        let mtime = u64::try_from(entry.time.0).unwrap_or(0).min(epoch);
        let meta = Meta { mode: entry.mode, uid: 0, gid: 0, mtime };
        let node = match entry.kind {
            EntryKind::Directory => Node::Directory,
            EntryKind::Link => Node::Symlink(fs::read_link(&self.root.join(path))?),
            EntryKind::File(size) => {
                let stamp = FileStamp { size, time: entry.time, inode: entry.inode };
                self.stamps.insert(path.to_owned(), stamp);
                let link = several.then_some(entry.inode.1);
                Node::File(Content { source: ContentSource::Named(path.to_owned()), size, link })
            }
        };
        let parts: Parts = path.split('/').map(str::to_owned).collect();
        self.tree.insert(parts, TreeEntry { meta, node });
        Ok(())
    }
}

impl FileStore for BuildContext {
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(file::open_watched(&self.root.join(name), self.stamp(name))?))
    }
}
