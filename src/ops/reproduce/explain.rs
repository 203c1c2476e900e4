//! The first difference of one artifact.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{SharedSession, archives, images, rebuild::Rebuild, record::ReleaseRecord};
use crate::{
    binary::elf,
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::reproduce::{ArtifactKind, Difference},
        source::{ReadAt as _, Source},
    },
    release::reproduce::{
        RecordedItem,
        difference::{content_difference, shorten},
    },
    sys::{
        Context,
        file::{self, OpenFile},
        fs,
    },
};

/// The largest file that is compared as a document.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Explains the differences of artifacts. Binaries come first: they are in archives and images.
pub(super) struct Explainer<'a> {
    cx: &'a Context,
    session: &'a SharedSession,
    record: &'a ReleaseRecord,
    rebuild: &'a Rebuild,
    /// The differences of recorded programs, by digest.
    programs: BTreeMap<Digest, Difference>,
}

impl<'a> Explainer<'a> {
    pub(super) fn new(
        cx: &'a Context,
        session: &'a SharedSession,
        record: &'a ReleaseRecord,
        rebuild: &'a Rebuild,
    ) -> Self {
        Explainer { cx, session, record, rebuild, programs: BTreeMap::new() }
    }

    /// Returns the first difference between a recorded artifact and the rebuilt one, which have different
    /// digests. If it cannot be found, the reason is its note.
    pub(super) fn explain(&mut self, item: &RecordedItem, other: &RecordedItem) -> Difference {
        let found = self.find(item, other).unwrap_or_else(|error| Difference {
            note: Some(format!("it cannot be compared: {error}")),
            ..Difference::default()
        });
        if item.kind == ArtifactKind::Binary {
            self.programs.insert(item.sha256, found.clone());
        }
        found
    }

    fn find(&self, item: &RecordedItem, other: &RecordedItem) -> Result<Difference> {
        let rebuilt = self.rebuild.output.join(&other.path);
        if matches!(item.kind, ArtifactKind::Image | ArtifactKind::Manifest) {
            let found =
                images::find(self.cx, self.session, self.record, &self.rebuild.output, item)?;
            return Ok(self.with_program(found));
        }
        let Some(recorded) = self.record.file(&item.path) else {
            let note = "the recorded file is not there, so that only its digest is compared";
            return Ok(Difference { note: Some(note.to_owned()), ..Difference::default() });
        };
        match item.kind {
            ArtifactKind::Binary | ArtifactKind::DebugFile => {
                let symbols = self.unstripped(item);
                program(&recorded, &rebuilt, symbols.as_deref())
            }
            ArtifactKind::Archive | ArtifactKind::Package => {
                let found = archives::find(&recorded, &rebuilt)?;
                Ok(self.with_program(found))
            }
            _ => documents(&recorded, &rebuilt),
        }
    }

    /// Adds where a program differs that is a file in an archive or an image.
    fn with_program(&self, found: (Difference, Option<Digest>)) -> Difference {
        let (difference, digest) = found;
        match digest.and_then(|digest| self.programs.get(&digest)) {
            Some(program) => Difference { file: difference.file, ..program.clone() },
            None => difference,
        }
    }

    /// Returns the rebuilt program as cargo made it, with its symbols.
    fn unstripped(&self, item: &RecordedItem) -> Option<Utf8PathBuf> {
        let mut artifacts = self.rebuild.dist.artifacts.iter();
        let artifact = artifacts.find(|artifact| artifact.path == item.path)?;
        let profile = self.record.release.request.profile.as_deref().unwrap_or("dist");
        // https://doc.rust-lang.org/cargo/reference/profiles.html#custom-profiles
        let directory = match profile {
            "dev" | "test" => "debug",
            "bench" => "release",
            other => other,
        };
        let built = self.rebuild.target_directory.join("longshore");
        let path = built.join(&artifact.target).join(directory).join(&artifact.name);
        let (digest, _) = fs::digest(&path).ok()?;
        (digest == artifact.unstripped.sha256).then_some(path)
    }
}

fn unreadable(path: &Utf8Path, error: impl std::fmt::Display) -> Error {
    Error::check(format!("`{path}`: {error}"))
}

/// Returns the first difference of two programs: `symbols` is the rebuilt one with its symbols.
fn program(
    recorded: &Utf8Path,
    rebuilt: &Utf8Path,
    symbols: Option<&Utf8Path>,
) -> Result<Difference> {
    let (old, new) = (file::open(recorded)?, file::open(rebuilt)?);
    let symbols: Option<OpenFile> = symbols.map(file::open).transpose()?;
    let symbols = symbols.as_ref().unwrap_or(&new);
    elf_difference(&old, &new, symbols).map_err(|error| unreadable(recorded, error))
}

/// Returns the section, the symbol and the content where two programs differ first.
pub(super) fn elf_difference(
    recorded: &OpenFile,
    rebuilt: &OpenFile,
    symbols: &OpenFile,
) -> Result<Difference> {
    let (old, new) = (Source::File(recorded), Source::File(rebuilt));
    let found = elf::find_difference(new, old, Source::File(symbols));
    let found = found.map_err(|error| Error::check(error.to_string()))?;
    let Some(found) = found else { return Ok(Difference::default()) };
    let [new, old] = found.content;
    let headers = found.section.is_none().then(|| "in its headers".to_owned());
    Ok(Difference {
        section: found.section,
        symbol: found.symbol.map(|symbol| symbol_name(&symbol)),
        offset: Some(found.offset),
        recorded: Some(old),
        rebuilt: Some(new),
        note: headers,
        ..Difference::default()
    })
}

/// Returns the name of a function or variable as Rust source has it.
fn symbol_name(symbol: &str) -> String {
    shorten(&crate::size::name::Name::parse(symbol).symbol)
}

/// Returns the first difference of two documents.
fn documents(recorded: &Utf8Path, rebuilt: &Utf8Path) -> Result<Difference> {
    let (old, new) = (file::open(recorded)?, file::open(rebuilt)?);
    Ok(file_difference(&old, &new)?.unwrap_or_default())
}

/// Returns the first difference of two files of any kind; `None` if they are equal.
pub(super) fn file_difference(
    recorded: &OpenFile,
    rebuilt: &OpenFile,
) -> Result<Option<Difference>> {
    let is_elf = |file: &OpenFile| {
        Source::File(file).read_up_to(0, 4).is_ok_and(|start| *start == *b"\x7fELF")
    };
    if is_elf(recorded) && is_elf(rebuilt) {
        return elf_difference(recorded, rebuilt, rebuilt).map(Some);
    }
    if recorded.size().max(rebuilt.size()) > MAX_DOCUMENT {
        let (old, new) = (Source::File(recorded), Source::File(rebuilt));
        let offset = old
            .first_difference(0..recorded.size(), new, 0..rebuilt.size())
            .map_err(|error| Error::check(error.to_string()))?;
        return Ok(
            offset.map(|offset| Difference { offset: Some(offset), ..Difference::default() })
        );
    }
    let read = |file: &OpenFile| match Source::File(file).read_up_to(0, MAX_DOCUMENT) {
        Ok(bytes) => Ok(bytes.into_owned()),
        Err(error) => Err(Error::check(error.to_string())),
    };
    Ok(content_difference(&read(recorded)?, &read(rebuilt)?))
}
