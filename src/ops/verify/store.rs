//! Where the blobs of images are.

use std::{collections::HashMap, io::Read, ops::Range};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::{
    elf::ReadAt as _,
    error::{Error, Result},
    sys::file::{self, OpenFile},
    unpack::{self, image::Store},
};

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
    /// Reads where its files are.
    pub(super) fn read(file: &'a OpenFile) -> Result<Self> {
        let mut tar = Tar { file, files: HashMap::new(), links: HashMap::new() };
        let (files, links) = (&mut tar.files, &mut tar.links);
        let size = file.size();
        unpack::tar(&mut file.reader(0..size), &mut |entry, content| {
            let path = plain(&entry.path, "");
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

    /// All of it.
    pub(super) fn reader(&self) -> impl Read + '_ {
        self.file.reader(0..self.file.size())
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
fn plain(path: &str, directory: &str) -> String {
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
