//! `cargo xtask schema`: writes `docs/schema` from the types.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{fs, path::PathBuf};

use crate::run::{Result, repository};

/// Every schema: its file and its text.
fn files() -> Vec<(PathBuf, String)> {
    let path = |name: &str| repository().join(format!("docs/schema/{name}.json"));
    let all = longshore::model::schema::json_schemas();
    all.into_iter().map(|(name, text)| (path(name), text)).collect()
}

/// Writes them.
pub(crate) fn write() -> Result {
    for (path, text) in files() {
        let say = |error| format!("cannot write {}: {error}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(say)?;
        fs::write(&path, text).map_err(say)?;
        println!("{}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_schemas_are_those_of_the_types() {
        for (path, text) in files() {
            let checked_in = fs::read_to_string(&path).unwrap_or_default();
            assert!(checked_in == text, "{}: run `cargo xtask schema`", path.display());
        }
    }
}
