//! `tune`: builds a program in several variants, and compares their size, time and memory on one command.

mod measure;
mod text;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::text::format_tune;
use crate::{
    build::{
        pgo::PgoRequest,
        profile::DIST,
        request::BuildRequest,
        tune::{CURRENT, PGO, Variant, variants},
        workspace::Workspace,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            Plan, Tune,
            dist::Artifact,
            tune::{self, SCHEMA},
        },
        suggest::nearest,
    },
    ops::dist,
    sys::{Context, cargo, clock::Stopwatch, fs, targets},
};

/// The directory of the variants, below the target directory.
const DIRECTORY: &str = "longshore/tune";

/// The request of a comparison.
#[derive(Clone, Debug)]
pub struct TuneRequest {
    /// The built packages and their settings.
    pub build: BuildRequest,
    /// A binary of the workspace, and its arguments; those of the metadata when empty.
    pub command: Vec<String>,
    /// The number of measurements of each variant.
    pub rounds: u32,
    /// The variants; all when empty.
    pub variants: Vec<String>,
    /// The time limit of one run.
    pub limit: Duration,
}

/// A variant, and what became of it.
struct Candidate {
    variant: Variant,
    state: State,
}

enum State {
    /// It has the plan of the variant of that name.
    SameAs(String),
    Failed(String),
    Built(Box<Program>),
}

/// A variant's program.
struct Program {
    path: Utf8PathBuf,
    artifact: Artifact,
}

/// Builds and measures the variants. What was built before an interrupt is not built again.
///
/// # Errors
/// There is no command, or it names no binary; the program with the current settings cannot be built or fails;
/// or no target is for this machine.
pub fn tune(cx: &Context, request: &TuneRequest) -> Result<Tune> {
    let workspace = cargo::workspace(cx, &request.build)?;
    let command = match &request.command[..] {
        [] => &workspace.settings.tune.run[..],
        command => command,
    };
    let Some((binary, args)) = command.split_first() else {
        return Err(Error::usage("there is no command to measure").hint(
            "name a binary and its arguments after `--`, or set `tune.run` in \
             `[workspace.metadata.longshore]`",
        ));
    };
    if request.build.pgo == PgoRequest::Train {
        return Err(Error::usage(
            "`tune` measures a training as the variant `pgo`, and `--pgo` requests one for all \
             variants",
        )
        .hint("leave out `--pgo`: `--variant pgo` measures only that"));
    }
    let location = workspace.target_directory.join(DIRECTORY);
    fs::create_dir_all(&location)?;
    let _lock = fs::lock(&location.join("lock"), || {
        cx.status("Waiting", format!("for another comparison in `{location}`"));
    })?;
    let targets = targets::known(&workspace.root)?;
    let base = BuildRequest {
        targets: vec![dist::pgo::native_target(&workspace, &targets, &request.build.targets)?],
        bins: vec![binary.clone()],
        pack: false,
        smoke: false,
        twice: false,
        ..request.build.clone()
    };
    let profile = request.build.profile.as_ref().or(workspace.settings.profile.as_ref());
    let profile = profile.map_or(DIST, String::as_str);
    let mut chosen = choose(variants(&base, profile), &request.variants)?;
    check_training(cx, &workspace, command, &request.variants, &mut chosen)?;
    let candidates = build(cx, chosen, &location)?;
    let measured = measure::measure(cx, &candidates, args, request.rounds, request.limit)?;
    let Some(first) = candidates.iter().find_map(Candidate::program) else {
        return Err(Error::build("no variant could be built"));
    };
    let (package, version) = (first.artifact.package.clone(), first.artifact.version.clone());
    let target = first.artifact.target.clone();
    let variants = candidates.into_iter().zip(measured);
    let variants = variants.map(|(candidate, measured)| candidate.into_report(measured));
    Ok(Tune {
        schema: SCHEMA,
        binary: binary.clone(),
        package,
        version,
        target,
        args: args.to_vec(),
        rounds: request.rounds,
        variants: variants.collect(),
    })
}

/// Returns the variants that were requested by name, after the one with the current settings.
fn choose(all: Vec<Variant>, names: &[String]) -> Result<Vec<Variant>> {
    for name in names {
        if !all.iter().any(|variant| variant.name == *name) {
            let known: Vec<&str> = all.iter().map(|variant| variant.name.as_str()).collect();
            let hint = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("there are `{}`", known.join("`, `")),
            };
            return Err(Error::usage(format!("there is no variant `{name}`")).hint(hint));
        }
    }
    let wanted = |variant: &Variant| {
        names.is_empty() || variant.name == CURRENT || names.contains(&variant.name)
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// Leaves out the variant `pgo` if there is nothing to train it with and it was not requested by name. Warns if the
/// training has the measured command: the profile then fits its own measurement.
fn check_training(
    cx: &Context,
    workspace: &Workspace,
    command: &[String],
    names: &[String],
    variants: &mut Vec<Variant>,
) -> Result<()> {
    let Some(at) = variants.iter().position(|variant| variant.name == PGO) else { return Ok(()) };
    let variant = variants.remove(at);
    let training = dist::pgo::training(workspace, &variant.request)?;
    if training.is_empty() && !names.iter().any(|name| name == PGO) {
        return Ok(());
    }
    training.require()?;
    if training.has(command) {
        cx.warn("`pgo.train` has the measured command: the variant `pgo` is faster in it than in other work");
    }
    variants.insert(at, variant);
    Ok(())
}

/// Builds each variant in a separate directory, in which cargo finds what it compiled before. Variants with one plan
/// are built once.
fn build(cx: &Context, variants: Vec<Variant>, location: &Utf8Path) -> Result<Vec<Candidate>> {
    let total = variants.len();
    let watch = Stopwatch::start();
    let mut plans: Vec<(Digest, String)> = Vec::new();
    let mut candidates = Vec::new();
    for (at, variant) in variants.into_iter().enumerate() {
        cx.children.check()?;
        let left = remaining(watch.elapsed(), plans.len(), total - at);
        cx.status("Variant", format!("{} of {total}: {}{left}", at + 1, variant.name));
        let state = match build_one(cx, &variant, location, &mut plans) {
            Ok(state) => state,
            // Without the current settings there is nothing to compare with.
            Err(error) if variant.name == CURRENT => return Err(error),
            Err(error) => {
                cx.children.check()?;
                cx.warn(format!("variant `{}` cannot be built: {error}", variant.name));
                State::Failed(error.to_string())
            }
        };
        candidates.push(Candidate { variant, state });
    }
    Ok(candidates)
}

fn build_one(
    cx: &Context,
    variant: &Variant,
    location: &Utf8Path,
    plans: &mut Vec<(Digest, String)>,
) -> Result<State> {
    let target_dir = Some(location.join(&variant.name));
    let request = BuildRequest { target_dir, ..variant.request.clone() };
    let request = dist::pgo::train_only(cx, &request)?;
    // In one directory, so that equal settings give equal plans.
    let common = BuildRequest { target_dir: Some(location.join("plan")), ..request.clone() };
    let key = fingerprint(&dist::plan::plan(cx, &common)?.plan);
    if let Some((_, name)) = plans.iter().find(|(other, _)| *other == key) {
        return Ok(State::SameAs(name.clone()));
    }
    let (dist, output) = dist::make(cx, &request)?;
    let Some(artifact) = dist.artifacts.into_iter().next() else {
        return Err(Error::build("nothing was built"));
    };
    plans.push((key, variant.name.clone()));
    Ok(State::Built(Box::new(Program { path: output.join(&artifact.path), artifact })))
}

/// Returns the time that the builds of `left` variants may take, after `built` took `elapsed`.
fn remaining(elapsed: Duration, built: usize, left: usize) -> String {
    let Ok(count) = u32::try_from(built) else { return String::new() };
    let Some(each) = elapsed.checked_div(count) else { return String::new() };
    let minutes = (each.as_secs() * left as u64).div_ceil(60);
    format!(" (at most {minutes} min left to build)")
}

/// Returns the digest of all settings that a plan compiles with.
fn fingerprint(plan: &Plan) -> Digest {
    let mut text = String::new();
    let mut add = |part: &str| {
        text.push_str(part);
        text.push('\0');
    };
    for setting in &plan.profile.settings {
        add(&setting.key);
        add(&setting.value);
    }
    for unstable in &plan.profile.unstable {
        add(unstable.name());
    }
    for job in &plan.jobs {
        job.rustflags.iter().for_each(|flag| add(&flag.flag));
        add(job.allocator.allocator.name());
        add(job.memory_functions.functions.name());
        add(job.linker.linker.name());
    }
    for build in &plan.builds {
        build.link_args.values().flatten().for_each(|arg| add(arg));
        build.std.values().for_each(|std| add(&format!("{std:?}")));
    }
    Digest::sha256(text.as_bytes())
}

impl Candidate {
    fn program(&self) -> Option<&Program> {
        match &self.state {
            State::Built(program) => Some(program),
            State::SameAs(_) | State::Failed(_) => None,
        }
    }

    fn into_report(self, measured: Option<Result<tune::Measured>>) -> tune::Variant {
        let Variant { name, changes, flags, .. } = self.variant;
        let (mut same_as, mut failure) = (None, None);
        match self.state {
            State::SameAs(other) => same_as = Some(other),
            State::Failed(why) => failure = Some(why),
            State::Built(_) => {}
        }
        let measured = measured
            .and_then(|measured| measured.map_err(|error| failure = Some(error.to_string())).ok());
        tune::Variant { name, changes, flags, measured, failure, same_as }
    }
}

/// Returns the page with the comparison.
///
/// # Errors
/// This build has no pages.
#[cfg(feature = "size-page")]
pub fn page(tune: &Tune) -> Result<String> {
    Ok(crate::size::page::tune_page(tune))
}

/// Returns the page with the comparison.
///
/// # Errors
/// This build has no pages.
#[cfg(not(feature = "size-page"))]
pub fn page(_: &Tune) -> Result<String> {
    Err(crate::model::feature::Feature::SizePage.missing_error())
}
