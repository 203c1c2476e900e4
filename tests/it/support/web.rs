//! A server of the files of a directory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A running server on the loopback interface. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Web {
    /// Its address: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    stop: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Starts a server of the files in `root`.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, cut) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (ends, cuts, root) = (stop.clone(), cut.clone(), root.to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let (root, cut) = (root.clone(), cuts.load(Ordering::SeqCst));
                // Clients keep several connections open. One that ends early is not an error here.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &root, cut)));
            }
        });
        Web { url, stop, cut, thread: Some(thread) }
    }

    /// Sets whether every answer from now on ends after half of its bytes.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one request, with half of the file if `cut`.
fn serve(stream: TcpStream, root: &Path, cut: bool) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let path = decode(target.split('?').next().unwrap_or_default().trim_start_matches('/'));
    let file: Option<PathBuf> = Some(root.join(path)).filter(|path| path.is_file());
    let (status, body) = match file {
        Some(file) => ("200 OK", fs::read(file)?),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    let sent = if cut { length / 2 } else { length };
    out.write_all(&body[..sent])
}

/// Decodes `%7E` and the like: apt encodes `~`.
fn decode(path: &str) -> String {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(b'%').into());
        decoded.push_str(part.get(2..).unwrap_or_default());
    }
    decoded
}
