//! A server between longshore and a registry: it notes what is asked, passes it on, and breaks what
//! the test wants to see broken.

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

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path, with the query.
    pub(crate) path: String,
    /// By their names in lowercase.
    pub(crate) headers: BTreeMap<String, String>,
    /// The length of the body in bytes.
    pub(crate) length: u64,
    /// Its number, from 0 on, among those of that method to paths that are alike but for digests and
    /// identifiers.
    pub(crate) nth: usize,
}

impl Asked {
    /// Returns whether it is of that method, with `part` in its path.
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    /// Returns a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The handling of a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It is passed on.
    Pass,
    /// It is passed on, and the answer gets one more header.
    With(&'static str, String),
    /// It is answered here: with a status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection ends after so many bytes of its body.
    Cut(u64),
    /// It is passed on, and the connection ends after so many bytes of the answer's body.
    CutAnswer(usize),
    /// It is passed on, and the last byte of the answer's body is another one.
    Change,
    /// It is passed on, then the connection ends without an answer.
    Swallow,
}

/// Returns an answer without a body.
pub(crate) fn status(code: u16) -> Act {
    Act::Answer(code, Vec::new(), Vec::new())
}

/// A running one. Dropping it ends it.
pub(crate) struct Proxy {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Returns one before the server at `upstream`; `rule` says what becomes of each request.
    pub(crate) fn start(
        upstream: &str,
        rule: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (upstream, rule) = (upstream.to_owned(), Arc::new(rule));
        let (list, ends) = (asked.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (list, upstream, rule) = (list.clone(), upstream.clone(), rule.clone());
                thread::spawn(move || {
                    // Whoever goes away in the middle is no fault here.
                    let _ = serve(stream, &upstream, &list, &*rule);
                });
            }
        });
        Proxy { address, asked, stop, thread: Some(thread) }
    }

    /// Returns all that was asked, and forgets it.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Returns a path without the parts in which only digests and identifiers differ.
fn alike(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let short = |part: &str| if part.len() > 30 { "*".to_owned() } else { part.to_owned() };
    path.split('/').map(short).collect::<Vec<_>>().join("/")
}

/// Returns whether a greeting of TLS comes. Servers without it answer that it is a bad request.
fn greets(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first)? == 1 && first == [0x16])
}

fn serve(
    stream: TcpStream,
    upstream: &str,
    list: &Mutex<Vec<Asked>>,
    rule: &(dyn Fn(&Asked) -> Act + Send + Sync),
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    if greets(&stream)? {
        return out.write_all(b"HTTP/1.1 400 X\r\nconnection: close\r\n\r\n");
    }
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim().split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut asked = Asked { method, path, headers, length, nth: 0 };
    {
        let mut list = list.lock().unwrap();
        let same = |other: &&Asked| {
            other.method == asked.method && alike(&other.path) == alike(&asked.path)
        };
        asked.nth = list.iter().filter(same).count();
        list.push(asked.clone());
    }
    let act = rule(&asked);
    match act {
        Act::Answer(code, headers, body) => {
            std::io::copy(&mut input.take(length), &mut std::io::sink())?;
            let mut text = format!("HTTP/1.1 {code} X\r\nconnection: close\r\n");
            if asked.method != "HEAD" {
                text += &format!("content-length: {}\r\n", body.len());
            }
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            out.write_all(format!("{text}\r\n").as_bytes())?;
            out.write_all(&body)
        }
        Act::Cut(bytes) => {
            std::io::copy(&mut input.take(bytes.min(length)), &mut std::io::sink())?;
            Ok(())
        }
        act => {
            let mut answer = pass(&asked, &mut input.take(length), upstream)?;
            // The server behind may have gone away, too.
            let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(());
            };
            let body = head + 4;
            match act {
                Act::Swallow => return Ok(()),
                Act::CutAnswer(bytes) => answer.truncate(body + bytes),
                Act::Change => {
                    if let Some(last) = answer[body..].last_mut() {
                        *last ^= 1;
                    }
                }
                Act::With(name, value) => {
                    let header = format!("\r\n{name}: {value}");
                    answer.splice(body - 4..body - 4, header.into_bytes());
                }
                _ => {}
            }
            out.write_all(&answer)
        }
    }
}

/// Asks the server behind, and gives its whole answer.
fn pass(asked: &Asked, body: &mut dyn Read, upstream: &str) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream)?;
    let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", asked.method, asked.path);
    for (name, value) in asked.headers.iter().filter(|(name, _)| *name != "connection") {
        text += &format!("{name}: {value}\r\n");
    }
    server.write_all(format!("{text}\r\n").as_bytes())?;
    std::io::copy(body, &mut server)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}
