//! The variants of a program that `tune` compares: the current settings, and these with one change each.

use crate::{
    build::{pgo::PgoRequest, profile::DIST, request::BuildRequest},
    model::schema::{
        allocator::AllocatorSetting, linker::LinkerSetting, memory::MemoryFunctions,
        profile::Preset, tune::Change,
    },
};

/// The name of the variant without a change.
pub const CURRENT: &str = "current";

/// The name of the variant that is optimised by a profile of the package's training.
pub const PGO: &str = "pgo";

/// The table of the settings for all packages.
const SETTINGS: &str = "workspace.metadata.longshore";

/// Keys of the profile, with a value each that is worth a measurement, by the name of the variant.
const PROFILE: [(&str, &str, &str); 4] = [
    ("opt-level-2", "opt-level", "2"),
    ("opt-level-s", "opt-level", "\"s\""),
    ("thin-lto", "lto", "\"thin\""),
    ("panic-abort", "panic", "\"abort\""),
];

/// A variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name, which is also that of a directory.
    pub name: String,
    /// The settings that differ from the current ones.
    pub changes: Vec<Change>,
    /// The options of `dist` that differ from the current ones.
    pub flags: Vec<String>,
    /// The request with these settings.
    pub request: BuildRequest,
}

/// Returns the variants of `request`, the current settings first. `profile` is the name of its profile; another one
/// than `dist` has no presets.
pub fn variants(request: &BuildRequest, profile: &str) -> Vec<Variant> {
    let variant = |name: &str, table: &str, line: String, request: BuildRequest| Variant {
        name: name.to_owned(),
        changes: vec![Change { table: table.to_owned(), line }],
        flags: Vec::new(),
        request,
    };
    let unchanged = |name: &str, flags: &[&str], request: BuildRequest| Variant {
        name: name.to_owned(),
        changes: Vec::new(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        request,
    };
    let mut all = vec![unchanged(CURRENT, &[], request.clone())];
    if profile == DIST {
        all.extend(Preset::ALL.map(|preset| {
            let request = BuildRequest { preset: Some(preset), ..request.clone() };
            let line = format!("preset = \"{}\"", preset.name());
            variant(&format!("preset-{}", preset.name()), SETTINGS, line, request)
        }));
    }
    all.extend(PROFILE.map(|(name, key, value)| {
        let mut request = request.clone();
        request.config.push(format!("profile.{profile}.{key}={value}"));
        variant(name, &format!("profile.{profile}"), format!("{key} = {value}"), request)
    }));
    all.extend([AllocatorSetting::Mimalloc, AllocatorSetting::System].map(|allocator| {
        let request = BuildRequest { allocator: Some(allocator), ..request.clone() };
        let line = format!("allocator = \"{}\"", allocator.name());
        variant(&format!("allocator-{}", allocator.name()), SETTINGS, line, request)
    }));
    all.extend([MemoryFunctions::Fast, MemoryFunctions::System].map(|functions| {
        let request = BuildRequest { memory_functions: Some(functions), ..request.clone() };
        let line = format!("memory-functions = \"{}\"", functions.name());
        variant(&format!("memory-functions-{}", functions.name()), SETTINGS, line, request)
    }));
    all.extend([LinkerSetting::RustLld, LinkerSetting::Zig].map(|linker| {
        let request = BuildRequest { linker: Some(linker), ..request.clone() };
        let line = format!("linker = \"{}\"", linker.name());
        variant(&format!("linker-{}", linker.name()), SETTINGS, line, request)
    }));
    let trained = BuildRequest { pgo: PgoRequest::Train, ..request.clone() };
    all.push(unchanged(PGO, &["--pgo"], trained));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_has_one_change_and_a_name_of_its_own() {
        let all = variants(&BuildRequest::default(), DIST);
        assert_eq!(all[0].changes, []);
        assert!(all[1..].iter().all(|variant| variant.changes.len() + variant.flags.len() == 1));
        let mut names: Vec<_> = all.iter().map(|variant| &variant.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn a_profile_of_the_user_has_no_presets() {
        let all = variants(&BuildRequest::default(), "small");
        assert!(all.iter().all(|variant| !variant.name.starts_with("preset-")));
        let config = "profile.small.lto=\"thin\"".to_owned();
        assert!(all.iter().any(|variant| variant.request.config == [config.clone()]));
    }
}
