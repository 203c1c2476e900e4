//! Profiles: the values that are passed to cargo with `--config profile.<name>.<key>`, with their origin. No
//! Cargo.toml is edited.

use std::collections::BTreeMap;

use crate::model::{
    error::{Error, Result},
    machine::Linkage,
    schema::{
        packaging::GzipLevel,
        plan::Flag,
        profile::{Preset, Setting, Unstable},
    },
};

/// The profile of releases unless a different one is requested.
pub const DIST: &str = "dist";

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 4] = [Preset::Balanced, Preset::Speed, Preset::Size, Preset::Quick];

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Balanced => "balanced",
            Preset::Speed => "speed",
            Preset::Size => "size",
            Preset::Quick => "quick",
        }
    }

    /// Returns the level of gzip in layers and archives (docs/configuration.md has the measurements).
    pub fn gzip_level(self) -> GzipLevel {
        match self {
            Preset::Balanced | Preset::Speed => GzipLevel::default(),
            Preset::Size => GzipLevel::SMALL,
            Preset::Quick => GzipLevel::FAST,
        }
    }

    /// Returns the profile keys that it sets, with values in TOML
    /// (<https://doc.rust-lang.org/cargo/reference/profiles.html>).
    fn values(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Preset::Balanced | Preset::Speed => {
                &[("codegen-units", "1"), ("lto", "\"fat\""), ("opt-level", "3")]
            }
            // `z` measures smaller than `s`: see docs/configuration.md.
            Preset::Size => &[
                ("codegen-units", "1"),
                ("lto", "\"fat\""),
                ("opt-level", "\"z\""),
                ("panic", "\"abort\""),
            ],
            Preset::Quick => &[("codegen-units", "16"), ("lto", "\"thin\""), ("opt-level", "3")],
        }
    }
}

/// The keys of a profile that the user set, each with its value and the file or variable that sets it.
pub type UserProfile = BTreeMap<String, (toml::Value, String)>;

/// Returns the profile's values. `own` has the keys that the user set; they override the preset's, one by one.
/// Cargo never strips: longshore does it itself, from the one build that has the symbols. With `debug_files`
/// these are to have line numbers.
pub fn settings(
    name: &str,
    preset: Preset,
    own: Option<&UserProfile>,
    debug_files: bool,
) -> Vec<Setting> {
    let mut settings = BTreeMap::new();
    let mut set = |key: &str, value: String, origin: &str, passed| {
        let (key, origin) = (key.to_owned(), origin.to_owned());
        settings.insert(key.clone(), Setting { key, value, origin, passed });
    };
    if name == DIST {
        let origin = format!("preset {}", preset.name());
        if own.is_none_or(|own| !own.contains_key("inherits")) {
            set("inherits", "\"release\"".into(), &origin, true);
        }
        for (key, value) in preset.values() {
            set(key, (*value).to_owned(), &origin, true);
        }
    }
    if debug_files {
        set("debug", "\"line-tables-only\"".into(), "debug files were requested", true);
    }
    for (key, (value, origin)) in own.into_iter().flatten().filter(|(_, own)| !own.0.is_table()) {
        set(key, value.to_string(), origin, false);
    }
    let why = "longshore: symbols are stripped after the build, so that debug files can be written";
    set("strip", "\"none\"".into(), why, true);
    settings.into_values().collect()
}

/// Checks that no value disables another requested one.
///
/// # Errors
/// One does: the key, where it is set, and what it contradicts.
pub fn check(settings: &[Setting], linkages: &[Linkage], debug_files: bool) -> Result<()> {
    for Setting { key, value, origin, .. } in settings {
        let linkage = linkages.iter().find(|linkage| **linkage != Linkage::Dynamic);
        let (what, hint) = match (key.as_str(), value.as_str(), linkage) {
            ("rpath", "true", Some(linkage)) => (
                format!("`linkage = \"{linkage}\"`: such a program loads no shared libraries"),
                "remove the key",
            ),
            ("split-debuginfo", value, _) if debug_files && value != "\"off\"" => (
                "debug files, which are made from the symbols of the program".to_owned(),
                "remove the key, or leave out `--debug-files`",
            ),
            _ => continue,
        };
        return Err(
            Error::usage(format!("`{key} = {value}` from {origin} contradicts {what}")).hint(hint)
        );
    }
    Ok(())
}

/// Returns the flags for rustc of the profile called `name`, of those that it inherits from, and of its
/// tables for packages (unstable:
/// <https://doc.rust-lang.org/cargo/reference/unstable.html#profile-rustflags-option>).
pub fn rustflags(profiles: &BTreeMap<String, UserProfile>, name: &str) -> Vec<Flag> {
    let mut chain = vec![name.to_owned()];
    loop {
        let last = chain.last().map_or("", String::as_str);
        let inherits = profiles.get(last).and_then(|own| own.get("inherits")?.0.as_str());
        match inherits.or((last == DIST).then_some("release")) {
            Some(parent) if !chain.iter().any(|known| known == parent) => {
                chain.push(parent.to_owned());
            }
            _ => break,
        }
    }
    let mut flags = Vec::new();
    for (key, (value, origin)) in chain.iter().rev().filter_map(|name| profiles.get(name)).flatten()
    {
        let mut add = |value: &toml::Value| {
            let words: Vec<&str> = match value {
                toml::Value::Array(words) => words.iter().filter_map(toml::Value::as_str).collect(),
                toml::Value::String(words) => words.split_whitespace().collect(),
                _ => Vec::new(),
            };
            let origin = format!("`rustflags` in {origin}");
            let flag = |word: &str| Flag::new(word, origin.clone());
            flags.extend(words.into_iter().map(flag));
        };
        match key.as_str() {
            "rustflags" => add(value),
            "package" => {
                let packages = value.as_table().into_iter().flat_map(toml::Table::values);
                packages.filter_map(|package| package.get("rustflags")).for_each(add);
            }
            _ => {}
        }
    }
    flags
}

/// Returns whether panics abort under these values, which then need no unwind tables.
pub fn panics_abort(settings: &[Setting]) -> bool {
    settings.iter().any(|setting| setting.key == "panic" && setting.value == "\"abort\"")
}

impl Unstable {
    /// Every switch.
    pub const ALL: [Unstable; 2] = [Unstable::ImmediateAbort, Unstable::NoLocations];

    /// Returns its flags for rustc.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Unstable::ImmediateAbort => &["-Zunstable-options", "-Cpanic=immediate-abort"],
            Unstable::NoLocations => &["-Zlocation-detail=none"],
        }
    }

    /// Returns its name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Unstable::ImmediateAbort => "immediate-abort",
            Unstable::NoLocations => "no-locations",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin<'a>(settings: &'a [Setting], key: &str) -> (&'a str, &'a str, bool) {
        let found = settings.iter().find(|setting| setting.key == key).unwrap();
        (&found.value, &found.origin, found.passed)
    }

    #[test]
    fn profile_keys_of_the_user_override_the_preset() {
        let location = || "[profile.dist] in Cargo.toml".to_owned();
        let own = BTreeMap::from([
            ("lto".to_owned(), (toml::Value::from("thin"), location())),
            ("inherits".to_owned(), (toml::Value::from("bench"), location())),
        ]);
        let settings = settings(DIST, Preset::Balanced, Some(&own), false);
        assert_eq!(origin(&settings, "lto"), ("\"thin\"", "[profile.dist] in Cargo.toml", false));
        assert_eq!(origin(&settings, "opt-level"), ("3", "preset balanced", true));
        assert_eq!(origin(&settings, "inherits").0, "\"bench\"");
    }

    #[test]
    fn contradictions_are_rejected_with_their_origin() {
        let check_key = |key: &str, value: toml::Value, linkage, debug_files| {
            let own = (value, "[profile.dist] in Cargo.toml".to_owned());
            let own = BTreeMap::from([(key.to_owned(), own)]);
            let settings = settings(DIST, Preset::Balanced, Some(&own), debug_files);
            check(&settings, &[linkage], debug_files).map_err(|error| error.to_string())
        };
        let rejected = check_key("rpath", true.into(), Linkage::StaticPie, false).unwrap_err();
        assert!(rejected.contains("rpath") && rejected.contains("[profile.dist]"), "{rejected}");
        check_key("rpath", true.into(), Linkage::Dynamic, false).unwrap();
        check_key("split-debuginfo", "packed".into(), Linkage::Static, true).unwrap_err();
        check_key("split-debuginfo", "packed".into(), Linkage::Static, false).unwrap();
    }

    #[test]
    fn flags_of_a_profile_are_those_of_its_ancestors_and_packages_too() {
        let table = |text: &str| -> UserProfile {
            let table: toml::Table = text.parse().unwrap();
            table.into_iter().map(|(key, value)| (key, (value, "Cargo.toml".into()))).collect()
        };
        let profiles = BTreeMap::from([
            ("release".to_owned(), table("rustflags = [\"-Ca\"]\ninherits = \"small\"")),
            ("small".to_owned(), table("inherits = \"release\"\nrustflags = \"-Cb  -Cc\"")),
            (DIST.to_owned(), table("[package.x]\nrustflags = [\"-Cd\"]\nopt-level = 1")),
            ("test".to_owned(), table("rustflags = [\"-Ce\"]")),
        ]);
        let flags: Vec<_> = rustflags(&profiles, DIST).into_iter().map(|flag| flag.flag).collect();
        assert_eq!(flags, ["-Cb", "-Cc", "-Ca", "-Cd"]);
    }

    #[test]
    fn other_profiles_keep_their_settings() {
        let settings = settings("release", Preset::Balanced, None, false);
        let keys: Vec<_> = settings.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(keys, ["strip"]);
    }
}
