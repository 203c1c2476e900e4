//! The result of planning, for the stages after it.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::{
    build::{cargo::identity::Identities, linker::RustLldPaths, pgo::PgoBuild, target::Targets},
    model::schema::{Plan, plan::Job},
    sys::toolchain::{Rust, Zig},
    verify::Settings,
};

/// A plan, and the tools to execute it.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The plan of the second build, in another directory, if one was requested.
    pub again: Option<Plan>,
    /// `[workspace.metadata.longshore.verify]`.
    pub verify: Settings,
    /// The known targets.
    pub targets: Targets,
    /// cargo and rustc.
    pub rust: Rust,
    /// zig, if it is installed.
    pub zig: Option<Zig>,
    /// Cargo's wrapper of rustc, and the crates with an identity that would depend on a path.
    pub identities: Identities,
    /// The path of the object of mimalloc, which may still have to be made, for the targets that get it.
    pub mimalloc: BTreeMap<String, Utf8PathBuf>,
    /// The same of the object of memory functions.
    pub memory: BTreeMap<String, Utf8PathBuf>,
    /// The paths of rust-lld and its libraries, for the targets that it links.
    pub rust_lld: BTreeMap<String, RustLldPaths>,
    /// The effect of `--pgo` and `--pgo-profile`.
    pub pgo: Option<PgoBuild>,
    /// The flags of cargo's that say which dependencies there are.
    pub resolution: Vec<String>,
    /// The repository of the source, as the packages name it.
    pub repository: Option<String>,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// Whether cargo's pages of timings are kept.
    pub timings: bool,
}

/// The result of a job of the plan: an artifact, verified or not.
#[derive(Debug)]
pub struct Product<'p, A> {
    /// The job.
    pub job: &'p Job,
    /// The artifact.
    pub artifact: A,
}
