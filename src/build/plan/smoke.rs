//! Parts of the plan that follow from settings: smoke tests, and the options of a std built from source.

use crate::{
    build::{config::SmokeSetting, profile},
    model::schema::{
        plan::{FOR_SIZE, Profile, Smoke},
        profile::Preset,
    },
};

impl Profile {
    /// Returns the options of a std that is built from source: the names of the differences from the official
    /// one.
    pub fn std_options(&self) -> Vec<String> {
        let size = self.preset == Some(Preset::Size) && profile::panics_abort(&self.settings);
        let mut options: Vec<String> = size.then(|| FOR_SIZE.to_owned()).into_iter().collect();
        options.extend(self.unstable.iter().map(|switch| switch.name().to_owned()));
        options
    }
}

impl Smoke {
    /// Returns the smoke test for `setting`.
    pub fn new(setting: Option<&SmokeSetting>, timeout: Option<u64>) -> Self {
        let (args, must_succeed) = match setting {
            Some(SmokeSetting::Run(false)) => (None, false),
            Some(SmokeSetting::Args(args)) => (Some(args.clone()), true),
            None | Some(SmokeSetting::Run(true)) => (Some(vec!["--version".into()]), false),
        };
        Smoke { args, must_succeed, timeout: timeout.unwrap_or(Self::TIMEOUT) }
    }
}
