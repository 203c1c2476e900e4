//! One HTML page that shows the size of all symbols: map, changes, history.
//!
//! **The page makes no requests and trusts no input.** Its policy (Content Security Policy Level 3)
//! allows one script and one style, by their digests, and no connection. Data from binaries is
//! base64, which has no character that ends a script element, or escaped in the tables for browsers
//! without scripts.

mod data;
mod release;
mod table;
mod text;
mod tune;

pub use release::release_page;
pub use tune::tune_page;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use crate::model::error::{Error, Result};

/// The content of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title: name and version, `ripgrep 14.1.1`.
    pub title: String,
    /// The generator: `longshore 0.1.0`.
    pub generator: String,
    /// Every binary for every target. Those of one name are beside one another.
    pub binaries: Vec<PageBinary>,
    /// Sizes of earlier releases, oldest first where times are unknown.
    pub history: Vec<HistoryPoint>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageBinary {
    /// The file's name.
    pub name: String,
    /// Its target.
    pub target: String,
    /// Bytes of the file; the leaves' sizes sum to it.
    pub size: u64,
    /// Bytes of the file when it is compressed; the leaves' shares sum to it.
    pub compressed: u64,
    /// Bytes of the file that it is compared with.
    pub base: Option<u64>,
    /// The source of the names, as one sentence.
    pub symbols: String,
    /// Every byte of the file, once.
    pub leaves: Vec<PageLeaf>,
}

/// A symbol, or other bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageLeaf {
    /// The crate, or `[headers]`, `[padding]`, `[sections]` and the like.
    pub krate: String,
    /// The path within the crate; empty for its root.
    pub module: String,
    /// The name: demangled, or that of a section.
    pub symbol: String,
    /// The section that it is in.
    pub section: String,
    /// Bytes in the file; 0 when only the base has it.
    pub size: u64,
    /// Bytes in the base's file; nothing when only the file has it, or nothing is compared.
    pub base: Option<u64>,
    /// The compressed size of these bytes.
    pub compressed: u64,
}

/// The size of a binary in a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPoint {
    /// The version, or the tag.
    pub release: String,
    /// Seconds since 1970; 0 when it is unknown.
    pub time: u64,
    /// The binary's name.
    pub binary: String,
    /// Its target.
    pub target: String,
    /// Bytes of the file.
    pub size: u64,
}

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The script, by concern: numbers and rectangles; the map; the releases; the rest of the page.
const SCRIPT: &str = concat!(
    include_str!("layout.js"),
    "\n",
    include_str!("map.js"),
    "\n",
    include_str!("history.js"),
    "\n",
    include_str!("page.js")
);

/// Returns the page as HTML: the same bytes for the same values.
///
/// # Errors
/// The compressor fails.
pub fn html(page: &Page) -> Result<String> {
    let packed = data::pack(page)
        .map_err(|error| Error::build("cannot compress the data of the page").because(error))?;
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    Ok(fill(TEMPLATE, |name| match name {
        "title" => text::escape(&page.title),
        "generator" => text::escape(&page.generator),
        "style" => STYLE.to_owned(),
        "style-digest" => digest(STYLE),
        "script" => SCRIPT.to_owned(),
        "script-digest" => digest(SCRIPT),
        "tables" => table::tables(page),
        "data" => BASE64_STANDARD.encode(&packed),
        _ => String::new(),
    }))
}

/// Returns `template` with each `{{name}}` replaced, in one pass: replacements are not expanded again.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&value(name));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests;
