//! What is expected of a file, and how much each lint weighs.

use std::collections::BTreeMap;

use super::{explain::find, lint::Lint};
use crate::{
    elf::{Facts, Libc, Shape},
    error::Result,
    schema::dist::Level,
    target::{Linkage, Target},
};

/// What is expected of a file, and how much each lint weighs.
#[derive(Clone, Debug)]
pub struct Policy {
    target: Option<Target>,
    levels: BTreeMap<&'static str, Level>,
    build_paths: Vec<String>,
}

impl Policy {
    /// For a binary of `target`: its machine, its linkage, its page size.
    pub fn for_target(target: &Target) -> Self {
        Policy { target: Some(target.clone()), levels: BTreeMap::new(), build_paths: Vec::new() }
    }

    /// For a file of which nothing is known. No machine is expected. Symbols are a warning, since
    /// who has the file may want them. A program of musl is expected to be static, since a
    /// dynamic one runs on few systems; one of another C library may be dynamic, and so may a
    /// shared library.
    pub fn for_any() -> Self {
        Policy {
            target: None,
            levels: BTreeMap::from([("stripped", Level::Warn)]),
            build_paths: Vec::new(),
        }
    }

    /// With `level` in place of the default one of the lint called `id`.
    ///
    /// # Errors
    /// No lint is called so; the nearest name is in the hint.
    pub fn with_level(mut self, id: &str, level: Level) -> Result<Self> {
        let lint = find(id)?;
        self.levels.insert(lint.id, level);
        Ok(self)
    }

    /// With directories of the machine that built the file (its home, cargo's, the workspace, the
    /// sysroot), which must not be found in it. Empty ones and the root are ignored.
    #[must_use]
    pub fn with_build_paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        let paths = paths.into_iter().map(|p| p.trim_end_matches('/').to_owned());
        self.build_paths.extend(paths.filter(|path| !path.is_empty()));
        self
    }

    /// The target that is expected; none under [`Policy::for_any`].
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    pub(super) fn level(&self, lint: &Lint) -> Level {
        self.levels.get(lint.id).copied().unwrap_or(lint.level)
    }

    pub(super) fn build_paths(&self) -> &[String] {
        &self.build_paths
    }

    /// The linkage that is expected of the file, where one is.
    pub(super) fn linkage(&self, facts: &Facts) -> Option<Linkage> {
        match &self.target {
            Some(target) => Some(target.spec.linkage),
            None if facts.shape == Shape::SharedObject && facts.interpreter.is_none() => None,
            None if facts.libc == Libc::Musl => Some(Linkage::Static),
            None => None,
        }
    }
}
