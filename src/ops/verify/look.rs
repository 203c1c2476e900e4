//! Verifying one file.

use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Request,
    base::Base,
    kind::{FileKind, START},
    trial,
};
use crate::{
    binary::{
        elf::Facts,
        foreign::{self, FileRange, ForeignFormat},
    },
    build::target::Targets,
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            dist::{Artifact, Verdict},
            plan::CpuFlags,
            verify::{Checked, Fact, NotChecked},
        },
        source::{ReadError, Source},
    },
    sys::{
        Context,
        file::{self, OpenFile},
        registry::Session,
    },
    verify::{self, FileContext, Mode, Policy},
};

/// The largest program that is read: far above any, and searched in seconds.
pub(super) const MOST: u64 = 4 << 30;

/// The result for a file, or for all in an archive.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) checked: Vec<Checked>,
    pub(super) not_checked: Vec<NotChecked>,
    /// The name of an image in a registry, and the digest of what was read under it.
    pub(super) remote: Option<(Utf8PathBuf, Digest)>,
}

impl Outcome {
    pub(super) fn of(checked: Checked) -> Self {
        Outcome { checked: vec![checked], ..Outcome::default() }
    }

    pub(super) fn skip(path: &str, reason: &str) -> Self {
        let file = NotChecked { path: path.to_owned(), reason: reason.to_owned() };
        Outcome { not_checked: vec![file], ..Outcome::default() }
    }
}

/// Returns the verdict on a file that cannot be read, with the reason.
pub(super) fn refused(path: &str, why: &str) -> Checked {
    Checked {
        path: path.to_owned(),
        target: None,
        sha256: None,
        verdict: verify::reject_unreadable(why),
        facts: Vec::new(),
    }
}

/// Returns the verdict on a file that cannot be read because of `error`, with its hint.
pub(super) fn refused_by(path: &str, error: &Error) -> Checked {
    let why = error.to_string();
    let mut checked = refused(path, &why);
    if let Some(hint) = error.hint_text() {
        checked.verdict = verify::reject_unreadable_with_hint(&why, hint);
    }
    checked
}

/// A file to verify, at any location.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) source: Source<'a>,
    /// Its name in the verdict.
    pub(super) name: &'a str,
    pub(super) kind: FileKind,
    pub(super) mode: Option<Mode>,
    /// Whether the user did not name it, so that it is not rejected if it is not a program.
    pub(super) listed: bool,
    /// The path that it can be started from.
    pub(super) place: Option<&'a Utf8Path>,
    /// The flags for its CPU, if it belongs to a release that records some.
    pub(super) cpu_flags: Option<&'a CpuFlags>,
}

/// Verifies files with the settings of one request.
pub(super) struct Looker<'a> {
    pub(super) cx: &'a Context,
    pub(super) request: &'a Request,
    targets: &'a Targets,
    pub(super) base: Option<&'a Base>,
    /// Held while an archive or an image is read: each takes memory for its decompressor.
    pub(super) archives: Mutex<()>,
    pub(super) session: Arc<Session>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(
        cx: &'a Context,
        request: &'a Request,
        targets: &'a Targets,
        base: Option<&'a Base>,
    ) -> Self {
        let session = Session::new(cx, &request.registry);
        Looker { cx, request, targets, base, archives: Mutex::default(), session }
    }

    /// Returns the result for the file or archive at `path`.
    pub(super) fn file(&self, path: &Utf8Path, policy: &Policy, listed: bool) -> Outcome {
        match open(path) {
            Ok((file, mode)) => match kind(Source::File(&file)) {
                Ok(kind) => self.at(path, (&file, mode), kind, policy, listed),
                Err(error) => Outcome::of(refused(path.as_str(), &error.to_string())),
            },
            Err(error) => Outcome::of(refused_by(path.as_str(), &error)),
        }
    }

    /// Returns the same for a file in a directory, which is of that kind.
    pub(super) fn listed(&self, path: &Utf8Path, kind: FileKind, policy: &Policy) -> Outcome {
        match open(path) {
            Ok(open) => self.at(path, (&open.0, open.1), kind, policy, true),
            Err(error) => Outcome::of(refused_by(path.as_str(), &error)),
        }
    }

    fn at(
        &self,
        path: &Utf8Path,
        (file, mode): (&OpenFile, Mode),
        kind: FileKind,
        policy: &Policy,
        listed: bool,
    ) -> Outcome {
        if let FileKind::Archive(format, _) = kind {
            return self.archive(path, file, format, policy, listed);
        }
        let (source, name, mode) = (Source::File(file), path.as_str(), Some(mode));
        self.look(
            File { source, name, kind, mode, listed, place: Some(path), cpu_flags: None },
            policy,
        )
    }

    /// Returns the verdict on a file of a `dist.json`.
    pub(super) fn artifact(&self, path: &Utf8Path, of: &Artifact, policy: &Policy) -> Outcome {
        let name = path.as_str();
        let (file, mode) = match open(path) {
            Ok(open) => open,
            Err(error) => return Outcome::of(refused_by(name, &error)),
        };
        let source = Source::File(&file);
        let read = source.digest().and_then(|digest| Ok((digest, kind(source)?)));
        let (sha256, kind) = match read {
            Ok(read) => read,
            Err(error) => return Outcome::of(refused(name, &error.to_string())),
        };
        if let Some(verdict) = verify::mismatch(of, sha256, source.size(), policy) {
            return Outcome::of(Checked {
                path: name.to_owned(),
                target: Some(of.target.clone()),
                sha256: Some(sha256),
                verdict,
                facts: Vec::new(),
            });
        }
        let (place, cpu_flags) = (Some(path), of.cpu_flags.as_ref());
        let mode = Some(mode);
        self.look(File { source, name, kind, mode, listed: false, place, cpu_flags }, policy)
    }

    /// Returns the result for a file that is not an archive.
    pub(super) fn look(&self, file: File<'_>, policy: &Policy) -> Outcome {
        let source = file.source;
        if source.size() > MOST {
            let why = format!("it has {} bytes, and more than {MOST} are not read", source.size());
            return Outcome::of(refused(file.name, &why));
        }
        match file.kind {
            FileKind::Foreign(format) => self.foreign(file, format, policy),
            FileKind::Universal => self.universal(file, policy),
            kind => match kind.skipped().filter(|_| file.listed) {
                Some(reason) => Outcome::skip(file.name, reason),
                None => self.elf(file, policy),
            },
        }
    }

    fn elf(&self, file: File<'_>, policy: &Policy) -> Outcome {
        let names = self.request.facts || verify::needs_names(policy);
        let facts = match Facts::read_with(file.source, names) {
            Ok(facts) => facts,
            Err(error) => return self.checked(file, policy, Err(error), Vec::new),
        };
        // Separate debug information belongs beside the programs of a directory, and is none.
        if facts.detached && file.listed {
            return Outcome::skip(file.name, "separate debug information");
        }
        let run =
            self.request.run.as_ref().zip(file.place).map(|(trial, place)| {
                trial::run(self.cx, self.targets, policy, &facts, place, trial)
            });
        let about = FileContext { run, ..self.about(file) };
        let verdict = verify::judge(file.source, &facts, &about, policy);
        self.checked(file, policy, Ok(verdict), || {
            let mut rows = verify::fact::list_facts(&facts);
            // A read error is in the verdict.
            rows.extend(verify::fact::panic_facts(file.source, &facts).unwrap_or_default());
            rows
        })
    }

    fn universal(&self, file: File<'_>, policy: &Policy) -> Outcome {
        let slices = match foreign::read_slices(file.source) {
            Ok(slices) => slices,
            Err(error) => return self.checked(file, policy, Err(error), Vec::new),
        };
        let mut all = Outcome::default();
        for slice in slices {
            let name = format!("{}!{}", file.name, slice.machine);
            let outcome = match FileRange::new(file.source, slice.start, slice.size) {
                Some(part) => {
                    let source = Source::File(&part);
                    self.foreign(File { source, name: &name, ..file }, ForeignFormat::MachO, policy)
                }
                None => Outcome::of(refused(&name, "it ends after the file's end")),
            };
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
        }
        all
    }

    fn foreign(&self, file: File<'_>, format: ForeignFormat, policy: &Policy) -> Outcome {
        let facts = match foreign::read(file.source, format) {
            Ok(facts) => facts,
            Err(error) => return self.checked(file, policy, Err(error), Vec::new),
        };
        let verdict = verify::judge_foreign(file.source, &facts, &self.about(file), policy);
        self.checked(file, policy, Ok(verdict), || verify::foreign_facts(&facts))
    }

    fn about(&self, file: File<'_>) -> FileContext {
        let base = self.base.and_then(|base| base.file(file.name));
        FileContext { mode: file.mode, base, run: None, cpu_flags: file.cpu_flags.cloned() }
    }

    fn checked(
        &self,
        file: File<'_>,
        policy: &Policy,
        verdict: Result<Verdict, ReadError>,
        facts: impl Fn() -> Vec<Fact>,
    ) -> Outcome {
        let digest = self.request.digests.then(|| file.source.digest());
        let verdict = match (verdict, &digest) {
            (Err(error), _) => verify::reject_unreadable(&error.to_string()),
            (_, Some(Err(error))) => verify::reject_unreadable(&error.to_string()),
            (Ok(verdict), _) => policy.waive(verdict, file.name),
        };
        Outcome::of(Checked {
            path: file.name.to_owned(),
            target: policy.target().map(|target| target.name.clone()),
            sha256: digest.and_then(Result::ok),
            verdict,
            facts: if self.request.facts { facts() } else { Vec::new() },
        })
    }
}

/// Returns the kind of a file.
fn kind(source: Source<'_>) -> Result<FileKind, ReadError> {
    Ok(FileKind::of(&source.read_up_to(0, START)?))
}

/// Returns a regular file, and its mode.
fn open(path: &Utf8Path) -> Result<(OpenFile, Mode)> {
    let file = file::open(path)?;
    let mode = Mode { bits: file.mode(), capabilities: file.has_capabilities() };
    Ok((file, mode))
}
