//! Lints on the limits of a policy on shared libraries and on sizes.

use super::{
    GlibcVersion, fact,
    lint::{LintInput, Scope, Violation},
    policy::{inputs, matches_pattern},
};
use crate::{
    binary::elf::quote,
    model::{
        bytes::{Growth, Size},
        machine::Linkage,
    },
};

/// The most names that are shown.
const MAX_SHOWN: usize = 8;

pub(super) fn dynamic_scope(input: &LintInput<'_>) -> Scope {
    let expected = input.policy.linkage(input.facts) == Some(Linkage::Dynamic);
    Scope::expected(input, expected, "dynamic linkage is not expected of it")
}

pub(super) fn dynamic(input: &LintInput<'_>) -> Vec<Violation> {
    if fact::is_dynamic(input.facts) {
        return Vec::new();
    }
    vec![Violation::new(
        "the program is static, where one that is linked to shared libraries is expected",
        "it has neither PT_INTERP nor DT_NEEDED",
        "build with `-C target-feature=-crt-static`, or change `linkage` in the policy",
    )]
}

/// The reason for which lints on shared libraries are not applied.
const STATIC_REASON: &str = "it needs no shared library";

pub(super) fn glibc_scope(input: &LintInput<'_>) -> Scope {
    if !fact::is_dynamic(input.facts) {
        return Scope::NotApplied(STATIC_REASON);
    }
    match input.policy.settings().glibc {
        Some(_) => Scope::Applied,
        None => Scope::Missing(inputs::GLIBC.0, inputs::GLIBC.1),
    }
}

pub(super) fn glibc(input: &LintInput<'_>) -> Vec<Violation> {
    let floor = input.policy.settings().glibc;
    let needed = input.facts.glibc_version.as_deref();
    let version = needed.and_then(|version| version.parse::<GlibcVersion>().ok());
    match (floor, version) {
        (Some(floor), Some(version)) if version > floor => vec![Violation::new(
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

pub(super) fn libraries_scope(input: &LintInput<'_>) -> Scope {
    if !fact::is_dynamic(input.facts) {
        return Scope::NotApplied(STATIC_REASON);
    }
    match input.policy.settings().libraries {
        Some(_) => Scope::Applied,
        None => Scope::Missing(inputs::LIBRARIES.0, inputs::LIBRARIES.1),
    }
}

pub(super) fn libraries(input: &LintInput<'_>) -> Vec<Violation> {
    let allowed = input.policy.settings().libraries.as_deref().unwrap_or_default();
    library_violation(&input.facts.needed, allowed).into_iter().collect()
}

/// Returns the complaint about those of the `needed` libraries that match no pattern in `allowed`.
pub(super) fn library_violation(needed: &[String], allowed: &[String]) -> Option<Violation> {
    let is_allowed = |name: &str| {
        allowed.iter().any(|pattern| matches_pattern(name.as_bytes(), pattern.as_bytes(), false))
    };
    let others: Vec<_> = needed.iter().filter(|name| !is_allowed(name)).collect();
    if others.is_empty() {
        return None;
    }
    let shown = others.iter().take(MAX_SHOWN).map(|name| quote(name.as_bytes()));
    let mut evidence = format!("DT_NEEDED {}", shown.collect::<Vec<_>>().join(", "));
    if others.len() > MAX_SHOWN {
        evidence.push_str(&format!(" and {} more", others.len() - MAX_SHOWN));
    }
    Some(Violation::new(
        "the program needs shared libraries that the policy does not allow",
        evidence,
        "link them statically, or add them to `libraries` in the policy",
    ))
}

pub(super) fn size_scope(input: &LintInput<'_>) -> Scope {
    let limits = input.policy.settings().max_size;
    limit_scope(limits.file.is_some(), limits.is_empty())
}

/// Returns the scope of `size`: whether there is a limit for this kind of file, or none for any kind.
pub(super) fn limit_scope(has_limit: bool, no_limits: bool) -> Scope {
    if has_limit {
        Scope::Applied
    } else if no_limits {
        Scope::Missing(inputs::SIZE.0, inputs::SIZE.1)
    } else {
        Scope::NotApplied("`max-size` of the policy has no limit for this kind of file")
    }
}

/// Returns the scope of `growth`: as [`limit_scope`] does, if the base has the file.
pub(super) fn growth_limit_scope(has_limit: bool, no_limits: bool, in_base: bool) -> Scope {
    if has_limit && in_base {
        Scope::Applied
    } else if has_limit {
        Scope::NotApplied("no base has its size")
    } else if no_limits {
        Scope::Missing(inputs::GROWTH.0, inputs::GROWTH.1)
    } else {
        Scope::NotApplied("`max-growth` of the policy has no limit for this kind of file")
    }
}

pub(super) fn size(input: &LintInput<'_>) -> Vec<Violation> {
    let limit = input.policy.settings().max_size.file;
    size_violation("program", input.facts.size, limit).into_iter().collect()
}

pub(super) fn growth_scope(input: &LintInput<'_>) -> Scope {
    let limits = input.policy.settings().max_growth;
    growth_limit_scope(limits.file.is_some(), limits.is_empty(), input.context.base.is_some())
}

pub(super) fn growth(input: &LintInput<'_>) -> Vec<Violation> {
    let limit = input.policy.settings().max_growth.file;
    growth_violation("program", input.facts.size, input.context.base, limit).into_iter().collect()
}

/// Returns the complaint about an item of that `size`, if it exceeds the limit.
pub(super) fn size_violation(item: &str, size: u64, limit: Option<Size>) -> Option<Violation> {
    let limit = limit.filter(|limit| size > limit.0)?;
    Some(Violation::new(
        format!("the {item} is larger than {limit}"),
        format!("it has {size} bytes, {} more than it may", size - limit.0),
        "see what became larger, or raise `max-size` in the policy",
    ))
}

/// Returns the complaint about an item of that `size`, if it grew by more than the limit.
pub(super) fn growth_violation(
    item: &str,
    size: u64,
    base: Option<u64>,
    limit: Option<Growth>,
) -> Option<Violation> {
    let (base, limit) = (base?, limit?);
    let more = size.checked_sub(base).filter(|more| *more > limit.in_bytes(base))?;
    Some(Violation::new(
        format!("the {item} became larger by more than {limit}"),
        format!("it has {size} bytes, {more} more than the {base} of the base"),
        "see what became larger, or raise `max-growth` in the policy",
    ))
}
