//! Names that people mistype: the nearest known one, and errors of TOML files that offer it.

use crate::model::error::Error;

/// Returns the known name most similar to `given`; `None` if none is similar.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Converts a TOML error: the text with its line, and for an unknown key the nearest of `keys`.
pub(crate) fn toml_error(error: &toml::de::Error, keys: &[&str]) -> Error {
    let text = error.to_string();
    let result = Error::usage(text.trim_end());
    let unknown =
        error.message().strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown.and_then(|key| nearest(key, keys.iter().copied())) {
        Some(key) => result.hint(format!("did you mean `{key}`?")),
        None => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        assert_eq!(nearest("targts", ["targets", "profile"]), Some("targets"));
        assert_eq!(nearest("zzz", ["targets", "profile"]), None);
    }
}
