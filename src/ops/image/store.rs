//! The stores of images, local or in a registry, and their contents.

use std::{
    collections::{BTreeSet, HashMap},
    io::{Cursor, Read},
    ops::Range,
    sync::Arc,
};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::{
    archive::unpack::{self, Budget, Compression},
    image::read::image::{self, Images, Store, StoredImage, StoredSet},
    model::{
        error::{Error, Result, Status},
        reference::{ParseReferenceError, Reference},
        schema::image::Form,
        source::ReadAt as _,
    },
    ops::image::interrupt::Interruptible,
    sys::{
        file::{self, OpenFile, Spool},
        fs::{self, FileType},
        process::Children,
        registry::{Remote, Session},
    },
};

/// The number of bytes of a file that determine its kind.
const START_SIZE: u64 = 512;

const HINT: &str = "name an OCI layout, an OCI archive, or what `docker save` wrote";

/// Opens a store of images, local or in a registry, and passes it to `then`. An existing path has precedence.
///
/// # Errors
/// There is nothing, it holds no image, it cannot be read, or `then` failed.
pub(in crate::ops) fn open<T>(
    children: &Children,
    session: &Arc<Session>,
    path: &Utf8Path,
    then: impl FnOnce(&(dyn Store + Sync), Form) -> Result<T>,
) -> Result<T> {
    if path.exists() {
        return open_path(children, path, then);
    }
    let remote = Remote::open(session, &parse_reference(path.as_str())?)?;
    // The reader of a stream of it sees only that it ended.
    then(&remote, Form::Registry).map_err(|error| remote.failure().unwrap_or(error))
}

/// Does as [`open`], for local files only.
///
/// # Errors
/// As [`open`].
pub(in crate::ops) fn open_path<T>(
    children: &Children,
    path: &Utf8Path,
    then: impl FnOnce(&(dyn Store + Sync), Form) -> Result<T>,
) -> Result<T> {
    let opened = open_existing(children, path, then);
    // Reading stops with a separate error when the program is interrupted.
    children.check()?;
    opened
}

fn open_existing<T>(
    children: &Children,
    path: &Utf8Path,
    then: impl FnOnce(&(dyn Store + Sync), Form) -> Result<T>,
) -> Result<T> {
    if !path.exists() {
        let error = Error::usage(format!("there is no `{path}`"));
        if let Some(hint) = transport_hint(path.as_str()) {
            return Err(error.hint(hint));
        }
        return Err(if is_reference(path.as_str()) {
            let hint = "`skopeo copy --all` copies from one registry to another";
            error.hint(format!("{HINT}; {hint}"))
        } else {
            error.hint(HINT)
        });
    }
    let none = |why: &str| Error::check(format!("`{path}` is not an image: {why}")).hint(HINT);
    if fs::file_type(path, true)? == FileType::Directory {
        let store = Directory(path.to_owned());
        if store.open(image::LAYOUT_FILE.0)?.is_none() && !image::is_image(&store)? {
            if image::is_dir(&store)? {
                let message = format!("`{path}` holds an image in {DIR_FORM}, which is not read");
                return Err(Error::check(message).hint(dir_hint(path.as_str())));
            }
            return Err(none("it is a directory with no layout in it"));
        }
        return then(&store, require_form(&store, Form::OciLayout)?);
    }
    let file = file::open(path)?;
    let unread = |error: Error| {
        error.context(format!("`{path}` cannot be read")).with_status(Status::CheckFailed)
    };
    let broken = |error| Error::check(format!("`{path}` cannot be unpacked")).because(error);
    let mut start = Vec::new();
    file.reader(0..START_SIZE).read_to_end(&mut start).map_err(broken)?;
    let compression = Compression::detect(&start);
    let mut unpacked = None;
    let unpacked = match compression {
        Compression::None => &file,
        _ => {
            let whole = Interruptible::new(file.reader(0..file.size()), children);
            let mut stream =
                unpack::unpack(whole, compression, &Budget::default()).map_err(unread)?;
            start.clear();
            (&mut stream).take(START_SIZE).read_to_end(&mut start).map_err(broken)?;
            if !unpack::is_tar(&start) {
                return Err(none("its compressed content is not a tar archive"));
            }
            let mut stream = Cursor::new(&start).chain(stream);
            unpacked.insert(spool(&mut stream, max_spool_size(file.size())).map_err(unread)?).file()
        }
    };
    if !unpack::is_tar(&start) {
        return Err(none("it is not a tar archive"));
    }
    let tar = Tar::read(unpacked, children).map_err(unread)?;
    if !image::is_image(&tar).map_err(unread)? {
        return Err(none("it is an archive of something else"));
    }
    then(&tar, require_form(&tar, Form::OciArchive)?)
}

/// The form of images in a directory that is not read.
pub(in crate::ops) const DIR_FORM: &str = "the form of `dir:`";

/// Returns the hint for a directory in the form of `dir:`.
pub(in crate::ops) fn dir_hint(path: &str) -> String {
    format!("`skopeo copy dir:{path} oci:LAYOUT:1` makes a layout of it")
}

/// Returns the hint for a name with the prefix that skopeo and podman require before it
/// (containers-transports(5)).
pub(in crate::ops) fn transport_hint(text: &str) -> Option<String> {
    let (transport, rest) = text.split_once(':')?;
    // A registry may be called by any of these.
    let port = rest.split('/').next().is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if rest.is_empty() || (port && rest.contains('/')) {
        return None;
    }
    match transport {
        "oci" | "oci-archive" | "docker-archive" => {
            Some(format!("omit the prefix `{transport}:`: `{rest}`"))
        }
        "dir" => Some(dir_hint(rest)),
        "docker-daemon" | "containers-storage" => {
            Some(format!("`skopeo copy {text} oci:LAYOUT:1` makes a layout of it"))
        }
        _ => None,
    }
}

fn require_form(store: &dyn Store, layout: Form) -> Result<Form> {
    Ok(if store.open(image::LAYOUT_FILE.0)?.is_some() { layout } else { Form::DockerArchive })
}

/// Returns the image in a registry that `text` refers to, if it is not a path.
///
/// # Errors
/// It does not have the form of a name in a registry, or it is not a reference.
pub(in crate::ops) fn parse_reference(text: &str) -> Result<Reference> {
    if let Some(hint) = transport_hint(text) {
        return Err(Error::usage(format!("there is no `{text}`")).hint(hint));
    }
    if !is_reference(text) {
        let parsed = text.parse::<Reference>();
        let hint = match parsed {
            Ok(_) => format!("{HINT}; an image in a registry is `docker://{text}`, or has a tag"),
            Err(_) => HINT.to_owned(),
        };
        return Err(Error::usage(format!("there is no `{text}`")).hint(hint));
    }
    text.parse().map_err(|error: ParseReferenceError| {
        Error::usage(format!("there is no `{text}`")).because(error).hint(HINT)
    })
}

/// Returns whether `text`, which is not a file, refers to an image in a registry: it has the prefix, a tag or a
/// digest. A misspelt path is not searched for in a registry.
pub(in crate::ops) fn is_reference(text: &str) -> bool {
    if text.starts_with(REGISTRY) {
        return true;
    }
    let (name, digest) = text.split_once('@').map_or((text, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or(name);
    let (stem, tagged) = last.split_once(':').map_or((last, false), |(stem, _)| (stem, true));
    let file =
        [".tar", ".tgz", ".gz", ".zst", ".zip", ".json"].iter().any(|end| stem.ends_with(end));
    (digest || tagged) && !file && !text.starts_with(['.', '/', '~']) && !stem.is_empty()
}

/// The location of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Located {
    /// In a layout or an archive, under a name or as all that it holds.
    Path(Utf8PathBuf, Option<String>),
    /// In a registry.
    Registry(Reference),
}

/// Decides for every command which image `text` means: the longest prefix of it that is an existing path, with
/// the name behind that; else an image in a registry.
///
/// # Errors
/// It is neither.
pub(in crate::ops) fn locate(text: &str) -> Result<Located> {
    let (path, name) = split_name(text);
    if !text.starts_with(REGISTRY) && fs::file_type(path, false).is_ok() {
        return Ok(Located::Path(path.to_owned(), name.map(str::to_owned)));
    }
    parse_reference(text).map(Located::Registry)
}

/// Returns the images of `found`, which is at `path`, that are called `name`.
///
/// # Errors
/// There is none.
pub(in crate::ops) fn select_named(
    mut found: Images,
    path: &Utf8Path,
    name: &str,
) -> Result<Images> {
    let named = |at: usize| found.sets.get(at).is_some_and(|set| has_name(set, name));
    let sets: Vec<bool> = (0..found.sets.len()).map(named).collect();
    if sets.contains(&true) {
        let is = |set: usize| sets.get(set) == Some(&true);
        found.images.retain(|image| is(image.set));
        found.broken.retain(|reported| is(reported.set));
        found.absent.retain(|absent| is(absent.set));
        found.others.retain(|reported| is(reported.set));
        return Ok(found);
    }
    let digest =
        |image: &StoredImage| image.manifest.as_ref().map(|manifest| manifest.digest.to_string());
    found.images.retain(|image| digest(image).as_deref() == Some(name));
    found.images.truncate(1);
    found.absent.clear();
    if found.images.is_empty() {
        let names: Vec<_> = found.sets.iter().flat_map(|set| set.names.clone()).collect();
        let hint = match &names[..] {
            [] => "its images have no names: leave `:TAG` away".to_owned(),
            names => format!("it has `{}`", names.join("`, `")),
        };
        return Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(hint));
    }
    found.broken.clear();
    found.others.clear();
    Ok(found)
}

/// The prefix of a name in a registry.
const REGISTRY: &str = "docker://";

/// Returns the longest prefix of `text` that is an existing path, and the name behind it.
pub(in crate::ops) fn split_name(text: &str) -> (&Utf8Path, Option<&str>) {
    if text.starts_with(REGISTRY) {
        return (text.into(), None);
    }
    let parts = text.rmatch_indices([':', '@']).map(|(at, _)| text.split_at(at));
    let mut parts = [(text, "")].into_iter().chain(parts);
    let there = parts.find(|(path, _)| !path.is_empty() && Utf8Path::new(path).exists());
    let (path, name) = there.unwrap_or((text, ""));
    (path.into(), name.get(1..))
}

/// Returns whether `name` is the complete name, the tag or the digest of a set. `x:1` and
/// `docker.io/library/x:1` are one name, as in Docker: engines write either into an archive.
pub(in crate::ops) fn has_name(set: &StoredSet, name: &str) -> bool {
    let tag = |whole: &str| {
        let last = whole.rsplit('/').next().unwrap_or(whole);
        last.rsplit_once(':').is_some_and(|(_, tag)| tag == name)
    };
    let complete = |text: &str| text.parse::<Reference>().ok().filter(|item| item.tag.is_some());
    let expected = complete(name);
    let same = |own: &str| expected.is_some() && complete(own) == expected;
    let digest = set.descriptor.as_ref().map(|descriptor| descriptor.digest.to_string());
    set.names.iter().any(|own| own == name || tag(own) || same(own))
        || digest.as_deref() == Some(name)
}

/// The maximum size of the names in an archive of images, in bytes.
const MAX_NAMES_SIZE: usize = 32 << 20;

/// The limits on the temporary file of a compressed archive of images, or of a program in an archive:
/// so many bytes, and so many times the size of the archive.
const MIN_SPOOL: u64 = 64 << 20;
const MAX_SPOOL_RATIO: u64 = 20;

/// Returns the maximum number of bytes that are unpacked to a temporary file from an archive of `size` bytes.
pub(in crate::ops) fn max_spool_size(size: u64) -> u64 {
    size.saturating_mul(MAX_SPOOL_RATIO).saturating_add(MIN_SPOOL)
}

/// Unpacks a compressed archive of images, or a program in one, to a temporary file of at most `most`
/// bytes.
///
/// # Errors
/// It unpacks to too much, or cannot be read or written.
pub(in crate::ops) fn spool(stream: &mut dyn Read, most: u64) -> Result<Spool> {
    let spool = Spool::new(&mut stream.take(most.saturating_add(1)))?;
    if spool.file().size() > most {
        let message = format!("it unpacks to more than {most} bytes");
        let hint = "decompress the archive first: images and programs in a compressed archive are read \
                    up to 20 times its size";
        return Err(Error::check(message).hint(hint));
    }
    Ok(spool)
}

/// The maximum number of links that are followed from one name to another.
const MAX_LINKS: usize = 8;

/// The directory of a layout.
pub(in crate::ops) struct Directory(pub(in crate::ops) Utf8PathBuf);

impl Store for Directory {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let mut parts = Utf8Path::new(path).components();
        if !parts.all(|part| matches!(part, Utf8Component::Normal(_))) {
            return Err(Error::check(format!("`{path}` is outside of it")));
        }
        let location = self.0.join(path);
        if !location.exists() {
            return Ok(None);
        }
        let open = file::open(&location)?;
        let size = open.size();
        Ok(Some(Box::new(open.into_reader(0..size))))
    }
}

/// A tar archive that is a file.
pub(in crate::ops) struct Tar<'a> {
    file: &'a OpenFile,
    files: HashMap<String, Range<u64>>,
    links: HashMap<String, String>,
}

impl<'a> Tar<'a> {
    /// Reads the positions of the files in the archive.
    ///
    /// # Errors
    /// The archive is damaged, or its names are ambiguous: of two files with one name, some tools
    /// take the first and some the last.
    pub(in crate::ops) fn read(file: &'a OpenFile, children: &Children) -> Result<Self> {
        let mut tar = Tar { file, files: HashMap::new(), links: HashMap::new() };
        let (files, links) = (&mut tar.files, &mut tar.links);
        let mut names = MAX_NAMES_SIZE;
        let size = file.size();
        let mut stream = Interruptible::new(file.reader(0..size), children);
        unpack::read_tar(&mut stream, &mut |entry, content| {
            let path = normalize_path(&entry.path, "");
            let shown = entry.path.escape_debug();
            let left = names.checked_sub(path.len());
            names = left.ok_or_else(|| {
                Error::check(format!(
                    "the names of its files take more than {MAX_NAMES_SIZE} bytes"
                ))
            })?;
            if entry.path.split('/').any(|part| part == "..") {
                return Err(Error::check(format!("`{shown}` has `..` in its path")));
            }
            let named = files.contains_key(&path) || links.contains_key(&path);
            // GNU tar writes such a link for a file that it is given twice.
            if let unpack::EntryKind::HardLink(to) = &entry.kind
                && files.contains_key(&path)
                && normalize_path(to, "") == path
            {
                return Ok(());
            }
            if named && entry.kind != unpack::EntryKind::Directory {
                let message = format!("`{shown}` is there twice: some tools take the first one");
                return Err(Error::check(message).hint("make the archive again"));
            }
            match (&entry.kind, entry.start) {
                (unpack::EntryKind::File, Some(start)) => {
                    let len = std::io::copy(content, &mut std::io::sink());
                    let failed = |error| Error::check("the archive cannot be read").because(error);
                    files.insert(path, start..start.saturating_add(len.map_err(failed)?));
                }
                (unpack::EntryKind::Link(to), _) => {
                    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    links.insert(path.clone(), normalize_path(to, directory));
                }
                (unpack::EntryKind::HardLink(to), _) => {
                    drop(links.insert(path, normalize_path(to, "")))
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(tar)
    }

    /// Returns the root, and each directory that holds an OCI layout, with a slash at its end.
    pub(in crate::ops) fn layouts(&self) -> BTreeSet<String> {
        let mut marks = BTreeSet::new();
        let (mut indexes, mut blobs) = (BTreeSet::new(), BTreeSet::new());
        for path in self.files.keys().chain(self.links.keys()) {
            let at = path.rfind('/').map_or(0, |at| at + 1);
            let (directory, name) = path.split_at_checked(at).unwrap_or_default();
            if name == image::LAYOUT_FILE.0 {
                marks.insert(directory.to_owned());
            } else if name == image::INDEX {
                indexes.insert(directory.to_owned());
            }
            let blob = directory.strip_suffix("blobs/sha256/");
            blobs.extend(blob.map(str::to_owned));
        }
        marks.extend(indexes.intersection(&blobs).cloned());
        marks.insert(String::new());
        marks
    }
}

impl Store for Tar<'_> {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let mut path = normalize_path(path, "");
        for _ in 0..MAX_LINKS {
            if let Some(range) = self.files.get(&path) {
                return Ok(Some(Box::new(self.file.reader(range.clone()))));
            }
            match self.links.get(&path) {
                Some(to) => path.clone_from(to),
                None => return Ok(None),
            }
        }
        Err(Error::check(format!("`{path}` is a link that leads nowhere")))
    }
}

/// Returns the path from the root, without `.` and `..`, of `path` relative to `directory`.
pub(in crate::ops) fn normalize_path(path: &str, directory: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tar::{Meta, Writer};

    /// Interrupts at an entry, or within the content of one that is skipped.
    #[test]
    fn an_interrupt_ends_reading() {
        let meta = Meta { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
        let mut tar = Writer::new(Vec::new());
        for number in 0..1000 {
            tar.bytes(&number.to_string(), meta, &[0; 4096]).unwrap();
        }
        let tar = tar.finish().unwrap();
        for limit in [1, 7, 999] {
            let children = Children::default();
            let mut stream = Interruptible::new(&tar[..], &children);
            let mut count = 0;
            let read = unpack::read_tar(&mut stream, &mut |_, _| {
                count += 1;
                if count == limit {
                    children.interrupt();
                }
                Ok(())
            });
            let error = read.unwrap_err().to_string();
            assert!(error.contains("interrupted"), "{error}");
            assert_eq!(count, limit);
        }
    }
}
