//! `--pgo`: an instrumented program is trained, and the one that is optimised with its profile is compared with the
//! plain one.

mod training;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

pub(in crate::ops) use self::training::TrainingCommands;
use self::training::{Program, Programs, run_checks, run_training};
use crate::{
    binary::elf::crate_functions,
    build::{
        cargo::message::BuildReport,
        pgo::{MAX_FUNCTIONS, PgoBuild, PgoRequest, check_format, has_function, is_faster},
        plan::chosen_targets,
        request::BuildRequest,
        target::Targets,
        workspace::Workspace,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            pgo::{PgoChoice, PgoComparison},
            plan::FOR_SIZE,
        },
        source::Source,
    },
    ops::{
        dist::{collect::unstripped, make_one, planned::Planned, smoke::Runner},
        output::{guard::ProtectedInputs, stage},
    },
    sys::{
        Context, cargo, file, fs, host, targets,
        toolchain::{self, Rust, llvm},
    },
    verify::Settings,
};

/// The directory of the instrumented program, the profiles and the compared programs, below the one in which cargo
/// builds.
const DIRECTORY: &str = "pgo";

/// The number of bytes at the beginning of a profile that show its format.
const START: u64 = 16;

/// The largest profile that is searched for functions.
const MAX_PROFILE: u64 = 1 << 30;

/// Returns the request with the result of the training and the comparison, if it is `--pgo`.
///
/// # Errors
/// No package has commands, no target is for this machine, a build or a command fails, or a training writes no
/// profile.
pub(in crate::ops) fn train(cx: &Context, request: &BuildRequest) -> Result<BuildRequest> {
    let Some(Trained { variants, commands, profile, digest }) = Trained::new(cx, request)? else {
        return Ok(request.clone());
    };
    if commands.check.is_empty() {
        cx.warn("`pgo.check` is not set: the gain of the profile is not measured");
        return Ok(variants.release(request, PgoRequest::Trained(profile, None)));
    }
    let native = [variants.native.clone()];
    let plain = variants.build(PLAIN, PgoRequest::Off, &native)?;
    let trained = PgoRequest::Trained(profile.clone(), None);
    let optimised = variants.build(OPTIMISED, trained, &native)?;
    let comparison = run_checks(cx, &commands.check, &variants.native, [&plain, &optimised])?;
    Ok(variants.release(request, decide(cx, profile, digest, comparison)))
}

/// Returns the commands that a build of `request` would train with.
///
/// # Errors
/// One starts no binary of its package.
pub(in crate::ops) fn training(
    workspace: &Workspace,
    request: &BuildRequest,
) -> Result<TrainingCommands> {
    Ok(training::commands(workspace, request)?.train)
}

/// Returns the request with the profile of a training, without a comparison, if it is `--pgo`.
///
/// # Errors
/// As [`train`].
pub(in crate::ops) fn train_only(cx: &Context, request: &BuildRequest) -> Result<BuildRequest> {
    let Some(Trained { variants, profile, .. }) = Trained::new(cx, request)? else {
        return Ok(request.clone());
    };
    Ok(variants.release(request, PgoRequest::Trained(profile, None)))
}

/// A training that has ended, and its profile.
struct Trained<'a> {
    variants: Variants<'a>,
    commands: training::PgoCommands,
    profile: Utf8PathBuf,
    digest: Digest,
}

impl<'a> Trained<'a> {
    /// Trains the program; `None` if the request is not `--pgo`.
    fn new(cx: &'a Context, request: &BuildRequest) -> Result<Option<Self>> {
        if request.pgo != PgoRequest::Train {
            return Ok(None);
        }
        let workspace = cargo::workspace(cx, request)?;
        let commands = training::commands(&workspace, request)?;
        commands.train.require()?;
        let variants = Variants::begin(cx, &workspace, request)?;
        let (profile, digest) = variants.train(&commands.train)?;
        Ok(Some(Trained { variants, commands, profile, digest }))
    }
}

/// The names of the programs, which are also those of directories.
const INSTRUMENTED: &str = "instrumented";
const PLAIN: &str = "plain";
const OPTIMISED: &str = "optimised";

/// The programs that are built for a training and a comparison. The release is built in cargo's directory of the one
/// that won, so that it is not compiled again. Each has its own: with `--remap-path-prefix` among the flags, cargo does
/// not keep the results of different flags side by side.
struct Variants<'a> {
    cx: &'a Context,
    /// The target that this machine runs without an emulator.
    native: String,
    /// The directory in which cargo builds without a profile.
    directory: Utf8PathBuf,
    /// The directory of their outputs and of the profile.
    location: Utf8PathBuf,
    base: BuildRequest,
    /// The runners of the targets that are trained.
    runners: BTreeMap<String, Runner>,
    profdata: Utf8PathBuf,
    _locks: (fs::Lock, fs::OutputLock),
}

impl<'a> Variants<'a> {
    /// Checks everything that can be checked before something is built.
    fn begin(cx: &'a Context, workspace: &Workspace, request: &BuildRequest) -> Result<Self> {
        let known = targets::known(&workspace.root)?;
        let output = workspace.output_directory();
        let directory = request.build_dir.clone().unwrap_or_else(|| workspace.build_directory());
        stage::check(cx, &output, &ProtectedInputs::for_build(&workspace.root))?;
        let native = native_target(workspace, &known, &request.targets)?;
        let rustc = cargo::Config::load(cx, &request.config)?.rustc();
        let rust = toolchain::rust::find(cx, &rustc)?;
        let profdata = llvm::provide_profdata(cx, &rust, request.offline)?;
        let location = directory.join(DIRECTORY);
        fs::create_dir_all(&location)?;
        let lock = fs::lock(&location.join("lock"), || {
            cx.status("Waiting", format!("for another training in `{location}`"));
        })?;
        // Other builds change the directory, too.
        let locks = (lock, fs::lock_output(cx, &fs::resolve(&output)?)?);
        let runners = training::runners(cx, chosen_targets(workspace, &known, &request.targets)?)?;
        let base = BuildRequest { pack: false, smoke: false, twice: false, ..request.clone() };
        Ok(Variants { cx, native, directory, location, base, runners, profdata, _locks: locks })
    }

    /// Returns the directory in which cargo builds a program.
    fn build_dir(&self, name: &str) -> Option<Utf8PathBuf> {
        let own = || self.location.join(name).join("build");
        Some(if name == PLAIN { self.directory.clone() } else { own() })
    }

    /// Returns the request of the release.
    fn release(&self, request: &BuildRequest, pgo: PgoRequest) -> BuildRequest {
        let is_trained = matches!(pgo, PgoRequest::Trained(..));
        let build_dir = self.build_dir(if is_trained { OPTIMISED } else { PLAIN });
        BuildRequest { pgo, build_dir, ..request.clone() }
    }

    fn build(&self, name: &str, pgo: PgoRequest, targets: &[String]) -> Result<Programs> {
        self.cx.status("Profiling", format!("the program: {name} build"));
        let (target_dir, targets) = (Some(self.location.join(name)), targets.to_vec());
        let build_dir = self.build_dir(name);
        let request = BuildRequest { target_dir, build_dir, targets, pgo, ..self.base.clone() };
        let (dist, output) = make_one(self.cx, &request)?;
        let programs = dist.artifacts.iter().map(|one| {
            let runner = self.runners.get(&one.target).cloned();
            (
                (one.target.clone(), one.name.clone()),
                Program { path: output.join(&one.path), runner },
            )
        });
        Ok(programs.collect())
    }

    /// Returns the profile of the commands, and its digest.
    fn train(&self, commands: &TrainingCommands) -> Result<(Utf8PathBuf, Digest)> {
        let trained: Vec<String> = self.runners.keys().cloned().collect();
        let instrumented = self.build(INSTRUMENTED, PgoRequest::Instrument, &trained)?;
        let raw = self.location.join("raw");
        run_training(self.cx, &commands.0, (&trained, &instrumented), &raw)?;
        let profile = self.location.join("program.profdata");
        llvm::merge_profiles(self.cx, &self.profdata, &raw, &profile)?;
        fs::remove_dir_all(&raw)?;
        let (digest, _) = fs::digest(&profile)?;
        self.cx.status("Profile", format!("`{profile}` ({digest})"));
        Ok((profile, digest))
    }
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
    let times =
        format!("{optimised:.3} s of processor time with the profile, {plain:.3} s without");
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

/// Returns the effect of a request on one build. The profile is in the cache directory later.
///
/// # Errors
/// The file cannot be read, or is not a profile that this rustc reads.
pub(in crate::ops) fn effect(
    cx: &Context,
    rust: &Rust,
    request: &PgoRequest,
) -> Result<Option<PgoBuild>> {
    let (file, comparison) = match request {
        PgoRequest::Off | PgoRequest::Train => return Ok(None),
        PgoRequest::Instrument => return Ok(Some(PgoBuild::Instrumented)),
        PgoRequest::Rejected(choice) => return Ok(Some(PgoBuild::Plain(choice.clone()))),
        PgoRequest::Profile(file) | PgoRequest::Trained(file, None) => (file, None),
        PgoRequest::Trained(file, Some(comparison)) => (file, Some(*comparison)),
    };
    let file = cx.env.dir.join(file);
    if !file.is_file() {
        let found = if file.exists() {
            format!("the profile `{file}` is not a regular file")
        } else {
            format!("the profile `{file}` does not exist")
        };
        return Err(Error::usage(found).hint("`--pgo` makes a profile, and prints its path"));
    }
    check_format(file.as_str(), &fs::read_start(&file, START)?)?;
    let (profile, _) = fs::digest(&file)?;
    llvm::check_profile(cx, rust, &file)?;
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
