//! Every entry of every layer of an image, and the tree that a container sees.

use std::{collections::HashSet, io::Read};

use super::{
    Tree,
    image::{DAMAGED, MemoryLimit},
    tree::DIRECTORY_SIZE,
};
use crate::{
    archive::unpack::{ArchiveEntry, Budget, EntryKind},
    image::read::image::{self, LayerSummary, OPAQUE, Store, WHITEOUT},
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::image::{File, FileKind, Mode},
    },
};

/// The prefix of the files that AUFS reserves.
const AUFS_PREFIX: &str = ".wh..wh.";

/// A defect of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFault {
    /// Whether the layer does not match its digest; otherwise it cannot be read or unpacked.
    pub mismatch: bool,
    /// One sentence without a capital or a full stop.
    pub message: String,
    /// The hint for it.
    pub hint: String,
}

/// One entry of a layer.
#[derive(Debug)]
pub struct ScannedEntry<'a> {
    /// The number of the entry in its image, from 0.
    pub number: usize,
    /// The number of its layer, from 1.
    pub layer: usize,
    /// The entry, as it is in the layer.
    pub entry: &'a ArchiveEntry,
    /// Its file; `None` for those that AUFS reserves. Digest and size are not set.
    pub file: Option<&'a mut File>,
}

/// The result of reading all layers.
#[derive(Debug)]
pub struct Scan {
    /// The tree that a container sees; `None` if it cannot be unpacked.
    pub tree: Option<Tree>,
    /// One for each layer that was read to its end.
    pub layers: Vec<LayerSummary>,
    /// The defects.
    pub faults: Vec<LayerFault>,
    /// The inode of each entry.
    inodes: Vec<Option<usize>>,
}

impl Scan {
    /// Returns the numbers of the entries that a container does not see: an upper layer, or the same
    /// one, replaces or removes their files. `None` if the image cannot be unpacked.
    pub fn hidden_entries(&self) -> HashSet<usize> {
        let Some(tree) = &self.tree else { return HashSet::new() };
        let visible = tree.inodes();
        let hidden = |inode: &Option<usize>| inode.is_none_or(|inode| !visible.contains(&inode));
        let entries = self.inodes.iter().enumerate().filter(|(_, inode)| hidden(inode));
        entries.map(|(number, _)| number).collect()
    }
}

/// Reads the layers of `image` from the lowest to the highest, calls `each` with every entry and
/// its content, whiteouts included, and unpacks them into a tree.
///
/// # Errors
/// `each` failed.
pub fn scan(
    store: &dyn Store,
    image: &image::StoredImage,
    limit: &mut MemoryLimit,
    each: &mut dyn FnMut(ScannedEntry<'_>, &mut dyn Read) -> Result<()>,
) -> Result<Scan> {
    let mut scan = Scan {
        tree: Some(Tree::default()),
        layers: Vec::new(),
        faults: Vec::new(),
        inodes: Vec::new(),
    };
    let budget = Budget::default();
    let mut own_limit = MemoryLimit::for_image();
    for (at, layer) in image.layers.iter().enumerate() {
        let number = at + 1;
        let location = format!("layer {number}, `{}`", layer.path.escape_debug());
        let mut own = Ok(());
        let read = image::read(store, layer, &budget, &mut |entry, content| {
            let mut file = to_file(entry, number, &mut own_limit)?;
            limit.take(file.as_ref().map_or(0, memory_size))?;
            let item = ScannedEntry {
                number: scan.inodes.len(),
                layer: number,
                entry,
                file: file.as_mut(),
            };
            own = each(item, content);
            if own.is_err() {
                return Err(Error::check("stopped"));
            }
            scan.add(file, &location, &mut own_limit);
            Ok(())
        });
        own?;
        match read {
            Ok(was) => {
                if !was.mismatches.is_empty() {
                    let mismatches = was.mismatches.join(", and ");
                    let message =
                        format!("{location} is not the one of the image: it {mismatches}");
                    scan.faults.push(LayerFault {
                        mismatch: true,
                        message,
                        hint: DAMAGED.to_owned(),
                    });
                }
                scan.layers.push(was);
            }
            Err(error) => scan.add_unpack_fault(&location, &error),
        }
    }
    Ok(scan)
}

impl Scan {
    fn add(&mut self, file: Option<File>, location: &str, limit: &mut MemoryLimit) {
        let added = match (&mut self.tree, &file) {
            (Some(tree), Some(file)) => tree.add(file, limit),
            _ => Ok(None),
        };
        match added {
            Ok(inode) => self.inodes.push(inode),
            Err(error) => {
                self.inodes.push(None);
                self.add_unpack_fault(location, &error);
            }
        }
    }

    /// Records an error with which an engine would fail.
    fn add_unpack_fault(&mut self, location: &str, error: &Error) {
        let message = format!("{location}: {error}");
        let hint = error.hint_text().unwrap_or(DAMAGED).to_owned();
        self.faults.push(LayerFault { mismatch: false, message, hint });
        self.tree = None;
    }
}

/// Returns the file of an entry; `None` for those that AUFS reserves.
fn to_file(entry: &ArchiveEntry, layer: usize, limit: &mut MemoryLimit) -> Result<Option<File>> {
    let mut target = match &entry.kind {
        EntryKind::Link(to) => Some(to.clone()),
        EntryKind::HardLink(to) => Some(crate::image::read::layers::absolute(to)),
        _ => None,
    };
    let type_error = |what: &str| {
        let path: String = entry.path.chars().take(120).collect();
        Error::check(format!("`{}` {what}", path.escape_debug())).hint("do not unpack this image")
    };
    let climbs = |path: &str| path.split('/').any(|part| part == "..");
    // Some engines follow links before `..`, and some do not.
    if climbs(&entry.path) {
        return Err(type_error(match entry.leaves_root() {
            true => "leads out of the image's root",
            false => "has `..` in its path",
        }));
    }
    if let EntryKind::HardLink(to) = &entry.kind
        && climbs(to)
    {
        return Err(type_error("is a hard link to a path with `..`"));
    }
    let mut path = crate::image::read::layers::absolute(&entry.path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let mut kind = file_kind(entry);
    if name == OPAQUE {
        kind = FileKind::OpaqueWhiteout;
        path = if directory.is_empty() { "/".to_owned() } else { directory.to_owned() };
    } else if name.starts_with(AUFS_PREFIX) {
        limit.take(path.len())?;
        return Ok(None);
    } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
        if ["", ".", ".."].contains(&gone) {
            return Err(type_error("is a whiteout without a name"));
        }
        kind = FileKind::Whiteout;
        path = format!("{directory}/{gone}");
    }
    if matches!(kind, FileKind::Whiteout | FileKind::OpaqueWhiteout) {
        target = None;
    }
    let stat = &entry.stat;
    let file = File {
        path,
        kind,
        target,
        mode: Mode(entry.mode.unwrap_or(0)),
        uid: stat.uid,
        gid: stat.gid,
        size: 0,
        sha256: None,
        mtime: stat.mtime,
        device: stat.device.map(|device| (device.major, device.minor)),
        xattrs: stat.xattrs.clone(),
        layer,
    };
    limit.take(memory_size(&file))?;
    Ok(Some(file))
}

/// Returns the bytes that count for a file: its names, and the list of files in a directory.
fn memory_size(file: &File) -> usize {
    let list = if file.kind == FileKind::Directory { DIRECTORY_SIZE } else { 0 };
    let attributes = file.xattrs.keys().map(|name| name.len() + size_of::<Digest>());
    list + file.path.len() + file.target.as_ref().map_or(0, String::len) + attributes.sum::<usize>()
}

fn file_kind(entry: &ArchiveEntry) -> FileKind {
    match (&entry.kind, entry.stat.device) {
        (EntryKind::File, _) => FileKind::File,
        (EntryKind::Directory, _) => FileKind::Directory,
        (EntryKind::Link(_), _) => FileKind::Symlink,
        (EntryKind::HardLink(_), _) => FileKind::HardLink,
        (EntryKind::Special(_), Some(device)) if device.block => FileKind::BlockDevice,
        (EntryKind::Special(_), Some(_)) => FileKind::CharacterDevice,
        (EntryKind::Special(_), None) => FileKind::Pipe,
        (EntryKind::Unknown(_), _) => FileKind::Unknown,
    }
}
