//! The conversation: pages of comments until the one with the marker is found, then one change.
//!
//! GitHub: <https://docs.github.com/rest/issues/comments>; GitLab:
//! <https://docs.gitlab.com/api/notes/>. Both tell where a list goes on in a `Link` header.

use serde::Deserialize;
use serde_json::json;

use super::Place;
use crate::distribution::url;

/// The most pages of a hundred comments that are read.
const PAGES: u32 = 1000;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes a new comment.
    Post,
    /// Changes a comment, with GitHub.
    Patch,
    /// Changes a comment, with GitLab.
    Put,
}

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub method: Method,
    /// Its address.
    pub url: String,
    /// Its body, as JSON.
    pub body: Option<String>,
    /// What it is for, as in `cannot …`.
    pub what: &'static str,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// Its `Link` header.
    pub link: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// There is a new comment.
    Created,
    /// The comment has the new text.
    Updated,
    /// The comment has this text already.
    Same,
    /// There is none, and nothing that would be worth one.
    Unchanged,
    /// The token may not do this: the status that said so.
    Refused(u16),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is to be sent.
    Ask(Request),
    /// It is over.
    Done(Done),
    /// It cannot go on: a sentence that says why.
    Failed(&'static str),
    /// This answer is none that the request can have.
    Unexpected,
}

/// Where in the conversation it is.
#[derive(Debug)]
pub struct Talk<'a> {
    place: &'a Place,
    marker: &'a str,
    body: &'a str,
    /// Whether a new comment is worth it.
    create: bool,
    asked: Request,
    pages: u32,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    /// GitLab's own notes on what happened.
    #[serde(default)]
    system: bool,
}

impl<'a> Talk<'a> {
    /// Begins. `body` begins with `marker`; where there is no such comment yet, one is made only with
    /// `create`.
    pub fn new(place: &'a Place, marker: &'a str, body: &'a str, create: bool) -> Self {
        // The oldest first: other comments, which come later, do not move it to another page.
        let query = if place.gitlab { "&sort=asc&order_by=created_at" } else { "" };
        let asked = page(format!("{}?per_page=100{query}", place.comments));
        Talk { place, marker, body, create, asked, pages: 1 }
    }

    /// The request whose answer is to come.
    pub fn asked(&self) -> &Request {
        &self.asked
    }

    /// What follows from an answer.
    pub fn answer(&mut self, answer: &Answer) -> Step {
        match (answer.status, self.asked.method) {
            // GitHub says 404, too, where a token may not see what is there.
            (403 | 404, _) => Step::Done(Done::Refused(answer.status)),
            (200, Method::Get) => self.listed(answer),
            (200..=299, Method::Post) => Step::Done(Done::Created),
            (200..=299, Method::Patch | Method::Put) => Step::Done(Done::Updated),
            _ => Step::Unexpected,
        }
    }

    /// A page of comments.
    fn listed(&mut self, answer: &Answer) -> Step {
        let Ok(comments) = serde_json::from_slice::<Vec<Comment>>(&answer.body) else {
            return Step::Failed("the answer is no list of comments");
        };
        let ours = |comment: &&Comment| {
            let text = comment.body.as_deref().unwrap_or_default();
            !comment.system && text.trim_start().starts_with(self.marker)
        };
        if let Some(comment) = comments.iter().find(ours) {
            let text = comment.body.as_deref().unwrap_or_default();
            if plain(text) == plain(self.body) {
                return Step::Done(Done::Same);
            }
            let method = if self.place.gitlab { Method::Put } else { Method::Patch };
            let url = format!("{}/{}", self.place.one, comment.id);
            return self.change(method, url, "change the comment");
        }
        match answer.link.as_deref().and_then(url::next) {
            None if self.create => {
                let url = self.place.comments.clone();
                self.change(Method::Post, url, "write a comment")
            }
            None => Step::Done(Done::Unchanged),
            Some(_) if self.pages >= PAGES => Step::Failed("the list of comments has no end"),
            Some(next) => {
                let here = &self.asked.url;
                // The token is for this server alone.
                let to = url::resolve(here, next).ok().filter(|to| url::same_origin(to, here));
                let Some(to) = to else {
                    return Step::Failed("the list of comments goes on at another server");
                };
                self.pages += 1;
                self.asked = page(to);
                Step::Ask(self.asked.clone())
            }
        }
    }

    fn change(&mut self, method: Method, url: String, what: &'static str) -> Step {
        let body = Some(json!({ "body": self.body }).to_string());
        self.asked = Request { method, url, body, what };
        Step::Ask(self.asked.clone())
    }
}

fn page(url: String) -> Request {
    Request { method: Method::Get, url, body: None, what: "list the comments" }
}

/// A text as it is whatever the server makes of its ends of lines.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}
