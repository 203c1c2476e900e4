//! `cargo xtask schema`: writes `docs/schema` from the types. Tests alone have the schemas, so that the
//! xtask compiles sooner.

use crate::run::{Result, cargo, step};

/// Tells the test to write what it would compare.
const WRITE: &str = "UPDATE_SNAPSHOTS";

/// Writes them.
pub(crate) fn write() -> Result {
    let mut test = cargo("test --quiet --package xtask --locked schema::");
    step("schemas", test.env(WRITE, "1"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a script")]

    use std::fs;

    use super::WRITE;
    use crate::run::repository;

    #[test]
    fn the_checked_in_schemas_are_those_of_the_types() {
        for (name, text) in longshore::schema::json_schemas() {
            let path = repository().join(format!("docs/schema/{name}.json"));
            if std::env::var_os(WRITE).is_some() {
                fs::write(&path, &text).unwrap();
            }
            let checked_in = fs::read_to_string(&path).unwrap_or_default();
            assert!(checked_in == text, "{}: run `cargo xtask schema`", path.display());
        }
    }
}
