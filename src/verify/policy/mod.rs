//! The policy: the expected properties of a file, and the level of each lint.

pub(super) mod inputs;
mod settings;
mod waive;

pub use inputs::Inputs;
pub use settings::{CpuLevel, Day, GlibcVersion, KEYS, Limits, Settings, Waiver};
pub(super) use waive::matches_pattern;

use std::collections::BTreeMap;

use super::explain::find_lint;
use crate::{
    binary::elf::{Facts, Libc, Shape},
    model::{
        error::Result,
        machine::Architecture,
        machine::{Endian, Linkage, TargetFacts, machine_name},
        platform::Platform,
        schema::dist::Level,
    },
};

/// The expected properties of a file, and the level of each lint.
///
/// ```
/// use longshore::{Policy, schema::dist::Level};
///
/// let policy = Policy::for_any().with_level("stripped", Level::Deny)?;
/// # Ok::<(), longshore::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    target: Option<TargetFacts>,
    platform: Option<Platform>,
    settings: Settings,
    levels: BTreeMap<&'static str, Level>,
    /// The lints that were denied or warned of by their names.
    named: BTreeMap<&'static str, inputs::LevelOrigin>,
    build_paths: Vec<String>,
    /// The directory that paths of waivers are relative to, with a slash at its end.
    root: Option<String>,
    today: Option<Day>,
}

/// The machine that a file has to be for.
pub(super) struct ExpectedMachine {
    pub(super) number: u16,
    pub(super) class: u8,
    pub(super) endian: Endian,
    pub(super) platform: String,
    pub(super) hint: String,
}

impl Policy {
    /// Creates the policy for a binary of `target`: its machine, its linkage, its page size, and
    /// `settings` of its file.
    pub fn for_target(target: TargetFacts, settings: &Settings) -> Self {
        Policy { target: Some(target), ..Policy::default() }.apply_settings(settings)
    }

    /// Creates the policy for a file of which nothing is known. No machine is expected. Symbols are a
    /// warning, since the user may need them. A program of musl is expected to be static, since a
    /// dynamic one runs on few systems; one of another C library may be dynamic, and so may a shared
    /// library.
    pub fn for_any() -> Self {
        Policy { levels: BTreeMap::from([("stripped", Level::Warn)]), ..Policy::default() }
    }

    /// Sets `level` for the lint called `id`, instead of its default.
    ///
    /// # Errors
    /// No lint is called so; the nearest name is in the hint.
    pub fn with_level(mut self, id: &str, level: Level) -> Result<Self> {
        let lint = find_lint(id)?;
        self.set_level(lint.id, level, inputs::LevelOrigin::Argument);
        Ok(self)
    }

    fn set_level(&mut self, lint: &'static str, level: Level, origin: inputs::LevelOrigin) {
        self.levels.insert(lint, level);
        if level == Level::Allow {
            self.named.remove(lint);
        } else {
            self.named.insert(lint, origin);
        }
    }

    /// Adds directories of the machine that built the file (its home, cargo's, the workspace, the
    /// sysroot), which must not occur in it. Empty ones and the root are ignored.
    #[must_use]
    pub fn with_build_paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        let paths = paths.into_iter().map(|p| p.trim_end_matches('/').to_owned());
        self.build_paths.extend(paths.filter(|path| !path.is_empty()));
        self
    }

    /// Applies `settings` over the earlier ones, key by key. Waivers are added.
    ///
    /// # Errors
    /// A lint is unknown, or they contradict themselves.
    pub fn with_settings(self, settings: &Settings) -> Result<Self> {
        settings.check()?;
        Ok(self.apply_settings(settings))
    }

    fn apply_settings(mut self, settings: &Settings) -> Self {
        let levels = [
            (&settings.allow, Level::Allow),
            (&settings.warn, Level::Warn),
            (&settings.deny, Level::Deny),
        ];
        for (ids, level) in levels {
            for lint in ids.iter().filter_map(|id| find_lint(id).ok()) {
                self.set_level(lint.id, level, inputs::LevelOrigin::Settings);
            }
        }
        let own = &mut self.settings;
        own.linkage = settings.linkage.or(own.linkage);
        own.glibc = settings.glibc.or(own.glibc);
        own.libraries = settings.libraries.clone().or(own.libraries.take());
        own.page_size = settings.page_size.or(own.page_size);
        own.cpu = settings.cpu.or(own.cpu);
        own.max_size = settings.max_size.or(own.max_size);
        own.max_growth = settings.max_growth.or(own.max_growth);
        own.waive.extend(settings.waive.iter().cloned());
        self
    }

    /// Sets the platform that the file's image declares.
    #[must_use]
    pub fn with_platform(mut self, platform: &Platform) -> Self {
        self.platform = Some(platform.clone());
        self
    }

    /// Sets the current day, on which waivers may have expired.
    #[must_use]
    pub fn with_today(mut self, today: Day) -> Self {
        self.today = Some(today);
        self
    }

    /// Returns the expected target, if there is one.
    pub fn target(&self) -> Option<&TargetFacts> {
        self.target.as_ref()
    }

    /// Returns the declared level of x86-64.
    pub fn declared_cpu(&self) -> Option<CpuLevel> {
        self.settings.cpu
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the level that the policy sets for the lint called `id`.
    pub(super) fn level(&self, id: &str) -> Option<Level> {
        self.levels.get(id).copied()
    }

    /// Returns whether the lint was denied or set to warn by its name, so that it has to be applied.
    pub(super) fn is_named(&self, id: &str) -> bool {
        self.named.contains_key(id)
    }

    pub(super) fn build_paths(&self) -> &[String] {
        &self.build_paths
    }

    /// Returns the linkage that is expected of the file, if there is one.
    pub(super) fn linkage(&self, facts: &Facts) -> Option<Linkage> {
        let linkage = self.settings.linkage.or(self.target.as_ref().map(|t| t.linkage));
        match linkage {
            // A library is not a program.
            _ if facts.shape == Shape::SharedObject
                && facts.interpreter.is_none()
                && self.target.is_none() =>
            {
                None
            }
            Some(linkage) => Some(linkage),
            None if facts.libc == Libc::Musl => Some(Linkage::Static),
            None => None,
        }
    }

    /// Returns the largest page size of the kernels the file has to run on, if it is known.
    pub(super) fn page_size(&self) -> Option<u64> {
        self.settings.page_size.or(self.target.as_ref().map(|t| t.elf.page_size))
    }

    /// Returns the level of x86-64 that the file may need, if it is known.
    pub(super) fn cpu(&self) -> Option<CpuLevel> {
        self.settings.cpu.or(self.target.as_ref().map(|_| CpuLevel::V1))
    }

    /// Returns the machine that the file has to be for, if it is known.
    pub(super) fn machine(&self) -> Option<ExpectedMachine> {
        if let Some(target) = &self.target {
            let elf = &target.elf;
            return Some(ExpectedMachine {
                number: elf.machine.number(),
                class: elf.class,
                endian: elf.endian,
                platform: target.platform.to_string(),
                hint: format!("build it with `--target {}`", target.name),
            });
        }
        let platform = self.platform.as_ref().filter(|platform| platform.os == "linux")?;
        let (number, class, endian) = Architecture::from_goarch(&platform.architecture)?.elf();
        Some(ExpectedMachine {
            number,
            class,
            endian,
            platform: platform.to_string(),
            hint: format!(
                "the image's configuration says `{platform}`: put a {} program there",
                machine_name(number)
            ),
        })
    }
}

impl<T> Limits<T> {
    /// Returns whether every limit is absent.
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_none() && self.archive.is_none() && self.image.is_none()
    }

    fn or(self, other: Self) -> Self {
        Limits {
            file: self.file.or(other.file),
            archive: self.archive.or(other.archive),
            image: self.image.or(other.image),
        }
    }
}
