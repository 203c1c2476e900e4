//! The layers of an image, as the one tree that a container sees (OCI image specification 1.1,
//! layer.md, "Applying Changesets").

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
};

use super::{
    ENTRIES, Entry, Kind, Packing, Tee,
    gauge::Budget,
    image::{Image, Layer, Store},
    stream::unpack_tee,
};
use crate::{
    error::{Error, Result},
    oci::Digest,
};

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether it is another one than the digest that names it says, as against one that cannot be
    /// read.
    pub lies: bool,
    /// One sentence without a capital or a full stop.
    pub message: String,
}

/// How a file name begins that takes away what lower layers have under the rest of the name.
pub const WHITEOUT: &str = ".wh.";

/// The name that takes away all that lower layers have in its directory.
pub const OPAQUE: &str = ".wh..wh..opq";

/// Gives `each` every entry that is to be seen in a container, with an absolute path and its
/// content; the layers are read from the highest to the lowest. Gives what is wrong with them.
///
/// # Errors
/// `each` failed.
pub fn files(
    store: &dyn Store,
    image: &Image,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<Vec<Fault>> {
    let mut seen = Seen::default();
    let mut faults = Vec::new();
    let budget = Budget::default();
    for layer in image.layers.iter().rev() {
        let mut own = Ok(());
        let read = read(store, layer, &budget, &mut |entry, content| {
            own = seen.entry(entry, content, each);
            match &own {
                Ok(()) => Ok(()),
                Err(_) => Err(Error::check("stopped")),
            }
        });
        own?;
        let path = &layer.path;
        match read {
            Ok(was) => faults.extend(
                was.lies
                    .into_iter()
                    .map(|why| Fault { lies: true, message: format!("`{path}` {why}") }),
            ),
            Err(error) => {
                faults.push(Fault { lies: false, message: format!("`{path}`: {error}") });
            }
        }
        seen.end_of_layer();
    }
    Ok(faults)
}

/// What a layer was, once it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasRead {
    /// The digest of its blob.
    pub digest: Digest,
    /// The size of its blob.
    pub size: u64,
    /// The size of its tar.
    pub unpacked_size: u64,
    /// In what it differs from what was said of it.
    pub lies: Vec<String>,
}

/// Reads a layer to its end, and gives `each` its entries as they are in its tar, whiteouts, too.
///
/// # Errors
/// It cannot be read, or `each` failed.
pub fn read(
    store: &dyn Store,
    layer: &Layer,
    budget: &Budget,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<WasRead> {
    let unread = |error| Error::check("it cannot be read").because(error);
    let stream = store.open(&layer.path)?.ok_or_else(|| Error::check("it is missing"))?;
    let mut stream = BufReader::new(stream);
    let packing = Packing::of(stream.fill_buf().map_err(unread)?);
    let mut blob = Tee::new(stream);
    let mut tar = Tee::new(unpack_tee(&mut blob, packing, budget)?);
    super::tar(&mut tar, each)?;
    let (diff_id, unpacked_size) = tar.finish().map_err(unread)?;
    let (digest, size) = blob.finish().map_err(unread)?;
    let mut lies = Vec::new();
    if let Some((said, said_size)) = layer.blob
        && (said, said_size) != (digest, size)
    {
        lies.push(format!("has {size} bytes and the digest `{digest}`"));
    }
    if diff_id != layer.diff_id {
        lies.push(format!("holds a tar `{diff_id}`, not `{}`", layer.diff_id));
    }
    Ok(WasRead { digest, size, unpacked_size, lies })
}

/// What upper layers have, or took away.
#[derive(Default)]
struct Seen {
    /// Paths under which nothing of a lower layer is to be seen, nor below them.
    covered: HashSet<Box<str>>,
    /// Directories whose content in lower layers is not to be seen.
    opaque: HashSet<Box<str>>,
    /// The same of the layer that is being read: it does not cover itself.
    own: Vec<(Box<str>, bool)>,
    /// Files of this layer that were covered, and so not looked at.
    hidden: HashSet<Box<str>>,
    count: usize,
}

impl Seen {
    fn entry(
        &mut self,
        entry: &Entry,
        content: &mut dyn Read,
        each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        self.count += 1;
        if self.count > ENTRIES {
            let message = format!("its layers have more than {ENTRIES} entries");
            return Err(Error::check(message));
        }
        let path = absolute(&entry.path);
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == OPAQUE {
            self.own.push((directory.into(), true));
            return Ok(());
        }
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            self.own.push((format!("{directory}/{gone}").into(), false));
            return Ok(());
        }
        let is_directory = entry.kind == Kind::Directory;
        let covered = self.is_covered(&path);
        if !is_directory {
            self.own.push((path.as_str().into(), false));
        }
        if covered {
            if entry.kind == Kind::File {
                self.hidden.insert(path.into());
            }
            return Ok(());
        }
        let mut entry = Entry { path, ..entry.clone() };
        if let Kind::HardLink(to) = &entry.kind
            && self.hidden.contains(absolute(to).as_str())
        {
            let to = to.escape_debug();
            let why = format!("another name of `{to}`, which an upper layer hides");
            entry.kind = Kind::Unknown(why);
        }
        each(&entry, content)
    }

    /// Whether an upper layer has something else there, or took it away.
    fn is_covered(&self, path: &str) -> bool {
        if self.covered.contains(path) {
            return true;
        }
        let parents = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        parents.into_iter().any(|parent| {
            self.opaque.contains(parent) || (!parent.is_empty() && self.covered.contains(parent))
        })
    }

    fn end_of_layer(&mut self) {
        for (path, opaque) in self.own.drain(..) {
            if opaque {
                self.opaque.insert(path);
            } else {
                self.covered.insert(path);
            }
        }
        self.hidden.clear();
    }
}

/// The path in a container: absolute, without `.` and `..`.
pub fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
