//! The requests for a comment: the token's user, pages of comments until that user's comment with the marker
//! is found, then one change. Every user can write a comment with the marker.
//!
//! GitHub: <https://docs.github.com/rest/issues/comments>; GitLab:
//! <https://docs.gitlab.com/api/notes/>. Both name the next page of a list in a `Link` header.

use serde::Deserialize;
use serde_json::json;

use super::Destination;
use crate::model::{
    http::{ApiResponse, Method},
    url,
};

/// The maximum number of pages, of a hundred comments each, that are read.
const MAX_PAGES: u32 = 1000;

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// The method.
    pub method: Method,
    /// Its address.
    pub url: String,
    /// Its body, as JSON.
    pub body: Option<String>,
    /// Its purpose, as in `cannot …`.
    pub what: &'static str,
}

/// The result of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentOutcome {
    /// There is a new comment.
    Created,
    /// The comment has the new text.
    Updated,
    /// The comment has this text already.
    Same,
    /// There is none, and nothing that would be worth one.
    Unchanged,
    /// The token may not do this: the status of the response.
    Refused(u16),
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// This is to be sent.
    Ask(ApiRequest),
    /// It is over.
    Done(CommentOutcome),
    /// It failed, for this reason: a sentence.
    Failed(&'static str),
    /// This answer is none that the request can have.
    Unexpected,
}

/// The state of the exchange.
#[derive(Debug)]
pub struct Exchange<'a> {
    destination: &'a Destination,
    marker: &'a str,
    body: &'a str,
    /// Whether a new comment is worth it.
    create: bool,
    asked: ApiRequest,
    pages: u32,
    /// The user that writes, once it is known.
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
    fn is_author_of(&self, comment: &Comment) -> bool {
        // GitHub calls it `user`, GitLab `author`.
        let Some(user) = comment.user.as_ref().or(comment.author.as_ref()) else { return false };
        match self {
            Author::User(id) => user.id == *id,
            Author::App(login) => user.kind == "Bot" && app_name(&user.login) == login,
        }
    }
}

/// Returns the login of an app without its ending, which not every API has.
fn app_name(login: &str) -> &str {
    login.strip_suffix("[bot]").unwrap_or(login)
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    author: Option<User>,
    /// Whether GitLab wrote it, to record an event.
    #[serde(default)]
    system: bool,
}

impl<'a> Exchange<'a> {
    /// Starts the exchange. `body` begins with `marker`; if there is no such comment yet, one is made only with
    /// `create`.
    pub fn new(destination: &'a Destination, marker: &'a str, body: &'a str, create: bool) -> Self {
        let what = "get the user of the token";
        let asked =
            ApiRequest { method: Method::Get, url: destination.user.clone(), body: None, what };
        Exchange { destination, marker, body, create, asked, pages: 0, author: None }
    }

    /// Returns the request that has no response yet.
    pub fn request(&self) -> &ApiRequest {
        &self.asked
    }

    /// Handles a response, and returns the next step.
    pub fn handle(&mut self, answer: &ApiResponse) -> NextStep {
        if self.author.is_none() {
            return self.handle_user(answer);
        }
        match (answer.status, self.asked.method) {
            // GitHub also answers 404 if a token has no access.
            (403 | 404, _) => NextStep::Done(CommentOutcome::Refused(answer.status)),
            (200, Method::Get) => self.handle_page(answer),
            (200..=299, Method::Post) => NextStep::Done(CommentOutcome::Created),
            (200..=299, Method::Patch | Method::Put) => NextStep::Done(CommentOutcome::Updated),
            _ => NextStep::Unexpected,
        }
    }

    /// Handles the response with the token's user.
    fn handle_user(&mut self, answer: &ApiResponse) -> NextStep {
        let first = self.asked.method == Method::Get;
        let author = match (answer.status, first) {
            (200, true) => {
                let user = serde_json::from_slice::<User>(&answer.body).ok();
                let Some(user) = user else {
                    return NextStep::Failed("the answer is not a user");
                };
                Author::User(user.id)
            }
            (200, false) => {
                let viewer = serde_json::from_slice::<Viewer>(&answer.body).ok();
                match viewer {
                    Some(Viewer { data }) => Author::App(app_name(&data.viewer.login).to_owned()),
                    None if self.destination.actions => Author::App(ACTIONS.to_owned()),
                    None => return NextStep::Failed("the answer is not a user"),
                }
            }
            // An app has no user; GraphQL knows its name.
            (403 | 404, true) => match &self.destination.graphql {
                Some(graphql) => {
                    let (method, url) = (Method::Post, graphql.clone());
                    let body = Some(json!({ "query": VIEWER }).to_string());
                    self.asked = ApiRequest { method, url, body, what: self.asked.what };
                    return NextStep::Ask(self.asked.clone());
                }
                None => return NextStep::Done(CommentOutcome::Refused(answer.status)),
            },
            (400..=404, false) if self.destination.actions => Author::App(ACTIONS.to_owned()),
            (403 | 404, false) => return NextStep::Done(CommentOutcome::Refused(answer.status)),
            _ => return NextStep::Unexpected,
        };
        self.author = Some(author);
        // The oldest first: other comments, which come later, do not move it to another page.
        let query = if self.destination.gitlab { "&sort=asc&order_by=created_at" } else { "" };
        self.asked = page_request(format!("{}?per_page=100{query}", self.destination.comments));
        self.pages = 1;
        NextStep::Ask(self.asked.clone())
    }

    /// Handles a page of comments.
    fn handle_page(&mut self, answer: &ApiResponse) -> NextStep {
        let Ok(comments) = serde_json::from_slice::<Vec<Comment>>(&answer.body) else {
            return NextStep::Failed("the response is not a list of comments");
        };
        let longshore_flags = |comment: &&Comment| {
            let text = comment.body.as_deref().unwrap_or_default();
            let own = self.author.as_ref().is_some_and(|author| author.is_author_of(comment));
            own && !comment.system && text.trim_start().starts_with(self.marker)
        };
        if let Some(comment) = comments.iter().find(longshore_flags) {
            let text = comment.body.as_deref().unwrap_or_default();
            if normalize_lines(text) == normalize_lines(self.body) {
                return NextStep::Done(CommentOutcome::Same);
            }
            let method = if self.destination.gitlab { Method::Put } else { Method::Patch };
            let url = format!("{}/{}", self.destination.one, comment.id);
            return self.change_request(method, url, "change the comment");
        }
        match answer.link.as_deref().and_then(url::next_page) {
            None if self.create => {
                let url = self.destination.comments.clone();
                self.change_request(Method::Post, url, "write a comment")
            }
            None => NextStep::Done(CommentOutcome::Unchanged),
            Some(_) if self.pages >= MAX_PAGES => {
                NextStep::Failed("the list of comments is endless")
            }
            Some(next) => {
                let here = &self.asked.url;
                // The token is for this server alone.
                let to = url::resolve(here, next).ok().filter(|to| url::is_same_origin(to, here));
                let Some(to) = to else {
                    return NextStep::Failed("the list of comments continues at another server");
                };
                self.pages += 1;
                self.asked = page_request(to);
                NextStep::Ask(self.asked.clone())
            }
        }
    }

    fn change_request(&mut self, method: Method, url: String, what: &'static str) -> NextStep {
        let body = Some(json!({ "body": self.body }).to_string());
        self.asked = ApiRequest { method, url, body, what };
        NextStep::Ask(self.asked.clone())
    }
}

fn page_request(url: String) -> ApiRequest {
    ApiRequest { method: Method::Get, url, body: None, what: "list the comments" }
}

/// Returns a text in a form that is the same however the server changes line ends.
fn normalize_lines(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}
