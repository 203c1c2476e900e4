//! A web server for the files of a directory.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A running server on the loopback interface. Its thread ends with the process.
#[derive(Debug)]
pub(crate) struct Web {
    /// Its URL.
    pub(crate) url: String,
    cut: Arc<AtomicBool>,
}

impl Web {
    /// Serves the files in `root`.
    pub(crate) fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (root, cut) = (root.to_owned(), Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&cut);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, cut) = (root.clone(), ends.load(Ordering::SeqCst));
                thread::spawn(move || answer(stream, &root, cut));
            }
        });
        Web { url, cut }
    }

    /// Sets whether every answer from now on ends after half of its bytes.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, root: &Path, cut: bool) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
    let path: PathBuf = request.split(' ').nth(1)?.trim_start_matches('/').into();
    let Ok(bytes) = fs::read(root.join(path)) else {
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(answer.as_bytes()).ok();
    };
    let length = bytes.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let sent = if cut { length / 2 } else { length };
    stream.write_all(bytes.get(..sent)?).ok()
}
