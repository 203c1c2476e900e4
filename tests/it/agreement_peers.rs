//! The facts that other tools report about a file, in the terms of `agreement`.

use std::{path::Path, process::Command};

/// The facts of one tool about one file: a value for each property that it reports.
pub(crate) type PeerFacts = Vec<(&'static str, String)>;

/// A tool's name, and what it says of a file.
pub(crate) type Peer = (&'static str, fn(&Path, &Path) -> PeerFacts);

/// Those with more to say than `readelf` and `file`, which have more of a page each.
pub(crate) const PEERS: [Peer; 4] = [
    ("scanelf", scanelf),
    ("eu-elfclassify", elfclassify),
    ("hardening-check", hardening_check),
    ("checksec", checksec),
];

/// The known differences: the peer, the property, longshore's value, and the reason. An empty value stands for
/// any.
pub(crate) const REASONS: [(&str, &str, &str, &str); 7] = [
    (
        "file",
        "stripped",
        "",
        "`file` looks for a symbol table in section headers, and calls a file without any headers \
         neither",
    ),
    (
        "readelf",
        "kind",
        "",
        "releases before 2.36 call every ET_DYN a shared object, where DF_1_PIE tells them apart",
    ),
    (
        "hardening-check",
        "kind",
        "pie",
        "it takes every ET_DYN without PT_PHDR or an interpreter for a library, where DF_1_PIE says \
         that it is a program",
    ),
    (
        "scanelf",
        "needed",
        "",
        "it reads the libraries by the section `.dynamic`; the loader, and we, by PT_DYNAMIC",
    ),
    (
        "checksec",
        "canary",
        "false",
        "it looks at all symbols: in a static program those are of the C library's own checks, which \
         say nothing of the rest",
    ),
    ("hardening-check", "canary", "false", "it looks at all symbols, as checksec does"),
    (
        "checksec",
        "bind-now",
        "false",
        "its \"full\" stands for PT_GNU_RELRO and any flag for now, in static programs too, in \
         which nobody enforces it",
    ),
];

fn output(program: &Path, args: &[&str], file: &Path) -> (String, bool) {
    let mut command = Command::new(program);
    let output = command.args(args).arg(file).env("LC_ALL", "C").output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

fn scanelf(program: &Path, file: &Path) -> PeerFacts {
    let format = "%a;%M;%D;%e;%t;%n;%i;%r;%b;";
    let (text, _) = output(program, &["-yBF", format], file);
    let fields: Vec<&str> = text.split(';').map(str::trim).collect();
    let [machine, class, endian, flags, textrel, needed, interpreter, _, bind, ..] = fields[..]
    else {
        return Vec::new();
    };
    let none = |text: &str| if matches!(text, "-" | "") { "none" } else { text }.to_owned();
    // Stack, PT_GNU_RELRO, the loaded segments; `---` where it has none.
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let [stack, relro, ..] = flags[..] else { return Vec::new() };
    let mut said = vec![
        ("machine", machine.trim_start_matches("EM_").to_owned()),
        ("class", class.trim_start_matches("ELFCLASS").to_owned()),
        ("byte-order", if endian == "LE" { "little" } else { "big" }.to_owned()),
        ("executable-stack", stack.contains('X').to_string()),
        ("relro", (relro != "---" && relro != "-").to_string()),
        ("text-relocations", (textrel == "TEXTREL").to_string()),
        ("needed", needed.replace(',', " ")),
        ("interpreter", none(interpreter)),
    ];
    if bind != "STATIC" && bind != "-" {
        said.push(("bind-now", (bind == "NOW").to_string()));
    }
    said
}

fn elfclassify(program: &Path, file: &Path) -> PeerFacts {
    let is = |option: &str| output(program, &[option], file).1;
    let kind = match (is("--executable"), is("--shared")) {
        (true, _) => "program",
        (_, true) => "shared",
        _ => "other",
    };
    vec![("program", kind.to_owned()), ("stripped", (!is("--unstripped")).to_string())]
}

fn hardening_check(program: &Path, file: &Path) -> PeerFacts {
    let (text, _) = output(program, &["--nocolor"], file);
    let line = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(|rest| rest.trim_start_matches(':').trim().to_owned())
    };
    let mut said = Vec::new();
    if let Some(pie) = line("Position Independent Executable") {
        let kind = match pie.as_str() {
            "yes" => "pie",
            other if other.contains("shared library") => "shared",
            _ => "fixed",
        };
        said.push(("kind", kind.to_owned()));
    }
    for (key, property) in [
        ("Read-only relocations", "relro"),
        ("Immediate binding", "bind-now"),
        ("Stack protected", "canary"),
    ] {
        if let Some(value) = line(key) {
            said.push((property, value.starts_with("yes").to_string()));
        }
    }
    said
}

fn checksec(program: &Path, file: &Path) -> PeerFacts {
    let argument = format!("--file={}", file.display());
    let mut command = Command::new(program);
    let output = command.args(["--output=csv", &argument]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<&str> = text.trim().split(',').collect();
    let [relro, canary, nx, pie, rpath, runpath, symbols, ..] = fields[..] else {
        return Vec::new();
    };
    let mut said = vec![
        ("relro", (relro != "No RELRO").to_string()),
        ("canary", (canary == "Canary found").to_string()),
        ("executable-stack", (nx != "NX enabled").to_string()),
        ("has-rpath", (rpath == "RPATH").to_string()),
        ("has-runpath", (runpath == "RUNPATH").to_string()),
        ("stripped", (symbols != "Symbols").to_string()),
    ];
    if relro == "Full RELRO" {
        said.push(("bind-now", "true".to_owned()));
    }
    match pie {
        "PIE enabled" => said.push(("kind", "pie".to_owned())),
        "No PIE" => said.push(("kind", "fixed".to_owned())),
        "DSO" => said.push(("kind", "shared".to_owned())),
        _ => {}
    }
    said
}
