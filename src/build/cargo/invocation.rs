//! The command line of a build.

use std::collections::BTreeMap;

use crate::{
    build::{
        cargo::rustflags::{FlagSource, Remap, UserFlags},
        plan::{inputs::Inputs, selection::Selection},
        request::BuildRequest,
        zig,
    },
    model::collect::CollectOrdered as _,
    model::schema::{
        allocator::AllocatorChoice,
        linker::LinkerChoice,
        memory::MemoryChoice,
        plan::{Build, Flag, Std, Via},
    },
};

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`
/// (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>).
const SEPARATOR: &str = "\u{1f}";

/// The variable that hides all other sources of flags.
const ENCODED_RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// A target with all flags for rustc.
#[derive(Clone, Debug)]
pub struct TargetFlags {
    /// The target.
    pub target: String,
    /// The source of its std.
    pub std: Std,
    /// The user's flags.
    pub user: UserFlags,
    /// All flags: the user's, then longshore's.
    pub all: Vec<Flag>,
    /// The equivalent flags for C compilers.
    pub c: Vec<&'static str>,
    /// The allocator that serves `malloc`.
    pub allocator: AllocatorChoice,
    /// The implementation of memory functions.
    pub memory: MemoryChoice,
    /// The linker.
    pub linker: LinkerChoice,
}

impl TargetFlags {
    /// Returns the flags that cargo passes to rustc.
    fn rustflags(&self) -> impl Iterator<Item = &str> {
        let passed = self.all.iter().filter(|flag| flag.via == Via::Rustflags);
        passed.map(|flag| flag.flag.as_str())
    }

    /// Returns the arguments that the linker's wrapper adds.
    fn link_args(&self) -> Vec<String> {
        self.all.iter().filter_map(Flag::link_arg).map(str::to_owned).collect()
    }

    /// Returns the value of `target.<target>.rustflags` with which cargo arrives at all flags: it joins
    /// longshore's to the existing ones, which hide those of `build.rustflags`.
    fn rustflags_config(&self) -> String {
        let known = if self.user.source == FlagSource::Target { self.user.flags.len() } else { 0 };
        let own = self.rustflags().skip(known).map(toml::Value::from).collect();
        format!("target.{}.rustflags={}", self.target, toml::Value::Array(own))
    }
}

/// Returns the cargo commands that build the selected binaries: one for all targets, or one for each set of
/// flags if a variable of the user has flags and hides others of `target.*.rustflags` in a file, which would
/// apply again without it.
pub fn build_commands(
    inputs: &Inputs<'_>,
    selection: &Selection<'_>,
    remap: &Remap,
    targets: &[TargetFlags],
) -> Vec<Build> {
    if inputs.settings.each && selection.packages.len() > 1 {
        let alone =
            |package| Selection { packages: vec![package], skipped: Vec::new(), whole: false };
        let packages = selection.packages.iter().cloned();
        let of_package = |package| build_commands(inputs, &alone(package), remap, targets);
        return packages.flat_map(of_package).collect();
    }
    let one = |targets: &[&TargetFlags]| build_command(inputs, selection, remap, targets);
    if !targets.iter().any(|target| target.user.hides) {
        return vec![one(&targets.iter().collect::<Vec<_>>())];
    }
    let mut groups: Vec<Vec<&TargetFlags>> = Vec::new();
    for target in targets {
        match groups.iter_mut().find(|group| group[0].rustflags().eq(target.rustflags())) {
            Some(group) => group.push(target),
            None => groups.push(vec![target]),
        }
    }
    groups.iter().map(|group| one(group)).collect()
}

fn build_command(
    inputs: &Inputs<'_>,
    selection: &Selection<'_>,
    remap: &Remap,
    targets: &[&TargetFlags],
) -> Build {
    let request = inputs.request;
    let profile = &inputs.settings.profile;
    let mut args = vec!["build".to_owned()];
    // Before ours: cargo joins lists in the order of the arguments.
    args.extend(config_args(request));
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    let manifest = inputs.workspace.root.join("Cargo.toml");
    add(&["--manifest-path", manifest.as_str(), "--profile", &profile.name]);
    for setting in profile.settings.iter().filter(|setting| setting.passed) {
        let config = format!("profile.{}.{}={}", profile.name, setting.key, setting.value);
        add(&["--config", &config]);
    }
    for (package, bins) in &selection.packages {
        add(&["--package", &package.spec()]);
        for bin in bins {
            add(&["--bin", &bin.name]);
        }
    }
    // Compilers that `[env]` of cargo's configuration names: zig's wrappers take the place of those that
    // are not set in the process.
    let mut env: BTreeMap<String, String> = inputs.facts.c_flags.clone();
    env.retain(|name, _| !name.contains("FLAGS"));
    for target in targets {
        add(&["--target", &target.target]);
        let facts = inputs.facts;
        env.extend(zig::c_flags(&target.target, &facts.zig, remap, &target.c, &facts.c_flags));
    }
    if !profile.unstable.is_empty() {
        // Requested by name: rustc rejects unstable flags otherwise.
        env.insert("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned());
    }
    let mut env_remove = Vec::new();
    // Flags that are the same for all go where nothing hides them, and others to each target.
    if let [first, rest @ ..] = targets
        && rest.iter().all(|target| target.rustflags().eq(first.rustflags()))
    {
        let flags: Vec<&str> = first.rustflags().collect();
        env.insert(ENCODED_RUSTFLAGS.to_owned(), flags.join(SEPARATOR));
        let set = inputs.facts.flag_variables.iter();
        env_remove.extend(set.filter(|name| *name != ENCODED_RUSTFLAGS).cloned());
    } else {
        for target in targets {
            add(&["--config", &target.rustflags_config()]);
        }
        let hiding = |name: &&String| [ENCODED_RUSTFLAGS, "RUSTFLAGS"].contains(&name.as_str());
        env_remove.extend(inputs.facts.flag_variables.iter().filter(hiding).cloned());
    }
    add(&passed_args(request).iter().map(String::as_str).collect::<Vec<_>>());
    add(&["--target-dir", inputs.target_directory().as_str()]);
    // The only report of a stable cargo with the time of each unit.
    add(&["--message-format", "json-render-diagnostics", "--timings"]);
    let stds = targets.iter().map(|target| (target.target.clone(), target.std.clone()));
    let link_args = targets.iter().map(|target| (target.target.clone(), target.link_args()));
    Build {
        targets: targets.iter().map(|target| target.target.clone()).collect(),
        packages: selection.packages.iter().map(|(package, _)| package.name.clone()).collect(),
        std: stds.collect_map(),
        link_args: link_args.collect_map(),
        args,
        env,
        env_remove,
    }
}

/// Returns `--config` of the request, as cargo gets it.
fn config_args(request: &BuildRequest) -> impl Iterator<Item = String> + '_ {
    request.config.iter().flat_map(|config| ["--config".to_owned(), config.clone()])
}

/// Returns the flags of the request that select dependencies, for commands beside `build`.
pub fn resolution_args(request: &BuildRequest) -> Vec<String> {
    config_args(request).chain(feature_args(request)).collect()
}

/// Returns the flags of the request that choose features and the use of `Cargo.lock`.
fn feature_args(request: &BuildRequest) -> Vec<String> {
    let features = &request.features;
    let mut words = Vec::new();
    for list in &features.features {
        words.extend(["--features".to_owned(), list.clone()]);
    }
    let switches = [
        (features.all_features, "--all-features"),
        (features.no_default_features, "--no-default-features"),
        (request.locked, "--locked"),
        (request.offline, "--offline"),
    ];
    let on = switches.iter().filter(|(on, _)| *on);
    words.extend(on.map(|(_, switch)| (*switch).to_owned()));
    words
}

/// Returns the flags of the request that are passed to cargo unchanged.
fn passed_args(request: &BuildRequest) -> Vec<String> {
    let mut words = feature_args(request);
    let switches = [(request.keep_going, "--keep-going"), (request.verbose > 0, "--verbose")];
    let on = switches.iter().filter(|(on, _)| *on);
    words.extend(on.map(|(_, switch)| (*switch).to_owned()));
    if let Some(jobs) = request.jobs {
        words.extend(["--jobs".to_owned(), jobs.to_string()]);
    }
    words
}
