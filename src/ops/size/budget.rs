//! Budgets: those of `verify`'s policies, with the crate that grew most.

use std::cell::RefCell;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        error::Result,
        schema::{dist::Level, size::Budget, verify::PolicySource},
    },
    ops::verify::rules::PolicyRules,
    size::{MeasuredBinary, PackedOutput, compare::Pair},
    verify::SizedItem,
};

/// The item that has a budget: the target that it was built for, and the path that was measured.
#[derive(Clone, Copy)]
struct BudgetSubject<'a> {
    target: Option<&'a str>,
    from: &'a Utf8Path,
}

/// The budgets of the measured items.
pub(super) struct Budgets<'a> {
    rules: PolicyRules<'a>,
    used: RefCell<Vec<(Utf8PathBuf, Option<String>)>>,
}

impl<'a> Budgets<'a> {
    pub(super) fn new(rules: PolicyRules<'a>) -> Self {
        Budgets { rules, used: RefCell::default() }
    }

    /// Returns the files that budgets were read from, and the items that each applies to.
    pub(super) fn sources(&self) -> Vec<PolicySource> {
        self.rules.sources(&self.used.borrow())
    }

    /// Returns the number of bytes that a binary may still grow; exceeded limits are added to `broken`.
    pub(super) fn binary(
        &self,
        head: &MeasuredBinary,
        pair: &Pair<'_>,
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let base = pair.base.map(|base| base.size);
        let limited = SizedItem { kind: crate::verify::SizedKind::File, size: head.size, base };
        let name = match head.platform_or_target() {
            Some(location) => format!("{} {location}", head.name),
            None => head.name.clone(),
        };
        let subject = BudgetSubject { target: head.target.as_deref(), from: &head.from };
        self.check(subject, &limited, &name, &head.path, pair.largest_growth(), broken)
    }

    /// Returns the same for an archive or an image. The cause of its growth is that of its binary.
    pub(super) fn packed_output(
        &self,
        head: &PackedOutput,
        base: Option<&PackedOutput>,
        image: bool,
        pairs: &[Pair<'_>],
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let kind = match image {
            true => crate::verify::SizedKind::Image,
            false => crate::verify::SizedKind::Archive,
        };
        let limited = SizedItem { kind, size: head.size, base: base.map(|base| base.size) };
        let of_platform = |pair: &&Pair<'_>| {
            pair.head.is_some_and(|binary| binary.platform.as_ref() == Some(&head.platform))
        };
        let culprits = pairs.iter().filter(of_platform).filter_map(Pair::largest_growth);
        let culprit = culprits.max_by_key(|(_, size)| *size);
        let what = if image { "image" } else { "archive" };
        let name = format!("{what} {} {}", head.name, head.platform);
        let subject = BudgetSubject { target: head.target.as_deref(), from: &head.from };
        self.check(subject, &limited, &name, &head.path, culprit, broken)
    }

    fn check(
        &self,
        subject: BudgetSubject<'_>,
        limited: &SizedItem,
        name: &str,
        path: &str,
        culprit: Option<(String, i64)>,
        broken: &mut Vec<Budget>,
    ) -> Result<Option<i64>> {
        let BudgetSubject { target, from } = subject;
        let policy = self.rules.size_policy(target, from)?;
        self.used.borrow_mut().push((from.to_owned(), self.rules.target_origin(target, from)));
        for finding in policy.waive(limited.verdict(&policy), path).findings {
            let blame = culprit.as_ref().map(|(krate, size)| {
                let size = crate::model::bytes::Size(size.unsigned_abs());
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
        Ok(limited.remaining(&policy))
    }
}
