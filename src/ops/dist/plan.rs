//! `plan`: the plan of a `dist`.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{
        allocator::MIMALLOC,
        cargo::{cpu, identity::Identities, invocation::resolution_args},
        config::RecipeSetting,
        linker::{self, NativeCode, RustLld, RustLldPaths},
        plan::{Facts, Inputs, Settings, TargetFacts},
        profile,
        request::BuildRequest,
        target::Target,
        workspace::{Package, Workspace},
    },
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        error::Result,
        schema::{
            Plan,
            allocator::{Allocator, AllocatorSetting},
            linker::Linker,
            memory::MemoryFunctions,
            plan::{CpuFlags, Job, Recipe, Std},
        },
    },
    ops::{
        dist::{
            allocator, features, native, path_packages, pgo, planned::Planned, preflight, source,
        },
        image,
        output::{guard, stage},
        package,
    },
    sys::{
        Context, cargo, parallel, targets,
        toolchain::{self, Rust, Zig},
    },
    verify,
};

/// Returns the plan for the current state; nothing is fetched or built.
///
/// # Errors
/// The workspace or the request is wrong, or cargo is missing.
pub fn plan(cx: &Context, request: &BuildRequest) -> Result<Planned> {
    make(cx, request, false)
}

/// Returns the plan, after missing tools were installed.
///
/// # Errors
/// As [`plan`], or something cannot be provided.
pub fn plan_and_provide(cx: &Context, request: &BuildRequest) -> Result<Planned> {
    make(cx, request, true)
}

fn make(cx: &Context, request: &BuildRequest, provide: bool) -> Result<Planned> {
    let config = cargo::Config::load(cx, &request.config)?;
    // The workspace and the toolchain do not need each other, and both wait for processes.
    let rustc = config.rustc();
    let (rust, workspace) =
        parallel::join(|| toolchain::rust::find(cx, &rustc), || cargo::workspace(cx, request));
    let (workspace, rust) = (workspace?, rust?);
    let targets = targets::known(&workspace.root)?;
    let profiles = config.profiles(&workspace.root)?;
    let settings = Settings::resolve(&workspace, &targets, request, &profiles)?;
    let names = settings.target_names();
    let mut facts = Facts {
        rustc: Some(rust.version.clone()),
        flag_variables: cargo::flag_variables(cx),
        withheld: cx.env.withheld(),
        targets: target_facts(cx, &config, &rust, &names)?,
        profiles,
        remap: remapped_sources(cx, &rust),
        ..Facts::default()
    };
    add_configuration(cx, &config, &workspace, &names, &mut facts)?;
    let repository = source::add_source(cx, &config, &workspace, &mut facts)?;
    facts.recipes = find_recipes(&workspace)?;
    facts.pgo = pgo::effect(cx, &rust, &request.pgo)?;
    facts.notes.extend(pgo::note(&request.pgo));
    if request.allocator.is_none_or(|setting| setting == AllocatorSetting::Auto) {
        let own = allocator::find_allocators(cx, &workspace, request, &names)?;
        facts.add(own, |target, own| target.own_allocator = Some(own));
    }
    let code = find_native_code(cx, &workspace, request, &settings, provide)?;
    facts.add(code, |target, code| target.native = code);
    let packages = add_packages(cx, &workspace, request, &settings, provide, &mut facts)?;
    let compilers = c_compilers(cx, &config, &mut facts);
    if !compilers.is_empty() {
        // What another compiler makes of them is not tested.
        facts.targets.values_mut().for_each(|target| target.native = target.native.untested());
    }
    // A first plan, so that all errors of the request are reported before anything is fetched.
    let first = inputs_plan(&workspace, request, &settings, &facts)?;
    check(&workspace, &settings, &first, provide, &mut facts)?;
    facts.found = package::find_files(&workspace, &first.archives, repository.as_deref())?;
    check_output(cx, provide, &first, &workspace)?;
    preflight::check(cx, &first, provide)?;
    let std_options = pgo::std_options(facts.pgo.as_ref(), first.profile.std_options())?;
    let (std, zig) = toolchains(cx, request, &rust, &names, &std_options, provide)?;
    add_std(&rust, std, &mut facts);
    facts.zig = zig.as_ref().map(|zig| zig.version.clone());
    let (mimalloc, memory) = objects(cx, &first, &rust, zig.as_ref())?;
    facts.add(mimalloc.clone(), |target, object| target.mimalloc = Some(object));
    facts.add(memory.clone(), |target, object| target.memory = Some(object));
    let cpu_flags = cpu_flags(cx, &rust, &settings, &facts)?;
    facts.add(cpu_flags, |target, flags| target.cpu_flags = Some(flags));
    facts.tools = tool_versions(&rust, zig.as_ref(), !mimalloc.is_empty());
    facts.tools.extend(compilers);
    let plan = inputs_plan(&workspace, request, &settings, &facts)?;
    if request.pack {
        package::check_required(&plan.archives)?;
    }
    plan.warnings.iter().for_each(|warning| cx.warn(warning));
    let rust_lld = rust_lld_paths(&plan, &facts);
    facts.again = true;
    let again = request.twice.then(|| inputs_plan(&workspace, request, &settings, &facts));
    Ok(Planned {
        plan,
        repository: workspace.packages.iter().find_map(|package| package.about.repository.clone()),
        again: again.transpose()?,
        verify: pgo::policy(facts.pgo.as_ref(), workspace.settings.verify),
        targets,
        rust,
        zig,
        mimalloc,
        memory,
        rust_lld,
        pgo: facts.pgo,
        resolution: resolution_args(request),
        offline: request.offline,
        timings: request.timings,
        identities: Identities { packages, wrapper: config.rustc_wrapper() },
    })
}

/// Returns the code that is not Rust in the programs for each target, if the choice of a linker depends on it.
fn find_native_code(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    settings: &Settings<'_>,
    provide: bool,
) -> Result<BTreeMap<String, NativeCode>> {
    let is_automatic = |target: &&&Target| linker::is_automatic(target, &settings.linker);
    let targets: Vec<&str> =
        settings.targets.iter().filter(is_automatic).map(|target| target.name.as_str()).collect();
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    native::find_native_code(cx, workspace, request, &targets, provide)
}

/// Adds the std of each target, the directory of its source, and the linker that goes with it.
fn add_std(rust: &Rust, all: BTreeMap<String, Std>, facts: &mut Facts) {
    for (name, std) in all {
        if let Std::Source { source, .. } = &std {
            facts.remap.push((Utf8PathBuf::from(source), rustc_source(rust)));
        }
        let target = facts.targets.entry(name.clone()).or_default();
        target.rust_lld = toolchain::rust_lld::find(rust, &name, &std);
        target.std = Some(std);
    }
    facts.remap.sort_stable();
    facts.remap.dedup();
}

/// Returns the paths of rust-lld for the targets that it links.
fn rust_lld_paths(plan: &Plan, facts: &Facts) -> BTreeMap<String, RustLldPaths> {
    let linked = plan.jobs.iter().filter(|job| job.linker.linker == Linker::RustLld);
    let paths = linked.filter_map(|job| match &facts.target(&job.target).rust_lld {
        RustLld::Found(paths) => Some((job.target.clone(), paths.clone())),
        RustLld::Unknown | RustLld::Missing(_) => None,
    });
    paths.collect_map()
}

/// Returns the std of each of `targets`, and zig if it is there; with `provide`, both are installed where
/// they are missing.
fn toolchains(
    cx: &Context,
    request: &BuildRequest,
    rust: &Rust,
    targets: &[&str],
    std_options: &[String],
    provide: bool,
) -> Result<(BTreeMap<String, Std>, Option<Zig>)> {
    let rust_src = request.rust_src.as_deref();
    let std_request = toolchain::std::StdRequest {
        targets,
        rust_src,
        options: std_options,
        offline: request.offline,
    };
    if provide {
        let std = toolchain::std::provide(cx, rust, &std_request)?;
        Ok((std, Some(toolchain::zig::provide(cx, &rust.version, request.offline)?)))
    } else {
        let std = toolchain::std::find(cx, rust, &std_request)?;
        Ok((std, toolchain::zig::find(cx, &rust.version)?))
    }
}

/// Returns the user's flags and rustc's default linkage for each of `targets`.
fn target_facts(
    cx: &Context,
    config: &cargo::Config,
    rust: &Rust,
    targets: &[&str],
) -> Result<BTreeMap<String, TargetFacts>> {
    // Each waits for a process.
    let is_static = parallel::map_on(targets.len(), targets.len(), |index| {
        cargo::is_static(cx, &rust.rustc, targets[index])
    });
    let facts = |(name, is_static): (&&str, bool)| {
        let user_flags = config.user_flags(cx, name)?;
        Ok(((*name).to_owned(), TargetFacts { user_flags, is_static, ..TargetFacts::default() }))
    };
    targets.iter().zip(is_static).map(facts).collect()
}

/// Adds what cargo's configuration sets beside flags and profiles.
fn add_configuration(
    cx: &Context,
    config: &cargo::Config,
    workspace: &Workspace,
    targets: &[&str],
    facts: &mut Facts,
) -> Result<()> {
    facts.c_flags = config.c_variables(cx, targets)?;
    facts.notes.extend(config.replaced_variables(cx));
    facts.remap.extend(path_packages::vendored_remap(&config.vendored(), workspace));
    Ok(())
}

/// Returns the flags that add to the CPU of each target that is built.
fn cpu_flags(
    cx: &Context,
    rust: &Rust,
    settings: &Settings<'_>,
    facts: &Facts,
) -> Result<BTreeMap<String, CpuFlags>> {
    let profile = profile::rustflags(&facts.profiles, &settings.profile.name);
    let mut all = BTreeMap::new();
    for target in &settings.targets {
        let name = &target.name;
        let chosen = cpu::cpu_flags(&facts.target(name).user_flags, target, &profile);
        let c = cpu::native_cpu_c_flags(&facts.c_flags, name);
        if chosen.is_empty() && c.is_empty() {
            continue;
        }
        let declared = target.cpu(settings.profile.preset).map(|cpu| format!("-Ctarget-cpu={cpu}"));
        let without: Vec<String> = declared.into_iter().collect();
        // Of several CPUs rustc takes the last one.
        let mut with = without.clone();
        with.extend(chosen.iter().map(|flag| flag.flag.clone()));
        let features = |flags: &[String]| cargo::cpu_features(cx, &rust.rustc, name, flags);
        if let Some(flags) = cpu::added_features(chosen, c, &features(&with)?, &features(&without)?)
        {
            all.insert(name.clone(), flags);
        }
    }
    Ok(all)
}

/// Checks that the output can be replaced, before anything is fetched or built.
fn check_output(cx: &Context, provide: bool, plan: &Plan, workspace: &Workspace) -> Result<()> {
    if !provide {
        return Ok(());
    }
    stage::check(cx, plan.output.as_ref(), &guard::ProtectedInputs::for_build(&workspace.root))
}

/// Returns the Dockerfile of each package that has one: the one that its settings name, else its own
/// `Dockerfile.release`, else that of the workspace if only one package has binaries.
fn find_recipes(workspace: &Workspace) -> Result<BTreeMap<String, Recipe>> {
    let released =
        |package: &&Package| !package.bins.is_empty() && package.unreleased_reason().is_none();
    let packages: Vec<&Package> = workspace.packages.iter().filter(released).collect();
    let mut recipes = BTreeMap::new();
    for package in &packages {
        let directory = package.manifest.parent().unwrap_or(&workspace.root);
        let mut locations = vec![directory.join(RECIPE)];
        if packages.len() == 1 {
            locations.push(workspace.root.join(RECIPE));
        }
        let path = match &package.settings.image.recipe {
            Some(RecipeSetting::File(path)) => Some(directory.join(path)),
            Some(RecipeSetting::Look(false)) => None,
            _ => locations.into_iter().find(|path| path.is_file()),
        };
        if let Some(path) = path {
            let mut recipe = image::read_recipe(&path)?;
            if let Ok(relative) = path.strip_prefix(&workspace.root) {
                recipe.path = relative.to_string();
            }
            recipes.insert(package.name.clone(), recipe);
        }
    }
    Ok(recipes)
}

/// The recipe's usual name: not `Dockerfile`, which is where people compile.
const RECIPE: &str = "Dockerfile.release";

/// The paths of objects that are linked in, by target. They may be missing yet.
type Objects = BTreeMap<String, Utf8PathBuf>;

/// Returns the objects of mimalloc and of memory functions for the targets that get them.
fn objects(
    cx: &Context,
    plan: &Plan,
    rust: &Rust,
    zig: Option<&Zig>,
) -> Result<(Objects, Objects)> {
    let for_jobs = |gets: fn(&Job) -> bool, object: &dyn Fn(&Job) -> Utf8PathBuf| -> Objects {
        let jobs = plan.jobs.iter().filter(|job| gets(job));
        jobs.map(|job| (job.target.clone(), object(job))).collect_map()
    };
    let mut mimalloc = Objects::new();
    let gets_mimalloc: fn(&Job) -> bool = |job| job.allocator.allocator == Allocator::Mimalloc;
    if plan.jobs.iter().any(gets_mimalloc) {
        let zig = match zig {
            Some(zig) => toolchain::zig::identity(cx, zig)?,
            None => toolchain::zig::pinned_identity(),
        };
        mimalloc = for_jobs(gets_mimalloc, &|job| {
            toolchain::mimalloc::object(cx, &job.target, job.cpu.as_deref(), &zig)
        });
    }
    let memory = for_jobs(|job| job.memory_functions.functions == MemoryFunctions::Fast, &|job| {
        toolchain::memory::object(cx, rust, &job.target, job.cpu.as_deref())
    });
    Ok((mimalloc, memory))
}

/// Checks the images and policies of a plan, before anything is fetched or built.
fn check(
    workspace: &Workspace,
    settings: &Settings<'_>,
    plan: &Plan,
    provide: bool,
    facts: &mut Facts,
) -> Result<()> {
    let warnings = image::check(plan)?;
    if !provide {
        // A build gives them when it makes the images.
        facts.warnings = warnings;
    }
    check_policies(&workspace.settings.verify, &settings.targets)
}

/// Checks that each lint that the workspace denies or warns of has its inputs.
fn check_policies(settings: &verify::Settings, targets: &[&Target]) -> Result<()> {
    for target in targets {
        let policy = target.policy().with_settings(settings)?;
        policy.check_inputs(verify::Inputs::default())?;
    }
    Ok(())
}

fn inputs_plan(
    workspace: &Workspace,
    request: &BuildRequest,
    settings: &Settings<'_>,
    facts: &Facts,
) -> Result<Plan> {
    crate::build::plan::plan(&Inputs { workspace, request, settings, facts })
}

/// Returns the path of the official std's own source, so that an installed `rust-src`, which makes
/// rustc use the local path instead, changes nothing.
fn rustc_source(rust: &Rust) -> String {
    match &rust.commit {
        Some(commit) => format!("/rustc/{commit}"),
        None => format!("/rustc/{}", rust.version),
    }
}

fn remapped_sources(cx: &Context, rust: &Rust) -> Vec<(Utf8PathBuf, String)> {
    let mut all = vec![
        (rust.sysroot.clone(), "/rust".to_owned()),
        (rust.sysroot.join("lib/rustlib/src/rust"), rustc_source(rust)),
    ];
    if let Some(home) = cx.env.cargo_home() {
        all.push((home, "/cargo".to_owned()));
    }
    all
}

fn tool_versions(rust: &Rust, zig: Option<&Zig>, mimalloc: bool) -> BTreeMap<String, String> {
    let mut tools = BTreeMap::from([
        ("longshore".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("cargo".to_owned(), rust.cargo_version.clone()),
        ("rustc".to_owned(), rust.rustc_version.clone()),
    ]);
    let zig =
        zig.map_or_else(|| crate::build::zig::PINNED.to_owned(), |zig| zig.version.to_string());
    tools.insert("zig".to_owned(), zig);
    if mimalloc {
        tools.insert("mimalloc".to_owned(), MIMALLOC.to_owned());
    }
    tools
}

/// Adds the facts that cargo resolves: directories of packages outside the workspace, and features. Returns the
/// names of the packages that depend on those.
fn add_packages(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    settings: &Settings<'_>,
    provide: bool,
    facts: &mut Facts,
) -> Result<BTreeMap<Utf8PathBuf, String>> {
    let names = settings.target_names();
    let outside = path_packages::outside_packages(cx, workspace, request, &names)?;
    facts.remap.extend(outside.remap);
    if let Some(target) = names.first() {
        facts.dependency_features = features::dependency_features(cx, workspace, request, target)?;
        if !provide && !settings.each {
            facts.notes.extend(features::unified_feature_notes(cx, workspace, request, target)?);
        }
    }
    Ok(outside.names)
}

/// Returns the version of each C compiler that the user selected instead of zig's, by its name, and
/// notes the tools that replace longshore's defaults, or are ignored.
fn c_compilers(
    cx: &Context,
    config: &cargo::Config,
    facts: &mut Facts,
) -> BTreeMap<String, String> {
    if let Some(targets) = config.build_targets() {
        facts.notes.push(format!(
            "`build.target` in cargo's configuration ({targets}) is not used: `targets` in \
             `[workspace.metadata.longshore]` and `--target` choose the targets"
        ));
    }
    let mut compilers = BTreeMap::new();
    for target in facts.targets.keys() {
        facts.notes.extend(cargo::tool_notes(&facts.c_flags, target));
        for compiler in cargo::compilers(cx, &facts.c_flags, target) {
            facts.notes.push(format!(
                "`{}` is set: `{}` compiles C code for `{target}`, and not zig",
                compiler.variable, compiler.program
            ));
            let name = compiler.program.split_whitespace().next().unwrap_or_default();
            let name = Utf8Path::new(name).file_name().unwrap_or(name);
            compilers.insert(name.to_owned(), compiler.version);
        }
    }
    compilers
}
