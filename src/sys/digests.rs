//! Digests of large files that hardly ever change, such as compilers: each is read again only when its
//! size, a time or the inode did.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{Context, fs, tree};
use crate::{
    build::cache::Stamp,
    model::{digest::Digest, error::Result},
};

/// The known properties of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownFile {
    stamp: Stamp,
    sha256: Digest,
}

/// Returns the digest of each file, in their order; `None` for one that does not exist.
///
/// # Errors
/// A file is there and cannot be read.
pub fn digests<'a>(
    cx: &Context,
    paths: impl IntoIterator<Item = &'a Utf8Path>,
) -> Result<Vec<Option<Digest>>> {
    let store = cx.env.cache.join("digests.json");
    // One that cannot be read is as good as none.
    let mut all: BTreeMap<String, KnownFile> = fs::read(&store)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let before = all.clone();
    let mut digests = Vec::new();
    for path in paths {
        let Some(stamp) = tree::stamp(path) else {
            digests.push(None);
            continue;
        };
        let sha256 = match all.get(path.as_str()).filter(|known| known.stamp == stamp) {
            Some(known) => known.sha256,
            None => fs::digest(path)?.0,
        };
        digests.push(Some(sha256));
        all.insert(path.to_string(), KnownFile { stamp, sha256 });
    }
    if all != before {
        all.retain(|path, _| Utf8Path::new(path).exists());
        let text = serde_json::to_vec_pretty(&all).unwrap_or_default();
        // The next run reads the files again where this does not work.
        let _ = fs::write(&store, &text);
    }
    Ok(digests)
}
