//! `Cargo.lock`.

use super::{closed, line_end};
use crate::model::error::{Error, Result};

const HEADER: &str = "[[package]]";

/// Returns `Cargo.lock` with a package of the workspace that has no dependencies, where cargo itself writes it:
/// packages are sorted by name and version. `None` if it is there.
///
/// # Errors
/// The text is not that of a lock file.
pub fn add_package(text: &str, name: &str, version: &str) -> Result<Option<String>> {
    let wrong = |what: &str| {
        Error::usage(format!("`Cargo.lock` cannot be edited: {what}"))
            .hint("`cargo metadata` writes it again")
    };
    let old: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        wrong("it is not TOML").because(error.message().to_owned())
    })?;
    let empty = Vec::new();
    let packages = old.get("package").and_then(toml::Value::as_array).unwrap_or(&empty);
    let of = |package: &toml::Value, key: &str| package.get(key)?.as_str().map(str::to_owned);
    let mine = |package: &toml::Value| {
        of(package, "name").as_deref() == Some(name)
            && of(package, "version").as_deref() == Some(version)
            && package.get("source").is_none()
    };
    if packages.iter().any(mine) {
        return Ok(None);
    }
    let next = packages.iter().position(|package| of(package, "name").as_deref() > Some(name));
    let text = closed(text);
    let end = line_end(&text);
    let at = match next {
        Some(number) => text.match_indices(HEADER).nth(number).map(|(at, _)| at),
        // Before the tables that follow the packages.
        None => {
            let last = text.rfind(HEADER).map_or(0, |at| at + HEADER.len());
            text[last..].find("\n[").map(|at| last + at + 1)
        }
    };
    let block = format!("{HEADER}{end}name = \"{name}\"{end}version = \"{version}\"{end}");
    let new = match at {
        Some(at) => format!("{}{block}{end}{}", &text[..at], &text[at..]),
        None => format!("{text}{end}{block}"),
    };
    let mut package = toml::Table::new();
    package.insert("name".to_owned(), name.into());
    package.insert("version".to_owned(), version.into());
    let mut expected = old.clone();
    let list = expected.entry("package").or_insert_with(|| toml::Value::Array(Vec::new()));
    let list = list.as_array_mut().ok_or_else(|| wrong("`package` is not a list"))?;
    list.insert(next.unwrap_or(list.len()), toml::Value::Table(package));
    match new.parse::<toml::Table>() {
        Ok(found) if found == expected => Ok(Some(new)),
        _ => Err(wrong("it is not formatted as cargo formats it")),
    }
}
