//! The lints, explained.

use std::fmt::Write;

use super::{LINTS, Lint};
use crate::model::{
    error::{Error, Result},
    schema::dist::Level,
    suggest::nearest,
};

/// Returns the explanation of the lint called `id`: its meaning, its method and its limitations.
///
/// # Errors
/// No lint is called so; the nearest name is in the hint.
pub fn explain(id: &str) -> Result<String> {
    Ok(text(find_lint(id)?))
}

/// Returns the lint called `id`.
///
/// # Errors
/// No lint is called so; the nearest name is in the hint.
pub(super) fn find_lint(id: &str) -> Result<&'static Lint> {
    LINTS.iter().find(|lint| lint.id == id).ok_or_else(|| {
        let names = || LINTS.iter().map(|lint| lint.id);
        let hint = match nearest(id, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("lints: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Error::usage(format!("unknown lint `{id}`")).hint(hint)
    })
}

/// Returns the page on every lint: `docs/lints.md`.
pub fn page() -> String {
    let mut page = "# Lints\n\nThe checks of `cargo longshore verify` on a file, each with its \
                    purpose, method and limitations. `--deny`, `--warn` and `--allow` with the \
                    name of a lint set its level. A file that cannot be read, and a packed file, \
                    is rejected at any level.\n\nA lint with a level of `deny` or `warn` that was \
                    set by its name is applied to every file, also to those that it does not \
                    apply to by default: `static` then to any program, `page-size` with the \
                    largest page size of the file's machine, `cpu-level` with x86-64-v1. If an \
                    input that the lint needs is missing, as `--target` for `machine`, this is a \
                    usage error. A lint without a meaning for a file, as `cpu-level` for arm64, \
                    is listed as not applied, with the reason.\n"
        .to_owned();
    for lint in &LINTS {
        let _ = write!(page, "\n## {}", text(lint).trim_end());
        page.push('\n');
    }
    page
}

fn text(lint: &Lint) -> String {
    let Lint { id, level, requirement, purpose, method, limitations, .. } = lint;
    let level = match level {
        Level::Deny => "`deny`",
        Level::Warn => "`warn`",
        Level::Allow => "`allow`",
    };
    format!(
        "{id}\n\nThe file {requirement}. Default: {level}.\n\n{purpose}\n\n\
         Detected: {method}\n\nLimitations: {limitations}\n"
    )
}
