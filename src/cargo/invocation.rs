//! The command line of a build.

use std::collections::BTreeMap;

use crate::{
    cargo::rustflags::{Flag, Remap},
    plan::{Inputs, selection::Selection},
    schema::plan::{Build, Profile, Std},
    zig,
};

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`
/// (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>).
const SEPARATOR: &str = "\u{1f}";

/// The cargo command that builds the selected binaries for `targets`.
pub fn build(
    inputs: &Inputs<'_>,
    selection: &Selection<'_>,
    profile: &Profile,
    std: Std,
    flags: &[Flag],
    remap: &Remap,
    targets: Vec<String>,
) -> Build {
    let request = inputs.request;
    let mut args = vec!["build".to_owned()];
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    let manifest = inputs.workspace.root.join("Cargo.toml");
    add(&["--manifest-path", manifest.as_str(), "--profile", &profile.name]);
    for setting in profile.settings.iter().filter(|setting| setting.passed) {
        let config = format!("profile.{}.{}={}", profile.name, setting.key, setting.value);
        add(&["--config", &config]);
    }
    for (package, bins) in &selection.packages {
        add(&["--package", &format!("{}@{}", package.name, package.version)]);
        for bin in bins {
            add(&["--bin", &bin.name]);
        }
    }
    for target in &targets {
        add(&["--target", target]);
    }
    let features = &request.features;
    for list in &features.features {
        add(&["--features", list]);
    }
    let switches = [
        (features.all_features, "--all-features"),
        (features.no_default_features, "--no-default-features"),
        (request.locked, "--locked"),
        (request.offline, "--offline"),
        (request.keep_going, "--keep-going"),
        (request.timings, "--timings"),
        (request.verbose > 0, "--verbose"),
    ];
    for (_, switch) in switches.iter().filter(|(on, _)| *on) {
        add(&[switch]);
    }
    if let Some(jobs) = request.jobs {
        add(&["--jobs", &jobs.to_string()]);
    }
    add(&["--target-dir", inputs.target_directory().as_str()]);
    let mut env = BTreeMap::new();
    for target in &targets {
        env.extend(zig::c_flags(target, &inputs.facts.zig, remap, &inputs.facts.c_flags));
    }
    add(&["--message-format", "json-render-diagnostics"]);
    let flags: Vec<&str> = flags.iter().map(|flag| flag.flag.as_str()).collect();
    env.insert("CARGO_ENCODED_RUSTFLAGS".to_owned(), flags.join(SEPARATOR));
    let encoded = |name: &&String| *name != "CARGO_ENCODED_RUSTFLAGS";
    Build {
        targets,
        std,
        args,
        env,
        env_remove: inputs.facts.flag_variables.iter().filter(encoded).cloned().collect(),
    }
}
