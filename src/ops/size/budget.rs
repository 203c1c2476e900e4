//! Budgets: those of `verify`'s policies, with the crate to blame.

use camino::Utf8Path;

use crate::{
    error::Result,
    ops::{plan, verify},
    schema::{dist::Level, size::Budget},
    size::{Binary, Whole, compare::Pair},
    sys::Context,
    target::Targets,
    verify::{Limited, Policy, Settings},
};

/// The budgets of a workspace.
pub(super) struct Budgets {
    targets: Targets,
    settings: Vec<Settings>,
    today: crate::verify::Day,
}

impl Budgets {
    /// Those of the workspace, of its targets' files, and of a policy file.
    ///
    /// # Errors
    /// One of them is wrong.
    pub(super) fn new(cx: &Context, policy: Option<&Utf8Path>) -> Result<Self> {
        let workspace = verify::workspace_settings(&cx.env.dir)?;
        let file = policy.map(verify::policy_file).transpose()?;
        let settings = workspace.into_iter().chain(file).collect();
        let targets = plan::known_targets(&cx.env.dir)?;
        Ok(Budgets { targets, settings, today: verify::today()? })
    }

    fn policy(&self, target: Option<&str>) -> Result<Policy> {
        let policy = match target.and_then(|name| self.targets.get(name).ok()) {
            Some(target) => Policy::for_target(target),
            None => Policy::for_any(),
        };
        let policy = policy.with_today(self.today.clone());
        self.settings.iter().try_fold(policy, |policy, settings| policy.with_settings(settings))
    }

    /// How many bytes a binary may still grow; `broken` gets what it broke.
    pub(super) fn binary(
        &self,
        head: &Binary,
        pair: &Pair<'_>,
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let base = pair.base.map(|base| base.size);
        let limited = Limited { kind: crate::verify::Measured::File, size: head.size, base };
        let name = match head.place() {
            Some(place) => format!("{} {place}", head.name),
            None => head.name.clone(),
        };
        self.check(head.target.as_deref(), &limited, &name, &head.path, pair.culprit(), broken)
    }

    /// The same of an archive or an image. To blame is what is to blame for its binary.
    pub(super) fn whole(
        &self,
        head: &Whole,
        base: Option<&Whole>,
        image: bool,
        pairs: &[Pair<'_>],
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let kind = match image {
            true => crate::verify::Measured::Image,
            false => crate::verify::Measured::Archive,
        };
        let limited = Limited { kind, size: head.size, base: base.map(|base| base.size) };
        let of_platform = |pair: &&Pair<'_>| {
            pair.head.is_some_and(|binary| binary.platform.as_ref() == Some(&head.platform))
        };
        let culprits = pairs.iter().filter(of_platform).filter_map(Pair::culprit);
        let culprit = culprits.max_by_key(|(_, size)| *size);
        let what = if image { "image" } else { "archive" };
        let name = format!("{what} {} {}", head.name, head.platform);
        self.check(head.target.as_deref(), &limited, &name, &head.path, culprit, broken)
    }

    fn check(
        &self,
        target: Option<&str>,
        limited: &Limited,
        name: &str,
        path: &str,
        culprit: Option<(String, i64)>,
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let policy = self.policy(target)?;
        for finding in policy.waive(limited.verdict(&policy), path).findings {
            let blame = culprit.as_ref().map(|(krate, size)| {
                let size = crate::verify::Size(size.unsigned_abs());
                match limited.base {
                    Some(_) => format!("; `{krate}` grew most, by {size}"),
                    None => format!("; `{krate}` is the largest crate, with {size}"),
                }
            });
            broken.push(Budget {
                name: name.to_owned(),
                message: format!(
                    "{}: {}{}",
                    finding.message,
                    finding.evidence,
                    blame.unwrap_or_default()
                ),
                krate: culprit.as_ref().map(|(krate, _)| krate.clone()),
                waived: match finding.level {
                    Level::Warn => Some("the policy only warns of it".to_owned()),
                    _ => finding.waived,
                },
            });
        }
        Ok(limited.left(&policy))
    }
}
