//! Where the blobs of images are, here or in a registry, and what is there.

use std::{
    collections::{BTreeSet, HashMap},
    io::{Cursor, Read},
    ops::Range,
    sync::Arc,
};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::{
    elf::ReadAt as _,
    error::{Error, Result},
    oci::{Reference, reference::NotAReference},
    schema::image::Form,
    sys::{
        file::{self, OpenFile, Spool},
        fs::{self, Kind},
        registry::{Remote, Session},
    },
    unpack::{
        self, Budget, Packing,
        image::{self, Image, Images, Set, Store},
    },
};

/// How much of a file its kind is told from.
const START: u64 = 512;

const HINT: &str = "name an OCI layout, an OCI archive, or what `docker save` wrote";

/// Opens what holds images, here or in a registry, and gives it to `then`. A path that is there wins.
///
/// # Errors
/// There is nothing, it holds no image, it cannot be read, or `then` failed.
pub(super) fn open<T>(
    session: &Arc<Session>,
    path: &Utf8Path,
    then: impl FnOnce(&(dyn Store + Sync), Form) -> Result<T>,
) -> Result<T> {
    if path.exists() {
        return open_path(path, then);
    }
    let remote = Remote::open(session, &reference(path.as_str())?)?;
    // Whoever reads a stream of it sees only that it ended.
    then(&remote, Form::Registry).map_err(|error| remote.failure().unwrap_or(error))
}

/// As [`open`], only of what is here.
///
/// # Errors
/// As [`open`].
pub(super) fn open_path<T>(
    path: &Utf8Path,
    then: impl FnOnce(&(dyn Store + Sync), Form) -> Result<T>,
) -> Result<T> {
    if !path.exists() {
        return Err(Error::usage(format!("there is no `{path}`")).hint(HINT));
    }
    let none = |why: &str| Error::check(format!("`{path}` holds no image: {why}")).hint(HINT);
    if fs::kind(path, true)? == Kind::Directory {
        let store = Directory(path.to_owned());
        if store.open(image::MARK.0)?.is_none() && !image::is_image(&store)? {
            return Err(none("it is a directory with no layout in it"));
        }
        return then(&store, form(&store, Form::OciLayout)?);
    }
    let file = file::open(path)?;
    let unread = |error: Error| Error::check(format!("`{path}` cannot be read: {error}"));
    let broken = |error| Error::check(format!("`{path}` cannot be unpacked")).because(error);
    let mut start = Vec::new();
    file.reader(0..START).read_to_end(&mut start).map_err(broken)?;
    let packing = Packing::of(&start);
    let mut spool = None;
    let unpacked = match packing {
        Packing::None => &file,
        _ => {
            let whole = file.reader(0..file.size());
            let mut stream = unpack::unpack(whole, packing, &Budget::default()).map_err(unread)?;
            start.clear();
            (&mut stream).take(START).read_to_end(&mut start).map_err(broken)?;
            if !unpack::is_tar(&start) {
                return Err(none("what is compressed in it is no tar archive"));
            }
            let mut stream = Cursor::new(&start).chain(stream);
            spool.insert(spooled(&mut stream, file.size()).map_err(unread)?).file()
        }
    };
    if !unpack::is_tar(&start) {
        return Err(none("it is no tar archive"));
    }
    let tar = Tar::read(unpacked).map_err(unread)?;
    if !image::is_image(&tar).map_err(unread)? {
        return Err(none("it is an archive of something else"));
    }
    then(&tar, form(&tar, Form::OciArchive)?)
}

fn form(store: &dyn Store, layout: Form) -> Result<Form> {
    Ok(if store.open(image::MARK.0)?.is_some() { layout } else { Form::DockerArchive })
}

/// The image in a registry that is meant by what is no path.
///
/// # Errors
/// It does not look as if one were meant, or it is no reference.
pub(super) fn reference(text: &str) -> Result<Reference> {
    if !is_reference(text) {
        let parsed = text.parse::<Reference>();
        let hint = match parsed {
            Ok(_) => format!("{HINT}; an image in a registry is `docker://{text}`, or has a tag"),
            Err(_) => HINT.to_owned(),
        };
        return Err(Error::usage(format!("there is no `{text}`")).hint(hint));
    }
    text.parse().map_err(|error: NotAReference| {
        Error::usage(format!("there is no `{text}`")).because(error).hint(HINT)
    })
}

/// Whether what is no file is meant to be an image in a registry: it says so, or has a tag or a
/// digest. A path with a wrong letter is not looked for in a registry.
pub(super) fn is_reference(text: &str) -> bool {
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

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// In a layout or an archive, under a name or as all that it holds.
    Path(Utf8PathBuf, Option<String>),
    /// In a registry.
    Registry(Reference),
}

/// Decides for every command what the user means by `text`: the longest beginning of it that is an
/// existing path, with the name behind that; else an image in a registry.
///
/// # Errors
/// It is neither.
pub(super) fn locate(text: &str) -> Result<Located> {
    let (path, name) = split(text);
    if !text.starts_with(REGISTRY) && fs::kind(path, false).is_ok() {
        return Ok(Located::Path(path.to_owned(), name.map(str::to_owned)));
    }
    reference(text).map(Located::Registry)
}

/// The images of `found`, which is at `path`, that are called `name`.
///
/// # Errors
/// There is none.
pub(super) fn only(mut found: Images, path: &Utf8Path, name: &str) -> Result<Images> {
    let named = |at: usize| found.sets.get(at).is_some_and(|set| is_called(set, name));
    let sets: Vec<bool> = (0..found.sets.len()).map(named).collect();
    if sets.contains(&true) {
        let is = |set: usize| sets.get(set) == Some(&true);
        found.images.retain(|image| is(image.set));
        found.broken.retain(|told| is(told.set));
        found.others.retain(|told| is(told.set));
        return Ok(found);
    }
    let digest = |image: &Image| image.manifest.as_ref().map(|of| of.digest.to_string());
    found.images.retain(|image| digest(image).as_deref() == Some(name));
    found.images.truncate(1);
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

/// What a name begins with that is meant to be one in a registry.
const REGISTRY: &str = "docker://";

/// The longest beginning of `text` that is a path that is there, and the name behind it.
pub(super) fn split(text: &str) -> (&Utf8Path, Option<&str>) {
    if text.starts_with(REGISTRY) {
        return (text.into(), None);
    }
    let parts = text.rmatch_indices([':', '@']).map(|(at, _)| text.split_at(at));
    let mut parts = [(text, "")].into_iter().chain(parts);
    let there = parts.find(|(path, _)| !path.is_empty() && Utf8Path::new(path).exists());
    let (path, name) = there.unwrap_or((text, ""));
    (path.into(), name.get(1..))
}

/// Whether `name` is the whole name, the tag or the digest of what a set stands for.
pub(super) fn is_called(set: &Set, name: &str) -> bool {
    let tag = |whole: &str| {
        let last = whole.rsplit('/').next().unwrap_or(whole);
        last.rsplit_once(':').is_some_and(|(_, tag)| tag == name)
    };
    let digest = set.descriptor.as_ref().map(|of| of.digest.to_string());
    set.names.iter().any(|own| own == name || tag(own)) || digest.as_deref() == Some(name)
}

/// The most bytes of the names in an archive of images.
const NAMES: usize = 32 << 20;

/// What a compressed archive of images may become in a temporary file: so many bytes, and so many
/// times its size.
const SPOOL: u64 = 64 << 20;
const SPOOL_TIMES: u64 = 20;

/// Unpacks a compressed archive of images, of `size` bytes, to a temporary file.
///
/// # Errors
/// It unpacks to too much, or cannot be read or written.
pub(super) fn spooled(stream: &mut dyn Read, size: u64) -> Result<Spool> {
    let most = size.saturating_mul(SPOOL_TIMES).saturating_add(SPOOL);
    let spool = Spool::new(&mut stream.take(most.saturating_add(1)))?;
    if spool.file().size() > most {
        let message = format!("it unpacks to more than {most} bytes");
        let hint = "decompress the archive first: an image is read in its compressed archive up to \
                    20 times its size";
        return Err(Error::check(message).hint(hint));
    }
    Ok(spool)
}

/// Links that are followed from one name to another.
const LINKS: usize = 8;

/// The directory of a layout.
pub(super) struct Directory(pub(super) Utf8PathBuf);

impl Store for Directory {
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let mut parts = Utf8Path::new(path).components();
        if !parts.all(|part| matches!(part, Utf8Component::Normal(_))) {
            return Err(Error::check(format!("`{path}` is outside of it")));
        }
        let place = self.0.join(path);
        if !place.exists() {
            return Ok(None);
        }
        let open = file::open(&place)?;
        let size = open.size();
        Ok(Some(Box::new(open.into_reader(0..size))))
    }
}

/// A tar archive that is a file.
pub(super) struct Tar<'a> {
    file: &'a OpenFile,
    files: HashMap<String, Range<u64>>,
    links: HashMap<String, String>,
}

impl<'a> Tar<'a> {
    /// Reads the positions of the files in it.
    ///
    /// # Errors
    /// The archive is damaged, or its names are ambiguous: of two files with one name, some tools
    /// take the first and some the last.
    pub(super) fn read(file: &'a OpenFile) -> Result<Self> {
        let mut tar = Tar { file, files: HashMap::new(), links: HashMap::new() };
        let (files, links) = (&mut tar.files, &mut tar.links);
        let mut names = NAMES;
        let size = file.size();
        unpack::tar(&mut file.reader(0..size), &mut |entry, content| {
            let path = plain(&entry.path, "");
            let shown = entry.path.escape_debug();
            let left = names.checked_sub(path.len());
            names = left.ok_or_else(|| {
                Error::check(format!("the names of its files take more than {NAMES} bytes"))
            })?;
            if entry.path.split('/').any(|part| part == "..") {
                return Err(Error::check(format!("`{shown}` has `..` in its path")));
            }
            let named = files.contains_key(&path) || links.contains_key(&path);
            // GNU tar writes such a link for a file that it is given twice.
            if let unpack::Kind::HardLink(to) = &entry.kind
                && files.contains_key(&path)
                && plain(to, "") == path
            {
                return Ok(());
            }
            if named && entry.kind != unpack::Kind::Directory {
                let message = format!("`{shown}` is there twice: some tools take the first one");
                return Err(Error::check(message).hint("make the archive again"));
            }
            match (&entry.kind, entry.start) {
                (unpack::Kind::File, Some(start)) => {
                    let len = std::io::copy(content, &mut std::io::sink());
                    let failed = |error| Error::check("the archive cannot be read").because(error);
                    files.insert(path, start..start.saturating_add(len.map_err(failed)?));
                }
                (unpack::Kind::Link(to), _) => {
                    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    links.insert(path.clone(), plain(to, directory));
                }
                (unpack::Kind::HardLink(to), _) => drop(links.insert(path, plain(to, ""))),
                _ => {}
            }
            Ok(())
        })?;
        Ok(tar)
    }

    /// The root, and each directory that holds an OCI layout, with a slash at its end.
    pub(super) fn layouts(&self) -> BTreeSet<String> {
        let mut marks = BTreeSet::new();
        let (mut indexes, mut blobs) = (BTreeSet::new(), BTreeSet::new());
        for path in self.files.keys().chain(self.links.keys()) {
            let at = path.rfind('/').map_or(0, |at| at + 1);
            let (directory, name) = path.split_at_checked(at).unwrap_or_default();
            if name == image::MARK.0 {
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
        let mut path = plain(path, "");
        for _ in 0..LINKS {
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

/// The path from the top, without `.` and `..`, of one that is followed from `directory`.
pub(super) fn plain(path: &str, directory: &str) -> String {
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
