//! Digests of what is packed, each computed once.

use std::{collections::BTreeMap, sync::Mutex};

use camino::Utf8Path;

use crate::{
    binary::foreign,
    model::{digest::Digest, error::Result},
    sys::{
        file::{self, Stamp},
        fs,
    },
};

/// What is to be known of a file before it is packed.
#[derive(Clone, Copy)]
pub(in crate::ops) struct File {
    pub(in crate::ops) digest: Digest,
    pub(in crate::ops) size: u64,
    /// Whether it begins as a program does, for whatever system.
    pub(in crate::ops) is_program: bool,
    pub(in crate::ops) stamp: Stamp,
}

/// The digests of files below one directory, each computed once.
#[derive(Default)]
pub(in crate::ops) struct Digests(Mutex<BTreeMap<String, (Stamp, File)>>);

impl Digests {
    /// What the file `name` below `root` holds, which has to be as `stamp` has it, if that is known.
    ///
    /// # Errors
    /// It cannot be read, or changed.
    pub(in crate::ops) fn of(
        &self,
        root: &Utf8Path,
        name: &str,
        stamp: Option<Stamp>,
    ) -> Result<File> {
        let known = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let path = root.join(name);
        let mut content = file::watched(&path, stamp)?;
        let stamp = content.stamp();
        if let Some((_, file)) = known().get(name).filter(|(known, _)| *known == stamp) {
            return Ok(*file);
        }
        let mut program = false;
        let hashed = fs::hash(&mut content, |start| program = is_program(start));
        let (digest, size) = hashed.map_err(|error| fs::failed("read", &path, error))?;
        let file = File { digest, size, is_program: program, stamp };
        known().insert(name.to_owned(), (stamp, file));
        Ok(file)
    }
}

/// Whether a file that begins with `start` is a program, a library or a part of one: an ELF, Mach-O or
/// PE file. Scripts are texts.
pub(in crate::ops) fn is_program(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF") || foreign::format(start).is_some()
}
