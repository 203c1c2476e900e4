//! The source that the running program was installed from, as cargo records it.

use camino::Utf8Path;
use serde_json::Value;

use crate::{
    build::config::tool::RequestedTool,
    model::error::Result,
    sys::{Context, fs},
};

/// The record of `cargo install`.
const RECORD: &str = ".crates2.json";

/// Returns the commit that `cargo install --git` built the running program from; `None` for a program that was
/// installed otherwise, since jobs cannot repeat that.
///
/// # Errors
/// The record cannot be read.
pub(super) fn installed(cx: &Context) -> Result<Option<RequestedTool>> {
    let Some(bin) = cx.env.exe.parent().filter(|bin| bin.file_name() == Some("bin")) else {
        return Ok(None);
    };
    let root = bin.parent().unwrap_or(Utf8Path::new("/"));
    let text = fs::read_to_string_if_exists(&root.join(RECORD))?;
    Ok(text.as_deref().and_then(|text| from_record(text, cx.env.exe.file_name()?)))
}

/// Returns the commit in a record, for the package `longshore` with that binary.
fn from_record(text: &str, binary: &str) -> Option<RequestedTool> {
    let record: Value = serde_json::from_str(text).ok()?;
    let installs = record.get("installs")?.as_object()?;
    let with_binary = |value: &Value| {
        let bins = value.get("bins").and_then(Value::as_array);
        bins.is_some_and(|bins| bins.iter().any(|name| name.as_str() == Some(binary)))
    };
    let mut found = installs.iter().filter(|(_, value)| with_binary(value));
    // `longshore 0.1.0 (git+https://example.org/longshore?rev=…#COMMIT)`
    let source = found.find_map(|(name, _)| name.strip_prefix("longshore "))?;
    let source = source.split_once("(git+")?.1.strip_suffix(')')?;
    let (url, commit) = source.rsplit_once('#')?;
    let url = url.split('?').next().unwrap_or(url);
    // Jobs cannot use a repository of this machine, or one that needs a key.
    if !url.starts_with("https://") {
        return None;
    }
    Some(RequestedTool::Git(url.to_owned(), commit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read_from_the_record_of_cargo() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let record = |source: &str| {
            format!(
                "{{\"installs\": {{\"longshore 0.1.0 ({source})\": {{\"bins\": [\"cargo-longshore\"]}}}}}}"
            )
        };
        let git = record(&format!("git+https://example.org/longshore?rev=v1#{hash}"));
        let expected =
            RequestedTool::Git("https://example.org/longshore".to_owned(), hash.to_owned());
        assert_eq!(from_record(&git, "cargo-longshore"), Some(expected));
        assert_eq!(from_record(&git, "other"), None);
        let others = [
            "path+file:///a",
            "registry+https://github.com/rust-lang/crates.io-index",
            "git+file:///a#1",
            "git+ssh://git@example.org/a#1",
        ];
        for text in others.map(record) {
            assert_eq!(from_record(&text, "cargo-longshore"), None);
        }
        assert_eq!(from_record("{", "cargo-longshore"), None);
    }
}
