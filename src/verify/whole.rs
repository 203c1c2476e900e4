//! Verdicts on archives and images as a whole; those on the files in them are their own.

use super::{
    ARCHIVE, LINTS, Policy, READABLE, RECORD,
    expected::{grown, too_large},
    finding,
    lint::Complaint,
};
use crate::schema::dist::{Level, Verdict};

/// What is known of an archive, or of the image of one platform.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// Whether it is an image.
    pub image: bool,
    /// Its size in bytes; of an image, what a pull transfers, where that is known.
    pub size: Option<u64>,
    /// Its size in the base, where that has it.
    pub base: Option<u64>,
    /// Why it cannot be read to its end.
    pub unreadable: Vec<String>,
    /// What in it is not what its digest says.
    pub lies: Vec<String>,
    /// What leaves the directory that it is unpacked into.
    pub hazards: Vec<String>,
}

/// The most findings of one sort that are told one by one.
const TOLD: usize = 16;

/// The verdict on an archive or an image under `policy`.
pub fn whole(of: &Whole, policy: &Policy) -> Verdict {
    let what = if of.image { "image" } else { "archive" };
    let mut lints = vec![READABLE.to_owned()];
    let mut findings = Vec::new();
    let mut deny = |lint: &str, all: &[String], message: String, hint: &str| {
        for evidence in all.iter().take(TOLD) {
            let complaint = Complaint::new(message.clone(), evidence.clone(), hint);
            findings.push(finding(lint, Level::Deny, complaint));
        }
    };
    let message = format!("the {what} cannot be looked at");
    let hint = "what cannot be looked at is refused: is it whole?";
    deny(READABLE, &of.unreadable, message, hint);
    if of.image {
        lints.push(RECORD.to_owned());
        let message = "the image is not the one that its digests speak of".to_owned();
        deny(RECORD, &of.lies, message, "get it again; it was changed, or broken on its way");
    } else {
        lints.push(ARCHIVE.to_owned());
        let message = "the archive has an entry that leads outside of it".to_owned();
        let hint = "archive relative paths without `..`, and links within it only";
        deny(ARCHIVE, &of.hazards, message, hint);
    }
    let settings = policy.settings();
    let (limit, growth) = match of.image {
        true => (settings.max_size.image, settings.max_growth.image),
        false => (settings.max_size.archive, settings.max_growth.archive),
    };
    let complaints = [
        ("size", limit.is_some(), of.size.and_then(|size| too_large(what, size, limit))),
        (
            "growth",
            growth.is_some() && of.base.is_some(),
            of.size.and_then(|size| grown(what, size, of.base, growth)),
        ),
    ];
    for (id, applies, complaint) in complaints {
        let Some(lint) = LINTS.iter().find(|lint| lint.id == id) else { continue };
        let level = policy.level(lint);
        if applies && level != Level::Allow {
            lints.push(id.to_owned());
            findings.extend(complaint.map(|complaint| finding(id, level, complaint)));
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Verdict { accepted: findings.iter().all(|found| found.level < Level::Deny), lints, findings }
}
