//! The plan: everything that will be done, computed before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::dist::Release;
pub use super::formats::{Arch, Deb, Homebrew, Installer, Npm, Repo, Rpm, Wheel, WheelModule};
use crate::model::{
    machine::Linkage,
    platform::Platform,
    reference::repository_name,
    schema::{
        allocator::AllocatorChoice,
        linker::LinkerChoice,
        memory::MemoryChoice,
        packaging::{Compressor, Extra, Format, GzipLevel, Shell},
        pgo::PgoChoice,
        profile::{Preset, Setting, Unstable},
        tags::TagPolicy,
    },
};

/// The schema number of the plans that this version makes.
pub const SCHEMA: u32 = 1;

/// Everything that `dist` will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Plan {
    /// The schema's number: 1.
    pub schema: u32,
    /// The workspace's directory.
    pub workspace: String,
    /// The directory in which cargo builds.
    pub target_directory: String,
    /// The directory of the result.
    pub output: String,
    /// The released package or workspace, its source, and the tools.
    pub release: Release,
    /// The profile and where each of its values comes from.
    pub profile: Profile,
    /// The builds: one cargo command for all targets that can share one.
    pub builds: Vec<Build>,
    /// One for each binary and target.
    pub jobs: Vec<Job>,
    /// One for each package.
    pub images: Vec<Image>,
    /// The archives for download: one for each package and target.
    #[serde(default)]
    pub archives: Vec<Archive>,
    /// Binaries of the workspace that are left out.
    pub skipped: Vec<Skipped>,
    /// Differences from cargo, and other unexpected behaviour: one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Settings that are allowed, and probably not intended: one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The variables that are set and that builds do not inherit, since they hold credentials.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub withheld: Vec<String>,
}

impl Plan {
    /// Returns the names of all packages, each once, in the order of the jobs.
    pub fn packages(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for job in &self.jobs {
            if !names.contains(&job.package) {
                names.push(job.package.clone());
            }
        }
        names
    }

    /// Returns the level of gzip in its images and archives.
    pub fn gzip_level(&self) -> GzipLevel {
        gzip_level(&self.images, &self.archives)
    }
}

/// Returns the level of gzip in these, which all have one.
pub(super) fn gzip_level(images: &[Image], archives: &[Archive]) -> GzipLevel {
    let images = images.iter().map(|image| image.gzip_level);
    let archives = archives.iter().map(|archive| archive.gzip_level);
    images.chain(archives).next().unwrap_or_default()
}

/// The profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// Its name, as cargo knows it.
    pub name: String,
    /// The preset that fills it; absent for another profile than `dist`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preset: Option<Preset>,
    /// Its values.
    pub settings: Vec<Setting>,
    /// Unstable switches of rustc that were requested by name.
    pub unstable: Vec<Unstable>,
}

/// Std's own feature of that name, with settings to match.
pub const FOR_SIZE: &str = "optimize-for-size";

/// One cargo command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    /// The packages that it builds.
    #[serde(default)]
    pub packages: Vec<String>,
    /// The targets it builds for.
    pub targets: Vec<String>,
    /// The origin of each target's standard library.
    pub std: BTreeMap<String, Std>,
    /// Cargo's arguments, the first is `build`.
    pub args: Vec<String>,
    /// The variables that are set for it, besides those that make zig the linker.
    pub env: BTreeMap<String, String>,
    /// The variables that are removed, because their flags are already in `env`.
    pub env_remove: Vec<String>,
    /// The arguments that the linker's wrapper adds to those of rustc, for each target.
    #[serde(default)]
    pub link_args: BTreeMap<String, Vec<String>>,
}

/// The origin of a target's standard library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Std {
    /// It is in the toolchain.
    Installed,
    /// It is built from source, once for all workspaces.
    Source {
        /// The directory that holds `library`.
        source: String,
        /// The directory that rustc gets as `--sysroot`.
        sysroot: String,
        /// The differences from the official one: `optimize-for-size`, or an unstable switch.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        options: Vec<String>,
    },
    /// It is missing: `dist` will install it first.
    Missing,
}

/// One binary for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its `Cargo.toml`.
    pub manifest: String,
    /// The binary.
    pub binary: String,
    /// The target triple of rustc.
    pub target: String,
    /// The OCI platform.
    pub platform: Platform,
    /// Its linkage.
    pub linkage: Linkage,
    /// The allocator.
    pub allocator: AllocatorChoice,
    /// The implementation of the functions that compare, search, copy and fill memory.
    pub memory_functions: MemoryChoice,
    /// The linker.
    pub linker: LinkerChoice,
    /// The profile of its runs; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pgo: Option<PgoChoice>,
    /// The baseline CPU, in rustc's spelling; that of the target when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<String>,
    /// Flags that let it use more of a CPU than the target's CPU has; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_flags: Option<CpuFlags>,
    /// The profile's name.
    pub profile: String,
    /// All flags for rustc and the linker in their order, and where each comes from.
    pub rustflags: Vec<Flag>,
    /// The path of the file, relative to `output`.
    pub path: String,
    /// The path of its symbols, relative to `output`; absent if they are not kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub debug: Option<String>,
    /// The path of the attribution of its bytes, relative to `output`.
    #[serde(default)]
    pub attribution: String,
    /// Whether the list of its dependencies is added to it.
    #[serde(default)]
    pub audit: bool,
    /// The smoke test.
    pub smoke: Smoke,
}

/// The smoke test of a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Smoke {
    /// Its arguments; absent when it is not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub args: Option<Vec<String>>,
    /// Whether it must exit with 0: the arguments were chosen for it.
    pub must_succeed: bool,
    /// The time limit in seconds.
    pub timeout: u64,
}

impl Smoke {
    /// The default time limit in seconds.
    pub const TIMEOUT: u64 = 10;
}

/// The image of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Image {
    /// Its name: that of the package, as a repository name.
    pub name: String,
    /// Its tag: the package's version.
    pub tag: String,
    /// The layout's directory, relative to `output`.
    pub path: String,
    /// The platforms of its index.
    pub platforms: Vec<Platform>,
    /// The binaries in it.
    pub binaries: Vec<String>,
    /// The binary that it starts; absent if several are possible: the image has no entrypoint then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entrypoint: Option<String>,
    /// `uid:gid` it starts as.
    pub user: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The Dockerfile that it is made by; absent for the built-in recipe.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recipe: Option<Recipe>,
    /// Values for the recipe's `ARG`s.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub args: BTreeMap<String, String>,
    /// The sets of files below the recipe's own layers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub extras: BTreeSet<Extra>,
    /// The compression of its layers.
    #[serde(default)]
    pub compression: Compressor,
    /// The level of gzip.
    #[serde(default)]
    pub gzip_level: GzipLevel,
    /// Annotations of the index and of each manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
    /// The tags that it gets where it is pushed.
    #[serde(skip_serializing_if = "TagPolicy::is_default", default)]
    pub tags: TagPolicy,
}

impl Image {
    /// Returns whether `name` is its name, or the name of a package that gets this image.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || repository_name(name).as_ref() == Some(&self.name)
    }
}

/// The archives and packages of one package for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    /// The name of each file without its ending, and that of the directory in it.
    pub name: String,
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The target triple of its binaries.
    pub target: String,
    /// The OCI platform.
    pub platform: Platform,
    /// The formats: one file for each.
    pub formats: BTreeSet<Format>,
    /// The level of gzip.
    #[serde(default)]
    pub gzip_level: GzipLevel,
    /// The binaries in it.
    pub binaries: Vec<String>,
    /// Further files in it, by their paths there.
    pub files: BTreeMap<String, String>,
    /// The files among those that are licences.
    pub licenses: Vec<String>,
    /// The changelog among those.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changelog: Option<String>,
    /// Names of the files that `archive.require` lists and that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// The completions of arguments.
    pub completions: Companions,
    /// Manual pages.
    pub man: Companions,
    /// Whether there is an archive with the symbols.
    #[serde(default)]
    pub debug: bool,
    /// Whether each file gets one beside it with its checksum.
    #[serde(default)]
    pub checksum_files: bool,
    /// The package for Debian.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deb: Option<Deb>,
    /// The RPM package.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rpm: Option<Rpm>,
    /// The package for Arch Linux.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arch: Option<Arch>,
    /// The wheel.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wheel: Option<Wheel>,
    /// The packages for npm.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub npm: Option<Npm>,
    /// The installation script.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub installer: Option<Installer>,
    /// The formula for Homebrew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub homebrew: Option<Homebrew>,
    /// The settings of its .deb and .rpm in repositories, if the metadata has them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repo: Option<Repo>,
}

impl Archive {
    /// Returns the keys of the metadata that request further files, besides archives.
    pub fn requested_formats(&self) -> Vec<&'static str> {
        let all = [
            ("deb", self.deb.is_some()),
            ("rpm", self.rpm.is_some()),
            ("arch", self.arch.is_some()),
            ("wheel", self.wheel.is_some()),
            ("npm", self.npm.is_some()),
            ("installer", self.installer.is_some()),
            ("homebrew", self.homebrew.is_some()),
        ];
        all.into_iter().filter_map(|(key, requested)| requested.then_some(key)).collect()
    }

    /// Returns whether any file is made of it.
    pub fn is_made(&self) -> bool {
        !self.formats.is_empty() || !self.requested_formats().is_empty()
    }
}

/// The origin of completions or manual pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "from")]
pub enum Companions {
    /// There are none.
    Nowhere,
    /// From the `OUT_DIR` of the package's build script, by their names.
    OutDir,
    /// A binary writes them.
    Run {
        /// The name of the binary.
        binary: String,
        /// Its arguments; `{shell}` stands for each shell's name.
        args: Vec<String>,
        /// For which shells; none for manual pages.
        #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
        shells: BTreeSet<Shell>,
        /// The time limit in seconds.
        timeout: u64,
    },
}

/// A Dockerfile, as it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Recipe {
    /// Its path, relative to the workspace.
    pub path: String,
    /// Its content.
    pub text: String,
    /// The content of the file beside it with the same name and `.dockerignore` at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ignore: Option<String>,
}

/// A binary that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Skipped {
    /// Its package.
    pub package: String,
    /// Its name.
    pub binary: String,
    /// The reason, and the flag or setting that includes it.
    pub reason: String,
}

/// One flag, and its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Flag {
    /// The flag as rustc gets it; one that takes a value is followed by another entry.
    pub flag: String,
    /// The origin: `RUSTFLAGS`, `build.rustflags`, `target x86_64-…`, `longshore: …`.
    pub origin: String,
    /// The way in which it takes effect.
    #[serde(default)]
    pub via: Via,
}

/// The way in which a flag takes effect. Cargo passes the flags of the target to build scripts, and a
/// cargo that a build script runs uses them for the host
/// (<https://doc.rust-lang.org/cargo/reference/environment-variables.html>). So flags for the linker of
/// the target do not take that way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Cargo passes it to rustc.
    #[default]
    Rustflags,
    /// The wrapper that is the linker adds its argument.
    Linker,
    /// It is rustc's default for the target, and is not passed.
    Default,
}

/// Flags that let a binary use more of a CPU than the target's CPU has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct CpuFlags {
    /// The flags, and where each comes from.
    pub flags: Vec<Flag>,
    /// Whether they choose the CPU of the machine that built the binary.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub native: bool,
    /// The features that the target's CPU lacks, as rustc calls them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub features: Vec<String>,
}
