//! An HTTP proxy that notes which hosts it is asked to connect to, and connects to one server
//! instead.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A running proxy. Dropping it ends it.
pub(crate) struct Tunnel {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Returns one that leads to `server`, or answers with that status.
    pub(crate) fn start(server: Result<&str, u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let server = server.map(str::to_owned);
        let (list, ends) = (asked.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (list, server) = (list.clone(), server.clone());
                thread::spawn(move || {
                    // A client that goes away in the middle is expected here.
                    let _ = serve(stream, &server, &list);
                });
            }
        });
        Tunnel { address, asked, stop, thread: Some(thread) }
    }

    /// Returns every request: its target, and the credentials for the proxy. Forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    stream: TcpStream,
    server: &Result<String, u16>,
    list: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let (mut first, mut credentials) = (String::new(), String::new());
    input.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim().split_once(':')
            && name.eq_ignore_ascii_case("proxy-authorization")
        {
            credentials = value.trim().to_owned();
        }
    }
    let words: Vec<_> = first.split_whitespace().take(2).collect();
    list.lock().unwrap().push(format!("{} {credentials}", words.join(" ")).trim().to_owned());
    let server = match server {
        Ok(server) => TcpStream::connect(server)?,
        Err(status) => return write!(out, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
    };
    out.write_all(b"HTTP/1.1 200 X\r\n\r\n")?;
    let mut back = server.try_clone()?;
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut out);
        let _ = out.shutdown(Shutdown::Write);
    });
    let mut server = server;
    let _ = std::io::copy(&mut input, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = there.join();
    Ok(())
}
