//! The command line arguments, as clap types. Flags that cargo has work as in cargo.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    cache::CacheArgs, ci::CiArgs, image::ImageArgs, init::InitArgs, merge::MergeArgs,
    package::PackageArgs, push::PushArgs, registry::RegistryArgs, release::ReleaseArgs,
    reproduce::ReproduceArgs, sign::SignArgs, size::SizeArgs, tune::TuneArgs, verify::VerifyArgs,
};
use crate::{
    build::{pgo::PgoRequest, request::BuildRequest, workspace::FeatureSelection},
    model::{
        reference::Reference,
        schema::{
            allocator,
            linker::LinkerSetting,
            profile::{Preset, Unstable},
        },
    },
};

/// Build, verify and package static Rust binaries, and FROM scratch images of the same files
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
    /// Print every line that cargo writes
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print only errors and the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the settings, CI files and xtask of a workspace; existing files are kept
    Init(Box<InitArgs>),
    /// Build, verify, pack and smoke-test a complete release into target/dist
    Dist {
        #[command(flatten)]
        build: BuildArgs,
        /// Push the image to this repository by digest, without a tag, for `merge`
        #[arg(long, value_name = "REPOSITORY")]
        push_by_digest: Option<Reference>,
        #[command(flatten)]
        registry: RegistryArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print what `dist` would do, without building
    Plan {
        #[command(flatten)]
        build: BuildArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Build and verify the binaries, without images and archives
    Build {
        #[command(flatten)]
        build: BuildArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Attribute the size of binaries, archives and images to crates, and compare with a base
    Size(Box<SizeArgs>),
    /// Compare presets and settings of a program by size, time and memory on a command
    Tune(Box<TuneArgs>),
    /// Build images of a finished `dist` without a container engine; inspect and compare images
    Image(Box<ImageArgs>),
    /// Build archives and packages of a finished `dist`; list their content
    Package(Box<PackageArgs>),
    /// Combine the parts that several jobs built for different platforms into one release
    Merge(Box<MergeArgs>),
    /// Push an image to registries without a container engine
    Push(Box<PushArgs>),
    /// Publish the files of a release at GitHub, GitLab or Forgejo: complete, or not at all
    Release(Box<ReleaseArgs>),
    /// Sign a release and pushed images with minisign or cosign
    Sign(SignArgs),
    /// Verify linkage, hardening and size of binaries, archives, images and releases
    Verify(VerifyArgs),
    /// Rebuild a release from its commit, and compare every artifact with it
    Reproduce(Box<ReproduceArgs>),
    /// Save and restore what `dist` compiled, for CI jobs
    Cache(CacheArgs),
    /// Generate and check the files of CI systems, and support their jobs
    Ci(CiArgs),
    /// Check the tools that `dist` requires or can use
    Doctor {
        /// Check the toolchain of this target; repeatable
        #[arg(long = "target", value_name = "TRIPLE")]
        targets: Vec<String>,
        /// Source of std, for targets that rustup does not provide
        #[arg(long, value_name = "DIR")]
        rust_src: Option<Utf8PathBuf>,
        #[command(flatten)]
        format: FormatArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// Output on stdout: text, or JSON with a versioned schema
    #[arg(long, value_name = "FMT", default_value = "human")]
    pub(super) message_format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Build the binaries of this package only
    #[arg(short, long = "package", value_name = "SPEC", help_heading = SELECTION)]
    packages: Vec<String>,
    /// Build the binaries of all packages, not only of the default members
    #[arg(long, help_heading = SELECTION)]
    workspace: bool,
    /// Build each package with a separate cargo command, without feature unification
    #[arg(long, help_heading = SELECTION)]
    each: bool,
    /// Exclude this package
    #[arg(long, value_name = "SPEC", help_heading = SELECTION, conflicts_with = "packages")]
    exclude: Vec<String>,
    /// Build this binary only
    #[arg(long = "bin", value_name = "NAME", help_heading = SELECTION)]
    bins: Vec<String>,
    /// Build all binaries (default)
    #[arg(long = "bins", help_heading = SELECTION)]
    all_bins: bool,
    /// Features to activate, separated by spaces or commas
    #[arg(short = 'F', long, value_name = "FEATURES", help_heading = FEATURES)]
    features: Vec<String>,
    /// Activate all features
    #[arg(long, help_heading = FEATURES)]
    all_features: bool,
    /// Do not activate the `default` feature
    #[arg(long, help_heading = FEATURES)]
    no_default_features: bool,
    /// Build for this target; repeatable
    #[arg(long = "target", value_name = "TRIPLE", help_heading = COMPILATION)]
    targets: Vec<String>,
    /// Build with this profile instead of `dist`
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    profile: Option<String>,
    /// Preset for the values of the profile `dist`
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    preset: Option<Preset>,
    /// Implementation of `malloc`
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    allocator: Option<allocator::AllocatorSetting>,
    /// Linker of programs
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    linker: Option<LinkerSetting>,
    /// Optimise by a profile of the program's runs: train it first, and compare
    #[arg(long, help_heading = COMPILATION, conflicts_with = "pgo_profile")]
    pgo: bool,
    /// Optimise by this profile
    #[arg(long, value_name = "FILE", help_heading = COMPILATION)]
    pgo_profile: Option<Utf8PathBuf>,
    /// Enable this unstable switch of rustc; repeatable
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    unstable: Vec<Unstable>,
    /// Keep symbols and line numbers in separate debug files
    #[arg(long, help_heading = COMPILATION)]
    debug_files: bool,
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N", help_heading = COMPILATION)]
    jobs: Option<usize>,
    /// Do not stop at the first error
    #[arg(long, help_heading = COMPILATION)]
    keep_going: bool,
    /// Write cargo's timing report
    #[arg(long, help_heading = COMPILATION)]
    timings: bool,
    /// Directory for all generated files; the result is in its subdirectory `dist`
    #[arg(long, value_name = "DIR", help_heading = COMPILATION)]
    target_dir: Option<Utf8PathBuf>,
    /// Source of std, for targets that rustup does not provide
    #[arg(long, value_name = "DIR", help_heading = COMPILATION)]
    rust_src: Option<Utf8PathBuf>,
    /// Skip the smoke test
    #[arg(long)]
    no_smoke: bool,
    /// Build again in a fresh directory, and fail if the binaries differ
    #[arg(long)]
    twice: bool,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = MANIFEST)]
    manifest_path: Option<Utf8PathBuf>,
    /// Set a key of cargo's configuration, or read a configuration file; repeatable
    #[arg(long, value_name = "KEY=VALUE|PATH", help_heading = MANIFEST)]
    config: Vec<String>,
    /// Require an up-to-date `Cargo.lock` (default)
    #[arg(long, help_heading = MANIFEST, overrides_with = "no_locked")]
    locked: bool,
    /// Allow cargo to update `Cargo.lock`
    #[arg(long, help_heading = MANIFEST)]
    no_locked: bool,
    /// Run without accessing the network
    #[arg(long, help_heading = MANIFEST)]
    offline: bool,
    /// Equivalent to `--locked` and `--offline`
    #[arg(long, help_heading = MANIFEST, conflicts_with = "no_locked")]
    frozen: bool,
}

const SELECTION: &str = "Package selection";
const FEATURES: &str = "Feature selection";
const COMPILATION: &str = "Compilation options";
const MANIFEST: &str = "Manifest options";

impl BuildArgs {
    pub(super) fn request(&self, verbose: u8) -> BuildRequest {
        BuildRequest {
            packages: self.packages.clone(),
            workspace: self.workspace,
            each: self.each,
            exclude: self.exclude.clone(),
            // `--bins` with `--bin` is every binary, as with cargo.
            bins: if self.all_bins { Vec::new() } else { self.bins.clone() },
            features: FeatureSelection {
                features: self.features.clone(),
                all_features: self.all_features,
                no_default_features: self.no_default_features,
            },
            profile: self.profile.clone(),
            preset: self.preset,
            allocator: self.allocator,
            memory_functions: None,
            linker: self.linker,
            pgo: match (&self.pgo_profile, self.pgo) {
                (Some(file), _) => PgoRequest::Profile(file.clone()),
                (None, true) => PgoRequest::Train,
                (None, false) => PgoRequest::Off,
            },
            unstable: self.unstable.clone(),
            debug_files: self.debug_files,
            targets: self.targets.clone(),
            target_dir: self.target_dir.clone(),
            build_dir: None,
            manifest_path: self.manifest_path.clone(),
            config: self.config.clone(),
            locked: !self.no_locked,
            offline: self.offline || self.frozen,
            jobs: self.jobs,
            keep_going: self.keep_going,
            timings: self.timings,
            verbose,
            pack: true,
            smoke: !self.no_smoke,
            twice: self.twice,
            rust_src: self.rust_src.clone(),
        }
    }
}

impl ValueEnum for Preset {
    fn value_variants<'a>() -> &'a [Self] {
        &Preset::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Unstable {
    fn value_variants<'a>() -> &'a [Self] {
        &Unstable::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl ValueEnum for LinkerSetting {
    fn value_variants<'a>() -> &'a [Self] {
        &LinkerSetting::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl ValueEnum for allocator::AllocatorSetting {
    fn value_variants<'a>() -> &'a [Self] {
        &allocator::AllocatorSetting::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}
