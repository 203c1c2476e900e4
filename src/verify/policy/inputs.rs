//! The inputs that lints need besides the file, and whether they are given for the lints that the user
//! named.

use super::{Policy, find_lint};
use crate::model::{
    error::{Error, Result},
    machine::Linkage,
    schema::dist::Level,
};

/// The input of `glibc`, and how to give it; so are the following ones.
pub(in crate::verify) const GLIBC: (&str, &str) =
    ("the policy has no `glibc`", "set the oldest version in the policy, as `glibc = \"2.28\"`");

pub(in crate::verify) const LIBRARIES: (&str, &str) = (
    "the policy has no `libraries`",
    "list the allowed ones in the policy, as `libraries = [\"libc.so.6\"]`",
);

pub(in crate::verify) const SIZE: (&str, &str) =
    ("the policy has no `max-size`", "set a limit in the policy, as `max-size.file = \"25 MB\"`");

pub(in crate::verify) const GROWTH: (&str, &str) =
    ("the policy has no `max-growth`", "set a limit in the policy, as `max-growth.file = \"5%\"`");

pub(in crate::verify) const RUN: (&str, &str) =
    ("the program is not run", "`verify --run` runs it; by default its findings are denied");

const BASE: (&str, &str) = (
    "no earlier release is given",
    "name one with `verify --base DIST_JSON`; by default its findings are denied",
);

/// The source of a lint's level that was set by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LevelOrigin {
    /// In a file of settings.
    Settings,
    /// In an argument.
    Argument,
}

/// The inputs that a command has besides files and policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Whether there is an earlier release to compare with.
    pub base: bool,
    /// Whether programs are run.
    pub run: bool,
}

impl Policy {
    /// Checks that each lint that was denied or warned of by name has what it needs. A warning about
    /// growth or runs in a file of settings is for the commands that can give it.
    ///
    /// # Errors
    /// The first lint without its input, with how to give it.
    pub fn check_inputs(&self, inputs: Inputs) -> Result<()> {
        for (id, origin) in &self.named {
            let level = find_lint(id)?.level_under(self);
            let demanded = *origin == LevelOrigin::Argument || level == Level::Deny;
            if let Some((input, hint)) = self.missing_input(id, inputs, demanded) {
                let word = if level == Level::Deny { "deny" } else { "warn" };
                return Err(Error::usage(format!(
                    "lint `{id}` cannot be applied, as `{word}` requests: {input}"
                ))
                .hint(hint));
            }
        }
        Ok(())
    }

    fn missing_input(
        &self,
        id: &str,
        inputs: Inputs,
        demanded: bool,
    ) -> Option<(&'static str, &'static str)> {
        let own = &self.settings;
        let linkage = own.linkage.or(self.target.as_ref().map(|target| target.linkage));
        let dynamic = linkage.is_none_or(|linkage| linkage == Linkage::Dynamic);
        match id {
            "glibc" if own.glibc.is_none() && dynamic => Some(GLIBC),
            "libraries" if own.libraries.is_none() && dynamic => Some(LIBRARIES),
            "size" if own.max_size.is_empty() => Some(SIZE),
            "growth" if own.max_growth.is_empty() => Some(GROWTH),
            "growth" if !inputs.base && demanded => Some(BASE),
            "runs" if !inputs.run && demanded => Some(RUN),
            _ => None,
        }
    }
}
