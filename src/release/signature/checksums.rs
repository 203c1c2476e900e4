//! Checksums in the format of `sha256sum` (coreutils, "cksum common options").

use std::collections::BTreeMap;

use super::{CHECKSUMS, MINISIGN, SIGSTORE};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
};

/// The maximum size of such a file, in bytes.
pub const LIMIT: u64 = 4 << 20;

/// Files of one directory by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(BTreeMap<String, Digest>);

impl Checksums {
    /// Parses `<hex>  <name>` lines. A name is that of a file in the same directory: a name that could lead out of
    /// it is rejected, and so are two lines for one name.
    ///
    /// # Errors
    /// A line does not have that form, or there is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |why: String| Error::check(format!("`{CHECKSUMS}` is wrong: {why}"));
        let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
        let mut all = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            // A `*` instead of the second space means that the file was read as binary, as all are.
            let (hex, rest) =
                line.split_once(' ').ok_or_else(|| bad(format!("line {number} has no file")))?;
            let name = rest.strip_prefix([' ', '*']).unwrap_or_default();
            let digest: Digest = format!("sha256:{hex}")
                .parse()
                .map_err(|_| bad(format!("line {number} does not begin with 64 hex digits")))?;
            let plain = |c: char| !c.is_control() && !['/', '\\'].contains(&c);
            if name.is_empty() || [".", ".."].contains(&name) || !name.chars().all(plain) {
                return Err(bad(format!("line {number} does not name a file beside it")));
            }
            if all.insert(name.to_owned(), digest).is_some() {
                return Err(bad(format!("it has two lines for `{name}`")));
            }
        }
        if all.is_empty() {
            return Err(bad("it names no file".to_owned()));
        }
        Ok(Checksums(all))
    }

    /// Returns the files, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.0.iter().map(|(name, digest)| (name.as_str(), *digest))
    }

    /// Returns the expected digest of a file.
    pub fn get(&self, name: &str) -> Option<Digest> {
        self.0.get(name).copied()
    }

    /// Returns whether a file of that name need not be listed: the checksums, and their signatures.
    pub fn is_exempt(name: &str) -> bool {
        [CHECKSUMS, MINISIGN, SIGSTORE].contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sha256sum_writes() {
        let hex = Digest::sha256(b"").hex();
        let text = format!("{hex}  a b.txt\n{hex} *c\n");
        let sums = Checksums::parse(text.as_bytes()).unwrap();
        let names: Vec<_> = sums.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a b.txt", "c"]);
        assert_eq!(sums.get("c"), Some(Digest::sha256(b"")));
    }

    #[test]
    fn malformed_lists_and_outside_paths_are_rejected() {
        let hex = Digest::sha256(b"").hex();
        let bad = [
            String::new(),
            "x  a\n".to_owned(),
            hex.clone(),
            format!("{hex}  \n"),
            format!("{hex}  ../a\n"),
            format!("{hex}  ..\n"),
            format!("{hex}  a/b\n"),
            format!("{hex}  a\n{hex}  a\n"),
            format!("\\{hex}  a\\nb\n"),
            format!("{}  a\n", hex.to_uppercase()),
        ];
        for text in bad {
            assert!(Checksums::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Checksums::parse(&[0xff]).is_err());
    }
}
