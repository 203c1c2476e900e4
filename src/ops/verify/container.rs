//! The files in one archive or image.

use std::{
    collections::HashSet,
    io::{Cursor, Read},
};

use super::{
    file::{self, FileOutcome, FileVerifier, VerifiedFile, rejected},
    kind::{FileKind, START_SIZE, UNLISTED},
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
    ops::image::store::{normalize_path, spool},
    sys::file::{OpenFile, Spool},
    verify::{self, ArchiveOrImage, Mode, Policy},
};

/// The maximum size of an entry in memory; larger ones are written to a file.
const MAX_IN_MEMORY: u64 = 4 << 20;

/// The maximum number of listed entries without a verdict, and of bytes of their names.
const MAX_LISTED: usize = 10_000;
const MAX_LISTED_NAMES: usize = 4 << 20;

/// The maximum number of programs of one archive or image: a verdict takes memory.
const MAX_PROGRAMS: usize = 1 << 15;

/// The maximum number of listed entries outside of the archive.
const MAX_HAZARDS: usize = 100;

/// The verdicts on the files in one archive or image.
pub(super) struct ContainerVerdicts<'a> {
    looker: &'a FileVerifier<'a>,
    name: &'a str,
    pub(super) policy: &'a Policy,
    pub(super) found: FileOutcome,
    /// The entries without a verdict, with their paths in the archive.
    pub(super) skipped: Vec<(String, NotChecked)>,
    /// The most bytes of an entry in a temporary file.
    pub(super) max_spooled: u64,
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

impl<'a> ContainerVerdicts<'a> {
    pub(super) fn new(looker: &'a FileVerifier<'a>, name: &'a str, policy: &'a Policy) -> Self {
        ContainerVerdicts {
            looker,
            name,
            policy,
            found: FileOutcome::default(),
            skipped: Vec::new(),
            max_spooled: u64::MAX,
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
        if self.skipped.len() < MAX_LISTED && self.names < MAX_LISTED_NAMES {
            self.skipped.push((normalize_path(&entry.path, ""), NotChecked { path, reason }));
        } else {
            self.unlisted += 1;
        }
    }

    /// Verifies one entry of a layer.
    pub(super) fn check_item(
        &mut self,
        item: &ScannedEntry<'_>,
        content: &mut dyn Read,
    ) -> Result<()> {
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
        self.check_entry(&entry, content)?;
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

    /// Verifies one entry.
    pub(super) fn check_entry(
        &mut self,
        entry: &ArchiveEntry,
        content: &mut dyn Read,
    ) -> Result<()> {
        self.looker.cx.children.check()?;
        if self.found.checked.len() >= MAX_PROGRAMS {
            return Err(Error::check(format!("it has more than {MAX_PROGRAMS} programs")));
        }
        let name = format!("{}!{}", self.name, entry.path);
        if self.hazards.len() < MAX_HAZARDS {
            self.hazards.extend(entry.hazard());
        }
        let path = normalize_path(&entry.path, "");
        let is_mark =
            [image::LAYOUT_FILE.0, image::INDEX, DOCKER_MANIFEST].contains(&path.as_str());
        self.marked |= is_mark || is_layout_path(&path);
        let privileges = entry.capabilities || entry.mode.is_some_and(|mode| mode & 0o6000 != 0);
        match &entry.kind {
            EntryKind::File => {
                if privileges {
                    self.privileged.insert(path);
                }
                self.check_file(&name, entry, content)?;
            }
            EntryKind::Directory => {}
            EntryKind::Link(to) => {
                self.skip(entry, name, format!("a symbolic link to `{}`", to.escape_debug()));
            }
            EntryKind::HardLink(to)
                if privileges && !self.privileged.contains(&normalize_path(to, "")) =>
            {
                let to = to.escape_debug();
                let why = format!("it gives `{to}` setuid, setgid or capabilities");
                self.found.checked.push(rejected(&name, &why));
            }
            EntryKind::HardLink(to) => {
                self.skip(entry, name, format!("another name of `{}`", to.escape_debug()));
            }
            EntryKind::Special(what) => self.skip(entry, name, *what),
            EntryKind::Unknown(what) => {
                self.found.checked.push(rejected(&name, &format!("it is {what}")));
            }
        }
        Ok(())
    }

    fn check_file(
        &mut self,
        name: &str,
        entry: &ArchiveEntry,
        content: &mut dyn Read,
    ) -> Result<()> {
        let broken = |error| {
            Error::check(format!("`{}` cannot be unpacked", name.escape_debug())).because(error)
        };
        let mut bytes = Vec::new();
        content.take(START_SIZE).read_to_end(&mut bytes).map_err(broken)?;
        let kind = FileKind::detect(&bytes);
        if let Some(reason) = kind.skipped() {
            self.skip(entry, name.to_owned(), reason);
            return Ok(());
        }
        content.take(MAX_IN_MEMORY).read_to_end(&mut bytes).map_err(broken)?;
        let mode = entry.mode;
        let mode = mode.map(|bits| Mode { bits, capabilities: entry.capabilities });
        let file = |source, run_path| VerifiedFile {
            source,
            name,
            kind,
            mode,
            listed: true,
            run_path,
            cpu_flags: None,
        };
        // To be started, it has to be in a file.
        let small = (bytes.len() as u64) < MAX_IN_MEMORY && self.looker.request.run.is_none();
        let outcome = if small {
            self.looker.check_file(file(Source::Bytes(&bytes), None), self.policy)
        } else {
            let rest = Cursor::new(bytes).chain(content);
            let spool = self.spool(&mut rest.take(file::MAX_SIZE + 1), name)?;
            self.looker
                .check_file(file(Source::File(spool.file()), Some(spool.path())), self.policy)
        };
        self.found.checked.extend(outcome.checked);
        for file in outcome.not_checked {
            self.skip(entry, file.path, file.reason);
        }
        Ok(())
    }

    fn spool(&self, content: &mut dyn Read, name: &str) -> Result<Spool> {
        spool(content, self.max_spooled).map_err(|error| {
            error.context(format!("`{}`", name.escape_debug())).with_status(Status::CheckFailed)
        })
    }

    /// Records that nothing was found to verify.
    pub(super) fn note_empty(&mut self, listed: bool) {
        if self.found.checked.is_empty() && self.unreadable.is_empty() && !listed {
            self.unreadable.push("no program is in it".to_owned());
        }
    }

    /// Returns the verdict on an archive after reading it with that result.
    pub(super) fn finish(mut self, file: &OpenFile, read: Result<()>, listed: bool) -> FileOutcome {
        self.unreadable.extend(read.err().map(|error| error.to_string()));
        self.note_empty(listed);
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

    pub(super) fn outcome(mut self, whole: &ArchiveOrImage) -> FileOutcome {
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
fn is_layout_path(path: &str) -> bool {
    path.ends_with(&format!("/{}", image::LAYOUT_FILE.0)) || path.contains("/blobs/sha256/")
}
