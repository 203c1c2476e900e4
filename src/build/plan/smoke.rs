//! What the plan derives from settings: smoke tests, and how std is built.

use crate::{
    build::{config::SmokeSetting, profile},
    model::schema::{
        plan::{FOR_SIZE, Profile, Smoke},
        profile::Preset,
    },
};

impl Profile {
    /// How std is built where it is built from source: the names of what differs from the official
    /// one.
    pub fn std_options(&self) -> Vec<String> {
        let size = self.preset == Some(Preset::Size) && profile::aborts(&self.settings);
        let mut options: Vec<String> = size.then(|| FOR_SIZE.to_owned()).into_iter().collect();
        options.extend(self.unstable.iter().map(|switch| switch.name().to_owned()));
        options
    }
}

impl Smoke {
    /// The plan for `setting`.
    pub fn new(setting: Option<&SmokeSetting>, timeout: Option<u64>) -> Self {
        let (args, must_succeed) = match setting {
            Some(SmokeSetting::Run(false)) => (None, false),
            Some(SmokeSetting::Args(args)) => (Some(args.clone()), true),
            None | Some(SmokeSetting::Run(true)) => (Some(vec!["--version".into()]), false),
        };
        Smoke { args, must_succeed, timeout: timeout.unwrap_or(Self::TIMEOUT) }
    }
}
