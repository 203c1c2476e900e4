//! From cargo's output to shipped files: each binary is stripped, its symbols are kept if that was
//! requested, and its allocator is checked.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    binary::elf::{Composite, StripOptions, split, strip, symbol_addresses},
    build::{
        allocator::{MALLOC_SYMBOLS, served_by_mimalloc, served_by_program},
        cargo::message::BuildReport,
        memory,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            allocator::{Allocator, AllocatorChoice},
            dist::{Artifact, DebugFile, Dist, File},
            memory::{MemoryChoice, MemoryFunctions},
            plan::{Job, Plan},
        },
        source::{ReadAt as _, Source},
    },
    ops::output::{digests::Digests, stage::Stage},
    sys::{file, fs},
};

/// Strips the binaries of one build into the stage.
pub(in crate::ops) struct Collector<'a> {
    report: &'a BuildReport,
    stage: &'a Stage,
    /// Gets the digests of the written files.
    digests: &'a Digests,
    /// The modification time of written files, also in images.
    epoch: u64,
    previous: Option<Dist>,
}

/// The files of a job.
struct StrippedBinary {
    file: File,
    debug: Option<DebugFile>,
    allocator: AllocatorChoice,
    memory_functions: Option<MemoryChoice>,
}

impl<'a> Collector<'a> {
    pub(in crate::ops) fn new(
        plan: &Plan,
        report: &'a BuildReport,
        stage: &'a Stage,
        digests: &'a Digests,
    ) -> Self {
        let epoch = plan.release.source_date_epoch;
        Collector { report, stage, digests, epoch, previous: stage.previous() }
    }

    /// Strips the job's binary into the stage, unless the previous output has it. `list` is the content of its
    /// section `.dep-v0`.
    ///
    /// # Errors
    /// Cargo made no such binary, it cannot be read or stripped, or it uses a different allocator than
    /// the planned one.
    pub(in crate::ops) fn collect(&self, job: &Job, list: Option<&[u8]>) -> Result<Artifact> {
        let made = unstripped(job, self.report)?;
        let open = file::open(made)?;
        let source = Source::File(&open);
        let sha256 = source
            .digest()
            .map_err(|error| Error::build(format!("`{made}` cannot be read: {error}")))?;
        let unstripped = File { size: source.size(), sha256 };
        let audit = list.map(Digest::sha256);
        let StrippedBinary { file, debug, allocator, memory_functions } =
            match self.reuse_previous(job, &unstripped, audit)? {
                Some(kept) => kept,
                None => {
                    let allocator = allocator(job, made, source)?;
                    let memory_functions = Some(memory_functions(job, made, source)?);
                    let (file, debug) = self.write_stripped(job, made, source, list)?;
                    StrippedBinary { file, debug, allocator, memory_functions }
                }
            };
        self.stage.set_time(&job.path, self.epoch)?;
        self.digests.record(&self.stage.root, &job.path, file.sha256)?;
        if let Some(debug) = &debug {
            self.digests.record(&self.stage.root, &debug.path, debug.sha256)?;
        }
        Ok(Artifact {
            name: job.binary.clone(),
            package: job.package.clone(),
            version: job.version.clone(),
            target: job.target.clone(),
            platform: job.platform.clone(),
            path: job.path.clone(),
            size: file.size,
            sha256: file.sha256,
            unstripped,
            debug,
            audit,
            attribution: None,
            allocator,
            memory_functions,
            linker: Some(job.linker.clone()),
            pgo: job.pgo.clone(),
            cpu_flags: job.cpu_flags.clone(),
            verdict: None,
            smoke: None,
        })
    }

    /// Returns the job's binary of the previous output, if it was stripped from the same file by the
    /// same longshore, for the same plan, with the same list of dependencies.
    fn reuse_previous(
        &self,
        job: &Job,
        unstripped: &File,
        audit: Option<Digest>,
    ) -> Result<Option<StrippedBinary>> {
        let stage = self.stage;
        let Some(previous) = &self.previous else {
            return Ok(None);
        };
        let own = env!("CARGO_PKG_VERSION");
        if previous.release.tools.get("longshore").is_none_or(|version| version != own) {
            return Ok(None);
        }
        let same = |old: &&Artifact| {
            let debug = old.debug.as_ref().map(|debug| &debug.path);
            old.path == job.path
                && old.unstripped == *unstripped
                && old.audit == audit
                && is_same_allocator(&old.allocator, job)
                && old.memory_functions.as_ref().is_some_and(|old| is_same(old, job))
                && debug == job.debug.as_ref()
        };
        let Some(old) = previous.artifacts.iter().find(same) else {
            return Ok(None);
        };
        if let Some(debug) = &old.debug
            && !stage.reuse(&debug.path, &debug.sha256, debug.size)?
        {
            return Ok(None);
        }
        let file = File { size: old.size, sha256: old.sha256 };
        // A transfer of the previous output, as between jobs, may have lost its executable bit.
        let kept = stage.reuse(&old.path, &old.sha256, old.size)?
            && fs::is_program(&stage.path(&old.path));
        let debug = old.debug.clone();
        Ok(kept.then(|| StrippedBinary {
            file,
            debug,
            allocator: old.allocator.clone(),
            memory_functions: old.memory_functions.clone(),
        }))
    }

    /// Writes the stripped binary, and its symbols if the job keeps them.
    fn write_stripped(
        &self,
        job: &Job,
        path: &Utf8Path,
        source: Source<'_>,
        list: Option<&[u8]>,
    ) -> Result<(File, Option<DebugFile>)> {
        let (stripped, symbols) = strip_binary(job, path, source, list)?;
        let write = |path: &str, content: &Composite<'_>, mode| {
            let path = self.stage.path(path);
            let sha256 = fs::write_from(&path, Source::File(content), mode, self.epoch)?;
            Ok::<_, Error>(File { size: content.size(), sha256 })
        };
        let mut debug = None;
        if let (Some(location), Some(symbols)) = (&job.debug, symbols) {
            let File { size, sha256 } = write(location, &symbols, 0o644)?;
            debug = Some(DebugFile { path: location.clone(), size, sha256 });
        }
        Ok((write(&job.path, &stripped, 0o755)?, debug))
    }
}

/// Returns the file that cargo made for the job.
///
/// # Errors
/// There is none.
pub(in crate::ops) fn unstripped<'a>(job: &Job, report: &'a BuildReport) -> Result<&'a Utf8Path> {
    let manifest = Utf8PathBuf::from(&job.manifest);
    let made = report.find_binary(&manifest, &job.binary, &job.target).ok_or_else(|| {
        Error::build(format!("cargo made no binary `{}` for `{}`", job.binary, job.target))
            .hint("this is a fault in longshore: please report it with the log")
    })?;
    Ok(&made.path)
}

/// Returns the shipped form of the binary at `path`: without its symbols and with the list of its
/// dependencies, and the symbols if the job keeps them.
///
/// # Errors
/// It cannot be stripped.
pub(in crate::ops) fn strip_binary<'a>(
    job: &Job,
    path: &Utf8Path,
    source: Source<'a>,
    list: Option<&[u8]>,
) -> Result<(Composite<'a>, Option<Composite<'a>>)> {
    let keep = StripOptions { dependencies: list, ..StripOptions::default() };
    let cannot = |error| Error::build(format!("`{path}` cannot be stripped: {error}"));
    let Some(location) = &job.debug else {
        return Ok((strip(source, keep).map_err(cannot)?, None));
    };
    let name = Utf8Path::new(location).file_name().unwrap_or_default();
    let both = split(source, keep, name).map_err(cannot)?;
    Ok((both.stripped, Some(both.debug)))
}

/// Returns whether the job has the implementation of memory functions that a result was built with.
fn is_same(old: &MemoryChoice, job: &Job) -> bool {
    let new = &job.memory_functions;
    (old.functions, &old.origin) == (new.functions, &new.origin)
}

/// Returns the implementation of memory functions, as the symbols show it.
///
/// # Errors
/// The plan requires longshore's, and none of the functions is.
fn memory_functions(job: &Job, path: &Utf8Path, source: Source<'_>) -> Result<MemoryChoice> {
    let choice = job.memory_functions.clone();
    if choice.functions == MemoryFunctions::System {
        return Ok(choice);
    }
    let symbols: Vec<&str> =
        memory::FUNCTION_NAMES.iter().flat_map(|(name, own)| [*name, *own]).collect();
    let found = symbol_addresses(source, &symbols)
        .map_err(|error| Error::build(format!("`{path}` cannot be read: {error}")))?;
    let memory::LinkedFunctions { own, others } = memory::LinkedFunctions::new(&found);
    let replaced = |name: &&str| memory::is_replaced(&job.platform, name);
    if own.is_empty() && others.iter().any(replaced) {
        return Err(Error::build(format!(
            "longshore's memory functions were linked into `{}` for `{}`, and others are used: {}",
            job.binary,
            job.target,
            others.join(", ")
        ))
        .hint(
            "`memory-functions = \"system\"` in `[workspace.metadata.longshore]` does without them",
        ));
    }
    Ok(MemoryChoice { others: others.into_iter().map(str::to_owned).collect(), ..choice })
}

/// Returns whether a result that was built with `old` has the job's allocator.
fn is_same_allocator(old: &AllocatorChoice, job: &Job) -> bool {
    let new = &job.allocator;
    old == new || new.allocator == Allocator::Program && *old == new.without_program()
}

/// Returns the allocator that serves `malloc`, as the symbols show it.
///
/// # Errors
/// The plan requires mimalloc, and it is another one.
fn allocator(job: &Job, path: &Utf8Path, source: Source<'_>) -> Result<AllocatorChoice> {
    let choice = job.allocator.clone();
    if choice.allocator == Allocator::System {
        return Ok(choice);
    }
    let found = symbol_addresses(source, &MALLOC_SYMBOLS)
        .map_err(|error| Error::build(format!("`{path}` cannot be read: {error}")))?;
    if choice.allocator == Allocator::Program {
        return Ok(if served_by_program(&found) { choice } else { choice.without_program() });
    }
    if served_by_mimalloc(&found) {
        return Ok(choice);
    }
    let found: Vec<_> = found.iter().map(|(name, at)| format!("`{name}` at {at:#x}")).collect();
    Err(Error::build(format!(
        "mimalloc was linked into `{}` for `{}`, and does not serve its `malloc`: {}",
        job.binary,
        job.target,
        found.join(", ")
    ))
    .hint("`--allocator system` does without it"))
}
