//! Attribution of a failed build or a missing library to a crate, from cargo's log, the messages of build
//! scripts, and `cargo tree`.

use std::{collections::BTreeSet, fmt};

use crate::{build::cargo::message::BuildScript, model::collect::CollectOrdered as _};

/// A package as cargo prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version, if the log has it.
    pub version: Option<String>,
}

impl fmt::Display for Crate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} v{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Crate {
    /// Parses a package as cargo names it in a message: `name v1.2.3 (/path)`.
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default().to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v')).map(str::to_owned);
        Crate { name, version }
    }

    /// Returns the package id specification that `cargo tree` accepts.
    pub fn spec(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Returns the first crate that failed, from cargo's log.
pub fn failed_crate(lines: &[String]) -> Option<Crate> {
    let script = "error: failed to run custom build command for `";
    let compile = "error: could not compile `";
    lines.iter().find_map(|line| {
        let rest = line.strip_prefix(script).or_else(|| line.strip_prefix(compile))?;
        let mut named = Crate::parse(rest.split('`').next()?);
        if named.version.is_none() {
            named.version = compiled_version(lines, &named.name);
        }
        Some(named)
    })
}

/// Returns whether the line is rustc's error about a link with rust-lld, by the name of its script.
pub fn is_rust_lld_failure(line: &str) -> bool {
    line.starts_with("error: linking with `")
        && line.contains(&format!("/{}", crate::build::linker::RUST_LLD_SCRIPT))
}

/// Returns the version of `name` that was being compiled, from the log, if there is only one.
fn compiled_version(lines: &[String], name: &str) -> Option<String> {
    let mut versions = lines.iter().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("Compiling ")?;
        let package = Crate::parse(rest);
        (package.name == name).then_some(package.version)?
    });
    let first = versions.next()?;
    versions.all(|other| other == first).then_some(first)
}

/// The maximum length of a printed line: a compiler's command fits, a linker's does not.
const MAX_LINE: usize = 2000;

/// Returns the lines of a failed build's log that show why it failed, at most about `most`: the first error
/// with the lines that follow, of a build script's output the lines that look like errors and its end, and
/// what the crate's build script reported before. Lines left out are shown as `…`.
pub fn excerpt(lines: &[String], most: usize) -> String {
    let is_error = |line: &String| line.starts_with("error:") || line.starts_with("error[");
    let Some(first) = lines.iter().position(is_error) else {
        return join_lines(lines, (lines.len().saturating_sub(most)..lines.len()).collect_set());
    };
    // Other crates continue after it.
    let waits = |line: &String| line.starts_with("warning: build failed, waiting");
    let end = lines.iter().skip(first).position(waits).map_or(lines.len(), |len| first + len);
    let mut shown = build_script_warnings(lines, first, most / 4);
    let left = most.saturating_sub(shown.len());
    if end - first <= left {
        shown.extend(first..end);
        return join_lines(lines, shown);
    }
    let section = |title: &str| (first..end).find(|&at| lines[at].trim() == title);
    match (section("--- stdout"), section("--- stderr")) {
        (None, None) => {
            shown.extend(first..first + left * 3 / 4);
            shown.extend(end - left / 4..end);
        }
        (stdout, stderr) => {
            let head = stdout.into_iter().chain(stderr).min().unwrap_or(end);
            shown.extend(first..head.min(first + 6));
            shown.extend(stdout);
            shown.extend(stderr);
            let middle = stderr.unwrap_or(end).max(head);
            for part in [head..middle, middle..end] {
                let telling = part.filter(|&at| looks_like_error(&lines[at])).take(left / 10);
                shown.extend(telling.flat_map(|at| at..(at + 3).min(end)));
            }
            shown.extend(last_command(lines, head, end));
            if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
                shown.extend(stderr.saturating_sub(left / 8).max(stdout)..stderr);
            }
            let begin = stderr.or(stdout).unwrap_or(end);
            shown.extend(end.saturating_sub(left / 3).max(begin)..end);
        }
    }
    join_lines(lines, shown)
}

/// Returns the messages of the failed crate's build script with `cargo::warning`, which cargo prints before the
/// error: cc reports the compiler's errors this way.
fn build_script_warnings(lines: &[String], first: usize, most: usize) -> BTreeSet<usize> {
    let Some(Crate { name, version: Some(version) }) = failed_crate(lines) else {
        return BTreeSet::new();
    };
    let start = format!("warning: {name}@{version}: ");
    let of_it = |at: &usize| lines[*at].starts_with(&start);
    let all: Vec<usize> = (0..first).filter(of_it).collect();
    let from = all.iter().position(|&at| looks_like_error(&lines[at])).unwrap_or(0);
    all.into_iter().skip(from).take(most).collect_set()
}

/// Returns the last command that a build script prints (the crates cc, cmake and autotools do).
fn last_command(lines: &[String], from: usize, to: usize) -> Option<usize> {
    (from..to).rev().find(|&at| lines[at].trim_start().starts_with("running: "))
}

/// Returns whether a line looks like the reason of a failure: compilers, linkers, make, CMake and panics.
fn looks_like_error(line: &str) -> bool {
    // Cargo has shown the first as warnings, and the others are what configure and CMake look for.
    if ["cargo:", "checking ", "-- "].iter().any(|start| line.trim_start().starts_with(start)) {
        return false;
    }
    let signs = [
        "error:",
        "error occurred",
        "undefined reference",
        "undefined symbol",
        "unable to find",
        "cannot find",
        "not found",
        "No such file",
        "CMake Error",
        "*** ",
        "panicked at",
        "FAILED",
    ];
    signs.iter().any(|sign| line.contains(sign))
}

fn join_lines(lines: &[String], shown: BTreeSet<usize>) -> String {
    let mut text = Vec::new();
    let mut last = None;
    for at in shown {
        if last.is_some_and(|last: usize| last + 1 != at) {
            text.push("…".to_owned());
        }
        last = Some(at);
        if is_link_command(lines, at) {
            text.push("  = note: the linker's command is in the log".to_owned());
        } else {
            text.extend(lines.get(at).map(|line| shorten(line)));
        }
    }
    text.join("\n")
}

/// Returns whether the line is the command of a linker that failed: rustc prints it, quoted, before the
/// linker's own error.
fn is_link_command(lines: &[String], at: usize) -> bool {
    let is_note = lines.get(at).is_some_and(|line| {
        let text = line.trim_start().strip_prefix("= note:");
        text.is_some_and(|text| text.contains('"') && text.contains(" \"-"))
    });
    let before = lines.get(at.saturating_sub(3)..at).unwrap_or_default();
    is_note && before.iter().any(|line| line.starts_with("error: linking with `"))
}

/// Shortens a line in the middle if it is too long: both ends of a command matter.
fn shorten(line: &str) -> String {
    let count = line.chars().count();
    if count <= MAX_LINE {
        return line.to_owned();
    }
    let start: String = line.chars().take(MAX_LINE / 2).collect();
    let end: String = line.chars().skip(count - MAX_LINE / 2).collect();
    format!("{start} … {end}")
}

/// Returns the libraries that a linker or rustc reports as missing, each once.
pub fn missing_libraries(lines: &[String]) -> Vec<String> {
    let signs = [
        // zig
        ("unable to find dynamic system library '", '\''),
        ("unable to find static system library '", '\''),
        // lld, GNU ld, rustc
        ("unable to find library -l", ' '),
        ("cannot find -l", ' '),
        ("could not find native static library `", '`'),
    ];
    let mut found = Vec::new();
    for line in lines {
        for (sign, end) in signs {
            for rest in line.split(sign).skip(1) {
                let name = rest.split([end, ':']).next().unwrap_or_default().trim().to_owned();
                if !name.is_empty() && !found.contains(&name) {
                    found.push(name);
                }
            }
        }
    }
    found
}

/// Returns the name under which the shared library of a `DT_NEEDED` is linked: `ssl` for `libssl.so.3`.
pub fn library_name(needed: &str) -> &str {
    let file = needed.rsplit('/').next().unwrap_or(needed);
    let name = file.strip_prefix("lib").unwrap_or(file);
    name.split_once(".so").map_or(name, |(name, _)| name)
}

/// Returns the build scripts that link `library` in a build for `target`. `cargo::rustc-link-lib` takes
/// `[kind[:modifiers]=]name[:rename]`
/// (<https://doc.rust-lang.org/rustc/command-line-arguments.html#option-l-link-lib>).
pub fn scripts_linking<'a>(
    scripts: &'a [BuildScript],
    library: &str,
    target: &str,
) -> Vec<&'a BuildScript> {
    let named = |requested: &String| {
        let name = requested.split_once('=').map_or(requested.as_str(), |(_, name)| name);
        name.split(':').any(|name| name == library)
    };
    let mut found: Vec<&BuildScript> = Vec::new();
    for script in scripts {
        let here = script.target == target;
        let new = !found.iter().any(|other| other.package == script.package);
        if here && new && script.libraries.iter().any(named) {
            found.push(script);
        }
    }
    found
}

/// Returns the shortest dependency chain in the output of `cargo tree --invert … --prefix depth`: from the
/// package in question to one without dependents, each as `name v1.2.3`.
pub fn shortest_dependency_chain(tree: &str) -> Option<Vec<String>> {
    let mut nodes: Vec<(usize, String, bool)> = Vec::new();
    for line in tree.lines() {
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        // A second package of that name begins a new tree, which is ignored.
        let Ok(depth) = line[..digits].parse() else { continue };
        // Those below a package that was shown before are left out.
        let cut = line.ends_with("(*)");
        nodes.push((depth, Crate::parse(&line[digits..]).to_string(), cut));
    }
    let is_end = |at: &usize| {
        let deeper = nodes.get(at + 1).is_some_and(|next| next.0 > nodes[*at].0);
        !deeper && !nodes[*at].2
    };
    let end = (0..nodes.len()).filter(is_end).min_by_key(|&at| nodes[at].0)?;
    let mut way = vec![nodes[end].1.clone()];
    let mut depth = nodes[end].0;
    for (above, name, _) in nodes[..end].iter().rev() {
        if *above < depth {
            way.push(name.clone());
            depth = *above;
        }
    }
    way.reverse();
    Some(way)
}

/// Formats a dependency chain as the end of a sentence: `` which `a v1` needs through `b v2` ``. Returns `None`
/// for a package without dependents.
pub fn describe_chain(way: &[String]) -> Option<String> {
    let quoted = |name: &String| format!("`{name}`");
    match way {
        [] | [_] => None,
        [_, root] => Some(format!("which `{root}` needs")),
        [_, between @ .., root] => {
            let through: Vec<_> = between.iter().rev().map(quoted).collect();
            Some(format!("which `{root}` needs through {}", through.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_crate_that_failed_has_its_version() {
        let script = lines("error: failed to run custom build command for `a v1.0.0 (/w/a)`");
        assert_eq!(failed_crate(&script).unwrap().spec(), "a@1.0.0");
        let log = "   Compiling b v2.1.0\n   Compiling a v1.0.0\n   \
                   error: could not compile `b` (lib) due to 1 previous error\n\
                   error: could not compile `b` (lib) due to 1 previous error";
        assert_eq!(failed_crate(&lines(log)).unwrap().to_string(), "b v2.1.0");
        // Of two versions it is not known which.
        let both = format!("   Compiling b v1.0.0\n{log}");
        assert_eq!(failed_crate(&lines(&both)).unwrap().to_string(), "b");
        assert_eq!(failed_crate(&lines("error: no space")), None);
    }

    #[test]
    fn an_excerpt_has_the_command_the_error_and_the_end() {
        let noise = |n: usize| (0..n).map(move |n| format!("  noise {n}"));
        let mut log = lines(
            "   Compiling a v1.0.0\nwarning: a@1.0.0: x.c:1:2: error: broken\n\
             error: failed to run custom build command for `a v1.0.0`\n\nCaused by:\n  \
             process didn't exit successfully: `build-script-build` (exit status: 101)\n  \
             --- stdout",
        );
        log.extend(noise(300));
        log.extend((0..50).map(|n| format!("  checking for header {n}... not found")));
        log.push("  running: \"cmake\" \"--build\"".into());
        log.extend(noise(100));
        log.push("  --- stderr".into());
        log.extend(noise(200));
        log.push("  y.c:3:4: fatal error: gone.h not found".into());
        log.extend(noise(200));
        log.push("  make: *** [all] Error 1".into());
        log.push("  the end".into());
        log.push("warning: build failed, waiting for other jobs to finish...".into());
        log.extend(noise(50));
        let text = excerpt(&log, 40);
        for expected in [
            "a@1.0.0: x.c:1:2: error: broken",
            "exit status: 101",
            "running: \"cmake\"",
            "y.c:3:4: fatal error",
            "*** [all]",
            "the end",
            "\n…\n",
        ] {
            assert!(text.contains(expected), "no `{expected}` in\n{text}");
        }
        assert!(text.lines().count() < 60 && !text.contains("checking"), "{text}");
        // A log that fits is shown completely, and without an error the end.
        let short = lines("error: x\n  note: y");
        assert_eq!(excerpt(&short, 40), "error: x\n  note: y");
        assert_eq!(excerpt(&lines("a\nb\nc"), 2), "b\nc");
        assert_eq!(excerpt(&[], 40), "");
        let long = format!("error: {}end", "é".repeat(MAX_LINE * 2));
        let text = excerpt(&[long], 40);
        assert!(text.starts_with("error: é") && text.ends_with("end") && text.contains(" … "));
    }

    #[test]
    fn the_error_of_a_linker_is_shown_without_its_command() {
        let log = "error: linking with `/c/zigcc.sh` failed: exit status: 1\n  |\n  \
                   = note:  \"/c/zigcc.sh\" \"-m64\" \"<2 object files omitted>\" \"-o\" \"/t/x\"\n  \
                   = note: some arguments are omitted. use `--verbose` to show all linker arguments\n  \
                   = note: error: undefined symbol: f\n";
        let shown = excerpt(&lines(log), 20);
        assert!(!shown.contains("-m64"), "{shown}");
        assert!(shown.contains("the linker's command is in the log"), "{shown}");
        assert!(shown.contains("undefined symbol: f"), "{shown}");
    }

    #[test]
    fn missing_libraries_are_read_from_linker_errors() {
        let log = lines(
            "  = note: error: unable to find dynamic system library 'ssl' using strategy 'x'.\n\
             ld.lld: error: unable to find library -lcrypto\n\
             /usr/bin/ld: cannot find -lz: No such file or directory\n\
             error: could not find native static library `foo`, perhaps an -L flag is missing?\n\
             ld.lld: error: unable to find library -lcrypto",
        );
        assert_eq!(missing_libraries(&log), ["ssl", "crypto", "z", "foo"]);
        for (needed, name) in [
            ("libssl.so.3", "ssl"),
            ("/opt/lib/libz.so", "z"),
            ("ld-musl-x86_64.so.1", "ld-musl-x86_64"),
        ] {
            assert_eq!(library_name(needed), name);
        }
    }

    #[test]
    fn build_scripts_that_link_a_library_are_found() {
        let script = |package: &str, library: &str, target: &str| BuildScript {
            package: package.into(),
            libraries: vec![library.into()],
            target: target.into(),
        };
        let scripts = [
            script("a", "dylib=ssl", "T"),
            script("a", "dylib=ssl", "T"),
            script("b", "static:+whole-archive=ssl", "T"),
            script("c", "ssl", "U"),
            script("d", "ssl", "host"),
            script("e", "dylib=ssl3", "T"),
        ];
        let names = |target: &str| -> Vec<_> {
            scripts_linking(&scripts, "ssl", target).iter().map(|s| s.package.clone()).collect()
        };
        assert_eq!(names("T"), ["a", "b"]);
        assert_eq!(names("U"), ["c"]);
    }

    #[test]
    fn the_shortest_dependency_chain_is_found() {
        let tree = "0openssl-sys v0.9.1\n1native-tls v0.2.0\n2hyper-tls v0.6.0\n3reqwest v1.0.0\n\
                    4app v0.1.0 (/w/app)\n2tool v0.3.0 (/w/tool)\n1openssl v0.10.0\n\
                    2native-tls v0.2.0 (*)\n";
        let way = shortest_dependency_chain(tree).unwrap();
        assert_eq!(way, ["openssl-sys v0.9.1", "native-tls v0.2.0", "tool v0.3.0"]);
        assert_eq!(
            describe_chain(&way).unwrap(),
            "which `tool v0.3.0` needs through `native-tls v0.2.0`"
        );
        assert_eq!(describe_chain(&shortest_dependency_chain("0app v0.1.0 (/w)\n").unwrap()), None);
        assert_eq!(shortest_dependency_chain("nothing\n"), None);
    }
}
