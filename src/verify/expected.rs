//! Lints on what a policy says of shared libraries and of sizes.

use super::{
    GlibcVersion, Size, fact,
    lint::{Complaint, Subject},
    policy::{Growth, is_like},
};
use crate::{elf::quote, target::Linkage};

/// The most names that are shown.
const SHOWN: usize = 8;

pub(super) fn dynamic_expected(subject: &Subject<'_>) -> bool {
    subject.policy.linkage(subject.facts) == Some(Linkage::Dynamic)
}

pub(super) fn dynamic(subject: &Subject<'_>) -> Vec<Complaint> {
    if fact::is_dynamic(subject.facts) {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program is static, where one that is linked to shared libraries is expected",
        "it has neither PT_INTERP nor DT_NEEDED",
        "build with `-C target-feature=-crt-static`, or change `linkage` in the policy",
    )]
}

pub(super) fn has_glibc_floor(subject: &Subject<'_>) -> bool {
    subject.policy.settings().glibc.is_some() && fact::is_dynamic(subject.facts)
}

pub(super) fn glibc(subject: &Subject<'_>) -> Vec<Complaint> {
    let floor = subject.policy.settings().glibc;
    let needed = subject.facts.glibc_version.as_deref();
    let version = needed.and_then(|version| version.parse::<GlibcVersion>().ok());
    match (floor, version) {
        (Some(floor), Some(version)) if version > floor => vec![Complaint::new(
            format!("the program does not start with glibc {floor}"),
            format!("it needs symbols of the version GLIBC_{version}"),
            format!(
                "build it against glibc {floor}: zig does with the target `<target>.{floor}`, a \
                 container of an old distribution does, too"
            ),
        )],
        _ => Vec::new(),
    }
}

pub(super) fn has_libraries(subject: &Subject<'_>) -> bool {
    subject.policy.settings().libraries.is_some() && fact::is_dynamic(subject.facts)
}

pub(super) fn libraries(subject: &Subject<'_>) -> Vec<Complaint> {
    let allowed = subject.policy.settings().libraries.as_deref().unwrap_or_default();
    let is_allowed = |name: &str| {
        allowed.iter().any(|pattern| is_like(name.as_bytes(), pattern.as_bytes(), false))
    };
    let others: Vec<_> = subject.facts.needed.iter().filter(|name| !is_allowed(name)).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let shown = others.iter().take(SHOWN).map(|name| quote(name.as_bytes()));
    let mut evidence = format!("DT_NEEDED {}", shown.collect::<Vec<_>>().join(", "));
    if others.len() > SHOWN {
        evidence.push_str(&format!(" and {} more", others.len() - SHOWN));
    }
    vec![Complaint::new(
        "the program needs shared libraries that the policy does not allow",
        evidence,
        "link them statically, or add them to `libraries` in the policy",
    )]
}

pub(super) fn has_limit(subject: &Subject<'_>) -> bool {
    subject.policy.settings().max_size.file.is_some()
}

pub(super) fn size(subject: &Subject<'_>) -> Vec<Complaint> {
    let limit = subject.policy.settings().max_size.file;
    too_large("program", subject.facts.size, limit).into_iter().collect()
}

pub(super) fn has_growth(subject: &Subject<'_>) -> bool {
    subject.policy.settings().max_growth.file.is_some() && subject.about.base.is_some()
}

pub(super) fn growth(subject: &Subject<'_>) -> Vec<Complaint> {
    let limit = subject.policy.settings().max_growth.file;
    grown("program", subject.facts.size, subject.about.base, limit).into_iter().collect()
}

/// The complaint about something of that `size`, if it has more than it may.
pub(super) fn too_large(what: &str, size: u64, limit: Option<Size>) -> Option<Complaint> {
    let limit = limit.filter(|limit| size > limit.0)?;
    Some(Complaint::new(
        format!("the {what} is larger than {limit}"),
        format!("it has {size} bytes, {} more than it may", size - limit.0),
        "see what became larger, or raise `max-size` in the policy",
    ))
}

/// The complaint about something of that `size`, if it grew by more than it may.
pub(super) fn grown(
    what: &str,
    size: u64,
    base: Option<u64>,
    limit: Option<Growth>,
) -> Option<Complaint> {
    let (base, limit) = (base?, limit?);
    let more = size.checked_sub(base).filter(|more| *more > limit.of(base))?;
    Some(Complaint::new(
        format!("the {what} became larger by more than {limit}"),
        format!("it has {size} bytes, {more} more than the {base} of the base"),
        "see what became larger, or raise `max-growth` in the policy",
    ))
}
