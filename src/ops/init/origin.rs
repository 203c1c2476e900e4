//! The source that the running program was installed from, as cargo records it.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::{
    build::config::tool::RequestedTool,
    model::error::Result,
    sys::{Context, access, fs, git},
};

/// The record of `cargo install`.
const RECORD: &str = ".crates2.json";

/// Returns the commit that `cargo install` built the running program from: that of `--git`, or the one that is
/// checked out in the directory of `--path`, if its remote has it. `None` for a program that was installed
/// otherwise, since jobs cannot repeat that.
///
/// # Errors
/// The record cannot be read.
pub(super) fn installed(cx: &Context) -> Result<Option<RequestedTool>> {
    let Some(bin) = cx.env.exe.parent().filter(|bin| bin.file_name() == Some("bin")) else {
        return Ok(None);
    };
    let root = bin.parent().unwrap_or(Utf8Path::new("/"));
    let text = fs::read_to_string_if_exists(&root.join(RECORD))?.unwrap_or_default();
    let name = cx.env.exe.file_name().unwrap_or_default();
    let (url, commit) = match from_record(&text, name) {
        Some(Installed::Commit(url, commit)) => (url, commit),
        Some(Installed::Directory(path)) if access::exists(&path.join("Cargo.toml")) => {
            // A clone that git cannot use is as none.
            let commit = git::published_commit(cx, &path).ok().flatten();
            let url = git::remote_url(cx, &path, "origin").ok().flatten();
            let (Some(url), Some(commit)) = (url, commit) else { return Ok(None) };
            (url, commit)
        }
        _ => return Ok(None),
    };
    // Jobs cannot use a repository of this machine, or one that needs a key or a password.
    let is_public = url.starts_with("https://") && !url.contains('@');
    Ok(is_public.then_some(RequestedTool::Git(url, commit)))
}

/// The source in the record of cargo.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Installed {
    /// The URL of a repository, and the hash of a commit.
    Commit(String, String),
    /// A directory of this machine.
    Directory(Utf8PathBuf),
}

/// Returns the source in a record, for the package `longshore` with that binary.
fn from_record(text: &str, binary: &str) -> Option<Installed> {
    let record: Value = serde_json::from_str(text).ok()?;
    let installs = record.get("installs")?.as_object()?;
    let with_binary = |value: &Value| {
        let bins = value.get("bins").and_then(Value::as_array);
        bins.is_some_and(|bins| bins.iter().any(|name| name.as_str() == Some(binary)))
    };
    let mut found = installs.iter().filter(|(_, value)| with_binary(value));
    // `longshore 0.1.0 (git+https://example.org/longshore?rev=…#COMMIT)`, or `(path+file:///DIRECTORY)`.
    let source = found.find_map(|(name, _)| name.strip_prefix("longshore "))?;
    let source = source.split_once('(')?.1.strip_suffix(')')?;
    if let Some(path) = source.strip_prefix("path+file://") {
        return Some(Installed::Directory(path.into()));
    }
    let (url, commit) = source.strip_prefix("git+")?.rsplit_once('#')?;
    let url = url.split('?').next().unwrap_or(url);
    Some(Installed::Commit(url.to_owned(), commit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_read_from_the_record_of_cargo() {
        let record = |source: &str| {
            format!(
                "{{\"installs\": {{\"longshore 0.1.0 ({source})\": {{\"bins\": [\"cargo-longshore\"]}}}}}}"
            )
        };
        let git = record("git+https://example.org/longshore?rev=v1#12ab");
        let expected = Installed::Commit("https://example.org/longshore".into(), "12ab".into());
        assert_eq!(from_record(&git, "cargo-longshore"), Some(expected));
        assert_eq!(from_record(&git, "other"), None);
        let path = Installed::Directory("/a/longshore".into());
        let text = record("path+file:///a/longshore");
        assert_eq!(from_record(&text, "cargo-longshore"), Some(path));
        let other = record("registry+https://github.com/rust-lang/crates.io-index");
        assert_eq!(from_record(&other, "cargo-longshore"), None);
        assert_eq!(from_record("{", "cargo-longshore"), None);
    }
}
