//! A server that a test starts, waits for, and ends.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// More than any of them takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Returns a port of the loopback interface that is free.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running server. Dropping it ends it, and only it, by its process id.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
}

impl Server {
    /// Starts `command` and reads its log, on its standard error, until a line has `ready` in it.
    /// Gives the server and that line.
    pub(crate) fn start(command: &mut Command, ready: &str) -> (Self, String) {
        let server = Server::spawn(command);
        let end = Instant::now() + DEADLINE;
        let mut log = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match server.lines.recv_timeout(left) {
                Ok(line) if line.contains(ready) => return (server, line),
                Ok(line) => log = log + &line + "\n",
                Err(RecvTimeoutError::Timeout) => panic!("{command:?} is not ready:\n{log}"),
                Err(RecvTimeoutError::Disconnected) => panic!("{command:?} ended:\n{log}"),
            }
        }
    }

    /// Starts `command`, a server whose log does not say when it is ready, and waits until it listens on `port` of
    /// the loopback interface, or ends.
    pub(crate) fn start_on(command: &mut Command, port: u16) -> Self {
        let server = Server::spawn(command);
        let end = Instant::now() + DEADLINE;
        let mut log = String::new();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "{command:?} does not listen on port {port}:\n{log}");
            match server.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => log = log + &line + "\n",
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("{command:?} ended:\n{log}"),
            }
        }
        server
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let log = child.stderr.take().map(BufReader::new);
        let (sender, lines) = channel();
        // It goes on reading to the end, so that the server never waits for room in the pipe.
        thread::spawn(move || {
            for line in log.into_iter().flat_map(BufRead::lines) {
                let Ok(line) = line else { break };
                let _ = sender.send(line);
            }
        });
        Server { child, lines }
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        // Its log ends when it does.
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            if let Err(RecvTimeoutError::Disconnected) = self.lines.recv_timeout(left) {
                break;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
