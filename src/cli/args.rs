//! The arguments, as clap reads them. The flags that cargo has are cargo's.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    cache::CacheArgs, ci::CiArgs, image::ImageArgs, merge::MergeArgs, package::PackageArgs,
    push::PushArgs, registry::RegistryArgs, sign::SignArgs, size::SizeArgs, verify::VerifyArgs,
};
use crate::{
    build::{request::Request, workspace::FeatureSelection},
    model::{
        reference::Reference,
        schema::{
            allocator,
            profile::{Preset, Unstable},
        },
    },
};

/// Ship Rust programs: static binaries, verified, and a scratch image made of those very bytes
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
    /// Say more: every line that cargo writes
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say nothing but errors and the result
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
    /// Build, verify, try out and pack: everything that a release is made of, into target/dist
    Dist {
        #[command(flatten)]
        build: BuildArgs,
        /// Push the image to this repository by its digest, without a tag, for `merge`
        #[arg(long, value_name = "REPOSITORY")]
        push_by_digest: Option<Reference>,
        #[command(flatten)]
        registry: RegistryArgs,
        #[command(flatten)]
        format: Formatted,
    },
    /// Show what `dist` would do, and change nothing
    Plan {
        #[command(flatten)]
        build: BuildArgs,
        #[command(flatten)]
        format: Formatted,
    },
    /// Build and verify the binaries, without images and archives
    Build {
        #[command(flatten)]
        build: BuildArgs,
        #[command(flatten)]
        format: Formatted,
    },
    /// Say how large binaries, archives and images are, because of which crates, and what changed
    Size(Box<SizeArgs>),
    /// Make images of what was built, without a container engine; look into images, compare them
    Image(Box<ImageArgs>),
    /// Make archives and packages of what was built; look into them
    Package(Box<PackageArgs>),
    /// Make one release of what several jobs made, each for some of the platforms
    Merge(Box<MergeArgs>),
    /// Push an image to registries, without a container engine: what is there is not sent again
    Push(Box<PushArgs>),
    /// Sign what people download, and pushed images, with minisign or cosign
    Sign(SignArgs),
    /// Check that binaries are what they should be
    Verify(VerifyArgs),
    /// Keep what `dist` compiled from one machine to the next
    Cache(CacheArgs),
    /// Write the files of CI systems, look whether they are up to date, and help in their jobs
    Ci(CiArgs),
    /// Show the state of everything that `dist` needs or can use
    Doctor {
        /// Look at this target's toolchain
        #[arg(long = "target", value_name = "TRIPLE")]
        targets: Vec<String>,
        /// The source of std, for targets that rustup has none for
        #[arg(long, value_name = "DIR")]
        rust_src: Option<Utf8PathBuf>,
        #[command(flatten)]
        format: Formatted,
    },
}

#[derive(Debug, Args)]
pub(super) struct Formatted {
    /// What goes to stdout: text for people, or JSON under a versioned schema
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
    /// Build the binaries of every package, not only of the default members
    #[arg(long, help_heading = SELECTION)]
    workspace: bool,
    /// Build each package with a cargo command of its own, without unifying features
    #[arg(long, help_heading = SELECTION)]
    each: bool,
    /// Leave this package out
    #[arg(long, value_name = "SPEC", help_heading = SELECTION, conflicts_with = "packages")]
    exclude: Vec<String>,
    /// Build this binary only
    #[arg(long = "bin", value_name = "NAME", help_heading = SELECTION)]
    bins: Vec<String>,
    /// Build every binary, which is the default
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
    /// Fill the profile `dist` with these values
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    preset: Option<Preset>,
    /// What serves `malloc`
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    allocator: Option<allocator::Setting>,
    /// Use this unstable switch of rustc; repeatable
    #[arg(long, value_name = "NAME", help_heading = COMPILATION)]
    unstable: Vec<Unstable>,
    /// Keep symbols and line numbers in files of their own, for debuggers
    #[arg(long, help_heading = COMPILATION)]
    debug_files: bool,
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N", help_heading = COMPILATION)]
    jobs: Option<usize>,
    /// Do not stop at the first error
    #[arg(long, help_heading = COMPILATION)]
    keep_going: bool,
    /// Have cargo write its timing report
    #[arg(long, help_heading = COMPILATION)]
    timings: bool,
    /// Directory for everything generated; the result goes to `dist` in it
    #[arg(long, value_name = "DIR", help_heading = COMPILATION)]
    target_dir: Option<Utf8PathBuf>,
    /// The source of std, for targets that rustup has none for
    #[arg(long, value_name = "DIR", help_heading = COMPILATION)]
    rust_src: Option<Utf8PathBuf>,
    /// Do not run the binaries
    #[arg(long)]
    no_smoke: bool,
    /// Build everything again in a fresh directory, and fail where the binaries differ
    #[arg(long)]
    twice: bool,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = MANIFEST)]
    manifest_path: Option<Utf8PathBuf>,
    /// Set a key of cargo's configuration, or read a configuration file; repeatable
    #[arg(long, value_name = "KEY=VALUE|PATH", help_heading = MANIFEST)]
    config: Vec<String>,
    /// Build only what `Cargo.lock` says, which is the default
    #[arg(long, help_heading = MANIFEST, overrides_with = "no_locked")]
    locked: bool,
    /// Let cargo change `Cargo.lock`
    #[arg(long, help_heading = MANIFEST)]
    no_locked: bool,
    /// Do not use the network
    #[arg(long, help_heading = MANIFEST)]
    offline: bool,
    /// `--locked` and `--offline`
    #[arg(long, help_heading = MANIFEST, conflicts_with = "no_locked")]
    frozen: bool,
}

const SELECTION: &str = "Package selection";
const FEATURES: &str = "Feature selection";
const COMPILATION: &str = "Compilation options";
const MANIFEST: &str = "Manifest options";

impl BuildArgs {
    pub(super) fn request(&self, verbose: u8) -> Request {
        Request {
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
            unstable: self.unstable.clone(),
            debug_files: self.debug_files,
            targets: self.targets.clone(),
            target_dir: self.target_dir.clone(),
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

impl ValueEnum for allocator::Setting {
    fn value_variants<'a>() -> &'a [Self] {
        &allocator::Setting::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}
