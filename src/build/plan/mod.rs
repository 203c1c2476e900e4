//! The plan, a pure function of the workspace, the targets, the request and what is known of the
//! machine: `plan`, dry runs and CI files come free of it.

pub mod archive;
pub mod image;
pub mod inputs;
pub mod selection;
mod smoke;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::inputs::{Facts, Inputs};
use crate::{
    build::{
        allocator,
        cargo::{
            cpu,
            invocation::{self, TargetFlags},
            rustflags::{self, Remap, Wanted},
        },
        memory, profile,
        target::{Target, Targets},
        workspace::Workspace,
    },
    model::{
        error::{Error, Result},
        platform::Platform,
        schema::{
            allocator::{Allocator, Choice},
            dist::{Asked, Release},
            memory::MemoryFunctions,
            plan::{self as schema, Job, Plan, Profile, Smoke, Std},
        },
    },
};

/// Makes the plan.
///
/// # Errors
/// Nothing to build, an unknown name (with the nearest known one), flags that contradict the
/// target, or two binaries for one path.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan> {
    let Inputs { workspace, request, facts, .. } = *inputs;
    let selection = selection::select(workspace, request, &facts.dependency_features)?;
    let targets = chosen_targets(workspace, inputs.targets, &request.targets)?;
    let profile = profile(inputs)?;
    let target_directory = inputs.target_directory();
    let linkages: Vec<_> = targets.iter().map(|target| target.spec.linkage).collect();
    let debug_files = request.debug_files || workspace.settings.debug_files;
    profile::check(&profile.settings, &linkages, debug_files)?;
    let remap = remap(workspace, &target_directory, &facts.remap);

    let of_target = |target: &&Target| of_target(inputs, target, &profile, &remap);
    let flags = targets.iter().map(of_target).collect::<Result<Vec<_>>>()?;
    let jobs = jobs(inputs, &selection, &profile, &targets, &flags);
    one_binary_a_path(&jobs)?;
    let release = release(inputs, &selection);
    let archives =
        archive::archives(&selection, &targets, &facts.found, debug_files, &workspace.settings)?;
    Ok(Plan {
        schema: schema::SCHEMA,
        workspace: workspace.root.to_string(),
        output: workspace.target_directory.join("dist").to_string(),
        target_directory: target_directory.to_string(),
        builds: invocation::builds(inputs, &selection, &profile, &remap, &flags),
        images: image::images(&selection, &targets, &release, &facts.recipes)?,
        archives,
        release,
        jobs,
        notes: notes(inputs, &selection),
        warnings: warnings(inputs, &selection, &targets, &profile),
        profile,
        skipped: selection.skipped,
        withheld: facts.withheld.clone(),
    })
}

/// Returns what the plan does differently from cargo, or what may be unexpected.
fn notes(inputs: &Inputs<'_>, selection: &selection::Selection<'_>) -> Vec<String> {
    let mut notes = inputs.facts.notes.clone();
    let private = selection.packages.iter().filter(|(package, _)| !package.about.published);
    notes.extend(private.map(|(package, _)| {
        format!(
            "`{0}` has `publish = false` and is released; `dist = false` in its \
             `[package.metadata.longshore]` leaves it out",
            package.name
        )
    }));
    notes
}

/// Returns what is allowed, and probably not intended.
fn warnings(
    inputs: &Inputs<'_>,
    selection: &selection::Selection<'_>,
    targets: &[&Target],
    profile: &Profile,
) -> Vec<String> {
    let facts = inputs.facts;
    let mut warnings: Vec<String> = targets
        .iter()
        .filter_map(|target| {
            let flags = facts.cpu_flags.get(&target.name)?;
            Some(cpu::warning(flags, target, target.cpu(profile.preset)))
        })
        .collect();
    if inputs.request.pack {
        warnings.extend(facts.warnings.iter().cloned());
        let made = |package: &&crate::build::workspace::Package| {
            let settings = &package.settings;
            !settings.archive.formats.is_empty()
                || settings.deb.as_ref().is_some_and(|deb| deb.is_on())
        };
        let packages = selection.packages.iter().map(|(package, _)| *package).filter(made);
        let found = packages.filter_map(|package| inputs.facts.found.get(&package.name));
        warnings.extend(found.flat_map(|found| found.warnings.iter().cloned()));
    }
    warnings
}

/// The flags for rustc and C compilers for a target, and its implementation of `malloc`.
fn of_target(
    inputs: &Inputs<'_>,
    target: &Target,
    profile: &Profile,
    remap: &Remap,
) -> Result<TargetFlags> {
    let facts = inputs.facts;
    let user = facts.user_flags.get(&target.name).cloned().unwrap_or_default();
    let std = facts.std.get(&target.name).cloned().unwrap_or(Std::Missing);
    let allocator = allocator_of(inputs, target, profile);
    let memory = memory::choose(target, inputs.workspace.settings.memory_functions);
    let mut objects = Vec::new();
    if allocator.allocator == Allocator::Mimalloc {
        objects.extend(
            facts
                .mimalloc
                .get(&target.name)
                .map(|path| (path.as_str(), "longshore: allocator mimalloc")),
        );
    }
    if memory.functions == MemoryFunctions::Fast {
        objects.extend(
            facts
                .memory
                .get(&target.name)
                .map(|path| (path.as_str(), "longshore: memory functions fast")),
        );
    }
    let wanted = Wanted {
        std: Some(&std),
        remap: Some(remap),
        preset: profile.preset,
        aborts: profile::aborts(&profile.settings),
        unstable: &profile.unstable,
        objects,
        is_static: facts.is_static.contains(&target.name),
        profile: &profile::rustflags(&facts.profiles, &profile.name),
    };
    let all = rustflags::merge(&user, target, &wanted)?;
    let c = rustflags::c_tuning(target, &wanted);
    Ok(TargetFlags { target: target.name.clone(), std, user, all, c, allocator, memory })
}

/// One for each binary and target.
fn jobs(
    inputs: &Inputs<'_>,
    selection: &selection::Selection<'_>,
    profile: &Profile,
    targets: &[&Target],
    flags: &[TargetFlags],
) -> Vec<Job> {
    let Inputs { workspace, request, .. } = *inputs;
    let settings = &workspace.settings;
    let debug_files = request.debug_files || settings.debug_files;
    let mut jobs = Vec::new();
    for (target, flags) in targets.iter().zip(flags) {
        let platform = &target.spec.platform;
        for (package, bin) in selection.bins() {
            let smoke = package.settings.smoke.as_ref().or(settings.smoke.as_ref());
            let smoke = Smoke::new(smoke, settings.smoke_timeout);
            let unwanted = Smoke { args: None, ..smoke.clone() };
            let debug = format!("{}/debug/{}.debug", platform.path(), bin.name);
            jobs.push(Job {
                package: package.name.clone(),
                version: package.version.clone(),
                manifest: package.manifest.to_string(),
                binary: bin.name.clone(),
                target: target.name.clone(),
                platform: platform.clone(),
                linkage: target.spec.linkage,
                allocator: flags.allocator.clone(),
                memory_functions: flags.memory.clone(),
                cpu: target.cpu(profile.preset).map(str::to_owned),
                cpu_flags: inputs.facts.cpu_flags.get(&target.name).cloned(),
                profile: profile.name.clone(),
                rustflags: flags.all.clone(),
                path: format!("{}/bin/{}", platform.path(), bin.name),
                debug: debug_files.then_some(debug),
                attribution: format!("{}/size/{}.json", platform.path(), bin.name),
                audit: settings.audit.unwrap_or(true),
                smoke: if request.smoke { smoke } else { unwanted },
            });
        }
    }
    jobs
}

fn allocator_of(inputs: &Inputs<'_>, target: &Target, profile: &Profile) -> Choice {
    let of_request = inputs.request.allocator.map(|setting| (setting, "--allocator".to_owned()));
    let settings = &inputs.workspace.settings;
    let of_workspace = settings.allocator.map(|setting| (setting, "metadata".to_owned()));
    let own = inputs.facts.own_allocators.get(&target.name).map(String::as_str);
    allocator::choose(target, of_request, of_workspace, profile.preset, own)
}

/// The targets that are built for: those of `asked`, else the workspace's, else the default ones; by
/// platform.
///
/// # Errors
/// An unknown name, two targets for one platform, or none at all.
pub fn chosen_targets<'a>(
    workspace: &Workspace,
    targets: &'a Targets,
    asked: &[String],
) -> Result<Vec<&'a Target>> {
    let asked = match asked {
        [] => workspace.settings.targets.as_deref().unwrap_or_default(),
        asked => asked,
    };
    let mut chosen: Vec<&Target> = if asked.is_empty() {
        targets.iter().filter(|target| target.spec.default).collect()
    } else {
        asked.iter().map(|name| targets.get(name)).collect::<Result<_>>()?
    };
    // By platform, as in the index, so that the order of flags does not matter.
    chosen.sort_by(|a, b| (&a.spec.platform, &a.name).cmp(&(&b.spec.platform, &b.name)));
    chosen.dedup_by(|a, b| a.name == b.name);
    if let Some(pair) =
        chosen.windows(2).find(|pair| pair[0].spec.platform == pair[1].spec.platform)
    {
        return Err(Error::usage(format!(
            "targets `{}` and `{}` are both for platform `{}`",
            pair[0].name, pair[1].name, pair[0].spec.platform
        ))
        .hint(
            "an image index has one image a platform: build one of them, or each in its own run",
        ));
    }
    if chosen.is_empty() {
        return Err(Error::usage("no target is default and none was asked for")
            .hint("name one with `--target`"));
    }
    Ok(chosen)
}

fn profile(inputs: &Inputs<'_>) -> Result<Profile> {
    let Inputs { workspace, request, facts, .. } = *inputs;
    let settings = &workspace.settings;
    let name = request.profile.clone().or(settings.profile.clone());
    let name = name.unwrap_or_else(|| profile::DIST.to_owned());
    let preset = request.preset.or(settings.preset);
    if name != profile::DIST && request.preset.is_some() {
        return Err(Error::usage(format!("profile `{name}` takes no preset"))
            .hint("a preset fills the profile `dist`; leave `--profile` or `--preset` out"));
    }
    let built_in = ["dev", "release", "test", "bench", profile::DIST];
    if !built_in.contains(&name.as_str()) && !facts.profiles.contains_key(&name) {
        let known = facts.profiles.keys().map(String::as_str).chain(built_in);
        let hint = match crate::model::suggest::nearest(&name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("add `[profile.{name}]` to `{}`", workspace.root.join("Cargo.toml")),
        };
        return Err(Error::usage(format!("profile `{name}` is not defined")).hint(hint));
    }
    let preset = preset.unwrap_or_default();
    let debug_files = request.debug_files || settings.debug_files;
    let mut unstable = [&settings.unstable[..], &request.unstable].concat();
    unstable.sort();
    unstable.dedup();
    Ok(Profile {
        settings: profile::settings(&name, preset, facts.profiles.get(&name), debug_files),
        unstable,
        preset: (name == profile::DIST).then_some(preset),
        name,
    })
}

/// The later entry takes precedence, so a directory inside another comes after it.
fn remap(
    workspace: &Workspace,
    target_directory: &Utf8Path,
    more: &[(Utf8PathBuf, String)],
) -> Remap {
    let mut all = vec![
        (workspace.root.clone(), "/workspace".to_owned()),
        (target_directory.to_owned(), "/workspace/target".to_owned()),
    ];
    all.extend(more.iter().cloned());
    all.sort_by_key(|(from, _)| from.as_str().len());
    Remap(all)
}

fn one_binary_a_path(jobs: &[Job]) -> Result<()> {
    let mut seen: BTreeMap<&str, &Job> = BTreeMap::new();
    for job in jobs {
        if let Some(other) = seen.insert(&job.path, job) {
            return Err(Error::usage(format!(
                "packages `{}` and `{}` both have a binary `{}`",
                other.package, job.package, job.binary
            ))
            .hint(
                "select one with `--package`, or set `dist = false` in the other's \
                   `[package.metadata.longshore]`",
            ));
        }
    }
    Ok(())
}

/// What a release without `--target` is for: it is the same in each of several jobs.
fn platforms(inputs: &Inputs<'_>) -> Vec<Platform> {
    let targets = inputs.targets;
    let mut platforms: Vec<Platform> = match inputs.workspace.settings.targets.as_deref() {
        // An unknown name is rejected when it is built for.
        Some(names) if !names.is_empty() => {
            let known = names.iter().filter_map(|name| targets.get(name).ok());
            known.map(|target| target.spec.platform.clone()).collect()
        }
        _ => {
            let default = targets.iter().filter(|target| target.spec.default);
            default.map(|target| target.spec.platform.clone()).collect()
        }
    };
    platforms.sort();
    platforms.dedup();
    platforms
}

fn release(inputs: &Inputs<'_>, selection: &selection::Selection<'_>) -> Release {
    let Inputs { workspace, facts, .. } = *inputs;
    let mut versions = selection.packages.iter().map(|(package, _)| &package.version);
    let first = versions.next();
    Release {
        asked: Asked::from(inputs.request),
        name: workspace.name().to_owned(),
        version: first.filter(|first| versions.all(|other| other == *first)).cloned(),
        revision: facts.revision.as_ref().map(|(hash, _)| hash.clone()),
        dirty: facts.revision.as_ref().map(|(_, dirty)| *dirty),
        changes: facts.changes.clone(),
        no_revision: facts.no_revision.clone(),
        source_date_epoch: facts.epoch,
        tools: facts.tools.clone(),
        platforms: platforms(inputs),
    }
}
