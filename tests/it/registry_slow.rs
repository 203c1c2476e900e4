//! A registry that answers a byte now and then.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use longshore::{
    model::{
        error::Status,
        event::{Event, Events},
    },
    sys::{
        Context,
        registry::{Remote, ResponseLimits, Session, Settings},
    },
};

/// The part of a response that is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drip {
    Headers,
    Token,
    Manifest,
    Error,
}

/// Sends everything up to some point, then a byte each 20 ms.
struct Dripping {
    address: String,
    stop: Arc<AtomicBool>,
    /// Dropped at the end, which ends every connection.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dripping {
    fn start(drip: Drip) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = channel();
        let (ends, own) = (stop.clone(), address.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away is what is tested.
                let _ = stream.and_then(|stream| serve(stream, drip, &own, &ended));
            }
        });
        Dripping { address, stop, end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Dripping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.end = None;
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(stream: TcpStream, drip: Drip, own: &str, ended: &Receiver<()>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let mut first = String::new();
    input.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
    }
    let token = first.contains("/token");
    let manifest = first.contains("/manifests/");
    let head = match drip {
        Drip::Token if manifest => {
            let challenge = format!("www-authenticate: Bearer realm=\"http://{own}/token\"");
            format!(
                "HTTP/1.1 401 X\r\ncontent-length: 0\r\nconnection: close\r\n{challenge}\r\n\r\n"
            )
        }
        Drip::Error if manifest => "HTTP/1.1 403 X\r\ncontent-length: 100000\r\n\r\n".to_owned(),
        Drip::Headers if manifest => "HTTP/1.1 200 X\r\nx-slow: ".to_owned(),
        _ if token || manifest => "HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
    };
    out.write_all(head.as_bytes())?;
    if head.ends_with("\r\n\r\n") && !head.contains("100000") {
        return Ok(());
    }
    while ended.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
        out.write_all(b" ")?;
    }
    Ok(())
}

#[derive(Debug)]
struct Silent;

impl Events for Silent {
    fn emit(&self, _: Event) {}
}

#[test]
fn slow_responses_time_out() {
    let cx = Context::new(Arc::new(Silent)).unwrap();
    let short = Duration::from_millis(500);
    let limits = ResponseLimits { read: short, written: short, window: short };
    for drip in [Drip::Headers, Drip::Token, Drip::Manifest, Drip::Error] {
        let server = Dripping::start(drip);
        let settings = Settings { limits: limits.clone(), ..Settings::default() };
        let session = Session::new(&cx, &settings);
        let name = format!("{}/x:1", server.address);
        let began = Instant::now();
        let error = Remote::open(&session, &name.parse().unwrap()).unwrap_err();
        assert_eq!(error.status(), Status::Registry, "{drip:?}: {error}");
        let said = match drip {
            Drip::Headers => "the server is silent or too slow",
            // What an error says is not waited for.
            Drip::Error => "403 forbidden",
            Drip::Token | Drip::Manifest => "the server is too slow",
        };
        assert!(error.to_string().contains(said), "{drip:?}: {error}");
        assert!(began.elapsed() < Duration::from_secs(20), "{drip:?}: {:?}", began.elapsed());
    }
}

/// The limits of the program, as the documents have them.
#[test]
fn the_limits_are_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/registry.md");
    let text = std::fs::read_to_string(path).unwrap();
    let limits = ResponseLimits::default();
    for line in [
        format!("headers of an answer, reading | {} s", limits.read.as_secs()),
        format!("headers of an answer, writing | {} s", limits.written.as_secs()),
        format!(
            "a body, either way | {} B/s on average in {} s",
            ResponseLimits::LEAST,
            limits.window.as_secs()
        ),
    ] {
        assert!(text.contains(&line), "{line}");
    }
}
