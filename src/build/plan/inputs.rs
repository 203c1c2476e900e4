//! The inputs of a plan.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use semver::Version;

use super::archive;
use crate::{
    build::{
        cargo::rustflags::UserFlags, profile, request::Request, target::Targets,
        workspace::Workspace,
    },
    model::schema::{
        dist::Changes,
        plan::{CpuFlags, Recipe, Std},
    },
};

/// Everything that a plan is made of.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The known targets.
    pub targets: &'a Targets,
    /// The request.
    pub request: &'a Request,
    /// The facts about the machine and the source.
    pub facts: &'a Facts,
}

impl Inputs<'_> {
    /// Returns whether each package is built by a separate cargo command.
    pub fn is_each(&self) -> bool {
        self.request.each || self.workspace.settings.each
    }

    /// The directory of cargo's build: a separate one, since the host's part of a build with the profile `dist`
    /// goes to `dist` below it, which is the directory of the result; and since different flags than those
    /// of everyday builds would make both compile everything again each time.
    pub fn target_directory(&self) -> Utf8PathBuf {
        let name = if self.facts.again { "longshore-again" } else { "longshore" };
        self.workspace.target_directory.join(name)
    }
}

/// The facts about the machine and the source.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Tool names and versions.
    pub tools: BTreeMap<String, String>,
    /// The source of each target's std; a target that is not listed has none yet.
    pub std: BTreeMap<String, Std>,
    /// The global allocator of the program, by target.
    pub own_allocators: BTreeMap<String, String>,
    /// The object of mimalloc for each target, where it is known.
    pub mimalloc: BTreeMap<String, Utf8PathBuf>,
    /// The object of memory functions for each target that gets it, where it is known.
    pub memory: BTreeMap<String, Utf8PathBuf>,
    /// The flags the user set, by target.
    pub user_flags: BTreeMap<String, UserFlags>,
    /// The targets for which rustc links the C library statically by default.
    pub is_static: BTreeSet<String>,
    /// Flags that add to the CPU of a target, by target; a target that is not listed has none.
    pub cpu_flags: BTreeMap<String, CpuFlags>,
    /// Variables, among those that hold flags for rustc, that are set.
    pub flag_variables: Vec<String>,
    /// The settings of the user in each `[profile.*]`, by its name.
    pub profiles: BTreeMap<String, profile::Own>,
    /// The commit, whether the tree is dirty.
    pub revision: Option<(String, bool)>,
    /// The files that differ from the commit.
    pub changes: Option<Changes>,
    /// The reason for which the commit is unknown.
    pub no_revision: Option<String>,
    /// The time of every file in the outputs, in seconds since 1970.
    pub epoch: u64,
    /// zig's version: that of the one found, else of the one that will be fetched.
    pub zig: Option<Version>,
    /// The variables with flags for C compilers that are set, with their values.
    pub c_flags: BTreeMap<String, String>,
    /// Directories besides workspace and target directory with names that must not reach a binary.
    pub remap: Vec<(Utf8PathBuf, String)>,
    /// The Dockerfiles that images are made by, by package; a package that is not listed has none.
    pub recipes: BTreeMap<String, Recipe>,
    /// The files of each package's archives, by package.
    pub found: BTreeMap<String, archive::Found>,
    /// The features of each package's dependencies, as `dependency/feature`, by package; only where a
    /// binary requires one.
    pub dependency_features: BTreeMap<String, BTreeSet<String>>,
    /// The differences of the plan from cargo, one sentence each.
    pub notes: Vec<String>,
    /// The parts of recipes that are valid and probably not intended, one sentence each.
    pub warnings: Vec<String>,
    /// The variables that are set and that builds do not inherit.
    pub withheld: Vec<String>,
    /// Whether this is the second build of `--twice`, which has a separate directory.
    pub again: bool,
}
