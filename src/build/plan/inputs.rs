//! The inputs of a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use camino::Utf8PathBuf;
use semver::Version;

use super::{archive, settings::Settings};
use crate::{
    build::{
        allocator::OwnAllocator,
        cargo::rustflags::UserFlags,
        linker::{NativeCode, RustLld},
        pgo::PgoBuild,
        profile,
        request::BuildRequest,
        workspace::Workspace,
    },
    model::schema::{
        dist::Changes,
        plan::{CpuFlags, Recipe, Std},
    },
};

/// All inputs of a plan.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The request.
    pub request: &'a BuildRequest,
    /// The settings, resolved from both.
    pub settings: &'a Settings<'a>,
    /// The facts about the machine and the source.
    pub facts: &'a Facts,
}

impl Inputs<'_> {
    /// Returns the directory of cargo's build.
    pub fn target_directory(&self) -> Utf8PathBuf {
        if self.facts.again {
            return self.workspace.target_directory.join("longshore-again");
        }
        self.request.build_dir.clone().unwrap_or_else(|| self.workspace.build_directory())
    }
}

/// The facts about the machine and the source.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Tool names and versions.
    pub tools: BTreeMap<String, String>,
    /// The facts about each target that is built, by name.
    pub targets: BTreeMap<String, TargetFacts>,
    /// Variables, among those that hold flags for rustc, that are set.
    pub flag_variables: Vec<String>,
    /// The settings of the user in each `[profile.*]`, by its name.
    pub profiles: BTreeMap<String, profile::UserProfile>,
    /// The commit, whether the tree is dirty.
    pub revision: Option<(String, bool)>,
    /// The files that differ from the commit.
    pub changes: Option<Changes>,
    /// The reason for which the commit is unknown.
    pub no_revision: Option<String>,
    /// The time of every file in the outputs, in seconds since 1970.
    pub epoch: u64,
    /// The version of the installed zig, else of the one that will be fetched.
    pub zig: Option<Version>,
    /// The version of rustc.
    pub rustc: Option<Version>,
    /// The variables with flags for C compilers that are set, with their values.
    pub c_flags: BTreeMap<String, String>,
    /// Directories besides workspace and target directory with names that must not reach a binary.
    pub remap: Vec<(Utf8PathBuf, String)>,
    /// The Dockerfiles of images, by package; a package that is not listed has none.
    pub recipes: BTreeMap<String, Recipe>,
    /// The files of each package's archives, by package.
    pub found: BTreeMap<String, archive::PackageFiles>,
    /// The features of each package's dependencies, as `dependency/feature`, by package; only where a
    /// binary requires one.
    pub dependency_features: BTreeMap<String, BTreeSet<String>>,
    /// The differences of the plan from cargo, one sentence each.
    pub notes: Vec<String>,
    /// The parts of recipes that are valid and probably not intended, one sentence each.
    pub warnings: Vec<String>,
    /// The variables that are set and that builds do not inherit.
    pub withheld: Vec<String>,
    /// The effect of `--pgo` and `--pgo-profile`.
    pub pgo: Option<PgoBuild>,
    /// Whether this is the second build of `--twice`, which has a separate directory.
    pub again: bool,
}

/// The facts about the machine and the source that depend on the target.
#[derive(Clone, Debug, Default)]
pub struct TargetFacts {
    /// The flags the user set.
    pub user_flags: UserFlags,
    /// The source of its std, once it is known.
    pub std: Option<Std>,
    /// The global allocator of the program.
    pub own_allocator: Option<OwnAllocator>,
    /// The object of mimalloc, if its programs get it and zig is known.
    pub mimalloc: Option<Utf8PathBuf>,
    /// The object of memory functions, if its programs get it.
    pub memory: Option<Utf8PathBuf>,
    /// The state of rust-lld.
    pub rust_lld: RustLld,
    /// The code in its programs that is not Rust.
    pub native: NativeCode,
    /// Whether rustc links the C library statically by default.
    pub is_static: bool,
    /// Flags that add to its CPU.
    pub cpu_flags: Option<CpuFlags>,
}

impl Facts {
    /// Returns the facts about the target `name`, the default ones if none are known.
    pub fn target(&self, name: &str) -> &TargetFacts {
        static UNKNOWN: LazyLock<TargetFacts> = LazyLock::new(TargetFacts::default);
        self.targets.get(name).unwrap_or(&UNKNOWN)
    }

    /// Adds a value to each target that `values` lists, by name.
    pub fn add<T>(&mut self, values: BTreeMap<String, T>, set: impl Fn(&mut TargetFacts, T)) {
        for (name, value) in values {
            set(self.targets.entry(name).or_default(), value);
        }
    }
}
