//! The files in one archive or image.

use std::{
    collections::HashSet,
    io::{Cursor, Read},
};

use super::{
    kind::{FileKind, START, UNLISTED},
    look::{self, File, Looker, Outcome, refused},
};
use crate::{
    archive::unpack::{ArchiveEntry, EntryKind},
    image::{
        contents::ScannedEntry,
        oci::archive::DOCKER_MANIFEST,
        read::{image, layers::absolute},
    },
    model::{
        error::{Error, Result, Status},
        schema::{
            image::FileKind as ImageFileKind,
            verify::{Checked, NotChecked},
        },
        source::{ReadAt as _, Source},
    },
    ops::image::store::{plain, spooled},
    sys::file::{OpenFile, Spool},
    verify::{self, ArchiveOrImage, Mode, Policy},
};

/// The most of an entry that is kept in memory; what is larger is kept in a file.
const MEMORY: u64 = 4 << 20;

/// The most entries without a verdict that are listed, and the most bytes of their names.
const LISTED: usize = 10_000;
const LISTED_NAMES: usize = 4 << 20;

/// The most programs of one archive or image: a verdict takes memory.
const PROGRAMS: usize = 1 << 15;

/// The most entries outside of the archive that are listed.
const HAZARDS: usize = 100;

/// The verdicts on the files in one archive or image.
pub(super) struct Inside<'a> {
    looker: &'a Looker<'a>,
    name: &'a str,
    pub(super) policy: &'a Policy,
    pub(super) found: Outcome,
    /// The entries without a verdict, with their paths in the archive.
    pub(super) skipped: Vec<(String, NotChecked)>,
    /// The most bytes of an entry in a temporary file.
    pub(super) most_spooled: u64,
    /// The number of bytes that their names take.
    names: usize,
    pub(super) hazards: Vec<String>,
    pub(super) unreadable: Vec<String>,
    /// Whether it has a file that marks images, or one of a layout in a directory.
    pub(super) marked: bool,
    /// Entries without a verdict that are not listed.
    unlisted: usize,
    /// The files with setuid, setgid or capabilities.
    privileged: HashSet<String>,
    /// The entry of an image, and its layer, that each verdict is on.
    items: Vec<(usize, usize)>,
}

impl<'a> Inside<'a> {
    pub(super) fn new(looker: &'a Looker<'a>, name: &'a str, policy: &'a Policy) -> Self {
        Inside {
            looker,
            name,
            policy,
            found: Outcome::default(),
            skipped: Vec::new(),
            most_spooled: u64::MAX,
            names: 0,
            hazards: Vec::new(),
            unreadable: Vec::new(),
            marked: false,
            unlisted: 0,
            privileged: HashSet::new(),
            items: Vec::new(),
        }
    }

    fn skip(&mut self, entry: &ArchiveEntry, path: String, reason: impl Into<String>) {
        let reason = reason.into();
        self.names += path.len() + reason.len();
        if self.skipped.len() < LISTED && self.names < LISTED_NAMES {
            self.skipped.push((plain(&entry.path, ""), NotChecked { path, reason }));
        } else {
            self.unlisted += 1;
        }
    }

    /// Judges one entry of a layer.
    pub(super) fn item(&mut self, item: &ScannedEntry<'_>, content: &mut dyn Read) -> Result<()> {
        let kind = item.file.as_ref().map(|file| file.kind);
        let hides = matches!(kind, Some(ImageFileKind::Whiteout | ImageFileKind::OpaqueWhiteout));
        // Some engines unpack a whiteout with content, or a file that AUFS reserves, as an ordinary
        // file.
        if (hides || kind.is_none())
            && (item.entry.kind != EntryKind::File || item.entry.stat.size == 0)
        {
            return self.looker.cx.children.check();
        }
        let entry = ArchiveEntry { path: absolute(&item.entry.path), ..item.entry.clone() };
        self.entry(&entry, content)?;
        self.items.resize(self.found.checked.len(), (item.number, item.layer));
        Ok(())
    }

    /// Names the layer of verdicts on files that a container does not see.
    pub(super) fn name_hidden(&mut self, hidden: &HashSet<usize>) {
        let name = format!("{}!", self.name);
        for (checked, (number, layer)) in self.found.checked.iter_mut().zip(&self.items) {
            if let Some(path) = checked.path.strip_prefix(&name).filter(|_| hidden.contains(number))
            {
                checked.path = format!("{name}layer {layer} (hidden)!{path}");
            }
        }
    }

    /// Judges one entry.
    pub(super) fn entry(&mut self, entry: &ArchiveEntry, content: &mut dyn Read) -> Result<()> {
        self.looker.cx.children.check()?;
        if self.found.checked.len() >= PROGRAMS {
            return Err(Error::check(format!("it has more than {PROGRAMS} programs")));
        }
        let name = format!("{}!{}", self.name, entry.path);
        if self.hazards.len() < HAZARDS {
            self.hazards.extend(entry.hazard());
        }
        let path = plain(&entry.path, "");
        let is_mark =
            [image::LAYOUT_FILE.0, image::INDEX, DOCKER_MANIFEST].contains(&path.as_str());
        self.marked |= is_mark || is_of_layout(&path);
        let privileges = entry.capabilities || entry.mode.is_some_and(|mode| mode & 0o6000 != 0);
        match &entry.kind {
            EntryKind::File => {
                if privileges {
                    self.privileged.insert(path);
                }
                self.file(&name, entry, content)?;
            }
            EntryKind::Directory => {}
            EntryKind::Link(to) => {
                self.skip(entry, name, format!("a symbolic link to `{}`", to.escape_debug()));
            }
            EntryKind::HardLink(to) if privileges && !self.privileged.contains(&plain(to, "")) => {
                let to = to.escape_debug();
                let why = format!("it gives `{to}` setuid, setgid or capabilities");
                self.found.checked.push(refused(&name, &why));
            }
            EntryKind::HardLink(to) => {
                self.skip(entry, name, format!("another name of `{}`", to.escape_debug()));
            }
            EntryKind::Special(what) => self.skip(entry, name, *what),
            EntryKind::Unknown(what) => {
                self.found.checked.push(refused(&name, &format!("it is {what}")));
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, entry: &ArchiveEntry, content: &mut dyn Read) -> Result<()> {
        let broken = |error| {
            Error::check(format!("`{}` cannot be unpacked", name.escape_debug())).because(error)
        };
        let mut bytes = Vec::new();
        content.take(START).read_to_end(&mut bytes).map_err(broken)?;
        let kind = FileKind::of(&bytes);
        if let Some(reason) = kind.skipped() {
            self.skip(entry, name.to_owned(), reason);
            return Ok(());
        }
        content.take(MEMORY).read_to_end(&mut bytes).map_err(broken)?;
        let mode = entry.mode;
        let mode = mode.map(|bits| Mode { bits, capabilities: entry.capabilities });
        let file =
            |source, place| File { source, name, kind, mode, listed: true, place, cpu_flags: None };
        // To be started, it has to be in a file.
        let small = (bytes.len() as u64) < MEMORY && self.looker.request.run.is_none();
        let outcome = if small {
            self.looker.look(file(Source::Bytes(&bytes), None), self.policy)
        } else {
            let rest = Cursor::new(bytes).chain(content);
            let spool = self.spool(&mut rest.take(look::MOST + 1), name)?;
            self.looker.look(file(Source::File(spool.file()), Some(spool.path())), self.policy)
        };
        self.found.checked.extend(outcome.checked);
        for file in outcome.not_checked {
            self.skip(entry, file.path, file.reason);
        }
        Ok(())
    }

    fn spool(&self, content: &mut dyn Read, name: &str) -> Result<Spool> {
        spooled(content, self.most_spooled).map_err(|error| {
            error.context(format!("`{}`", name.escape_debug())).with_status(Status::CheckFailed)
        })
    }

    /// Notes that nothing was found where a user expects something.
    pub(super) fn none(&mut self, listed: bool) {
        if self.found.checked.is_empty() && self.unreadable.is_empty() && !listed {
            self.unreadable.push("no program is in it".to_owned());
        }
    }

    /// Returns the verdict on an archive that was read with that result.
    pub(super) fn end(mut self, file: &OpenFile, read: Result<()>, listed: bool) -> Outcome {
        self.unreadable.extend(read.err().map(|error| error.to_string()));
        self.none(listed);
        let whole = ArchiveOrImage {
            size: Some(file.size()),
            base: self.looker.base.and_then(|base| base.archive(self.name)),
            unreadable: std::mem::take(&mut self.unreadable),
            hazards: std::mem::take(&mut self.hazards),
            ..ArchiveOrImage::default()
        };
        self.outcome(&whole)
    }

    /// Returns the entries without a verdict.
    pub(super) fn take_skipped(&mut self) -> Vec<NotChecked> {
        let skipped = self.skipped.drain(..).map(|(_, skipped)| skipped);
        let mut skipped: Vec<_> = skipped.collect();
        if self.unlisted > 0 {
            let reason = format!("{} {}", self.unlisted, UNLISTED);
            skipped.push(NotChecked { path: self.name.to_owned(), reason });
        }
        skipped
    }

    pub(super) fn outcome(mut self, whole: &ArchiveOrImage) -> Outcome {
        let verdict =
            self.policy.waive(verify::judge_archive_or_image(whole, self.policy), self.name);
        let checked = Checked {
            path: self.name.to_owned(),
            target: None,
            sha256: None,
            verdict,
            facts: Vec::new(),
        };
        let skipped = self.take_skipped();
        self.found.checked.insert(0, checked);
        self.found.not_checked.extend(skipped);
        self.found
    }
}

/// Returns whether `path` may belong to a layout in a directory.
fn is_of_layout(path: &str) -> bool {
    path.ends_with(&format!("/{}", image::LAYOUT_FILE.0)) || path.contains("/blobs/sha256/")
}
