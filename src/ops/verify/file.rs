//! Verification of one file.

use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    VerifyRequest,
    base::BaseSizes,
    execution,
    kind::{FileKind, START_SIZE},
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

/// The maximum size of a program that is read: far above any, and searched in seconds.
pub(super) const MAX_SIZE: u64 = 4 << 30;

/// The result for a file, or for all in an archive.
#[derive(Default)]
pub(super) struct FileOutcome {
    pub(super) checked: Vec<Checked>,
    pub(super) not_checked: Vec<NotChecked>,
    /// The name of an image in a registry, and the digest of its manifest or index.
    pub(super) remote: Option<(Utf8PathBuf, Digest)>,
}

impl FileOutcome {
    pub(super) fn from_checked(checked: Checked) -> Self {
        FileOutcome { checked: vec![checked], ..FileOutcome::default() }
    }

    pub(super) fn skip(path: &str, reason: &str) -> Self {
        let file = NotChecked { path: path.to_owned(), reason: reason.to_owned() };
        FileOutcome { not_checked: vec![file], ..FileOutcome::default() }
    }
}

/// Returns the verdict on a file that cannot be read, with the reason.
pub(super) fn rejected(path: &str, why: &str) -> Checked {
    Checked {
        path: path.to_owned(),
        target: None,
        sha256: None,
        verdict: verify::reject_unreadable(why),
        facts: Vec::new(),
    }
}

/// Returns the verdict on a file that cannot be read because of `error`, with its hint.
pub(super) fn rejected_by(path: &str, error: &Error) -> Checked {
    let why = error.to_string();
    let mut checked = rejected(path, &why);
    if let Some(hint) = error.hint_text() {
        checked.verdict = verify::reject_unreadable_with_hint(&why, hint);
    }
    checked
}

/// A file to verify, at any location.
#[derive(Clone, Copy)]
pub(super) struct VerifiedFile<'a> {
    pub(super) source: Source<'a>,
    /// Its name in the verdict.
    pub(super) name: &'a str,
    pub(super) kind: FileKind,
    pub(super) mode: Option<Mode>,
    /// Whether the user did not name it, so that it is not rejected if it is not a program.
    pub(super) listed: bool,
    /// The path from which it can be started.
    pub(super) run_path: Option<&'a Utf8Path>,
    /// The flags for its CPU, if it belongs to a release that records some.
    pub(super) cpu_flags: Option<&'a CpuFlags>,
}

/// Verifies files with the settings of one request.
pub(super) struct FileVerifier<'a> {
    pub(super) cx: &'a Context,
    pub(super) request: &'a VerifyRequest,
    targets: &'a Targets,
    pub(super) base: Option<&'a BaseSizes>,
    /// Held while an archive or an image is read: each takes memory for its decompressor.
    pub(super) archives: Mutex<()>,
    pub(super) session: Arc<Session>,
}

impl<'a> FileVerifier<'a> {
    pub(super) fn new(
        cx: &'a Context,
        request: &'a VerifyRequest,
        targets: &'a Targets,
        base: Option<&'a BaseSizes>,
    ) -> Self {
        let session = Session::new(cx, &request.registry);
        FileVerifier { cx, request, targets, base, archives: Mutex::default(), session }
    }

    /// Returns the result for the file or archive at `path`.
    pub(super) fn check_path(&self, path: &Utf8Path, policy: &Policy, listed: bool) -> FileOutcome {
        match open_regular(path) {
            Ok((file, mode)) => match detect_kind(Source::File(&file)) {
                Ok(kind) => self.check_open(path, (&file, mode), kind, policy, listed),
                Err(error) => {
                    FileOutcome::from_checked(rejected(path.as_str(), &error.to_string()))
                }
            },
            Err(error) => FileOutcome::from_checked(rejected_by(path.as_str(), &error)),
        }
    }

    /// Returns the same for a file in a directory, which is of that kind.
    pub(super) fn check_listed(
        &self,
        path: &Utf8Path,
        kind: FileKind,
        policy: &Policy,
    ) -> FileOutcome {
        match open_regular(path) {
            Ok(open) => self.check_open(path, (&open.0, open.1), kind, policy, true),
            Err(error) => FileOutcome::from_checked(rejected_by(path.as_str(), &error)),
        }
    }

    fn check_open(
        &self,
        path: &Utf8Path,
        (file, mode): (&OpenFile, Mode),
        kind: FileKind,
        policy: &Policy,
        listed: bool,
    ) -> FileOutcome {
        if let FileKind::Archive(format, _) = kind {
            return self.check_archive_file(path, file, format, policy, listed);
        }
        let (source, name, mode) = (Source::File(file), path.as_str(), Some(mode));
        self.check_file(
            VerifiedFile {
                source,
                name,
                kind,
                mode,
                listed,
                run_path: Some(path),
                cpu_flags: None,
            },
            policy,
        )
    }

    /// Returns the verdict on a file of a `dist.json`.
    pub(super) fn check_artifact(
        &self,
        path: &Utf8Path,
        artifact: &Artifact,
        policy: &Policy,
    ) -> FileOutcome {
        let name = path.as_str();
        let (file, mode) = match open_regular(path) {
            Ok(open) => open,
            Err(error) => return FileOutcome::from_checked(rejected_by(name, &error)),
        };
        let source = Source::File(&file);
        let read = source.digest().and_then(|digest| Ok((digest, detect_kind(source)?)));
        let (sha256, kind) = match read {
            Ok(read) => read,
            Err(error) => return FileOutcome::from_checked(rejected(name, &error.to_string())),
        };
        if let Some(verdict) = verify::mismatch(artifact, sha256, source.size(), policy) {
            return FileOutcome::from_checked(Checked {
                path: name.to_owned(),
                target: Some(artifact.target.clone()),
                sha256: Some(sha256),
                verdict,
                facts: Vec::new(),
            });
        }
        let (run_path, cpu_flags) = (Some(path), artifact.cpu_flags.as_ref());
        let mode = Some(mode);
        self.check_file(
            VerifiedFile { source, name, kind, mode, listed: false, run_path, cpu_flags },
            policy,
        )
    }

    /// Returns the result for a file that is not an archive.
    pub(super) fn check_file(&self, file: VerifiedFile<'_>, policy: &Policy) -> FileOutcome {
        let source = file.source;
        if source.size() > MAX_SIZE {
            let why =
                format!("it has {} bytes, and more than {MAX_SIZE} are not read", source.size());
            return FileOutcome::from_checked(rejected(file.name, &why));
        }
        match file.kind {
            FileKind::Foreign(format) => self.check_foreign(file, format, policy),
            FileKind::Universal => self.check_universal(file, policy),
            kind => match kind.skipped().filter(|_| file.listed) {
                Some(reason) => FileOutcome::skip(file.name, reason),
                None => self.check_elf(file, policy),
            },
        }
    }

    fn check_elf(&self, file: VerifiedFile<'_>, policy: &Policy) -> FileOutcome {
        let names = self.request.facts || verify::needs_names(policy);
        let facts = match Facts::read_with(file.source, names) {
            Ok(facts) => facts,
            Err(error) => return self.finish(file, policy, Err(error), Vec::new),
        };
        // Separate debug information belongs beside the programs of a directory, and is none.
        if facts.detached && file.listed {
            return FileOutcome::skip(file.name, "separate debug information");
        }
        let run = self.request.run.as_ref().zip(file.run_path).map(|(trial, run_path)| {
            execution::run(self.cx, self.targets, policy, &facts, run_path, trial)
        });
        let about = FileContext { run, ..self.about(file) };
        let verdict = verify::judge(file.source, &facts, &about, policy);
        self.finish(file, policy, Ok(verdict), || {
            let mut rows = verify::fact::list_facts(&facts);
            // A read error is in the verdict.
            rows.extend(verify::fact::panic_facts(file.source, &facts).unwrap_or_default());
            rows
        })
    }

    fn check_universal(&self, file: VerifiedFile<'_>, policy: &Policy) -> FileOutcome {
        let slices = match foreign::read_slices(file.source) {
            Ok(slices) => slices,
            Err(error) => return self.finish(file, policy, Err(error), Vec::new),
        };
        let mut all = FileOutcome::default();
        for slice in slices {
            let name = format!("{}!{}", file.name, slice.machine);
            let outcome = match FileRange::new(file.source, slice.start, slice.size) {
                Some(part) => {
                    let source = Source::File(&part);
                    self.check_foreign(
                        VerifiedFile { source, name: &name, ..file },
                        ForeignFormat::MachO,
                        policy,
                    )
                }
                None => FileOutcome::from_checked(rejected(&name, "it ends after the file's end")),
            };
            all.checked.extend(outcome.checked);
            all.not_checked.extend(outcome.not_checked);
        }
        all
    }

    fn check_foreign(
        &self,
        file: VerifiedFile<'_>,
        format: ForeignFormat,
        policy: &Policy,
    ) -> FileOutcome {
        let facts = match foreign::read(file.source, format) {
            Ok(facts) => facts,
            Err(error) => return self.finish(file, policy, Err(error), Vec::new),
        };
        let verdict = verify::judge_foreign(file.source, &facts, &self.about(file), policy);
        self.finish(file, policy, Ok(verdict), || verify::foreign_facts(&facts))
    }

    fn about(&self, file: VerifiedFile<'_>) -> FileContext {
        let base = self.base.and_then(|base| base.file(file.name));
        FileContext { mode: file.mode, base, run: None, cpu_flags: file.cpu_flags.cloned() }
    }

    fn finish(
        &self,
        file: VerifiedFile<'_>,
        policy: &Policy,
        verdict: Result<Verdict, ReadError>,
        facts: impl Fn() -> Vec<Fact>,
    ) -> FileOutcome {
        let digest = self.request.digests.then(|| file.source.digest());
        let verdict = match (verdict, &digest) {
            (Err(error), _) => verify::reject_unreadable(&error.to_string()),
            (_, Some(Err(error))) => verify::reject_unreadable(&error.to_string()),
            (Ok(verdict), _) => policy.waive(verdict, file.name),
        };
        FileOutcome::from_checked(Checked {
            path: file.name.to_owned(),
            target: policy.target().map(|target| target.name.clone()),
            sha256: digest.and_then(Result::ok),
            verdict,
            facts: if self.request.facts { facts() } else { Vec::new() },
        })
    }
}

/// Returns the kind of a file.
fn detect_kind(source: Source<'_>) -> Result<FileKind, ReadError> {
    Ok(FileKind::detect(&source.read_up_to(0, START_SIZE)?))
}

/// Returns a regular file, and its mode.
fn open_regular(path: &Utf8Path) -> Result<(OpenFile, Mode)> {
    let file = file::open(path)?;
    let mode = Mode { bits: file.mode(), capabilities: file.has_capabilities() };
    Ok((file, mode))
}
