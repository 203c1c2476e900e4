//! The requests for a comment: the token's user, pages of comments until that user's comment with the marker
//! is found, then one change. Every user can write a comment with the marker.
//!
//! GitHub: <https://docs.github.com/rest/issues/comments>; GitLab:
//! <https://docs.gitlab.com/api/notes/>. Both name the next page of a list in a `Link` header.

use serde::Deserialize;
use serde_json::json;

use super::Place;
use crate::model::url;

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
    /// It failed, for this reason: a sentence.
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
    /// Who writes, once it is known.
    author: Option<Author>,
}

/// The user that a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Author {
    /// By its identifier.
    User(u64),
    /// An app of GitHub's, by its login without `[bot]`.
    App(String),
}

/// The app that the token of a job of GitHub Actions belongs to.
const ACTIONS: &str = "github-actions";

#[derive(Deserialize)]
struct User {
    id: u64,
    #[serde(default)]
    login: String,
    /// With GitHub: `User`, `Bot`, `Organization`.
    #[serde(default, rename = "type")]
    kind: String,
}

/// GitHub's answer to [`VIEWER`].
#[derive(Deserialize)]
struct Viewer {
    data: ViewerData,
}

#[derive(Deserialize)]
struct ViewerData {
    viewer: Login,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

/// The query for the login of the token's user.
const VIEWER: &str = "query { viewer { login } }";

impl Author {
    fn wrote(&self, comment: &Comment) -> bool {
        // GitHub calls it `user`, GitLab `author`.
        let Some(user) = comment.user.as_ref().or(comment.author.as_ref()) else { return false };
        match self {
            Author::User(id) => user.id == *id,
            Author::App(login) => user.kind == "Bot" && app(&user.login) == login,
        }
    }
}

/// The login of an app without its ending, which not every API has.
fn app(login: &str) -> &str {
    login.strip_suffix("[bot]").unwrap_or(login)
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    author: Option<User>,
    /// GitLab's own notes on what happened.
    #[serde(default)]
    system: bool,
}

impl<'a> Talk<'a> {
    /// Begins. `body` begins with `marker`; where there is no such comment yet, one is made only with
    /// `create`.
    pub fn new(place: &'a Place, marker: &'a str, body: &'a str, create: bool) -> Self {
        let what = "get the user of the token";
        let asked = Request { method: Method::Get, url: place.user.clone(), body: None, what };
        Talk { place, marker, body, create, asked, pages: 0, author: None }
    }

    /// The request that has no response yet.
    pub fn asked(&self) -> &Request {
        &self.asked
    }

    /// What follows from an answer.
    pub fn answer(&mut self, answer: &Answer) -> Step {
        if self.author.is_none() {
            return self.identified(answer);
        }
        match (answer.status, self.asked.method) {
            // GitHub also answers 404 if a token has no access.
            (403 | 404, _) => Step::Done(Done::Refused(answer.status)),
            (200, Method::Get) => self.listed(answer),
            (200..=299, Method::Post) => Step::Done(Done::Created),
            (200..=299, Method::Patch | Method::Put) => Step::Done(Done::Updated),
            _ => Step::Unexpected,
        }
    }

    /// The token's user.
    fn identified(&mut self, answer: &Answer) -> Step {
        let first = self.asked.method == Method::Get;
        let author = match (answer.status, first) {
            (200, true) => {
                let user = serde_json::from_slice::<User>(&answer.body).ok();
                let Some(user) = user else {
                    return Step::Failed("the answer is not a user");
                };
                Author::User(user.id)
            }
            (200, false) => {
                let viewer = serde_json::from_slice::<Viewer>(&answer.body).ok();
                match viewer {
                    Some(Viewer { data }) => Author::App(app(&data.viewer.login).to_owned()),
                    None if self.place.actions => Author::App(ACTIONS.to_owned()),
                    None => return Step::Failed("the answer is not a user"),
                }
            }
            // An app has no user; GraphQL knows its name.
            (403 | 404, true) => match &self.place.graphql {
                Some(graphql) => {
                    let (method, url) = (Method::Post, graphql.clone());
                    let body = Some(json!({ "query": VIEWER }).to_string());
                    self.asked = Request { method, url, body, what: self.asked.what };
                    return Step::Ask(self.asked.clone());
                }
                None => return Step::Done(Done::Refused(answer.status)),
            },
            (400..=404, false) if self.place.actions => Author::App(ACTIONS.to_owned()),
            (403 | 404, false) => return Step::Done(Done::Refused(answer.status)),
            _ => return Step::Unexpected,
        };
        self.author = Some(author);
        // The oldest first: other comments, which come later, do not move it to another page.
        let query = if self.place.gitlab { "&sort=asc&order_by=created_at" } else { "" };
        self.asked = page(format!("{}?per_page=100{query}", self.place.comments));
        self.pages = 1;
        Step::Ask(self.asked.clone())
    }

    /// A page of comments.
    fn listed(&mut self, answer: &Answer) -> Step {
        let Ok(comments) = serde_json::from_slice::<Vec<Comment>>(&answer.body) else {
            return Step::Failed("the answer is no list of comments");
        };
        let ours = |comment: &&Comment| {
            let text = comment.body.as_deref().unwrap_or_default();
            let own = self.author.as_ref().is_some_and(|author| author.wrote(comment));
            own && !comment.system && text.trim_start().starts_with(self.marker)
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
        match answer.link.as_deref().and_then(url::next_page) {
            None if self.create => {
                let url = self.place.comments.clone();
                self.change(Method::Post, url, "write a comment")
            }
            None => Step::Done(Done::Unchanged),
            Some(_) if self.pages >= PAGES => Step::Failed("the list of comments has no end"),
            Some(next) => {
                let here = &self.asked.url;
                // The token is for this server alone.
                let to = url::resolve(here, next).ok().filter(|to| url::is_same_origin(to, here));
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
