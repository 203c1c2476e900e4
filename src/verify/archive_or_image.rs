//! Verdicts on complete archives and images; the files in them have separate verdicts.

use super::{
    ARCHIVE, LINTS, LintSelection, Policy, READABLE, RECORD,
    expected::{growth_limit_scope, growth_violation, limit_scope, size_violation},
    lint::{Scope, Violation},
    new_finding, verdict,
};
use crate::model::{
    bytes::{Growth, Size},
    schema::dist::{Level, Verdict},
};

/// Facts about an archive, or about the image of one platform.
#[derive(Clone, Debug, Default)]
pub struct ArchiveOrImage {
    /// Whether it is an image.
    pub image: bool,
    /// Its size in bytes; of an image, the bytes that a pull transfers, if that is known.
    pub size: Option<u64>,
    /// Its size in the base, if it is there.
    pub base: Option<u64>,
    /// The reasons for which it cannot be read to its end.
    pub unreadable: Vec<String>,
    /// Its contents that do not match their digests.
    pub mismatches: Vec<String>,
    /// Inconsistencies in the metadata of an image that engines accept.
    pub warnings: Vec<String>,
    /// Paths outside the directory that it is unpacked into.
    pub hazards: Vec<String>,
}

/// The most findings of one sort that are reported one by one.
const MAX_LISTED: usize = 16;

/// Returns the verdict on an archive or an image under `policy`.
pub fn judge_archive_or_image(subject: &ArchiveOrImage, policy: &Policy) -> Verdict {
    let item = if subject.image { "image" } else { "archive" };
    let mut lints = vec![READABLE.to_owned()];
    let mut findings = Vec::new();
    let mut add = |lint: &str, level: Level, all: &[String], message: &str, hint: &str| {
        for evidence in all.iter().take(MAX_LISTED) {
            let violation = Violation::new(message, evidence.clone(), hint);
            findings.push(new_finding(lint, level, violation));
        }
    };
    let message = format!("the {item} cannot be read");
    let hint = "unreadable input is rejected: check that it is complete";
    add(READABLE, Level::Deny, &subject.unreadable, &message, hint);
    if subject.image {
        lints.push(RECORD.to_owned());
        let message = "the image does not match its digests";
        let hint = "fetch it again: it was changed or damaged";
        add(RECORD, Level::Deny, &subject.mismatches, message, hint);
        let message = "the metadata of the image is inconsistent";
        let hint = "engines accept it; build the image again so that its metadata is consistent";
        add(RECORD, Level::Warn, &subject.warnings, message, hint);
    } else {
        lints.push(ARCHIVE.to_owned());
        let message = "the archive has an entry that leads outside of it";
        let hint = "archive relative paths without `..`, and links within it only";
        add(ARCHIVE, Level::Deny, &subject.hazards, message, hint);
    }
    let kind = if subject.image { SizedKind::Image } else { SizedKind::Archive };
    let mut not_applied = Vec::new();
    if let Some(size) = subject.size {
        let limits = SizedItem { kind, size, base: subject.base }.verdict(policy);
        lints.extend(limits.lints);
        not_applied = limits.not_applied;
        findings.extend(limits.findings);
    }
    verdict(lints, not_applied, findings)
}

/// The kind of item that a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizedKind {
    /// A program or library.
    File,
    /// An archive or package.
    Archive,
    /// The bytes that a pull of one platform's image transfers.
    Image,
}

/// An item with a size that may have limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizedItem {
    /// Its kind.
    pub kind: SizedKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its size in the base, where that has it.
    pub base: Option<u64>,
}

impl SizedItem {
    fn limits(&self, policy: &Policy) -> (Option<Size>, Option<Growth>) {
        let settings = policy.settings();
        let (size, growth) = (settings.max_size, settings.max_growth);
        match self.kind {
            SizedKind::File => (size.file, growth.file),
            SizedKind::Archive => (size.archive, growth.archive),
            SizedKind::Image => (size.image, growth.image),
        }
    }

    /// Returns the verdict on its size alone.
    pub fn verdict(&self, policy: &Policy) -> Verdict {
        let item = match self.kind {
            SizedKind::File => "program",
            SizedKind::Archive => "archive",
            SizedKind::Image => "image",
        };
        let (limit, growth) = self.limits(policy);
        let settings = policy.settings();
        let size_scope = limit_scope(limit.is_some(), settings.max_size.is_empty());
        let growth_scope = growth_limit_scope(
            growth.is_some(),
            settings.max_growth.is_empty(),
            self.base.is_some(),
        );
        let violations = [
            ("size", size_scope, size_violation(item, self.size, limit)),
            ("growth", growth_scope, growth_violation(item, self.size, self.base, growth)),
        ];
        let mut choice = LintSelection::default();
        let mut found = Vec::new();
        for (id, scope, violation) in violations {
            let Some(lint) = LINTS.iter().find(|lint| lint.id == id) else { continue };
            // A limit that is missing altogether is a usage error long before.
            let scope = match scope {
                Scope::Missing(reason, _) => Scope::NotApplied(reason),
                scope => scope,
            };
            choice.add(lint, policy, scope);
            found.extend(violation.map(|violation| (id, violation)));
        }
        let LintSelection { applied, not_applied, mut findings } = choice;
        let mut lints = Vec::new();
        for (lint, level) in applied {
            lints.push(lint.id.to_owned());
            let own = found.extract_if(.., |(id, _)| *id == lint.id);
            findings.extend(own.map(|(id, violation)| new_finding(id, level, violation)));
        }
        verdict(lints, not_applied, findings)
    }

    /// Returns how many bytes it may still grow under every limit; negative if one is exceeded, `None`
    /// if there is none.
    pub fn remaining(&self, policy: &Policy) -> Option<i64> {
        let (limit, growth) = self.limits(policy);
        let limit = limit.map(|limit| limit.0);
        let grown =
            self.base.zip(growth).map(|(base, most)| base.saturating_add(most.in_bytes(base)));
        let most = [limit, grown].into_iter().flatten().min()?;
        let number = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        Some(number(most).saturating_sub(number(self.size)))
    }
}
