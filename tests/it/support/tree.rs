//! The contents of a directory, for a comparison with earlier ones.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use longshore::model::digest::Digest;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its content.
    pub(crate) digest: Digest,
    mode: u32,
    inode: u64,
    time: (i64, i64),
}

/// Returns every file below `root`, by its path in it; none when there is no such directory.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let entry = Entry {
                digest: Digest::sha256(&fs::read(&path).unwrap()),
                mode: meta.mode(),
                inode: meta.ino(),
                time: (meta.mtime(), meta.mtime_nsec()),
            };
            files.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
        }
    }
    files
}
