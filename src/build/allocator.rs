//! The implementation of `malloc` in a program. musl's own allocator takes one lock for all threads; mimalloc,
//! linked as an object before the C library, replaces it without a change to the program.

use std::collections::BTreeMap;

use crate::{
    build::target::Target,
    model::{
        machine::Linkage,
        schema::{
            allocator::{Allocator, AllocatorChoice, AllocatorSetting},
            profile::Preset,
        },
    },
};

/// The version of mimalloc's source: that of the crate `libmimalloc-sys` which carries it.
pub const MIMALLOC: &str = "0.1.49";

impl AllocatorSetting {
    /// Every setting.
    pub const ALL: [AllocatorSetting; 3] =
        [AllocatorSetting::Auto, AllocatorSetting::Mimalloc, AllocatorSetting::System];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            AllocatorSetting::Auto => "auto",
            AllocatorSetting::Mimalloc => "mimalloc",
            AllocatorSetting::System => "system",
        }
    }
}

impl Allocator {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Allocator::Mimalloc => "mimalloc",
            Allocator::System => "system",
        }
    }
}

/// The settings for the allocator that do not depend on the target.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllocatorSettings {
    /// `--allocator`.
    pub option: Option<AllocatorSetting>,
    /// `allocator` in metadata.
    pub metadata: Option<AllocatorSetting>,
}

/// Returns the allocator of binaries for `target`: that requested on the command line, else in the target's
/// file, else in metadata, each with its origin. `own` names the part of the program that has a global
/// allocator.
///
/// `auto` is mimalloc for static musl programs with the presets `balanced` and `speed`, unless the
/// program has a global allocator.
pub fn choose(
    target: &Target,
    settings: &AllocatorSettings,
    preset: Option<Preset>,
    own: Option<&str>,
) -> AllocatorChoice {
    let of_target = target.spec.allocator.map(|setting| (setting, target.origin.clone()));
    let option = settings.option.map(|setting| (setting, "--allocator".to_owned()));
    let metadata = settings.metadata.map(|setting| (setting, "metadata".to_owned()));
    let requested = option.or(of_target).or(metadata);
    let (setting, location) = requested.unwrap_or((AllocatorSetting::Auto, "auto".to_owned()));
    let choice = |allocator, origin: String| AllocatorChoice { allocator, origin };
    let system = |why: String| choice(Allocator::System, format!("auto: {why}"));
    match setting {
        AllocatorSetting::Mimalloc => choice(Allocator::Mimalloc, location),
        AllocatorSetting::System => choice(Allocator::System, location),
        AllocatorSetting::Auto
            if !target.name.contains("-musl") || target.spec.linkage == Linkage::Dynamic =>
        {
            system("the target's C library is not a static musl".into())
        }
        AllocatorSetting::Auto => match (preset, own) {
            (_, Some(own)) => system(format!("the program has its own: {own}")),
            (Some(preset @ (Preset::Balanced | Preset::Speed)), None) => {
                choice(Allocator::Mimalloc, format!("auto: preset {}", preset.name()))
            }
            (Some(preset), None) => system(format!("preset {}", preset.name())),
            (None, None) => system("the profile is used as it is".into()),
        },
    }
}

/// Crates that bring a global allocator; packages that depend on one use it.
const CRATES: &[&str] = &[
    "dlmalloc",
    "jemallocator",
    "mimalloc",
    "rpmalloc",
    "scudo",
    "snmalloc-rs",
    "tcmalloc",
    "tikv-jemallocator",
];

/// Returns the known crates with an allocator that a `Cargo.lock` names.
pub fn known_crates_in_lock(lock: &str) -> impl Iterator<Item = &'static str> {
    let names = |name: &&&str| {
        let line = format!("name = \"{name}\"");
        lock.lines().any(|found| found == line)
    };
    CRATES.iter().filter(names).copied()
}

/// Returns the first of the known crates with an allocator in the output of `cargo tree --prefix none --format
/// {p}`.
pub fn known_crate_in_tree(tree: &str) -> Option<&'static str> {
    let mut names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.find_map(|name| CRATES.iter().find(|known| **known == name).copied())
}

/// Returns whether a source file declares a global allocator: a line of attributes has the one for it. Text in
/// comments and string literals does not count.
pub fn declares_global_allocator(source: &str) -> bool {
    let mut attributes = source.lines().map(str::trim_start).filter(|line| line.starts_with("#["));
    attributes.any(|line| line.contains("#[global_allocator]"))
}

/// The symbols that show which allocator serves `malloc`.
pub const MALLOC_SYMBOLS: [&str; 2] = ["malloc", "mi_malloc"];

/// Returns whether `malloc`, by the addresses of [`MALLOC_SYMBOLS`], is mimalloc's; also true if it is never
/// called and the linker has left it out.
pub fn served_by_mimalloc(addresses: &BTreeMap<&str, u64>) -> bool {
    let malloc = addresses.get("malloc");
    malloc.is_none() || malloc == addresses.get("mi_malloc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    fn chosen(
        setting: Option<AllocatorSetting>,
        preset: Preset,
        own: Option<&str>,
    ) -> AllocatorChoice {
        let targets = Targets::new([]).unwrap();
        let target = targets.get("x86_64-unknown-linux-musl").unwrap();
        let settings = AllocatorSettings { option: None, metadata: setting };
        choose(target, &settings, Some(preset), own)
    }

    #[test]
    fn auto_follows_the_preset_and_the_program() {
        assert_eq!(chosen(None, Preset::Balanced, None).allocator, Allocator::Mimalloc);
        assert_eq!(chosen(None, Preset::Speed, None).allocator, Allocator::Mimalloc);
        assert_eq!(chosen(None, Preset::Size, None).allocator, Allocator::System);
        assert_eq!(chosen(None, Preset::Quick, None).allocator, Allocator::System);
        let own = chosen(None, Preset::Balanced, Some("crate mimalloc"));
        assert_eq!(own.allocator, Allocator::System);
        assert!(own.origin.contains("crate mimalloc"), "{}", own.origin);
    }

    #[test]
    fn the_requested_allocator_is_chosen() {
        let chosen = chosen(Some(AllocatorSetting::Mimalloc), Preset::Size, Some("crate mimalloc"));
        assert_eq!((chosen.allocator, chosen.origin.as_str()), (Allocator::Mimalloc, "metadata"));
    }

    #[test]
    fn crates_match_by_complete_name() {
        let lock = "[[package]]\nname = \"mimalloc-not\"\n[[package]]\nname = \"jemallocator\"\n";
        assert_eq!(known_crates_in_lock(lock).collect::<Vec<_>>(), ["jemallocator"]);
        assert_eq!(known_crate_in_tree("rg v1 (/w)\nmimalloc-not v1\n"), None);
        assert_eq!(known_crate_in_tree("rg v1 (/w)\nmimalloc v0.1.2\n"), Some("mimalloc"));
    }

    #[test]
    fn comments_declare_no_allocator() {
        assert!(declares_global_allocator("  #[global_allocator]\nstatic A: X = X;"));
        assert!(declares_global_allocator("#[cfg(unix)] #[global_allocator]\nstatic A: X = X;"));
        assert!(!declares_global_allocator("// #[global_allocator]"));
        assert!(!declares_global_allocator("    line.contains(\"#[global_allocator]\");"));
    }
}
