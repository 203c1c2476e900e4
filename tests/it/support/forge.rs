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

#[derive(Debug, Default)]
struct State {
    comments: Vec<(u64, String)>,
    asked: Vec<String>,
    fault: Option<Fault>,
}

/// A running server. Dropping it ends it.
pub(crate) struct Forge {
    /// Where it listens: `http://127.0.0.1:PORT`.
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

    /// Somebody comments.
    pub(crate) fn say(&self, text: &str) {
        add(&mut self.state.lock().unwrap(), text);
    }

    /// What is to go wrong.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = Some(fault);
    }

    /// The texts of all comments.
    pub(crate) fn comments(&self) -> Vec<String> {
        self.state.lock().unwrap().comments.iter().map(|(_, text)| text.clone()).collect()
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

fn add(state: &mut State, text: &str) -> Value {
    let id = 1000 + state.comments.len() as u64;
    state.comments.push((id, text.to_owned()));
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
        Some(fault) if fault.method == asked.method && fault.times > 0 => {
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
        ("GET", None) if list => {
            let parameter = |name: &str| {
                let pairs = asked.query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(key, _)| *key == name).map(|(_, v)| v.parse().unwrap())
            };
            let (size, page) =
                (parameter("per_page").unwrap_or(30), parameter("page").unwrap_or(1));
            let size: usize = size.min(100);
            let all = state.comments.iter().skip((page - 1) * size).take(size);
            let all: Vec<_> = all.map(|(id, text)| json!({ "id": id, "body": text })).collect();
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
        ("POST", Some(text)) if list => (201, none, add(state, text)),
        ("PATCH" | "PUT", Some(text)) if change => {
            let found = state.comments.iter_mut().find(|(known, _)| known.to_string() == id);
            match found {
                Some((_, old)) => {
                    *old = text.to_owned();
                    (200, none, json!({ "id": id, "body": text }))
                }
                None => (404, none, json!({ "message": "Not Found" })),
            }
        }
        _ => (404, none, json!({ "message": "Not Found" })),
    }
}
