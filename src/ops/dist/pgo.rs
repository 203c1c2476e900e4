//! `--pgo`: an instrumented program is trained, and the one that is optimised with its profile is compared with the
//! plain one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    binary::elf::crate_functions,
    build::{
        cargo::message::BuildReport,
        pgo::{
            MAX_FUNCTIONS, PgoBuild, PgoRequest, ROUNDS, check_format, compare, has_function,
            is_faster,
        },
        plan::{chosen_targets, selection},
        request::BuildRequest,
        target::{Target, Targets},
        workspace::Workspace,
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        event::Event,
        schema::{
            pgo::{PgoChoice, PgoComparison},
            plan::FOR_SIZE,
        },
        source::Source,
        suggest::nearest,
    },
    ops::dist::{
        collect::unstripped,
        make_one,
        planned::Planned,
        smoke::{self, Runner},
    },
    sys::{
        Context, cargo, file, fs, host,
        process::measure::{self, Run},
        targets,
        toolchain::{self, llvm},
    },
    verify::Settings,
};

/// The directory of the instrumented program, the profiles and the compared programs, below the target directory.
const DIRECTORY: &str = "longshore/pgo";

/// The number of bytes at the beginning of a profile that show its format.
const START: u64 = 16;

/// The largest profile that is searched for functions.
const MAX_PROFILE: u64 = 1 << 30;

/// A command of `pgo.train` or `pgo.check`.
struct PgoCommand {
    binary: String,
    args: Vec<String>,
    /// The directory of its package.
    dir: Utf8PathBuf,
    limit: Duration,
}

/// A program that was built for a training or a comparison.
struct Program {
    path: Utf8PathBuf,
    runner: Option<Runner>,
}

/// Programs by target and name.
type Programs = BTreeMap<(String, String), Program>;

/// Returns the request with the result of the training, if it is `--pgo`.
///
/// # Errors
/// No package has commands, no target is for this machine, a build or a command fails, or a training writes no
/// profile.
pub(in crate::ops) fn train(cx: &Context, request: &BuildRequest) -> Result<BuildRequest> {
    if request.pgo != PgoRequest::Train {
        return Ok(request.clone());
    }
    let workspace = cargo::workspace(cx, request)?;
    let (training, checks) = commands(&workspace, request)?;
    let known = targets::known(&workspace.root)?;
    let location = workspace.target_directory.join(DIRECTORY);
    fs::create_dir_all(&location)?;
    let _lock = fs::lock(&location.join("lock"), || {
        cx.status("Waiting", format!("for another training in `{location}`"));
    })?;
    let native = [native_target(&workspace, &known, &request.targets)?];
    let runners = runners(cx, chosen_targets(&workspace, &known, &request.targets)?)?;
    let base = BuildRequest {
        pack: false,
        smoke: false,
        twice: false,
        debug_files: false,
        ..request.clone()
    };
    let build = |name: &str, pgo: PgoRequest, targets: &[String]| {
        cx.status("Profiling", format!("the program: {name} build"));
        let (target_dir, targets) = (Some(location.join(name)), targets.to_vec());
        let request = BuildRequest { target_dir, targets, pgo, ..base.clone() };
        let (dist, output) = make_one(cx, &request)?;
        let programs = dist.artifacts.iter().map(|one| {
            let runner = runners.get(&one.target).cloned();
            (
                (one.target.clone(), one.name.clone()),
                Program { path: output.join(&one.path), runner },
            )
        });
        Ok::<Programs, Error>(programs.collect_map())
    };
    let rust = toolchain::rust::find(cx, &cargo::Config::load(cx, &request.config)?.rustc())?;
    let profdata = llvm::provide_profdata(cx, &rust, request.offline)?;
    let trained: Vec<String> = runners.keys().cloned().collect();
    let instrumented = build("instrumented", PgoRequest::Instrument, &trained)?;
    let raw = location.join("raw");
    run_training(cx, &training, (&trained, &instrumented), &raw)?;
    let profile = location.join("program.profdata");
    llvm::merge_profiles(cx, &profdata, &raw, &profile)?;
    fs::remove_dir_all(&raw)?;
    let (digest, _) = fs::digest(&profile)?;
    cx.status("Profile", format!("`{profile}` ({digest})"));
    if checks.is_empty() {
        cx.warn("`pgo.check` is not set: the gain of the profile is not measured");
        return Ok(BuildRequest { pgo: PgoRequest::Trained(profile, None), ..request.clone() });
    }
    let plain = build("plain", PgoRequest::Off, &native)?;
    let optimised = build("optimised", PgoRequest::Trained(profile.clone(), None), &native)?;
    let comparison = run_checks(cx, &checks, &native[0], [&plain, &optimised])?;
    let pgo = decide(cx, profile, digest, comparison);
    Ok(BuildRequest { pgo, ..request.clone() })
}

/// Returns the request of the release, and reports it.
fn decide(
    cx: &Context,
    profile: Utf8PathBuf,
    digest: Digest,
    comparison: PgoComparison,
) -> PgoRequest {
    let PgoComparison { rounds, faster, plain, optimised } = comparison;
    let (plain, optimised) = (plain.median, optimised.median);
    let times = format!("{optimised:.3} s with the profile, {plain:.3} s without");
    if is_faster(&comparison) {
        let percent = (1.0 - optimised / plain) * 100.0;
        cx.status("Optimised", format!("by {percent:.1} %: {times}"));
        return PgoRequest::Trained(profile, Some(comparison));
    }
    let reason = format!("faster in {faster} of {rounds} rounds: {times}");
    cx.warn(format!("the program is released without its profile: {reason}"));
    PgoRequest::Rejected(PgoChoice {
        profile: digest,
        used: false,
        origin: format!("--pgo: {reason}"),
        comparison: Some(comparison),
    })
}

/// Returns the commands for training and those for the comparison, of all packages that are built.
fn commands(
    workspace: &Workspace,
    request: &BuildRequest,
) -> Result<(Vec<PgoCommand>, Vec<PgoCommand>)> {
    let (mut training, mut checks) = (Vec::new(), Vec::new());
    for package in selection::built_together(workspace, request)? {
        let settings = &package.settings.pgo;
        let dir = package.manifest.parent().unwrap_or(&workspace.root);
        let limit = Duration::from_secs(settings.timeout.unwrap_or(DEFAULT_LIMIT));
        for (key, list, all) in
            [("train", &settings.train, &mut training), ("check", &settings.check, &mut checks)]
        {
            for command in list {
                let names = package.bins.iter().map(|bin| bin.name.as_str());
                let binary = command.first().map_or("", String::as_str);
                if !names.clone().any(|name| name == binary) {
                    let error = Error::usage(format!(
                        "`pgo.{key}` of package `{}` starts `{binary}`, which is not a binary of it",
                        package.name
                    ));
                    return Err(match nearest(binary, names) {
                        Some(name) => error.hint(format!("did you mean `{name}`?")),
                        None => {
                            error.hint("the first word of each command is a binary of the package")
                        }
                    });
                }
                all.push(PgoCommand {
                    binary: binary.to_owned(),
                    args: command.get(1..).unwrap_or_default().to_vec(),
                    dir: dir.to_owned(),
                    limit,
                });
            }
        }
    }
    if training.is_empty() {
        return Err(Error::usage("`--pgo` needs commands to train with, and no package has any")
            .hint(
                "set `train = [[\"BINARY\", \"ARGUMENT\"]]` in `[package.metadata.longshore.pgo]`",
            ));
    }
    Ok((training, checks))
}

/// The time limit of one run, in seconds.
const DEFAULT_LIMIT: u64 = 300;

/// Returns the one of the chosen targets that this machine can run.
pub(in crate::ops) fn native_target(
    workspace: &Workspace,
    targets: &Targets,
    requested: &[String],
) -> Result<String> {
    let host = host::platform();
    let chosen = chosen_targets(workspace, targets, requested)?;
    let native = chosen.iter().find(|target| target.spec.platform.to_string() == host);
    native.map(|target| target.name.clone()).ok_or_else(|| {
        Error::usage(format!("no chosen target is for this machine, which is {host}"))
            .hint("name one with `--target`: a time under an emulator says little")
    })
}

/// Returns the runner of each target that this machine runs. Names of functions contain the target, so that each one
/// needs its own training.
fn runners(cx: &Context, targets: Vec<&Target>) -> Result<BTreeMap<String, Runner>> {
    let mut all = BTreeMap::new();
    for target in targets {
        let found = match smoke::runner(cx, target) {
            Ok(runner) => match smoke::unusable_reason(cx, &runner)? {
                Some(reason) if runner.emulator.is_some() => Err(reason),
                _ => Ok(runner),
            },
            Err(reason) => Err(reason),
        };
        match found {
            Ok(runner) => drop(all.insert(target.name.clone(), runner)),
            Err(reason) => cx.warn(format!("`{}` gets no profile: {reason}", target.name)),
        }
    }
    Ok(all)
}

/// Runs the commands, which write profiles into the directory `raw`, for each of the targets.
fn run_training(
    cx: &Context,
    commands: &[PgoCommand],
    (targets, programs): (&[String], &Programs),
    raw: &Utf8Path,
) -> Result<()> {
    fs::remove_dir_all(raw)?;
    fs::create_dir_all(raw)?;
    let all = targets.iter().flat_map(|target| commands.iter().map(move |one| (target, one)));
    let total = (targets.len() * commands.len()) as u64;
    let mut written = 0;
    for (at, (target, command)) in all.enumerate() {
        let detail = format!("{} for {target}", command.binary);
        cx.emit(Event::Progress { verb: "Training", done: at as u64, total, detail });
        // Each process of a run writes a file.
        let file = raw.join(format!("{at:04}-%p-%m.profraw"));
        run(cx, command, target, programs, &[("LLVM_PROFILE_FILE", file.as_str())])?;
        let names = fs::names(raw)?.len();
        if names == written {
            return Err(Error::check(format!(
                "the training `{} {}` wrote no profile for `{target}`",
                command.binary,
                command.args.join(" ")
            ))
            .hint(
                "a profile is written when the program exits or returns from `main`, not when a signal ends it",
            ));
        }
        written = names;
    }
    cx.emit(Event::ProgressDone);
    Ok(())
}

/// Runs all commands on both programs for `target` in turn, in rounds.
fn run_checks(
    cx: &Context,
    commands: &[PgoCommand],
    target: &str,
    programs: [&Programs; 2],
) -> Result<PgoComparison> {
    let mut seconds = [Vec::new(), Vec::new()];
    let total = u64::from(ROUNDS + 1) * 2;
    // The first round is not counted.
    for round in 0..=ROUNDS {
        for turn in 0..2 {
            let at = ((round + turn) % 2) as usize;
            let (Some(programs), Some(seconds)) = (programs.get(at), seconds.get_mut(at)) else {
                continue;
            };
            let (done, detail) = (u64::from(round * 2 + turn), String::new());
            cx.emit(Event::Progress { verb: "Measuring", done, total, detail });
            let mut sum = 0.0;
            for command in commands {
                sum += run(cx, command, target, programs, &[])?.time.as_secs_f64();
            }
            if round > 0 {
                seconds.push(sum);
            }
        }
    }
    cx.emit(Event::ProgressDone);
    let [plain, optimised] = seconds;
    Ok(compare(&plain, &optimised))
}

fn run(
    cx: &Context,
    command: &PgoCommand,
    target: &str,
    programs: &Programs,
    env: &[(&str, &str)],
) -> Result<measure::Usage> {
    let program = programs.get(&(target.to_owned(), command.binary.clone())).ok_or_else(|| {
        Error::usage(format!("`{}` was not built", command.binary))
            .hint("`--bin` and features have to select every binary of `pgo.train` and `pgo.check`")
    })?;
    let mut words = Vec::new();
    if let Some(runner) = &program.runner
        && let Some(emulator) = &runner.emulator
    {
        words.push(emulator.to_string());
        words.extend(runner.flags.iter().cloned());
    }
    words.push(program.path.to_string());
    words.extend(command.args.iter().cloned());
    let (first, args) = words.split_first().unwrap_or((&command.binary, &[]));
    let limit_hint =
        "`timeout` in `[package.metadata.longshore.pgo]` sets the limit of one run in seconds";
    measure::measure(
        cx,
        &Run {
            program: first,
            args,
            dir: &command.dir,
            env,
            limit: command.limit,
            offline: true,
            limit_hint,
        },
    )
}

/// Returns the effect of a request on one build. The profile is in the cache directory later.
///
/// # Errors
/// The file cannot be read, or is not a profile.
pub(in crate::ops) fn effect(cx: &Context, request: &PgoRequest) -> Result<Option<PgoBuild>> {
    let (file, comparison) = match request {
        PgoRequest::Off | PgoRequest::Train => return Ok(None),
        PgoRequest::Instrument => return Ok(Some(PgoBuild::Instrumented)),
        PgoRequest::Rejected(choice) => return Ok(Some(PgoBuild::Plain(choice.clone()))),
        PgoRequest::Profile(file) | PgoRequest::Trained(file, None) => (file, None),
        PgoRequest::Trained(file, Some(comparison)) => (file, Some(*comparison)),
    };
    let file = cx.env.dir.join(file);
    if !file.is_file() {
        return Err(Error::usage(format!("there is no profile `{file}`"))
            .hint("`--pgo` makes a profile, and prints its path"));
    }
    check_format(file.as_str(), &fs::read_start(&file, START)?)?;
    let (profile, _) = fs::digest(&file)?;
    let is_trained = matches!(request, PgoRequest::Trained(..));
    let origin = if is_trained { "--pgo" } else { "--pgo-profile" }.to_owned();
    let choice = PgoChoice { profile, used: true, origin, comparison };
    let cached = llvm::cached_profile(cx, &profile);
    Ok(Some(PgoBuild::Optimised { file, cached, choice }))
}

/// Returns the note of a plan before the training.
pub(in crate::ops) fn note(request: &PgoRequest) -> Option<String> {
    let note = "`--pgo` trains the program first; whether this plan gets a profile depends on its comparison";
    (*request == PgoRequest::Train).then(|| note.to_owned())
}

/// Returns the policy for a build: an instrumented program is not released, and contains what it writes profiles with.
pub(in crate::ops) fn policy(pgo: Option<&PgoBuild>, settings: Settings) -> Settings {
    match pgo {
        Some(PgoBuild::Instrumented) => {
            Settings { allow: vec!["leftovers".to_owned()], ..Settings::default() }
        }
        _ => settings,
    }
}

/// Copies the profile into the cache directory.
///
/// # Errors
/// It cannot be read, or changed.
pub(in crate::ops) fn provide(cx: &Context, planned: &Planned) -> Result<()> {
    match &planned.pgo {
        Some(PgoBuild::Optimised { file, choice, .. }) => {
            llvm::provide_profile(cx, file, &choice.profile)
        }
        Some(PgoBuild::Instrumented | PgoBuild::Plain(_)) | None => Ok(()),
    }
}

/// Returns the differences from the official std that a build gets. The profiler's runtime is in the official one
/// only, and the names of functions in a profile contain the std that they were compiled with.
///
/// # Errors
/// An unstable switch needs another std.
pub(in crate::ops) fn std_options(
    pgo: Option<&PgoBuild>,
    options: Vec<String>,
) -> Result<Vec<String>> {
    if !matches!(pgo, Some(PgoBuild::Instrumented | PgoBuild::Optimised { .. })) {
        return Ok(options);
    }
    match options.iter().find(|option| *option != FOR_SIZE) {
        None => Ok(Vec::new()),
        Some(switch) => Err(Error::usage(format!(
            "`unstable = [\"{switch}\"]` needs a std from source, which has no runtime for profiles"
        ))
        .hint("leave out the switch, or `--pgo`")),
    }
}

/// Returns the targets with programs that have no function of the profile with which they were optimised.
///
/// # Errors
/// No program has one: the profile is of another program, or of another compiler.
pub(in crate::ops) fn find_unprofiled(
    cx: &Context,
    planned: &Planned,
    report: &BuildReport,
) -> Result<BTreeSet<String>> {
    let Some(PgoBuild::Optimised { file, cached, .. }) = &planned.pgo else {
        return Ok(BTreeSet::new());
    };
    let profile = fs::read_start(cached, MAX_PROFILE)?;
    let mut unprofiled = BTreeSet::new();
    for job in &planned.plan.jobs {
        let made = unstripped(job, report)?;
        let open = file::open(made)?;
        let name = job.binary.replace('-', "_");
        let functions = crate_functions(Source::File(&open), &name, MAX_FUNCTIONS)
            .map_err(|error| Error::build(format!("`{made}` cannot be read: {error}")))?;
        if !functions.is_empty() && !has_function(&profile, &functions) {
            unprofiled.insert(job.target.clone());
        }
    }
    let named = |target: &String| {
        format!("the profile `{file}` has no function of the program for `{target}`")
    };
    if planned.plan.jobs.iter().all(|job| unprofiled.contains(&job.target)) {
        return Err(Error::check(unprofiled.first().map(named).unwrap_or_default()).hint(
            "it is of another program, version or compiler: train again with `--pgo`, and use the \
             profile with the rustc that made it",
        ));
    }
    unprofiled.iter().for_each(|target| cx.warn(named(target)));
    Ok(unprofiled)
}

/// Returns the record of a program without a function of its profile.
pub(in crate::ops) fn unprofiled(choice: PgoChoice) -> PgoChoice {
    let origin = format!("{}: it has no function of the program for this target", choice.origin);
    PgoChoice { used: false, origin, comparison: None, ..choice }
}
