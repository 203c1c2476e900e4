//! The implementation of `malloc` in a program. musl's own allocator takes one lock for all threads; mimalloc,
//! linked as an object before the C library, replaces it without a change to the program.

use std::collections::BTreeMap;

use crate::{
    build::{linker::malloc, target::Target},
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
            Allocator::Program => "program",
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

/// A global allocator that a program brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAllocator {
    /// The crate or the source file with it, for messages.
    pub location: String,
    /// Whether it can serve C code.
    pub serves_c: bool,
}

/// Returns the allocator of binaries for `target`: that requested on the command line, else in the target's
/// file, else in metadata, each with its origin. `own` is the one that the program brings.
///
/// `auto` is mimalloc for static musl programs with the presets `balanced` and `speed`. If the program has a
/// global allocator, it is that one where it can serve C code, else the C library's.
pub fn choose(
    target: &Target,
    settings: &AllocatorSettings,
    preset: Option<Preset>,
    own: Option<&OwnAllocator>,
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
            (_, Some(OwnAllocator { location, serves_c })) => {
                let why = format!("the program has its own: {location}");
                if *serves_c && target.is_amd64_or_arm64() {
                    choice(Allocator::Program, format!("auto: {why}"))
                } else {
                    system(why)
                }
            }
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
pub const MALLOC_SYMBOLS: [&str; 5] =
    ["malloc", "mi_malloc", "_rjem_malloc", malloc::SECOND_NAME, JEMALLOC_ALONE];

/// A function of jemalloc, which has this name if features of its crate give its `malloc` that name, too.
const JEMALLOC_ALONE: &str = "mallocx";

/// Returns whether `malloc`, by the addresses of [`MALLOC_SYMBOLS`], is mimalloc's; also true if it is never
/// called and the linker has left it out.
pub fn served_by_mimalloc(addresses: &BTreeMap<&str, u64>) -> bool {
    let malloc = addresses.get("malloc");
    malloc.is_none() || malloc == addresses.get("mi_malloc")
}

/// Returns whether `malloc`, by the addresses of [`MALLOC_SYMBOLS`], is that of the program's own allocator; also true
/// if it is never called.
pub fn served_by_program(addresses: &BTreeMap<&str, u64>) -> bool {
    let malloc = addresses.get("malloc");
    let known = ["mi_malloc", "_rjem_malloc", malloc::SECOND_NAME];
    malloc.is_none()
        || known.iter().any(|name| malloc == addresses.get(name))
        || addresses.contains_key(JEMALLOC_ALONE)
}

impl AllocatorChoice {
    /// Returns the choice for a binary that does not link the allocator that other programs of the plan bring.
    #[must_use]
    pub fn without_program(&self) -> Self {
        let origin = "auto: this binary does not link the program's own allocator".to_owned();
        AllocatorChoice { allocator: Allocator::System, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    fn chosen(
        setting: Option<AllocatorSetting>,
        preset: Preset,
        own: Option<(&str, bool)>,
    ) -> AllocatorChoice {
        let targets = Targets::new([]).unwrap();
        let target = targets.get("x86_64-unknown-linux-musl").unwrap();
        let settings = AllocatorSettings { option: None, metadata: setting };
        let own =
            own.map(|(location, serves_c)| OwnAllocator { location: location.into(), serves_c });
        choose(target, &settings, Some(preset), own.as_ref())
    }

    #[test]
    fn auto_follows_the_preset_and_the_program() {
        assert_eq!(chosen(None, Preset::Balanced, None).allocator, Allocator::Mimalloc);
        assert_eq!(chosen(None, Preset::Speed, None).allocator, Allocator::Mimalloc);
        assert_eq!(chosen(None, Preset::Size, None).allocator, Allocator::System);
        assert_eq!(chosen(None, Preset::Quick, None).allocator, Allocator::System);
        for (serves_c, expected) in [(true, Allocator::Program), (false, Allocator::System)] {
            for preset in [Preset::Balanced, Preset::Size] {
                let own = chosen(None, preset, Some(("crate mimalloc", serves_c)));
                assert_eq!(own.allocator, expected);
                assert!(own.origin.contains("crate mimalloc"), "{}", own.origin);
            }
        }
    }

    #[test]
    fn the_requested_allocator_is_chosen() {
        let chosen =
            chosen(Some(AllocatorSetting::Mimalloc), Preset::Size, Some(("crate mimalloc", true)));
        assert_eq!((chosen.allocator, chosen.origin.as_str()), (Allocator::Mimalloc, "metadata"));
    }

    #[test]
    fn symbols_show_the_allocator_of_the_program() {
        let served = |symbols: &[(&'static str, u64)]| {
            let addresses: BTreeMap<&str, u64> = symbols.iter().copied().collect();
            served_by_program(&addresses)
        };
        assert!(served(&[("_rjem_malloc", 8)]));
        assert!(served(&[("malloc", 8), ("_rjem_malloc", 8)]));
        assert!(served(&[("malloc", 8), ("longshore_malloc", 8), ("mi_malloc", 9)]));
        assert!(served(&[("malloc", 8), ("mallocx", 9)]));
        assert!(!served(&[("malloc", 8), ("mi_malloc", 9)]));
        assert!(!served(&[("malloc", 8)]));
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
