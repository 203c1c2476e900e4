//! `plan`: what a `dist` would do.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    allocator::{Allocator, MIMALLOC, Setting},
    cargo::invocation::resolution,
    config::RecipeSetting,
    error::Result,
    ops::{allocator, image, package},
    plan::{Facts, Inputs},
    request::Request,
    schema::{
        Plan,
        plan::{Job, Recipe, Std},
    },
    sys::{
        Context, cargo, fs, git,
        toolchain::{self, Rust, Zig},
    },
    target::{Target, Targets},
    verify::Settings,
    workspace::{Package, Workspace},
};

/// A plan, and what carrying it out needs besides.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The plan of the second build, in another directory, where one was asked for.
    pub again: Option<Plan>,
    /// `[workspace.metadata.longshore.verify]`.
    pub verify: Settings,
    /// The known targets.
    pub targets: Targets,
    /// cargo and rustc.
    pub rust: Rust,
    /// zig, where there is one.
    pub zig: Option<Zig>,
    /// What cargo starts rustc with.
    pub rustc_wrapper: Option<String>,
    /// Where the object of mimalloc is, or has to be made, for the targets that get it.
    pub mimalloc: BTreeMap<String, Utf8PathBuf>,
    /// The flags of cargo's that say which dependencies there are.
    pub resolution: Vec<String>,
    /// Where the source is, as the packages say.
    pub repository: Option<String>,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// Whether cargo's pages of timings are kept.
    pub timings: bool,
}

/// The plan as things are; nothing is fetched or built.
///
/// # Errors
/// The workspace or the request is wrong, or cargo is missing.
pub fn plan(cx: &Context, request: &Request) -> Result<Planned> {
    make(cx, request, false)
}

/// The plan, after everything that was missing has been provided.
///
/// # Errors
/// As [`plan`], or something cannot be provided.
pub fn plan_and_provide(cx: &Context, request: &Request) -> Result<Planned> {
    make(cx, request, true)
}

fn make(cx: &Context, request: &Request, provide: bool) -> Result<Planned> {
    let config = cargo::Config::load(cx)?;
    // The workspace and the toolchain do not need each other, and both wait for processes.
    let rustc = config.rustc();
    let (workspace, rust) = std::thread::scope(|scope| {
        let rust = scope.spawn(|| toolchain::rust::find(cx, &rustc));
        (cargo::workspace(cx, request), rust.join())
    });
    let rust = rust.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let (workspace, rust) = (workspace?, rust?);
    let targets = known_targets(&workspace.root)?;
    let mut facts = Facts {
        flag_variables: cargo::flag_variables(cx),
        c_flags: cargo::c_flags(cx),
        profiles: cargo::profiles(cx, &workspace.root)?,
        remap: remap(cx, &rust),
        ..Facts::default()
    };
    // Only of those that are built: rustc knows nothing of a workspace's invented ones.
    let built = |target: &&Target| wanted(&workspace, request, &target.name, target.spec.default);
    for target in targets.iter().filter(built) {
        facts.user_flags.insert(target.name.clone(), config.user_flags(cx, &target.name)?);
    }
    let revision = git::revision(cx, &workspace.root, &workspace.target_directory);
    facts.epoch = epoch(cx, revision.as_ref())?;
    facts.recipes = recipes(&workspace)?;
    facts.revision = revision.map(|revision| (revision.hash, revision.dirty));
    if request.allocator.is_none_or(|setting| setting == Setting::Auto) {
        let names: Vec<&str> = facts.user_flags.keys().map(String::as_str).collect();
        facts.own_allocators = allocator::own(cx, &workspace, request, &names)?;
    }
    // A first plan, so that everything wrong with the request is told before anything is fetched.
    let first = inputs_plan(&workspace, &targets, request, &facts)?;
    image::check(&first.images)?;
    let names = first.archives.iter().map(|archive| archive.package.as_str()).collect();
    facts.found = package::found(&workspace, &names)?;
    let mut names: Vec<String> = first.jobs.iter().map(|job| job.target.clone()).collect();
    names.dedup();
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
    facts.mimalloc = mimalloc(cx, &first, zig.as_ref())?;
    facts.tools = tools(&rust, zig.as_ref(), !facts.mimalloc.is_empty());
    let plan = inputs_plan(&workspace, &targets, request, &facts)?;
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
        resolution: resolution(request),
        offline: request.offline,
        timings: request.timings,
        rustc_wrapper: config.rustc_wrapper(),
    })
}

/// The Dockerfile of each package that has one: the one that its settings name, else its own
/// `Dockerfile.release`, else that of the workspace where only one package has binaries.
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

/// Where the object of mimalloc is, or will be, for each target that gets it.
fn mimalloc(cx: &Context, plan: &Plan, zig: Option<&Zig>) -> Result<BTreeMap<String, Utf8PathBuf>> {
    let gets = plan.jobs.iter().filter(|job| job.allocator.allocator == Allocator::Mimalloc);
    let jobs: Vec<&Job> = gets.collect();
    if jobs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let zig = match zig {
        Some(zig) => toolchain::zig::identity(cx, zig)?,
        None => toolchain::zig::pinned_identity(),
    };
    let object = |job: &Job| {
        let object = toolchain::mimalloc::object(cx, &job.target, job.cpu.as_deref(), &zig);
        (job.target.clone(), object)
    };
    Ok(jobs.into_iter().map(object).collect())
}

fn inputs_plan(
    workspace: &Workspace,
    targets: &Targets,
    request: &Request,
    facts: &Facts,
) -> Result<Plan> {
    crate::plan::plan(&Inputs { workspace, targets, request, facts })
}

fn wanted(workspace: &Workspace, request: &Request, name: &str, default: bool) -> bool {
    let asked = match &request.targets[..] {
        [] => workspace.settings.targets.as_deref().unwrap_or_default(),
        asked => asked,
    };
    if asked.is_empty() { default } else { asked.iter().any(|asked| asked == name) }
}

/// The embedded targets and the workspace's own.
///
/// # Errors
/// A file in `root`'s `targets` cannot be read, or is not one of a target.
pub(super) fn known_targets(root: &Utf8Path) -> Result<Targets> {
    let dir = root.join("targets");
    let mut files = Vec::new();
    for file in fs::names(&dir)? {
        if let Some(name) = file.strip_suffix(".toml") {
            let path = dir.join(&file);
            if let Some(text) = fs::read_to_string_if_there(&path)? {
                files.push((name.to_owned(), path.into_string(), text));
            }
        }
    }
    Targets::new(files)
}

/// What the official std says of its own source, so that an installed `rust-src`, which makes rustc
/// say the local path instead, changes nothing.
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
    let zig = zig.map_or_else(|| crate::zig::PINNED.to_owned(), |zig| zig.version.to_string());
    tools.insert("zig".to_owned(), zig);
    if mimalloc {
        tools.insert("mimalloc".to_owned(), MIMALLOC.to_owned());
    }
    tools
}

/// `SOURCE_DATE_EPOCH`, else the time of the last commit, else 0.
fn epoch(cx: &Context, revision: Option<&git::Revision>) -> Result<u64> {
    match cx.env.var("SOURCE_DATE_EPOCH") {
        Some(text) => text.parse().map_err(|_| {
            crate::Error::usage(format!("`SOURCE_DATE_EPOCH` is `{text}`"))
                .hint("it has to be a whole number of seconds since 1970")
        }),
        None => Ok(revision.map_or(0, |revision| revision.time)),
    }
}
