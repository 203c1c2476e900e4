//! `build`: from the plan to binaries.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use camino::Utf8Path;

use crate::{
    build::cargo::{cpu, layout::Layout, message::BuildReport, progress},
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        command::Command,
        error::{Error, Result},
        event::Event,
        schema::{
            dist::{Artifact, Sccache},
            plan::{Build, Plan, Via},
        },
    },
    ops::{
        cache,
        dist::{
            blame::{self, BuildFailure},
            bom::{self, Sboms},
            collect::Collector,
            pgo,
            planned::{Planned, Product},
            warm::Warm,
        },
        output::{digests::Digests, stage::Stage},
        size::record,
    },
    sys::{
        Context,
        cargo::FIXED_VARIABLES,
        fs, git,
        process::{Stream, rustc},
        sccache,
        toolchain::{memory, mimalloc},
        zig,
    },
};

/// The results of a build.
#[derive(Debug)]
pub struct Built {
    /// Cargo's report on the build.
    pub report: BuildReport,
    /// The components of the binaries.
    pub(in crate::ops) bills: Sboms,
    /// The statistics of sccache.
    pub sccache: Option<Sccache>,
}

/// Builds every job of the plan into the stage. Returns their artifacts, without verdicts.
///
/// # Errors
/// zig is unfit, or the build failed: the error names the crate, and has the end of the log with the
/// path of the complete one.
pub(in crate::ops) fn build<'p>(
    cx: &Context,
    planned: &'p Planned,
    stage: &Stage,
    digests: &Digests,
) -> Result<(Vec<Product<'p, Artifact>>, Built)> {
    let (report, sccache) =
        sccache::count_requests(cx, planned.identities.wrapper.as_deref(), || {
            compile(cx, planned, &planned.plan, stage, "build")
        })?;
    let unprofiled = pgo::find_unprofiled(cx, planned, &report)?;
    let bills = bom::sboms(cx, planned, &report)?;
    let collector = Collector::new(&planned.plan, &report, stage, digests);
    let jobs = planned.plan.jobs.iter();
    let collect = |job| Ok(Product { job, artifact: collector.collect(job, bills.section(job))? });
    let mut products = jobs.map(collect).collect::<Result<Vec<_>>>()?;
    for Product { artifact, .. } in &mut products {
        if unprofiled.contains(&artifact.target) {
            artifact.pgo = artifact.pgo.take().map(pgo::unprofiled);
        }
    }
    record::attribute_artifacts(cx, planned, &report, &bills, stage, &mut products)?;
    Ok((products, Built { report, bills, sccache }))
}

/// Runs cargo's commands of `plan`, which is for the same machine as `planned`. The names of the logs in the
/// stage begin with `name`.
///
/// # Errors
/// As [`build`].
pub(in crate::ops) fn compile(
    cx: &Context,
    planned: &Planned,
    plan: &Plan,
    stage: &Stage,
    name: &str,
) -> Result<BuildReport> {
    let zig = planned.zig.as_ref().ok_or_else(|| {
        Error::tool("zig is missing").hint("`cargo longshore doctor` shows how to get it")
    })?;
    pgo::provide(cx, planned)?;
    let mut report = BuildReport::default();
    let mut warmed = BTreeSet::new();
    let directory = Utf8Path::new(&plan.target_directory);
    let mut freshness = cache::Freshness::check(cx, plan.workspace.as_str().into(), directory)?;
    for (number, build) in plan.builds.iter().enumerate() {
        let log = match number {
            0 => format!("logs/{name}.log"),
            _ => format!("logs/{name}-{}.log", number + 1),
        };
        let mut env: BTreeMap<_, _> =
            build.env.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect_map();
        env.extend(build.env_remove.iter().map(|name| (name.clone(), None)));
        env.extend(fixed_env(cx, plan.release.source_date_epoch));
        let targets: Vec<_> =
            build.targets.iter().map(|name| zig_target(planned, plan, build, name)).collect();
        let more =
            zig::environment(cx, &planned.rust, zig, &plan.target_directory, &targets, &env)?;
        env.extend(more);
        if let Some(program) = rustc::wrapper(cx, &plan.target_directory, &planned.identities)? {
            env.insert("RUSTC_WRAPPER".to_owned(), Some(program.into_string()));
        }
        for job in plan.jobs.iter().filter(|job| build.targets.contains(&job.target)) {
            if let Some(object) = planned.mimalloc.get(&job.target) {
                let offline = planned.offline;
                let tools = (&planned.rust, zig);
                let cpu = job.cpu.as_deref();
                mimalloc::provide(cx, tools, &job.target, cpu, object, offline)?;
            }
            if let Some(object) = planned.memory.get(&job.target) {
                let (std, cpu) = (build.std.get(&job.target), job.cpu.as_deref());
                memory::provide(cx, &planned.rust, std, &job.target, cpu, object)?;
            }
        }
        let warm = Warm::new(planned, build, &env);
        warmed.extend(warm.name().map(str::to_owned));
        let zig_cache = warm.restored(cx, directory);
        if let Some(cache) = &zig_cache {
            env.insert("ZIG_GLOBAL_CACHE_DIR".to_owned(), Some(cache.to_string()));
        }
        // The directory in which freshness is checked. As a variable it would make a cargo that a build
        // script runs build there, too, and wait for this one.
        let build_dir = toml::Value::from(directory.as_str());
        let command = Command { env, ..Command::new(cx.env.cargo()).args(build.args.clone()) }
            .args(["--config", &format!("build.build-dir={build_dir}")]);
        report.begin_command(Layout::new(vec![directory.to_owned()], build.targets.clone()));
        let timings = directory.join("cargo-timings");
        fs::remove_dir_all(&timings)?;
        cx.status("Building", describe(plan, build));
        let ran = warm.run_beside(cx, zig_cache, stage, |compiles| {
            run_cargo(cx, build, &command, stage, &log, compiles, &mut report)
        });
        // Also what was compiled before a failure.
        let updated = freshness.update(&report.all);
        ran.and(updated)?;
        let page = timings.join("cargo-timing.html");
        if let Some(text) = fs::read_to_string_if_exists(&page)? {
            let command = report.command_index();
            report.units.add_timings(&text, command);
            if planned.timings {
                fs::write(&stage.path(&log.replace(".log", "-timing.html")), text.as_bytes())?;
            }
        }
        fs::remove_dir_all(&timings)?;
    }
    check_compiled_once(&report, plan)?;
    let all = std::mem::take(&mut report.all);
    if plan.target_directory == planned.plan.target_directory {
        cache::record(cx, planned, all, warmed)?;
    }
    Ok(report)
}

/// Checks that no unit was compiled twice.
fn check_compiled_once(report: &BuildReport, plan: &Plan) -> Result<()> {
    let Some(twice) = report.units.find_duplicate() else {
        return Ok(());
    };
    // `--each` is for dependencies that differ from package to package; what depends on those differs,
    // too, even if its own features are the same.
    if twice.by_two_commands && plan.builds.iter().any(|build| build.packages != plan.packages()) {
        return Ok(());
    }
    let [first, again] = twice.files;
    let (cause, hint) = match twice.by_two_commands {
        true => (
            "the targets need two cargo commands, since a variable such as `RUSTFLAGS` has flags \
             that differ between them, and the unit depends on it",
            "move the flags to `build.rustflags` or `target.<target>.rustflags` in cargo's \
             configuration: all targets then share one command",
        ),
        false => (
            "cargo made two units of one package with the same features and profile",
            "`cargo tree --duplicates` and the log in `logs` show how they came in",
        ),
    };
    Err(Error::build(format!(
        "`{}` ({}) was compiled twice for {}: {cause}",
        twice.package, twice.kind, twice.target
    ))
    .detail(format!("{first}\n{again}"))
    .hint(hint))
}

/// Returns variables that would otherwise reach the result from the user's session, or from the `cargo run`
/// that started an xtask.
fn fixed_env(cx: &Context, epoch: u64) -> BTreeMap<String, Option<String>> {
    let of_outer_cargo = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
    };
    let names = cx.env.vars().map(|(name, _)| name).filter(|name| of_outer_cargo(name));
    // A build script that runs git gets the answer for the repository that contains its source, in a
    // hook too. Settings such as the URLs of private dependencies stay.
    let of_git = git::LOCAL_VARIABLES.into_iter().filter(|name| !name.starts_with("GIT_CONFIG"));
    let mut env: BTreeMap<_, _> =
        names.chain(of_git).map(|name| (name.to_owned(), None)).collect_map();
    for (name, value) in [
        ("SOURCE_DATE_EPOCH", epoch.to_string().as_str()),
        // Cargo reports its progress only in its progress bar, and names all that it compiles only if
        // there is room.
        ("CARGO_TERM_PROGRESS_WHEN", "always"),
        ("CARGO_TERM_PROGRESS_WIDTH", "500"),
        ("CARGO_TERM_COLOR", "never"),
    ] {
        env.insert(name.to_owned(), Some(value.to_owned()));
    }
    let steady = FIXED_VARIABLES.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    env.extend(steady);
    env
}

/// Runs cargo, and calls `compiles` for every unit that it starts to compile.
fn run_cargo(
    cx: &Context,
    build: &Build,
    command: &Command,
    stage: &Stage,
    log: &str,
    compiles: &(dyn Fn() + Sync),
    report: &mut BuildReport,
) -> Result<()> {
    let path = stage.path(log);
    let mut file = fs::append(&path)?;
    let mut unwritten = writeln!(file, "$ {command}").err();
    let mut lines: Vec<String> = Vec::new();
    let output = cx.children.stream(command, None, |stream, bytes| match stream {
        Stream::Stdout => report.add_line(bytes),
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
            let line = progress::strip_control_sequences(&text);
            let line = line.trim_end();
            if line.trim_start().starts_with("Compiling ") {
                compiles();
            }
            // The page is read, and kept only if that was requested.
            if progress::is_bar(&text) || line.trim_start().starts_with("Timing report saved to") {
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
        let failure = BuildFailure {
            build,
            command,
            lines: &lines,
            scripts: &report.scripts,
            ending: output.ending(),
            log: stage.failed_path().join(log),
        };
        return Err(blame::build_error(cx, &failure));
    }
    match unwritten {
        Some(error) => Err(fs::file_error("write", &path, error)),
        None => Ok(()),
    }
}

/// Returns zig's description of the target `name` of `build`.
fn zig_target(planned: &Planned, plan: &Plan, build: &Build, name: &str) -> zig::ZigTarget {
    let job = plan.jobs.iter().find(|job| job.target == name);
    let flags = job.iter().flat_map(|job| &job.rustflags);
    let flags = flags.filter(|flag| flag.via == Via::Rustflags);
    let flags: Vec<String> = flags.map(|flag| flag.flag.clone()).collect();
    zig::ZigTarget {
        name: name.to_owned(),
        cpu: cpu::chosen_cpu(&flags),
        link_args: build.link_args.get(name).cloned().unwrap_or_default(),
        rust_lld: planned.rust_lld.get(name).cloned(),
    }
}

fn describe(plan: &Plan, build: &Build) -> String {
    let jobs = plan.jobs.iter().filter(|job| build.packages.contains(&job.package));
    let mut bins: Vec<&str> = jobs.map(|job| job.binary.as_str()).collect();
    bins.sort_stable();
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
