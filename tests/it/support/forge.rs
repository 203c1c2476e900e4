//! The comments of GitHub's and GitLab's APIs, as far as their documentation goes: lists in pages with
//! a `Link` header, new comments, changed ones, and a token that is asked for.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

/// The token that may write.
pub(crate) const TOKEN: &str = "hunter2-token";

/// An answer that is another one than it should be, `times` times.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) method: &'static str,
    pub(crate) times: usize,
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: String,
    /// Whether what was asked for is done all the same.
    pub(crate) done: bool,
}

/// The author of a comment, and the owner of the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Author {
    /// A user, whose identifier the token shows.
    #[default]
    User,
    /// An app, which has no user, and whose name only GraphQL shows.
    App(&'static str),
    /// An app where GraphQL does not answer either.
    Hidden(&'static str),
    /// Nobody that the token belongs to.
    Stranger,
}

impl Author {
    /// As the APIs show it in a comment.
    fn json(self) -> Value {
        match self {
            Author::User => json!({ "id": 7, "login": "me", "type": "User" }),
            Author::App(name) | Author::Hidden(name) => {
                json!({ "id": 41, "login": format!("{name}[bot]"), "type": "Bot" })
            }
            Author::Stranger => json!({ "id": 8, "login": "github-actions", "type": "User" }),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    comments: Vec<(u64, String, Author)>,
    token: Author,
    asked: Vec<String>,
    fault: Option<Fault>,
}

/// A running server. Dropping it ends it.
pub(crate) struct Forge {
    /// Its address: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Forge {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (own, ends, base) = (state.clone(), stop.clone(), url.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                // Whoever goes away in the middle is no fault here.
                let _ = stream.and_then(|stream| serve(stream, &base, &own));
            }
        });
        Forge { url, state, stop, thread: Some(thread) }
    }

    /// A stranger comments.
    pub(crate) fn say(&self, text: &str) {
        self.say_as(Author::Stranger, text);
    }

    /// Somebody comments.
    pub(crate) fn say_as(&self, author: Author, text: &str) {
        add(&mut self.state.lock().unwrap(), text, author);
    }

    /// The token belongs to `author`.
    pub(crate) fn owner(&self, author: Author) {
        self.state.lock().unwrap().token = author;
    }

    /// Sets the fault of later requests.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = Some(fault);
    }

    /// Returns the texts of all comments.
    pub(crate) fn comments(&self) -> Vec<String> {
        self.state.lock().unwrap().comments.iter().map(|(_, text, _)| text.clone()).collect()
    }

    /// Methods and paths of all that was asked, and forgets it.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn add(state: &mut State, text: &str, author: Author) -> Value {
    let id = 1000 + state.comments.len() as u64;
    state.comments.push((id, text.to_owned(), author));
    json!({ "id": id, "body": text })
}

struct Asked {
    method: String,
    path: String,
    query: String,
    allowed: bool,
    body: Value,
}

fn read(stream: TcpStream) -> std::io::Result<Asked> {
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut length, mut allowed) = (0, false);
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim().split_once(": ") else { continue };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => allowed |= value == format!("Bearer {TOKEN}"),
            "private-token" => allowed |= value == TOKEN,
            _ => {}
        }
    }
    let mut body = Vec::new();
    input.take(length).read_to_end(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Asked { method, path: path.to_owned(), query: query.to_owned(), allowed, body })
}

fn serve(stream: TcpStream, base: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let asked = read(stream)?;
    let mut state = state.lock().unwrap();
    state.asked.push(format!("{} {}", asked.method, asked.path));
    let fault = match &mut state.fault {
        // Faults are those of comments: who the token is of is another matter.
        Some(fault)
            if fault.method == asked.method
                && fault.times > 0
                && !asked.path.ends_with("/user")
                && asked.path != "/graphql" =>
        {
            fault.times -= 1;
            Some(fault.clone())
        }
        _ => None,
    };
    let (mut status, mut headers, mut body) = (0, String::new(), String::new());
    if fault.as_ref().is_none_or(|fault| fault.done) {
        let (code, link, value) = answer(&asked, base, &mut state);
        (status, headers, body) = (code, link, value.to_string());
    }
    if let Some(fault) = fault {
        (status, headers, body) = (fault.status, fault.headers.to_owned(), fault.body);
    }
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    out.write_all(head.as_bytes())?;
    out.write_all(body.as_bytes())
}

/// Status, headers and body.
fn answer(asked: &Asked, base: &str, state: &mut State) -> (u16, String, Value) {
    let none = String::new();
    if !asked.allowed {
        return (401, none, json!({ "message": "Bad credentials" }));
    }
    let lists = ["/repos/me/hello/issues/7/comments", "/api/v4/projects/42/merge_requests/7/notes"];
    let text = asked.body["body"].as_str();
    let list = lists.contains(&asked.path.as_str());
    let (parent, id) = asked.path.rsplit_once('/').unwrap();
    let change = match asked.method.as_str() {
        "PATCH" => parent == "/repos/me/hello/issues/comments",
        "PUT" => parent == lists[1],
        _ => false,
    };
    match (asked.method.as_str(), text) {
        ("GET", None) if ["/user", "/api/v4/user"].contains(&asked.path.as_str()) => {
            match state.token {
                Author::User => (200, none, Author::User.json()),
                _ => (403, none, json!({ "message": "Resource not accessible by integration" })),
            }
        }
        ("POST", None) if asked.path == "/graphql" => match state.token {
            Author::App(name) => {
                let login = format!("{name}[bot]");
                (200, none, json!({ "data": { "viewer": { "login": login } } }))
            }
            _ => (403, none, json!({ "message": "Resource not accessible by integration" })),
        },
        ("GET", None) if list => {
            let parameter = |name: &str| {
                let pairs = asked.query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(key, _)| *key == name).map(|(_, v)| v.parse().unwrap())
            };
            let (size, page) =
                (parameter("per_page").unwrap_or(30), parameter("page").unwrap_or(1));
            let size: usize = size.min(100);
            let all = state.comments.iter().skip((page - 1) * size).take(size);
            // GitLab calls it `author`, GitHub `user`.
            let who = if asked.path.starts_with("/api/v4") { "author" } else { "user" };
            let all =
                all.map(|(id, text, author)| json!({ "id": id, "body": text, who: author.json() }));
            let all: Vec<_> = all.collect();
            let path = &asked.path;
            let link = match state.comments.len() > page * size {
                true => format!(
                    "Link: <{base}{path}?per_page={size}&page=1>; rel=\"first\", \
                     <{base}{path}?per_page={size}&page={}>; rel=\"next\"\r\n",
                    page + 1
                ),
                false => none,
            };
            (200, link, Value::Array(all))
        }
        ("POST", Some(text)) if list => {
            let author = state.token;
            (201, none, add(state, text, author))
        }
        ("PATCH" | "PUT", Some(text)) if change => {
            let found = state.comments.iter_mut().find(|(known, ..)| known.to_string() == id);
            match found {
                Some((_, old, _)) => {
                    *old = text.to_owned();
                    (200, none, json!({ "id": id, "body": text }))
                }
                None => (404, none, json!({ "message": "Not Found" })),
            }
        }
        _ => (404, none, json!({ "message": "Not Found" })),
    }
}
