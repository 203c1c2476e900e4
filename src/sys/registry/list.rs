//! Listing tags: OCI distribution specification 1.1, "Listing Tags".

use std::collections::BTreeSet;

use serde::Deserialize;
use ureq::http::Method;

use super::{
    Access, Repository,
    call::{Ask, Payload},
};
use crate::model::{error::Result, url};

/// The number of tags that are requested at once; a registry may return fewer.
const AT_ONCE: usize = 1000;

/// The largest page: some registries give all tags at once.
const PAGE: u64 = 16 << 20;

/// The most tags.
const MOST: usize = 1 << 20;

#[derive(Deserialize)]
struct Page {
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
        let mut url = self.again(|| self.url(&format!("tags/list?n={AT_ONCE}")))?;
        let mut all = BTreeSet::new();
        loop {
            let ask = Ask { method: Method::GET, url, headers: vec![], access, what: &what };
            let page = self.again(|| {
                let mut answer = self.once(&ask, Payload::None)?;
                let status = answer.status();
                match status {
                    200 | 404 => {}
                    // A client that may push or pull may still not be permitted to list.
                    401 | 403 | 405 | 501 => return Ok(None),
                    _ => return Err(self.refused(&what, answer)),
                }
                let next = answer.header("link").and_then(url::next_page).map(str::to_owned);
                let bytes = answer.read(PAGE).map_err(|error| self.broken(&what, &error.into()))?;
                let long = || self.error(&what, &format!("a page has more than {PAGE} bytes"));
                let bytes = bytes.ok_or_else(long)?;
                if status == 404 {
                    // A repository without anything in it, or an address that means nothing there.
                    let known = String::from_utf8_lossy(&bytes).contains("NAME_UNKNOWN");
                    return Ok(known.then(|| (Vec::new(), None)));
                }
                let page: Page = serde_json::from_slice(&bytes)
                    .map_err(|error| self.error(&what, "it is no list of tags").because(error))?;
                Ok(Some((page.tags.unwrap_or_default(), next)))
            })?;
            let Some((tags, next)) = page else { return Ok(None) };
            let before = all.len();
            all.extend(tags);
            let Some(next) = next else { return Ok(Some(all)) };
            if all.len() == before || all.len() > MOST {
                return Err(self.error(&what, "the list has no end"));
            }
            let elsewhere = || self.error(&what, "the list goes on at a place that is not asked");
            let to =
                url::resolve(&ask.url, &next).ok().filter(|to| url::is_same_origin(to, &ask.url));
            url = to.ok_or_else(elsewhere)?;
        }
    }
}
