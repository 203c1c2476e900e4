//! Completions and manual pages: from the build script's `OUT_DIR`, or written by the program.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    archive::companion_path,
    build::cargo::message::{BuildReport, OutDir},
    model::{
        collect::SortStable as _,
        command::Command,
        digest::Digest,
        error::{Error, Result},
        schema::{
            dist::{Artifact, Companion},
            packaging::Shell,
            plan::{Archive, Companions, Job},
        },
    },
    ops::{
        dist::{
            planned::Planned,
            smoke::{self, Runner, TestOutcome},
        },
        output::stage::Stage,
    },
    sys::{
        Context,
        confine::ProgramRoot,
        fs,
        process::{KeepOutput, Limits, Output},
        tree::{self, EntryKind},
    },
    verify::VerifiedArtifact,
};

/// The maximum size of a page or script, in bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Puts completions and manual pages beside the binaries of each target, in the stage.
///
/// # Errors
/// A program that is to write them fails, writes nothing, does not end, or cannot be run here.
pub(in crate::ops) fn companions(
    cx: &Context,
    planned: &Planned,
    report: &BuildReport,
    artifacts: &[VerifiedArtifact],
    stage: &Stage,
) -> Result<Vec<Companion>> {
    let mut written = ProgramOutputs { cx, planned, artifacts, stage, known: BTreeMap::new() };
    let mut all: Vec<Companion> = Vec::new();
    for archive in &planned.plan.archives {
        let of_it = |c: &Companion| c.package == archive.package && c.target == archive.target;
        // An archive for each binary: the package's were found before.
        if all.iter().any(of_it) {
            continue;
        }
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (companions, man) in [(&archive.completions, false), (&archive.man, true)] {
            match companions {
                Companions::Nowhere => {}
                Companions::OutDir => {
                    let files = in_out_dir(&planned.plan.jobs, report, archive)?;
                    let expected = |location: &str| location.starts_with("share/man/") == man;
                    found.extend(files.into_iter().filter(|(location, _)| expected(location)));
                }
                Companions::Run { .. } => found.extend(written.generate(archive, companions)?),
            }
        }
        for (location, bytes) in found {
            let below = location.strip_prefix("share/").unwrap_or(&location);
            let path = format!("{}/share/{}/{below}", archive.platform.path(), archive.package);
            let (size, sha256) = (bytes.len() as u64, Digest::sha256(&bytes));
            if !stage.reuse(&path, &sha256, size)? {
                fs::write_mode(&stage.path(&path), &bytes, 0o644)?;
            }
            all.push(Companion {
                package: archive.package.clone(),
                target: archive.target.clone(),
                path,
                install_path: location,
                size,
                sha256,
            });
        }
    }
    Ok(all)
}

/// Returns the files in the package's `OUT_DIR` that are named like completions or manual pages.
fn in_out_dir(
    jobs: &[Job],
    report: &BuildReport,
    archive: &Archive,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let of_it = |job: &&Job| job.package == archive.package && job.target == archive.target;
    let names: Vec<&str> = jobs.iter().filter(of_it).map(|job| job.binary.as_str()).collect();
    let mut found = BTreeMap::new();
    let Some(job) = jobs.iter().find(of_it) else {
        return Ok(found);
    };
    let manifest = Utf8PathBuf::from(&job.manifest);
    let Some(binary) = report.find_binary(&manifest, &job.binary, &job.target) else {
        return Ok(found);
    };
    let of_job = |dir: &&OutDir| dir.package == binary.package && dir.target == job.target;
    let dirs = report.out_dirs.iter().filter(of_job).map(|dir| &dir.path);
    for dir in dirs.filter(|dir| dir.is_dir()) {
        for entry in tree::walk(dir, |_| false)? {
            let name = entry.path.file_name().unwrap_or_default();
            if let (EntryKind::File(_), Some(location)) = (entry.kind, companion_path(name, &names))
            {
                found.insert(location, fs::read(&dir.join(&entry.path))?);
            }
        }
    }
    Ok(found)
}

/// The output of programs, each run once.
struct ProgramOutputs<'a> {
    cx: &'a Context,
    planned: &'a Planned,
    artifacts: &'a [VerifiedArtifact],
    stage: &'a Stage,
    known: BTreeMap<(String, Vec<String>), Vec<u8>>,
}

impl ProgramOutputs<'_> {
    fn generate(
        &mut self,
        archive: &Archive,
        companions: &Companions,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let Companions::Run { binary, args, shells, timeout } = companions else {
            return Ok(found);
        };
        let limit = Duration::from_secs(*timeout);
        let mut ask = |shell: Option<&Shell>, location: String| -> Result<()> {
            let name = shell.map_or("", |shell| shell.name());
            let args: Vec<String> = args.iter().map(|arg| arg.replace("{shell}", name)).collect();
            found.insert(location, self.run(&archive.package, binary, args, limit)?);
            Ok(())
        };
        if shells.is_empty() {
            ask(None, format!("share/man/man1/{binary}.1"))?;
        }
        for shell in shells {
            ask(Some(shell), shell.completion_path(binary))?;
        }
        Ok(found)
    }

    fn run(
        &mut self,
        package: &str,
        binary: &str,
        args: Vec<String>,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        let key = (format!("{package}/{binary}"), args);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let what = format!("`{binary} {}` of package `{package}`", key.1.join(" "));
        let of_it = |a: &&Artifact| a.package == package && a.name == binary;
        // The host's own first, then those that an emulator runs.
        let mut ways = Vec::new();
        let mut reasons = Vec::new();
        for artifact in self.artifacts.iter().map(VerifiedArtifact::artifact).filter(of_it) {
            match smoke::runner(self.cx, self.planned.targets.get(&artifact.target)?) {
                Ok(runner) => ways.push((runner.emulator.is_some(), artifact, runner)),
                Err(reason) => reasons.push(reason),
            }
        }
        ways.sort_stable_by_key(|(emulated, ..)| *emulated);
        let Some((_, artifact, runner)) = ways.into_iter().next() else {
            return Err(Error::tool(format!("{what} cannot be run: {}", reasons.join("; ")))
                .hint("build for this host too, or install the emulator"));
        };
        let path = self.stage.path(&artifact.path);
        let output = self.run_confined(&path, binary, &runner, &key.1, limit)?;
        let failed = |how: String| {
            Error::check(format!("{what} {how}"))
                .detail(output.tail(10))
                .hint("see `completions` and `man` in docs/archives.md")
        };
        if output.timed_out {
            return Err(failed(format!("did not end within {} s", limit.as_secs())));
        }
        if output.excess {
            return Err(failed(format!("wrote more than {MAX_SIZE} bytes")));
        }
        if !output.success() {
            return Err(failed(format!("ended with {}", output.ending())));
        }
        if output.stdout.is_empty() {
            return Err(failed("wrote nothing to stdout".to_owned()));
        }
        self.known.insert(key, output.stdout.clone());
        Ok(output.stdout)
    }

    /// Runs the binary confined. If that is impossible it is run without confinement, since the package
    /// requests it, and its build script had the same rights.
    fn run_confined(
        &self,
        path: &Utf8Path,
        binary: &str,
        runner: &Runner,
        args: &[String],
        limit: Duration,
    ) -> Result<Output> {
        let limits = Limits { time: Some(limit), output: MAX_SIZE, keep: KeepOutput::All };
        let log = self.stage.path("logs/companions.log");
        let root = ProgramRoot::new(path, binary, runner.emulator.as_deref())?;
        let reason = match smoke::run(self.cx, &root, runner, args, limits, Some(&log))? {
            TestOutcome::Ran(output) => return Ok(output),
            TestOutcome::NotRun(reason) => reason,
        };
        self.cx.warn(format!("`{binary}` is run with the rights of this user: {reason}"));
        let program = root.program();
        let (first, rest) = match &runner.emulator {
            Some(emulator) => (emulator.as_str(), Some(program.as_str())),
            None => (program.as_str(), None),
        };
        let flags = runner.flags.iter().map(String::as_str);
        let command = Command::new(first).args(flags).args(rest).args(args.iter().cloned());
        let command = command.dir(root.path()).env_clear().env("PATH", "/");
        let output = self.cx.children.output_within(&command, limits)?;
        smoke::append_log(Some(&log), &command, &output)?;
        Ok(output)
    }
}
