//! `build`: from the plan to binaries.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use camino::Utf8PathBuf;

use crate::{
    cargo::{
        message::{Report, Units},
        progress,
    },
    command::Command,
    elf::{Keep, strip},
    error::{Error, Result},
    event::Event,
    oci::Digest,
    ops::{cache, plan::Planned, stage::Stage, warm::Warm},
    schema::{
        dist::{Artifact, File, Sccache},
        plan::{Build, Job, Plan},
    },
    sys::{Context, fs, process::Stream, sccache, zig},
};

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// One for each job of the plan, in its order, without verdicts.
    pub artifacts: Vec<Artifact>,
    /// Units compiled and found done.
    pub units: Units,
    /// What sccache was asked for.
    pub sccache: Option<Sccache>,
}

/// Lines of the log that an error shows.
const TAIL: usize = 40;

/// Builds every job of the plan into the stage.
///
/// # Errors
/// zig is unfit, or the build failed: which crate, and the end of the log with the path of the
/// whole.
pub fn build(cx: &Context, planned: &Planned, stage: &Stage) -> Result<Built> {
    let zig = planned.zig.as_ref().ok_or_else(|| {
        Error::tool("zig is missing").hint("`cargo longshore doctor` shows how to get it")
    })?;
    let plan = &planned.plan;
    let sccache = sccache::program(planned.rustc_wrapper.as_deref());
    let before = sccache.and_then(|program| sccache::counted(cx, program));
    let mut report = Report::default();
    let mut warmed = BTreeSet::new();
    for (number, build) in plan.builds.iter().enumerate() {
        let log = match number {
            0 => "logs/build.log".to_owned(),
            _ => format!("logs/build-{}.log", number + 1),
        };
        let mut env: BTreeMap<_, _> =
            build.env.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        env.extend(build.env_remove.iter().map(|name| (name.clone(), None)));
        env.extend(steady_env(cx, plan.release.source_date_epoch));
        let more =
            zig::environment(cx, &planned.rust, zig, &plan.target_directory, &build.args, &env)?;
        env.extend(more);
        cx.status("Building", describe(plan, build));
        let warm = Warm::new(planned, build, &env);
        warmed.extend(warm.names());
        let command = Command { env, ..Command::new(cx.env.cargo()).args(build.args.clone()) };
        warm.beside(cx, stage, |compiles| run(cx, &command, stage, &log, compiles, &mut report))?;
    }
    cache::record(cx, planned, std::mem::take(&mut report.all), warmed)?;
    let artifacts =
        plan.jobs.iter().map(|job| collect(job, &report, stage)).collect::<Result<_>>()?;
    let after = sccache.and_then(|program| sccache::counted(cx, program));
    let sccache = before.zip(after).map(|(before, after)| Sccache {
        hits: after.hits.saturating_sub(before.hits),
        misses: after.misses.saturating_sub(before.misses),
    });
    if let Some(Sccache { hits, misses }) = sccache {
        cx.status("Asked", format!("sccache: {hits} hits, {misses} misses"));
    }
    Ok(Built { artifacts, units: report.units, sccache })
}

/// Variables that would otherwise reach the result from the user's session, or from the `cargo run`
/// that started an xtask.
fn steady_env(cx: &Context, epoch: u64) -> BTreeMap<String, Option<String>> {
    let of_outer_cargo = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
    };
    let names = cx.env.vars().map(|(name, _)| name).filter(|name| of_outer_cargo(name));
    let mut env: BTreeMap<_, _> = names.map(|name| (name.to_owned(), None)).collect();
    for (name, value) in [
        ("SOURCE_DATE_EPOCH", epoch.to_string().as_str()),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        // Cargo tells how far it is only in its progress bar.
        ("CARGO_TERM_PROGRESS_WHEN", "always"),
        ("CARGO_TERM_PROGRESS_WIDTH", "120"),
        ("CARGO_TERM_COLOR", "never"),
    ] {
        env.insert(name.to_owned(), Some(value.to_owned()));
    }
    env
}

/// Runs cargo, and calls `compiles` with every unit that it begins to compile.
fn run(
    cx: &Context,
    command: &Command,
    stage: &Stage,
    log: &str,
    compiles: &(dyn Fn() + Sync),
    report: &mut Report,
) -> Result<()> {
    let path = stage.path(log);
    let mut file = fs::append(&path)?;
    let mut unwritten = writeln!(file, "$ {command}").err();
    let mut lines: Vec<String> = Vec::new();
    let output = cx.children.stream(command, None, |stream, bytes| match stream {
        Stream::Stdout => report.line(bytes),
        Stream::Stderr => {
            let text = String::from_utf8_lossy(bytes);
            if let Some(bar) = progress::parse(&text) {
                cx.emit(Event::Progress {
                    verb: "Building",
                    done: bar.done,
                    total: bar.total,
                    detail: bar.active,
                });
                return;
            }
            let line = progress::plain(&text);
            let line = line.trim_end();
            if line.trim_start().starts_with("Compiling ") {
                compiles();
            }
            if progress::is_bar(&text) {
                return;
            }
            if let Err(error) = writeln!(file, "{line}") {
                unwritten.get_or_insert(error);
            }
            cx.emit(Event::Output { line: line.to_owned() });
            lines.push(line.to_owned());
        }
    });
    cx.emit(Event::ProgressDone);
    let output = output?;
    if !output.success() {
        let place = stage.failed().join(log);
        return Err(failure(&lines, command, &output.ending(), &place));
    }
    match unwritten {
        Some(error) => Err(fs::failed("write", &path, error)),
        None => Ok(()),
    }
}

fn describe(plan: &Plan, build: &Build) -> String {
    let mut bins: Vec<&str> = plan.jobs.iter().map(|job| job.binary.as_str()).collect();
    bins.sort_unstable();
    bins.dedup();
    let preset = plan.profile.preset.map(|preset| format!(", preset {}", preset.name()));
    format!(
        "{} for {} (profile {}{})",
        bins.join(", "),
        build.targets.join(", "),
        plan.profile.name,
        preset.unwrap_or_default()
    )
}

/// The crate that failed, and the end of the log from its first error on.
fn failure(lines: &[String], command: &Command, ending: &str, log: &Utf8PathBuf) -> Error {
    let named = |start: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(start))?;
        line.split('`').next().map(str::to_owned)
    };
    let krate = named("error: could not compile `")
        .or_else(|| named("error: failed to run custom build command for `"));
    let what = match krate {
        Some(name) => format!("cannot build `{name}`"),
        None => "the build failed".to_owned(),
    };
    let first = lines.iter().position(|line| line.starts_with("error"));
    let last = lines.len().saturating_sub(TAIL);
    // From the first error, where that is not too long ago; else what fits before the end.
    let from = first.filter(|first| *first >= last).unwrap_or(last);
    let hint = match cause(lines) {
        Some(hint) => format!("{hint}; the whole log is `{log}`"),
        None => format!("the whole log is `{log}`"),
    };
    Error::build(format!("{what}: cargo ended with {ending}"))
        .detail(format!("$ {}\n{}", without_env(command), lines[from..].join("\n")))
        .hint(hint)
}

/// The command without the long list of variables, which the log has.
fn without_env(command: &Command) -> Command {
    Command { env: BTreeMap::new(), ..command.clone() }
}

/// What some well-known endings of a build mean.
fn cause(lines: &[String]) -> Option<&'static str> {
    let seen = |text: &str| lines.iter().any(|line| line.contains(text));
    if seen("No space left on device") {
        Some("free some space")
    } else if seen("because --locked was passed") {
        Some(
            "`Cargo.lock` is missing or old: `cargo generate-lockfile` makes it, `--no-locked` \
              does without",
        )
    } else if seen("failed to download from") || seen("Could not resolve host") {
        Some("the network is out of reach: try again, or `--offline` after `cargo fetch`")
    } else if seen("requires rustc") {
        Some("a newer toolchain is needed")
    } else {
        None
    }
}

/// What the previous output has of the job's binary, if it was stripped from the same file by the
/// same longshore.
fn kept(job: &Job, stage: &Stage, unstripped: &File) -> Result<Option<(Digest, u64)>> {
    let Some(previous) = stage.previous() else {
        return Ok(None);
    };
    let ours = env!("CARGO_PKG_VERSION");
    if previous.release.tools.get("longshore").is_none_or(|version| version != ours) {
        return Ok(None);
    }
    let same = |old: &&Artifact| old.path == job.path && old.unstripped == *unstripped;
    match previous.artifacts.iter().find(same) {
        Some(old) if stage.keep(&old.path, &old.sha256, old.size)? => {
            Ok(Some((old.sha256, old.size)))
        }
        _ => Ok(None),
    }
}

/// Strips the job's binary into the stage, unless the previous output has it.
fn collect(job: &Job, report: &Report, stage: &Stage) -> Result<Artifact> {
    let manifest = Utf8PathBuf::from(&job.manifest);
    let made = report.binary(&manifest, &job.binary, &job.target).ok_or_else(|| {
        Error::build(format!("cargo made no binary `{}` for `{}`", job.binary, job.target))
            .hint("this is a fault in longshore: please report it with the log")
    })?;
    let bytes = fs::read(&made.path)?;
    let unstripped = File { size: bytes.len() as u64, sha256: Digest::of(&bytes) };
    let (sha256, size) = match kept(job, stage, &unstripped)? {
        Some(kept) => kept,
        None => {
            let stripped = strip(&bytes, Keep::default()).map_err(|error| {
                Error::build(format!("`{}` cannot be stripped: {error}", made.path))
            })?;
            fs::write_mode(&stage.path(&job.path), &stripped, 0o755)?;
            (Digest::of(&stripped), stripped.len() as u64)
        }
    };
    Ok(Artifact {
        name: job.binary.clone(),
        package: job.package.clone(),
        version: job.version.clone(),
        target: job.target.clone(),
        platform: job.platform.clone(),
        path: job.path.clone(),
        size,
        sha256,
        unstripped,
        verdict: None,
        smoke: None,
    })
}
