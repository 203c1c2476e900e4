//! A build that stops in the middle until the test has seen it there.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::process::Pid;
use tempfile::TempDir;

use super::peer;

/// A build script that, where `GATE` names a directory, tells its process id through the FIFO
/// `ready` in it, and goes on when somebody has written to the FIFO `go`. It runs again when `GATE`
/// changes.
pub(crate) const GATED: &str = r#"
use std::{env, fs, io::{Read, Write}, path::PathBuf};
fn main() {
    println!("cargo::rerun-if-env-changed=GATE");
    let Some(gate) = env::var_os("GATE").map(PathBuf::from) else { return };
    // Open until this process ends, so that its end can be seen.
    let mut ready = fs::OpenOptions::new().write(true).open(gate.join("ready")).unwrap();
    writeln!(ready, "{}", std::process::id()).unwrap();
    let mut text = String::new();
    fs::File::open(gate.join("go")).unwrap().read_to_string(&mut text).unwrap();
}
"#;

/// More than a build takes to come to its build script on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// The two FIFOs.
#[derive(Debug)]
pub(crate) struct Gate {
    dir: TempDir,
    events: Receiver<Option<i32>>,
}

impl Gate {
    /// Returns a closed gate.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let fifo = |name: &str| {
            let path = dir.path().join(name);
            peer::run(Path::new("mkfifo"), [&path]);
            path
        };
        let (ready, _) = (fifo("ready"), fifo("go"));
        let (sender, events) = channel();
        // Opening blocks until the other side is there, and reading until it is gone.
        thread::spawn(move || watch(ready, &sender));
        Gate { dir, events }
    }

    /// Returns the value of `GATE`.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until the build script is there. Gives its process id.
    pub(crate) fn reached(&self) -> Pid {
        let pid = self.events.recv_timeout(DEADLINE).expect("the build script did not start");
        Pid::from_raw(pid.expect("a process id")).unwrap()
    }

    /// Waits until the build script has ended.
    pub(crate) fn ended(&self) {
        let end = self.events.recv_timeout(DEADLINE).expect("the build script did not end");
        assert_eq!(end, None);
    }

    /// Lets the build script go on.
    pub(crate) fn open(&self) {
        fs::write(self.dir.path().join("go"), "go").unwrap();
    }
}

fn watch(ready: PathBuf, sender: &std::sync::mpsc::Sender<Option<i32>>) {
    let mut file = fs::File::open(ready).unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    while matches!(file.read(&mut byte), Ok(1)) {
        if byte == *b"\n" {
            let pid = String::from_utf8_lossy(&line).parse().ok();
            let _ = sender.send(pid);
            line.clear();
        } else {
            line.push(byte[0]);
        }
    }
    let _ = sender.send(None);
}
