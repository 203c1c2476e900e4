//! The lints, explained.

use std::fmt::Write;

use super::{LINTS, Lint};
use crate::model::{
    error::{Error, Result},
    schema::dist::Level,
    suggest::nearest,
};

/// What the lint called `id` means, how it is detected, and what cannot be known, for people.
///
/// # Errors
/// No lint is called so; the nearest name is in the hint.
pub fn explain(id: &str) -> Result<String> {
    Ok(text(find(id)?))
}

/// The lint called `id`.
///
/// # Errors
/// No lint is called so; the nearest name is in the hint.
pub(super) fn find(id: &str) -> Result<&'static Lint> {
    LINTS.iter().find(|lint| lint.id == id).ok_or_else(|| {
        let names = || LINTS.iter().map(|lint| lint.id);
        let hint = match nearest(id, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("lints: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Error::usage(format!("unknown lint `{id}`")).hint(hint)
    })
}

/// The page on every lint: `docs/lints.md`.
pub fn page() -> String {
    let mut page = "# Lints\n\nWhat `cargo longshore verify` looks at in a file, and what each \
                    lint means. `--deny`, `--warn` and `--allow` with a lint's name change how \
                    much it weighs. A file that cannot be read, and one that a packer hides, is \
                    refused whatever is allowed.\n\nA lint that is denied or warned of by its name \
                    is applied to every file, also where it is not by default: `static` then to any \
                    program, `page-size` with the largest page size of the file's machine, \
                    `cpu-level` with x86-64-v1. A lint without an input that it needs, as \
                    `machine` without `--target`, is a usage error. A lint without a meaning for \
                    a file, as `cpu-level` for arm64, is listed as not applied, with the \
                    reason.\n"
        .to_owned();
    for lint in &LINTS {
        let _ = write!(page, "\n## {}", text(lint).trim_end());
        page.push('\n');
    }
    page
}

fn text(lint: &Lint) -> String {
    let Lint { id, level, holds, means, detected, unknown, .. } = lint;
    let level = match level {
        Level::Deny => "denied",
        Level::Warn => "warned of",
        Level::Allow => "off",
    };
    format!(
        "{id}\n\nThe file {holds}. Default: {level}.\n\n{means}\n\n\
         Detected: {detected}\n\nCannot be known: {unknown}\n"
    )
}
