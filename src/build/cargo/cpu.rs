//! The CPU that a binary is built for: the flags that choose it, and the features that they add to the
//! target's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    build::{
        cargo::rustflags::{FlagGroup, UserFlags, codegen_options, flag_groups},
        target::Target,
    },
    model::schema::plan::{CpuFlags, Flag},
};

/// The value of `-C target-cpu` that names the CPU of the build machine.
const NATIVE: &str = "native";

/// The feature that concerns linkage, and not instructions.
const LINKAGE_FEATURE: &str = "crt-static";

impl CpuFlags {
    /// Returns the flags as text, each with its origin.
    pub fn flags_text(&self) -> String {
        let flags = self.flags.iter();
        let shown = flags.map(|Flag { flag, origin, .. }| format!("`{flag}` from {origin}"));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Returns the features as text: the first ones, and how many there are besides.
    pub fn features_text(&self) -> String {
        const MAX_LISTED: usize = 8;
        let mut text =
            self.features.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
        if let Some(more) = self.features.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }
}

/// Returns the CPU that the flags choose: the last one counts.
pub fn chosen_cpu(flags: &[String]) -> Option<String> {
    let cpus = codegen_options(flags)
        .filter_map(|flag| Some(flag.strip_prefix("target-cpu=")?.to_owned()));
    cpus.last()
}

/// Returns the flags for rustc that choose a CPU or its features, in rustc's order, or that may do so:
/// rustc reads more flags from an `@file`.
pub fn cpu_flags(user: &UserFlags, target: &Target, profile: &[Flag]) -> Vec<Flag> {
    let mut all = Vec::new();
    for FlagGroup { flags, origin } in flag_groups(user, target, profile) {
        let mut add = |flag: String| all.push(Flag::new(flag, origin.clone()));
        for setting in codegen_options(&flags) {
            let chooses = match setting.split_once('=') {
                Some(("target-cpu", _)) => true,
                Some(("target-feature", features)) => {
                    features.split(',').any(|feature| feature.get(1..) != Some(LINKAGE_FEATURE))
                }
                _ => false,
            };
            if chooses {
                add(format!("-C{setting}"));
            }
        }
        flags.iter().filter(|flag| flag.starts_with('@')).for_each(|flag| add(flag.clone()));
    }
    all
}

/// Returns the flags for C compilers, among `variables`, that choose the CPU of the build machine for
/// `target`.
pub fn native_cpu_c_flags(variables: &BTreeMap<String, String>, target: &str) -> Vec<Flag> {
    let applies = |name: &str| {
        let kind = ["CFLAGS", "CXXFLAGS"].into_iter().find(|kind| {
            name.strip_prefix("TARGET_").unwrap_or(name).strip_prefix(kind).is_some_and(|rest| {
                let compiler_target = rest.strip_prefix('_');
                rest.is_empty()
                    || compiler_target
                        .is_some_and(|item| item == target || item == target.replace('-', "_"))
            })
        });
        kind.is_some()
    };
    let set = variables.iter().filter(|(name, _)| applies(name));
    let flags = set.flat_map(|(name, value)| {
        let native = |word: &&str| ["-march=native", "-mcpu=native"].contains(word);
        let flag = |word: &str| Flag::new(word, name.clone());
        value.split_whitespace().filter(native).map(flag).collect::<Vec<_>>()
    });
    flags.collect()
}

/// Returns what the flags add to the CPU of the target: `with` and `without` are the features that rustc
/// enables with and without them. `None` if they add nothing.
pub fn added_features(
    rust: Vec<Flag>,
    c: Vec<Flag>,
    with: &BTreeSet<String>,
    without: &BTreeSet<String>,
) -> Option<CpuFlags> {
    let words: Vec<String> = rust.iter().map(|flag| flag.flag.clone()).collect();
    let native = !c.is_empty() || chosen_cpu(&words).as_deref() == Some(NATIVE);
    let features: Vec<String> =
        with.difference(without).filter(|name| *name != LINKAGE_FEATURE).cloned().collect();
    let flags = rust.into_iter().chain(c).collect();
    (native || !features.is_empty()).then_some(CpuFlags { flags, native, features })
}

/// Returns the warning about flags that make the binaries of `target` unfit for release.
pub fn warning(flags: &CpuFlags, target: &Target, declared: Option<&str>) -> String {
    let what = match flags.native {
        true => "depend on the CPU of the machine that builds them".to_owned(),
        false => format!(
            "need {}, which {} lacks",
            flags.features_text(),
            declared.map_or_else(
                || "the target's baseline CPU".to_owned(),
                |cpu| format!("the target's CPU `{cpu}`")
            )
        ),
    };
    format!(
        "{}: binaries for `{}` {what}; `verify` of a release reports them (cpu-level)",
        flags.flags_text(),
        target.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    fn chosen(flags: &[&str], profile: &[&str]) -> Vec<String> {
        let targets = Targets::new([]).unwrap();
        let target = targets.get("x86_64-unknown-linux-musl").unwrap();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let user = UserFlags { flags, ..UserFlags::default() };
        let of_profile = |flag: &&str| Flag::new(*flag, "p");
        let profile: Vec<_> = profile.iter().map(of_profile).collect();
        cpu_flags(&user, target, &profile).into_iter().map(|flag| flag.flag).collect()
    }

    #[test]
    fn every_form_of_a_cpu_flag_is_found() {
        for flags in [
            &["-Ctarget-cpu=native"][..],
            &["-C", "target-cpu=native"],
            &["--codegen", "target_cpu=native"],
            &["--codegen=target-cpu=native"],
        ] {
            assert_eq!(chosen(flags, &[]), ["-Ctarget-cpu=native"]);
            assert_eq!(chosen(&[], flags), ["-Ctarget-cpu=native"]);
        }
        assert_eq!(chosen(&["-Ctarget-feature=+crt-static"], &[]), [""; 0]);
        let both = "-Ctarget-feature=+crt-static,+avx2";
        assert_eq!(chosen(&[both, "@flags.txt", "-Cdebuginfo=1"], &[]), [both, "@flags.txt"]);
        assert_eq!(chosen(&["-Ctarget-cpu=b"], &["-Ctarget-cpu=a"]).len(), 2);
    }

    #[test]
    fn only_added_features_count() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let flags = |cpu: &str| vec![Flag::new(format!("-Ctarget-cpu={cpu}"), "RUSTFLAGS")];
        let added_by = |cpu: &str, with: &[&str]| {
            added_features(flags(cpu), Vec::new(), &set(with), &set(&["sse2"]))
        };
        assert_eq!(added_by("x86-64", &["sse2", "crt-static"]), None);
        let more = added_by("haswell", &["sse2", "avx"]).unwrap();
        assert_eq!((more.native, more.features), (false, vec!["avx".to_owned()]));
        assert!(added_by("native", &["sse2"]).unwrap().native);
    }

    #[test]
    fn flags_for_c_count_for_their_target() {
        let target = "x86_64-unknown-linux-musl";
        let found = |name: &str, value: &str| {
            native_cpu_c_flags(&BTreeMap::from([(name.to_owned(), value.to_owned())]), target).len()
        };
        assert_eq!(found("CFLAGS", "-O2 -march=native"), 1);
        assert_eq!(found("TARGET_CXXFLAGS", "-mcpu=native"), 1);
        assert_eq!(found("CFLAGS_x86_64_unknown_linux_musl", "-march=native"), 1);
        assert_eq!(found("CFLAGS_x86_64-unknown-linux-musl", "-march=native"), 1);
        assert_eq!(found("CFLAGS_aarch64_unknown_linux_musl", "-march=native"), 0);
        assert_eq!(found("HOST_CFLAGS", "-march=native"), 0);
        assert_eq!(found("CFLAGS", "-mtune=native"), 0);
    }
}
