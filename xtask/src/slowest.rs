//! The tests that take the longest, from the output of `cargo test`.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::run::Result;

/// The number of tests that are printed.
const COUNT: usize = 20;

/// Runs `cargo test` as a step, and prints the tests that took the longest. The stable test harness
/// does not report the time of a test, but prints a test's name when it ends. It starts tests in
/// the order of their names, and the next one when one ends, on as many threads as it has.
pub(crate) fn step(name: &str, threads: usize, command: &mut Command) -> Result {
    eprintln!("==> {name}");
    let start = Instant::now();
    let mut child = command
        .env("RUST_TEST_THREADS", threads.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {command:?}: {error}"))?;
    let mut ends: Vec<Vec<(String, Instant)>> = Vec::new();
    let mut begins: Vec<Instant> = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            println!("{line}");
            if line.starts_with("running ") {
                begins.push(Instant::now());
                ends.push(Vec::new());
            } else if let (Some(test), Some(ends)) = (ended(&line), ends.last_mut()) {
                ends.push((test.to_owned(), Instant::now()));
            }
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    let mut times: Vec<(Duration, String)> = begins
        .into_iter()
        .zip(ends)
        .flat_map(|(begin, ends)| durations(begin, &ends, threads))
        .collect();
    times.sort();
    eprintln!("    the slowest tests, on {threads} threads:");
    for (time, test) in times.iter().rev().take(COUNT) {
        eprintln!("    {:>6.1} s  {test}", time.as_secs_f64());
    }
    if !status.success() {
        return Err(format!("{name}: {command:?} ended with {status}"));
    }
    eprintln!("    {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Returns the name of the test that ended, of a line like `test module::name ... ok`.
fn ended(line: &str) -> Option<&str> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    ["ok", "FAILED"].contains(&result).then_some(test)
}

/// Returns how long each test took: the first ones began at `begin`, each other one when one ended.
fn durations(
    begin: Instant,
    ends: &[(String, Instant)],
    threads: usize,
) -> Vec<(Duration, String)> {
    let mut names: Vec<&str> = ends.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let began: BTreeMap<&str, Instant> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| (name, at.checked_sub(threads).map_or(begin, |at| ends[at].1)))
        .collect();
    ends.iter()
        .map(|(name, end)| (end.duration_since(began[name.as_str()]), name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_begin_when_others_end() {
        assert_eq!(ended("test a::b ... ok"), Some("a::b"));
        assert_eq!(ended("test result: ok. 1 passed"), None);
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        // On two threads: `b` begins with `a`, `c` at the end of `b`, `d` at the end of `a`.
        let ends =
            [("b", 1), ("a", 3), ("c", 4), ("d", 5)].map(|(name, end)| (name.into(), at(end)));
        let times: Vec<_> = durations(begin, &ends, 2);
        let seconds: Vec<_> = times.iter().map(|(time, _)| time.as_secs()).collect();
        assert_eq!(seconds, [1, 3, 3, 2]);
    }
}
