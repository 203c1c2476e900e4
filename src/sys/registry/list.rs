//! Listing tags: OCI distribution specification 1.1, "Listing Tags".

use std::collections::BTreeSet;

use serde::Deserialize;
use ureq::http::Method;

use super::{
    Access, Repository,
    call::{Payload, RegistryRequest},
};
use crate::model::{error::Result, url};

/// The number of tags that are requested at once; a registry may return fewer.
const TAGS_PER_PAGE: usize = 1000;

/// The largest page: some registries give all tags at once.
const MAX_PAGE: u64 = 16 << 20;

/// The most tags.
const MAX_TAGS: usize = 1 << 20;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Returns all tags, with the permissions of a push; `None` if the registry does not list any for
    /// these credentials.
    ///
    /// # Errors
    /// The registry does not answer, or answers with something else.
    pub fn tags(&self) -> Result<Option<BTreeSet<String>>> {
        self.list(Access::Push)
    }

    /// Returns all tags, with the permission to read only; else as [`Repository::tags`].
    ///
    /// # Errors
    /// The registry does not answer, or answers with something else.
    pub fn tags_to_pull(&self) -> Result<Option<BTreeSet<String>>> {
        self.list(Access::Pull)
    }

    fn list(&self, access: Access<'_>) -> Result<Option<BTreeSet<String>>> {
        let what = format!("list the tags of `{}`", self.path);
        let mut url = self.retry(|| self.url(&format!("tags/list?n={TAGS_PER_PAGE}")))?;
        let mut all = BTreeSet::new();
        loop {
            let ask =
                RegistryRequest { method: Method::GET, url, headers: vec![], access, what: &what };
            let page = self.retry(|| {
                let mut answer = self.send_once(&ask, Payload::None)?;
                let status = answer.status();
                match status {
                    200 | 404 => {}
                    // A client that may push or pull may still not be permitted to list.
                    401 | 403 | 405 | 501 => return Ok(None),
                    _ => return Err(self.status_error(&what, answer)),
                }
                let next = answer.header("link").and_then(url::next_page).map(str::to_owned);
                let bytes = answer
                    .read(MAX_PAGE)
                    .map_err(|error| self.connection_error(&what, &error.into()))?;
                let long = || self.error(&what, &format!("a page has more than {MAX_PAGE} bytes"));
                let bytes = bytes.ok_or_else(long)?;
                if status == 404 {
                    // A repository without anything in it, or an address that means nothing there.
                    let known = String::from_utf8_lossy(&bytes).contains("NAME_UNKNOWN");
                    return Ok(known.then(|| (Vec::new(), None)));
                }
                let page: TagPage = serde_json::from_slice(&bytes).map_err(|error| {
                    self.error(&what, "it is not a list of tags").because(error)
                })?;
                Ok(Some((page.tags.unwrap_or_default(), next)))
            })?;
            let Some((tags, next)) = page else { return Ok(None) };
            let before = all.len();
            all.extend(tags);
            let Some(next) = next else { return Ok(Some(all)) };
            if all.len() == before || all.len() > MAX_TAGS {
                return Err(self.error(&what, "the list is endless"));
            }
            let elsewhere = || self.error(&what, "the list continues at another server");
            let to =
                url::resolve(&ask.url, &next).ok().filter(|to| url::is_same_origin(to, &ask.url));
            url = to.ok_or_else(elsewhere)?;
        }
    }
}
