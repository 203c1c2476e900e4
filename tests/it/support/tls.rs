//! A registry that speaks TLS, plain HTTP or neither on one port, and certificates for it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::peer;

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) path: PathBuf,
    pub(crate) key: PathBuf,
}

/// Makes a certificate for `names`, such as `IP:127.0.0.1`, that `issuer` signs, or itself. `None`
/// where openssl is not installed.
pub(crate) fn certificate(
    dir: &Path,
    name: &str,
    names: &str,
    authority: bool,
    issuer: Option<&Certificate>,
) -> Option<Certificate> {
    let openssl = peer::find("openssl")?;
    let (path, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    command.args(["-addext", &format!("subjectAltName={names}")]);
    let authority = if authority { "TRUE" } else { "FALSE" };
    command.args(["-addext", &format!("basicConstraints=critical,CA:{authority}")]);
    if let Some(issuer) = issuer {
        command.arg("-CA").arg(&issuer.path).arg("-CAkey").arg(&issuer.key);
    }
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&path).output().unwrap();
    if issuer.is_some() && !made.status.success() {
        // OpenSSL before 3.0 has no `-CA` here.
        peer::skip("this openssl cannot sign with `req -CA`");
        return None;
    }
    assert!(made.status.success(), "{made:?}");
    Some(Certificate { path, key })
}

/// The response to a connection that begins with a TLS greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// TLS.
    Tls,
    /// TLS, in which every answer is 400.
    Rejects,
    /// A fatal alert.
    Alert,
    /// The end of the connection.
    End,
    /// An answer in plain HTTP, as from a server that does not know TLS.
    Http,
}

/// A running registry that wants `Basic` credentials and has nothing. Dropping it ends it.
pub(crate) struct Both {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A server with TLS before one without, which gets every byte unchanged. Dropping it ends it.
pub(crate) struct Front {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    pub(crate) fn start(certificate: &Certificate, upstream: &str) -> Self {
        let config = config(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (ends, upstream) = (stop.clone(), upstream.to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (config, upstream) = (config.clone(), upstream.clone());
                thread::spawn(move || {
                    // A client that goes away in the middle is expected here.
                    let _ = front(stream, config, &upstream);
                });
            }
        });
        Front { address, stop, thread: Some(thread) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Returns one request without a body.
fn front(stream: TcpStream, config: Arc<ServerConfig>, upstream: &str) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = String::new();
    {
        let mut input = BufReader::new(&mut stream);
        while !head.ends_with("\r\n\r\n") && input.read_line(&mut head)? > 0 {}
    }
    let head = head.trim_end().to_owned() + "\r\nconnection: close\r\n\r\n";
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    stream.write_all(&answer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn config(certificate: &Certificate) -> Arc<ServerConfig> {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(&certificate.path).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

impl Both {
    pub(crate) fn start(certificate: &Certificate, greeting: Greeting) -> Self {
        let config = config(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (list, ends) = (asked.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (list, config) = (list.clone(), config.clone());
                thread::spawn(move || {
                    // A client that goes away in the middle is expected here.
                    let _ = serve(stream, config, greeting, &list);
                });
            }
        });
        Both { address, asked, stop, thread: Some(thread) }
    }

    /// Returns every request: `tls` or `http`, method, path and authorization. Forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    greeting: Greeting,
    list: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    if first != [0x16] {
        return answer(&mut stream, "http", 200, list);
    }
    match greeting {
        Greeting::Tls | Greeting::Rejects => {
            let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            let status = if greeting == Greeting::Tls { 200 } else { 400 };
            answer(&mut stream, "tls", status, list)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
        // Alert, TLS 1.2, two bytes: fatal, handshake failure.
        Greeting::Alert => stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]),
        Greeting::End => Ok(()),
        Greeting::Http => {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        }
    }
}

fn answer(
    stream: &mut (impl Read + Write),
    how: &str,
    status: u16,
    list: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (mut first, mut authorization) = (String::new(), String::new());
    {
        let mut input = BufReader::new(&mut *stream);
        input.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.trim().split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                authorization = value.trim().to_owned();
            }
        }
    }
    let words: Vec<_> = first.split_whitespace().take(2).collect();
    list.lock().unwrap().push(format!("{how} {} {authorization}", words.join(" ")));
    let head = match (status, authorization.is_empty()) {
        (200, true) => "401 X\r\nwww-authenticate: Basic realm=x".to_owned(),
        (200, false) => "404 X".to_owned(),
        (status, _) => format!("{status} X"),
    };
    let text = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(text.as_bytes())
}

/// The certificate at `path` with its end moved to 2001. Its signature is wrong then.
pub(crate) fn expire(path: &Path) {
    let mut der = CertificateDer::from_pem_file(path).unwrap().to_vec();
    let time = |window: &[u8]| {
        window[0] == 0x17 && window[1] == 13 && window[2..14].iter().all(u8::is_ascii_digit)
    };
    let places: Vec<usize> =
        der.windows(15).enumerate().filter(|(_, w)| time(w)).map(|(at, _)| at).collect();
    let [_, until] = places[..] else { panic!("{places:?}") };
    der[until + 2..until + 4].copy_from_slice(b"01");
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = lines.join("\n");
    fs::write(path, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n"))
        .unwrap();
}
