//! The plan, a pure function of the workspace, the targets, the request and the facts about the machine.
//! `plan`, dry runs and CI files need nothing else.

mod arch;
pub mod archive;
mod formats;
pub mod image;
pub mod inputs;
mod rpm;
pub mod selection;
pub mod settings;
mod smoke;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::{
    inputs::{Facts, Inputs, TargetFacts},
    settings::{Settings, chosen_targets},
};
use crate::{
    build::{
        allocator,
        cargo::{
            cpu,
            invocation::{self, TargetFlags},
            libraries::linked_library,
            pgo,
            rustflags::{self, FlagContext, Remap},
        },
        linker::{self, LinkerFacts, malloc},
        memory,
        pgo::PgoBuild,
        profile,
        target::Target,
        workspace::Workspace,
    },
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        schema::{
            allocator::Allocator,
            dist::{RecordedRequest, Release},
            memory::MemoryFunctions,
            plan::{self as schema, Job, Plan, Std},
        },
    },
};

/// Makes the plan.
///
/// # Errors
/// Nothing to build, an unknown name (with the nearest known one), flags that contradict the
/// target, or two binaries for one path.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan> {
    let Inputs { workspace, request, settings, facts } = *inputs;
    let selection = selection::select(workspace, request, &facts.dependency_features)?;
    let targets = &settings.targets[..];
    let target_directory = inputs.target_directory();
    let remap = remapped_directories(workspace, &target_directory, &facts.remap);

    let flags = |target: &&Target| target_flags(inputs, target, &remap);
    let flags = targets.iter().map(flags).collect::<Result<Vec<_>>>()?;
    let jobs = plan_jobs(inputs, &selection, &flags);
    check_unique_paths(&jobs)?;
    let release = release(inputs, &selection);
    let archives = archive::plan_archives(&selection, settings, &facts.found, &workspace.settings)?;
    let mut warnings = warnings(inputs, &selection);
    if inputs.request.pack {
        warnings.extend(formats::warnings(&archives));
    }
    Ok(Plan {
        schema: schema::SCHEMA,
        workspace: workspace.root.to_string(),
        output: workspace.output_directory().to_string(),
        target_directory: target_directory.to_string(),
        builds: invocation::build_commands(inputs, &selection, &remap, &flags),
        images: image::plan_images(
            &selection,
            targets,
            &release,
            &facts.recipes,
            settings.gzip_level,
        )?,
        archives,
        release,
        jobs,
        notes: notes(inputs, &selection),
        warnings,
        profile: settings.profile.clone(),
        skipped: selection.skipped,
        withheld: facts.withheld.clone(),
    })
}

/// Returns the differences of the plan from cargo, and other notes about it.
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

/// Returns the warnings about settings that are valid but probably not intended.
fn warnings(inputs: &Inputs<'_>, selection: &selection::Selection<'_>) -> Vec<String> {
    let Inputs { settings, facts, .. } = *inputs;
    let cpu_flags = |target: &&Target| {
        let flags = facts.target(&target.name).cpu_flags.as_ref()?;
        Some(cpu::warning(flags, target, target.cpu(settings.profile.preset)))
    };
    let mut warnings: Vec<String> = settings.targets.iter().filter_map(cpu_flags).collect();
    if inputs.request.pack {
        warnings.extend(facts.warnings.iter().cloned());
        let made = |package: &&crate::build::workspace::Package| package.settings.makes_archives();
        let packages = selection.packages.iter().map(|(package, _)| *package).filter(made);
        let found = packages.filter_map(|package| inputs.facts.found.get(&package.name));
        warnings.extend(found.flat_map(|found| found.warnings.iter().cloned()));
    }
    warnings
}

/// Returns the flags for rustc and C compilers for a target, its implementations of `malloc` and of memory
/// functions, and its linker.
fn target_flags(inputs: &Inputs<'_>, target: &Target, remap: &Remap) -> Result<TargetFlags> {
    let Inputs { settings, facts, .. } = *inputs;
    let profile = &settings.profile;
    let target_facts = facts.target(&target.name);
    let user = target_facts.user_flags.clone();
    let std = target_facts.std.clone().unwrap_or(Std::Missing);
    let own = target_facts.own_allocator.as_ref();
    let allocator = allocator::choose(target, &settings.allocator, profile.preset, own);
    let memory = memory::choose(target, settings.memory_functions);
    let of_profile = profile::rustflags(&facts.profiles, &profile.name);
    let library = linked_library(&user, target, &of_profile);
    let linker_facts = LinkerFacts {
        rustc: facts.rustc.as_ref(),
        rust_lld: &target_facts.rust_lld,
        native: &target_facts.native,
        library: library.as_deref(),
    };
    let linker = linker::choose(target, &settings.linker, linker_facts)?;
    let linkage = target.spec.linkage;
    let packed = linker::packed_relocations(linker.linker, linkage, linker_facts.rustc);
    let mimalloc = target_facts.mimalloc.as_ref().map(|path| path.as_str());
    let functions = target_facts.memory.as_ref().map(|path| path.as_str());
    let mimalloc = mimalloc.filter(|_| allocator.allocator == Allocator::Mimalloc);
    let forwarded = allocator.allocator == Allocator::Program;
    let malloc =
        forwarded.then_some((malloc::FLAG, "longshore: the program's allocator for C code"));
    let functions = functions.filter(|_| memory.functions == MemoryFunctions::Fast);
    let mimalloc = mimalloc.map(|path| (path, "longshore: allocator mimalloc"));
    let functions = functions.map(|path| (path, "longshore: memory functions fast"));
    let context = FlagContext {
        std: Some(&std),
        remap: Some(remap),
        preset: profile.preset,
        aborts: profile::panics_abort(&profile.settings),
        unstable: &profile.unstable,
        link_args: packed.into_iter().chain(mimalloc).chain(malloc).chain(functions).collect(),
        is_static: target_facts.is_static,
        profile: &of_profile,
        pgo: facts.pgo.as_ref().and_then(PgoBuild::flag),
    };
    if facts.pgo.is_some() {
        pgo::check_flags(&user, target, &of_profile)?;
    }
    let all = rustflags::merge(&user, target, &context)?;
    let c = rustflags::c_tuning_flags(target, &context);
    let target = target.name.clone();
    Ok(TargetFlags { target, std, user, all, c, allocator, memory, linker })
}

/// Returns a job for each binary and target.
fn plan_jobs(
    inputs: &Inputs<'_>,
    selection: &selection::Selection<'_>,
    flags: &[TargetFlags],
) -> Vec<Job> {
    let Inputs { workspace, request, settings, facts } = *inputs;
    let profile = &settings.profile;
    let mut jobs = Vec::new();
    for (target, flags) in settings.targets.iter().zip(flags) {
        let platform = &target.spec.platform;
        for (package, bin) in selection.bins() {
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
                linker: flags.linker.clone(),
                pgo: facts.pgo.as_ref().and_then(PgoBuild::choice).cloned(),
                cpu: target.cpu(profile.preset).map(str::to_owned),
                cpu_flags: facts.target(&target.name).cpu_flags.clone(),
                profile: profile.name.clone(),
                rustflags: flags.all.clone(),
                path: format!("{}/bin/{}", platform.path(), bin.name),
                debug: settings.debug_files.then_some(debug),
                attribution: format!("{}/size/{}.json", platform.path(), bin.name),
                audit: workspace.settings.audit.unwrap_or(true),
                smoke: settings::smoke(workspace, package, request),
            });
        }
    }
    jobs
}

/// Returns the directories with names that must not reach a binary. Later entries take precedence, so a
/// directory inside another comes after it.
fn remapped_directories(
    workspace: &Workspace,
    target_directory: &Utf8Path,
    more: &[(Utf8PathBuf, String)],
) -> Remap {
    let mut all = vec![
        (workspace.root.clone(), "/workspace".to_owned()),
        (target_directory.to_owned(), "/workspace/target".to_owned()),
    ];
    all.extend(more.iter().cloned());
    all.sort_stable_by_key(|(from, _)| from.as_str().len());
    Remap(all)
}

fn check_unique_paths(jobs: &[Job]) -> Result<()> {
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

fn release(inputs: &Inputs<'_>, selection: &selection::Selection<'_>) -> Release {
    let Inputs { workspace, facts, .. } = *inputs;
    let mut versions = selection.packages.iter().map(|(package, _)| &package.version);
    let first = versions.next();
    Release {
        request: RecordedRequest {
            pgo_profile: facts.pgo.as_ref().and_then(PgoBuild::used_profile),
            ..RecordedRequest::from(inputs.request)
        },
        name: workspace.name().to_owned(),
        version: first.filter(|first| versions.all(|other| other == *first)).cloned(),
        revision: facts.revision.as_ref().map(|(hash, _)| hash.clone()),
        dirty: facts.revision.as_ref().map(|(_, dirty)| *dirty),
        changes: facts.changes.clone(),
        no_revision: facts.no_revision.clone(),
        source_date_epoch: facts.epoch,
        tools: facts.tools.clone(),
        platforms: inputs.settings.platforms.clone(),
    }
}
