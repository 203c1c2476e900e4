//! The releases of GitHub's, GitLab's and Forgejo's APIs on the loopback interface, as strict as their
//! documentation: what it does not allow is rejected, and noted.

mod forgejo;
mod github;
mod gitlab;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use longshore::model::{digest::Digest, schema::publication::ForgeKind};
use serde_json::{Value, json};

/// The token that may write.
pub(crate) const TOKEN: &str = "hunter2-token";

/// The commit that the tags of tests point at.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the token may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    Write,
    Read,
    /// Private repositories answer 404.
    None,
    Expired,
}

#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) id: u64,
    pub(crate) tag: String,
    pub(crate) title: String,
    pub(crate) notes: String,
    pub(crate) draft: bool,
    pub(crate) prerelease: bool,
    pub(crate) immutable: bool,
    pub(crate) date: String,
    pub(crate) assets: Vec<Asset>,
    /// With GitLab: names and addresses of links.
    pub(crate) links: Vec<(u64, String, String)>,
}

/// A file of a package of GitLab's.
#[derive(Clone, Debug)]
pub(crate) struct PackageFile {
    pub(crate) id: u64,
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) kind: ForgeKind,
    pub(crate) access: Access,
    /// Whether releases become immutable when they are published.
    pub(crate) immutable: bool,
    /// Whether digests are shown.
    pub(crate) digests: bool,
    /// Whether the repository is private.
    pub(crate) private: bool,
    /// Tags, with their commit and whether they are annotated.
    pub(crate) tags: BTreeMap<String, (String, bool)>,
    pub(crate) releases: Vec<Release>,
    pub(crate) packages: Vec<PackageFile>,
    /// The tag of the latest release.
    pub(crate) latest: Option<String>,
    /// Whether other bytes are stored than those that were sent.
    pub(crate) corrupt: bool,
    /// The uploads that fail with 502, and leave an asset in the state `starter`.
    pub(crate) starters: usize,
    /// The requests after which the token expires.
    pub(crate) expires: Option<usize>,
    pub(crate) asked: Vec<String>,
    /// Requests that no client may send.
    pub(crate) wrong: Vec<String>,
    next: u64,
}

impl State {
    pub(crate) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Returns the bytes that are stored.
    fn stored(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(last) = bytes.last_mut().filter(|_| self.corrupt) {
            *last ^= 1;
        }
        bytes
    }

    /// Something is changed that is public.
    fn forbid(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Adds a release that is published, with files.
    pub(crate) fn add(&mut self, tag: &str, draft: bool, files: &[(&str, &[u8])]) -> u64 {
        let id = self.id();
        let assets = files
            .iter()
            .map(|(name, bytes)| Asset {
                id: self.id(),
                name: (*name).to_owned(),
                state: "uploaded",
                bytes: bytes.to_vec(),
            })
            .collect();
        self.releases.push(Release {
            id,
            tag: tag.to_owned(),
            title: tag.to_owned(),
            notes: String::new(),
            draft,
            prerelease: false,
            immutable: false,
            date: "2026-01-01T00:00:00Z".to_owned(),
            assets,
            links: Vec::new(),
        });
        id
    }
}

/// A running server. Dropping it ends it.
pub(crate) struct ReleaseForge {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReleaseForge {
    pub(crate) fn start(kind: ForgeKind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            kind,
            access: Access::Write,
            immutable: kind == ForgeKind::Github,
            digests: true,
            private: false,
            tags: BTreeMap::from([("v1.2.3".to_owned(), (COMMIT.to_owned(), true))]),
            releases: Vec::new(),
            packages: Vec::new(),
            latest: None,
            corrupt: false,
            starters: 0,
            expires: None,
            asked: Vec::new(),
            wrong: Vec::new(),
            next: 100,
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let (own, ends) = (state.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let own = own.clone();
                // Whoever goes away in the middle is no fault here.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &own)));
            }
        });
        ReleaseForge { address, state, stop, thread: Some(thread) }
    }

    /// Changes or reads the state.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Returns the address of the API below that of a server.
    pub(crate) fn api(kind: ForgeKind, address: &str) -> String {
        match kind {
            ForgeKind::Github => format!("http://{address}/api/v3"),
            ForgeKind::Gitlab => format!("http://{address}/api/v4"),
            ForgeKind::Forgejo => format!("http://{address}/api/v1"),
        }
    }

    /// Returns the files that everyone can download, by name; `None` if nothing is public.
    pub(crate) fn public(&self, tag: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        self.with(|state| {
            let release = state.releases.iter().find(|one| one.tag == tag && !one.draft)?;
            let own = release.assets.iter().map(|asset| (asset.name.clone(), asset.bytes.clone()));
            let linked = release.links.iter().map(|(_, name, url)| {
                let file = url.rsplit('/').next().unwrap();
                let newest = state.packages.iter().rev().find(|one| one.name == file);
                (name.clone(), newest.map(|file| file.bytes.clone()).unwrap_or_default())
            });
            Some(own.chain(linked).collect())
        })
    }
}

impl Drop for ReleaseForge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A request.
pub(super) struct Asked {
    method: String,
    /// The path, with its parts decoded.
    path: Vec<String>,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    /// Whether the body is as long as the header says.
    complete: bool,
    /// The server, as the client names it.
    base: String,
    access: Access,
}

impl Asked {
    fn json(&self) -> Option<Value> {
        let kind = self.headers.get("content-type").map(String::as_str);
        if kind != Some("application/json") {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns the page that the query names, and the header that names the next.
    fn page(&self, all: Vec<Value>, size: &str, most: usize) -> Answer {
        let number = |name: &str| self.query.get(name).map(|text| text.parse::<usize>().unwrap());
        let (size, page) = (number(size).unwrap_or(30).min(most), number("page").unwrap_or(1));
        let more = all.len() > page * size;
        let values: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        let mut answer = Answer::new(200, Value::Array(values));
        if more {
            let mut query: Vec<String> = self
                .query
                .iter()
                .filter(|(name, _)| *name != "page")
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            query.push(format!("page={}", page + 1));
            let parts: Vec<String> =
                self.path.iter().map(|part| part.replace('/', "%2F")).collect();
            let path = parts.join("/");
            let url = format!("{}/{path}?{}", self.base, query.join("&"));
            answer.headers.push(("Link", format!("<{url}>; rel=\"next\"")));
        }
        answer
    }
}

/// An answer.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, value: Value) -> Self {
        Answer { status, headers: Vec::new(), body: value.to_string().into_bytes() }
    }

    fn message(status: u16, message: &str) -> Self {
        Answer::new(status, json!({ "message": message }))
    }

    fn empty(status: u16) -> Self {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    fn redirect(to: String) -> Self {
        Answer { status: 302, headers: vec![("location", to)], body: Vec::new() }
    }

    fn bytes(bytes: &[u8]) -> Self {
        Answer { status: 200, headers: Vec::new(), body: bytes.to_vec() }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn read(stream: TcpStream) -> std::io::Result<Option<Asked>> {
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim().split_once(": ") {
            headers.insert(name.to_lowercase(), value.to_owned());
        }
    }
    let length: u64 = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = Vec::new();
    input.take(length).read_to_end(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect();
    let path = path.trim_start_matches('/').split('/').map(decode).collect();
    let base = format!("http://{}", headers.get("host").cloned().unwrap_or_default());
    let complete = body.len() as u64 == length;
    Ok(Some(Asked { method, path, query, headers, body, complete, base, access: Access::None }))
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let Some(mut asked) = read(stream)? else { return Ok(()) };
    let answer = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{} /{}", asked.method, asked.path.join("/")));
        if let Some(left) = &mut state.expires {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => state.access = Access::Expired,
            }
        }
        respond(&mut asked, &mut state)
    };
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    if answer.status != 204 {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    out.write_all(format!("{head}\r\n").as_bytes())?;
    out.write_all(&answer.body)
}

fn respond(asked: &mut Asked, state: &mut State) -> Answer {
    let proofs = [
        (ForgeKind::Github, "authorization", format!("Bearer {TOKEN}")),
        (ForgeKind::Gitlab, "private-token", TOKEN.to_owned()),
        (ForgeKind::Gitlab, "job-token", TOKEN.to_owned()),
        (ForgeKind::Forgejo, "authorization", format!("token {TOKEN}")),
    ];
    let shown = proofs.iter().filter(|(kind, ..)| *kind == state.kind);
    let shown = shown.clone().any(|(_, name, value)| asked.header(name) == value);
    let any = ["authorization", "private-token", "job-token"];
    if asked.path[0] == "storage" {
        // Storage with signed addresses rejects a second kind of authentication.
        if any.iter().any(|name| asked.headers.contains_key(*name)) {
            state.forbid("the token was sent to the storage".to_owned());
            return Answer::empty(400);
        }
        let digest = &asked.path[1];
        let files = state.releases.iter().flat_map(|release| &release.assets);
        let mut files = files.map(|asset| &asset.bytes);
        let found = files.find(|bytes| Digest::sha256(bytes).hex() == *digest);
        return found.map_or(Answer::empty(404), |bytes| Answer::bytes(bytes));
    }
    asked.access = if shown { state.access } else { Access::None };
    if shown && state.access == Access::Expired
        || !shown && any.iter().any(|n| asked.headers.contains_key(*n))
    {
        return Answer::message(401, "Bad credentials");
    }
    // "All API requests must include a valid User-Agent header."
    // https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent
    if asked.header("user-agent").is_empty() {
        return Answer::message(403, "Request forbidden by administrative rules.");
    }
    if state.private && asked.access == Access::None {
        return Answer::message(404, "Not Found");
    }
    if asked.method != "GET" && asked.access != Access::Write {
        let status = if asked.access == Access::None { 404 } else { 403 };
        return Answer::message(status, "Resource not accessible by integration");
    }
    let path: Vec<String> = asked.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match state.kind {
        ForgeKind::Github => github::respond(asked, &path, state),
        ForgeKind::Gitlab => gitlab::respond(asked, &path, state),
        ForgeKind::Forgejo => forgejo::respond(asked, &path, state),
    }
}
