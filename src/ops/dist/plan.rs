//! `plan`: what a `dist` would do.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{
        allocator::MIMALLOC,
        cargo::{cpu, identity::Identities, invocation::resolution, rustflags::UserFlags},
        config::RecipeSetting,
        plan::{Facts, Inputs},
        profile,
        request::Request,
        target::{Target, Targets},
        workspace::{Package, Workspace},
    },
    model::{
        error::Result,
        schema::{
            Plan,
            allocator::{Allocator, Setting},
            memory::MemoryFunctions,
            plan::{CpuFlags, Job, Recipe, Std},
        },
    },
    ops::{
        dist::{allocator, features, path_packages, planned::Planned, preflight, source},
        image,
        output::{guard, stage},
        package,
    },
    sys::{
        Context, cargo, parallel, targets,
        toolchain::{self, Rust, Zig},
    },
    verify::{Inputs as PolicyInputs, Settings},
};

/// Returns the plan for the current state; nothing is fetched or built.
///
/// # Errors
/// The workspace or the request is wrong, or cargo is missing.
pub fn plan(cx: &Context, request: &Request) -> Result<Planned> {
    make(cx, request, false)
}

/// Returns the plan, after everything that was missing has been installed.
///
/// # Errors
/// As [`plan`], or something cannot be provided.
pub fn plan_and_provide(cx: &Context, request: &Request) -> Result<Planned> {
    make(cx, request, true)
}

fn make(cx: &Context, request: &Request, provide: bool) -> Result<Planned> {
    let config = cargo::Config::load(cx, &request.config)?;
    // The workspace and the toolchain do not need each other, and both wait for processes.
    let rustc = config.rustc();
    let (rust, workspace) =
        parallel::join(|| toolchain::rust::find(cx, &rustc), || cargo::workspace(cx, request));
    let (workspace, rust) = (workspace?, rust?);
    let targets = targets::known(&workspace.root)?;
    let mut facts = Facts {
        flag_variables: cargo::flag_variables(cx),
        withheld: cx.env.withheld(),
        profiles: config.profiles(&workspace.root)?,
        remap: remap(cx, &rust),
        ..Facts::default()
    };
    facts.user_flags = user_flags(cx, &config, &workspace, &targets, request)?;
    configured(cx, &config, &rust, &workspace, &mut facts)?;
    let repository = source::source(cx, &config, &workspace, &mut facts)?;
    facts.recipes = recipes(&workspace)?;
    if request.allocator.is_none_or(|setting| setting == Setting::Auto) {
        let names: Vec<&str> = facts.user_flags.keys().map(String::as_str).collect();
        facts.own_allocators = allocator::own(cx, &workspace, request, &names)?;
    }
    let packages = packages(cx, &workspace, request, provide, &mut facts)?;
    let compilers = compilers(cx, &config, &mut facts);
    // A first plan, so that all errors of the request are reported before anything is fetched.
    let first = inputs_plan(&workspace, &targets, request, &facts)?;
    check(&workspace, &targets, &first, provide, &mut facts)?;
    facts.found = package::found(&workspace, &first.archives, repository.as_deref())?;
    check_output(cx, provide, &first, &workspace)?;
    let mut names: Vec<String> = first.jobs.iter().map(|job| job.target.clone()).collect();
    names.dedup();
    preflight::check(cx, &first, provide)?;
    let wish = toolchain::std::Wish {
        targets: &names,
        rust_src: request.rust_src.as_deref(),
        options: &first.profile.std_options(),
        offline: request.offline,
    };
    let zig = if provide {
        facts.std = toolchain::std::provide(cx, &rust, &wish)?;
        Some(toolchain::zig::provide(cx, &rust.version, request.offline)?)
    } else {
        facts.std = toolchain::std::find(cx, &rust, &wish)?;
        toolchain::zig::find(cx, &rust.version)?
    };
    for std in facts.std.values() {
        if let Std::Source { source, .. } = std {
            facts.remap.push((Utf8PathBuf::from(source), rustc_source(&rust)));
        }
    }
    facts.remap.sort();
    facts.remap.dedup();
    facts.zig = zig.as_ref().map(|zig| zig.version.clone());
    (facts.mimalloc, facts.memory) = objects(cx, &first, &rust, zig.as_ref())?;
    facts.cpu_flags = cpu_flags(cx, &rust, &targets, &first, &facts)?;
    facts.tools = tools(&rust, zig.as_ref(), !facts.mimalloc.is_empty());
    facts.tools.extend(compilers);
    let plan = inputs_plan(&workspace, &targets, request, &facts)?;
    if request.pack {
        package::check_required(&plan.archives)?;
    }
    plan.warnings.iter().for_each(|warning| cx.warn(warning));
    facts.again = true;
    let again = request.twice.then(|| inputs_plan(&workspace, &targets, request, &facts));
    Ok(Planned {
        plan,
        repository: workspace.packages.iter().find_map(|of| of.about.repository.clone()),
        again: again.transpose()?,
        verify: workspace.settings.verify,
        targets,
        rust,
        zig,
        mimalloc: facts.mimalloc,
        memory: facts.memory,
        resolution: resolution(request),
        offline: request.offline,
        timings: request.timings,
        identities: Identities { packages, wrapper: config.rustc_wrapper() },
    })
}

/// Returns the user's flags for each target that is built: rustc knows nothing of targets that a
/// workspace invents for `verify`.
fn user_flags(
    cx: &Context,
    config: &cargo::Config,
    workspace: &Workspace,
    targets: &Targets,
    request: &Request,
) -> Result<BTreeMap<String, UserFlags>> {
    let built = |target: &&Target| wanted(workspace, request, &target.name, target.spec.default);
    let flags = |target: &Target| Ok((target.name.clone(), config.user_flags(cx, &target.name)?));
    targets.iter().filter(built).map(flags).collect()
}

/// Adds what cargo's configuration sets beside flags and profiles, and rustc's defaults.
fn configured(
    cx: &Context,
    config: &cargo::Config,
    rust: &Rust,
    workspace: &Workspace,
    facts: &mut Facts,
) -> Result<()> {
    let names: Vec<&str> = facts.user_flags.keys().map(String::as_str).collect();
    facts.c_flags = config.c_variables(cx, &names)?;
    facts.notes.extend(config.replaced_variables(cx));
    facts.remap.extend(path_packages::vendored(&config.vendored(), workspace));
    facts.is_static = static_targets(cx, rust, facts);
    Ok(())
}

/// Returns the targets that are built for which rustc links the C library statically by default.
fn static_targets(cx: &Context, rust: &Rust, facts: &Facts) -> BTreeSet<String> {
    let names: Vec<&String> = facts.user_flags.keys().collect();
    // Each waits for a process.
    let is_static = parallel::map_on(names.len(), names.len(), |index| {
        cargo::is_static(cx, &rust.rustc, names[index])
    });
    let found = names.into_iter().zip(is_static).filter(|(_, is_static)| *is_static);
    found.map(|(name, _)| name.clone()).collect()
}

/// Returns the flags that add to the CPU of each target that is built.
fn cpu_flags(
    cx: &Context,
    rust: &Rust,
    targets: &Targets,
    plan: &Plan,
    facts: &Facts,
) -> Result<BTreeMap<String, CpuFlags>> {
    let profile = profile::rustflags(&facts.profiles, &plan.profile.name);
    let mut all = BTreeMap::new();
    for (name, user) in &facts.user_flags {
        let target = targets.get(name)?;
        let chosen = cpu::choosing(user, target, &profile);
        let c = cpu::native_c(&facts.c_flags, name);
        if chosen.is_empty() && c.is_empty() {
            continue;
        }
        let declared = target.cpu(plan.profile.preset).map(|cpu| format!("-Ctarget-cpu={cpu}"));
        let without: Vec<String> = declared.into_iter().collect();
        // Of several CPUs rustc takes the last one.
        let mut with = without.clone();
        with.extend(chosen.iter().map(|flag| flag.flag.clone()));
        let features = |flags: &[String]| cargo::cpu_features(cx, &rust.rustc, name, flags);
        if let Some(flags) = cpu::added(chosen, c, &features(&with)?, &features(&without)?) {
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
    stage::check(cx, plan.output.as_ref(), &guard::Inputs::of_build(&workspace.root))
}

/// Returns the Dockerfile of each package that has one: the one that its settings name, else its own
/// `Dockerfile.release`, else that of the workspace if only one package has binaries.
fn recipes(workspace: &Workspace) -> Result<BTreeMap<String, Recipe>> {
    let released = |package: &&Package| !package.bins.is_empty() && package.unreleased().is_none();
    let packages: Vec<&Package> = workspace.packages.iter().filter(released).collect();
    let mut recipes = BTreeMap::new();
    for package in &packages {
        let directory = package.manifest.parent().unwrap_or(&workspace.root);
        let mut places = vec![directory.join(RECIPE)];
        if packages.len() == 1 {
            places.push(workspace.root.join(RECIPE));
        }
        let path = match &package.settings.image.recipe {
            Some(RecipeSetting::File(path)) => Some(directory.join(path)),
            Some(RecipeSetting::Look(false)) => None,
            _ => places.into_iter().find(|path| path.is_file()),
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
        jobs.map(|job| (job.target.clone(), object(job))).collect()
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
    targets: &Targets,
    plan: &Plan,
    provide: bool,
    facts: &mut Facts,
) -> Result<()> {
    let warnings = image::check(plan)?;
    if !provide {
        // A build gives them when it makes the images.
        facts.warnings = warnings;
    }
    check_policies(&workspace.settings.verify, targets, plan)
}

/// Checks that each lint that the workspace denies or warns of has what it needs.
fn check_policies(settings: &Settings, targets: &Targets, plan: &Plan) -> Result<()> {
    let mut names: Vec<&str> = plan.jobs.iter().map(|job| job.target.as_str()).collect();
    names.dedup();
    for name in names {
        let policy = targets.get(name)?.policy().with_settings(settings)?;
        policy.check_inputs(PolicyInputs::default())?;
    }
    Ok(())
}

fn inputs_plan(
    workspace: &Workspace,
    targets: &Targets,
    request: &Request,
    facts: &Facts,
) -> Result<Plan> {
    crate::build::plan::plan(&Inputs { workspace, targets, request, facts })
}

fn wanted(workspace: &Workspace, request: &Request, name: &str, default: bool) -> bool {
    let asked = match &request.targets[..] {
        [] => workspace.settings.targets.as_deref().unwrap_or_default(),
        asked => asked,
    };
    if asked.is_empty() { default } else { asked.iter().any(|asked| asked == name) }
}

/// Returns the path of the official std's own source, so that an installed `rust-src`, which makes
/// rustc use the local path instead, changes nothing.
fn rustc_source(rust: &Rust) -> String {
    match &rust.commit {
        Some(commit) => format!("/rustc/{commit}"),
        None => format!("/rustc/{}", rust.version),
    }
}

fn remap(cx: &Context, rust: &Rust) -> Vec<(Utf8PathBuf, String)> {
    let mut all = vec![
        (rust.sysroot.clone(), "/rust".to_owned()),
        (rust.sysroot.join("lib/rustlib/src/rust"), rustc_source(rust)),
    ];
    if let Some(home) = cx.env.cargo_home() {
        all.push((home, "/cargo".to_owned()));
    }
    all
}

fn tools(rust: &Rust, zig: Option<&Zig>, mimalloc: bool) -> BTreeMap<String, String> {
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

/// Adds what cargo resolves: directories of packages outside the workspace, and features. Returns the
/// names of the packages that depend on those.
fn packages(
    cx: &Context,
    workspace: &Workspace,
    request: &Request,
    provide: bool,
    facts: &mut Facts,
) -> Result<BTreeMap<Utf8PathBuf, String>> {
    let names: Vec<&str> = facts.user_flags.keys().map(String::as_str).collect();
    let outside = path_packages::outside(cx, workspace, request, &names)?;
    facts.remap.extend(outside.remap);
    if let Some(target) = names.first() {
        facts.dependency_features = features::of_dependencies(cx, workspace, request, target)?;
        if !provide {
            facts.notes.extend(features::unified(cx, workspace, request, target)?);
        }
    }
    Ok(outside.names)
}

/// Returns the version of each C compiler that the user selected instead of zig's, by its name, and
/// notes the tools that replace longshore's defaults, or are ignored.
fn compilers(cx: &Context, config: &cargo::Config, facts: &mut Facts) -> BTreeMap<String, String> {
    if let Some(targets) = config.build_targets() {
        facts.notes.push(format!(
            "`build.target` in cargo's configuration ({targets}) is not used: `targets` in \
             `[workspace.metadata.longshore]` and `--target` choose the targets"
        ));
    }
    let mut compilers = BTreeMap::new();
    for target in facts.user_flags.keys() {
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
