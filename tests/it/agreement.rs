//! Facts about files, compared with those of six other tools, in one table. Every difference needs a reason in
//! the table.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use longshore::{
    binary::elf::{Facts, Shape},
    model::machine::machine_name,
};

use crate::{
    agreement_peers::{PEERS, Peer, PeerFacts, REASONS},
    verify::tool,
};

/// Each is one property away from the first.
const VARIANTS: [(&str, &[&str]); 16] = [
    ("dynamic", &[]),
    ("fixed", &["-no-pie"]),
    ("static", &["-static"]),
    ("static-pie", &["-static-pie"]),
    ("shared", &["-shared"]),
    ("stripped", &["-s"]),
    ("debug", &["-g"]),
    ("discarded-locals", &["-g", "-Wl,--discard-all"]),
    ("executable-stack", &["-Wl,-z,execstack"]),
    ("no-relro", &["-Wl,-z,norelro"]),
    ("now", &["-Wl,-z,now"]),
    ("lazy", &["-Wl,-z,lazy"]),
    ("runpath", &["-Wl,-rpath,/opt/lib", "-Wl,--enable-new-dtags"]),
    ("rpath", &["-Wl,-rpath,/opt/lib", "-Wl,--disable-new-dtags"]),
    ("no-build-id", &["-Wl,--build-id=none"]),
    ("md5-build-id", &["-Wl,--build-id=md5"]),
];

/// Built only where zig is: other machines, widths and byte orders.
const FOREIGN: [&str; 2] = ["aarch64-linux-musl", "arm-linux-musleabihf"];

fn longshore_facts(facts: &Facts) -> PeerFacts {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let dynamic = facts.interpreter.is_some() || !facts.needed.is_empty();
    let id = facts.build_id.iter().flatten().map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![
        ("class", facts.class.to_string()),
        ("byte-order", format!("{:?}", facts.endian).to_lowercase()),
        ("machine", machine_name(facts.machine).into_owned()),
        ("kind", kind(facts).to_owned()),
        ("linkage", if dynamic { "dynamic" } else { "static" }.to_owned()),
        ("interpreter", or_none(&facts.interpreter)),
        ("needed", facts.needed.join(" ")),
        ("rpath", or_none(&facts.rpath)),
        ("runpath", or_none(&facts.runpath)),
        ("executable-stack", facts.stack.is_none_or(|stack| stack.executable).to_string()),
        ("relro", facts.relro.to_string()),
        ("bind-now", facts.bind_now.to_string()),
        ("build-id", if id.is_empty() { "none".to_owned() } else { id }),
        ("stripped", (!facts.symbols).to_string()),
        ("debug", (!facts.debug_sections.is_empty()).to_string()),
        ("program", program(facts).to_owned()),
        ("canary", facts.canary.to_string()),
        ("text-relocations", facts.text_relocations.to_string()),
        ("has-rpath", facts.rpath.is_some().to_string()),
        ("has-runpath", facts.runpath.is_some().to_string()),
        (
            "writable-code",
            facts
                .segments
                .iter()
                .any(|s| s.is_loaded() && s.is_writable() && s.is_executable())
                .to_string(),
        ),
    ]
}

fn program(facts: &Facts) -> &'static str {
    match facts.shape {
        Shape::Fixed | Shape::Pie | Shape::StaticPie => "program",
        Shape::SharedObject => "shared",
        _ => "other",
    }
}

fn kind(facts: &Facts) -> &'static str {
    match facts.shape {
        Shape::Fixed => "fixed",
        Shape::Pie | Shape::StaticPie => "pie",
        Shape::SharedObject => "shared",
        _ => "other",
    }
}

fn output(program: &Path, args: &[&str], file: &Path) -> String {
    let mut command = Command::new(program);
    let output = command.args(args).arg(file).env("LC_ALL", "C").output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the text after `key` up to `end`, or `None`.
fn between(text: &str, key: &str, end: &str) -> Option<String> {
    let rest = text.split_once(key)?.1;
    Some(rest.split(end).next().unwrap_or(rest).trim().to_owned())
}

fn readelf(program: &Path, path: &Path) -> PeerFacts {
    let text = &output(program, &["-hlSdnW"], path);
    let header = |key: &str| between(text, key, "\n").unwrap_or_default();
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let machine = match header("Machine:").as_str() {
        "Advanced Micro Devices X86-64" => "X86_64",
        "AArch64" => "AARCH64",
        other => other,
    }
    .to_owned();
    let kind = match header("Type:") {
        kind if kind.starts_with("EXEC") => "fixed",
        kind if kind.contains("Position-Independent") => "pie",
        kind if kind.starts_with("DYN") => "shared",
        _ => "other",
    };
    let segments = |name: &str| {
        let name = name.to_owned();
        text.lines().filter(move |line| line.trim_start().starts_with(&name))
    };
    // The flags are between the sizes and the alignment, which is the last word.
    let flags = |line: &str| {
        let (rest, _align) = line.trim_end().rsplit_once(' ').unwrap_or_default();
        rest.chars().rev().take(4).collect::<String>()
    };
    let needed: Vec<_> =
        text.lines().filter_map(|line| between(line, "Shared library: [", "]")).collect();
    let interpreter = between(text, "Requesting program interpreter: ", "]");
    let section = |name: &str| text.lines().any(|line| line.contains(name));
    let dynamic_flags: String = text.lines().filter(|line| line.contains("(FLAGS")).collect();
    let now = text.contains("(BIND_NOW)") || dynamic_flags.contains("NOW");
    let dynamic = interpreter.is_some() || !needed.is_empty();
    vec![
        ("class", header("Class:").replace("ELF", "")),
        (
            "byte-order",
            if header("Data:").contains("little") { "little" } else { "big" }.to_owned(),
        ),
        ("machine", machine),
        ("kind", kind.to_owned()),
        ("linkage", if dynamic { "dynamic" } else { "static" }.to_owned()),
        ("interpreter", or_none(interpreter)),
        ("needed", needed.join(" ")),
        ("rpath", or_none(between(text, "Library rpath: [", "]"))),
        ("runpath", or_none(between(text, "Library runpath: [", "]"))),
        ("executable-stack", segments("GNU_STACK").all(|l| flags(l).contains('E')).to_string()),
        ("relro", segments("GNU_RELRO").next().is_some().to_string()),
        ("bind-now", now.to_string()),
        ("build-id", or_none(between(text, "Build ID: ", "\n"))),
        ("stripped", (!section(" SYMTAB ")).to_string()),
        ("debug", section(" .debug_").to_string()),
        (
            "writable-code",
            segments("LOAD")
                .any(|line| flags(line).contains('E') && flags(line).contains('W'))
                .to_string(),
        ),
    ]
}

fn file(program: &Path, path: &Path) -> PeerFacts {
    let text = &output(program, &["-b"], path);
    let first = |names: &[(&str, &str)]| {
        let found = names.iter().find(|(name, _)| text.contains(name));
        found.map_or("unknown", |(_, value)| value).to_owned()
    };
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let id = text.split_once("BuildID[").and_then(|(_, rest)| between(rest, "=", ","));
    vec![
        ("class", first(&[("64-bit", "64"), ("32-bit", "32")])),
        ("byte-order", first(&[(" LSB ", "little"), (" MSB ", "big")])),
        ("machine", first(&[("x86-64", "X86_64"), ("aarch64", "AARCH64"), ("ARM", "ARM")])),
        (
            "kind",
            first(&[
                ("pie executable", "pie"),
                ("executable", "fixed"),
                ("shared object", "shared"),
            ]),
        ),
        (
            "linkage",
            first(&[
                ("dynamically", "dynamic"),
                ("statically", "static"),
                ("static-pie", "static"),
            ]),
        ),
        ("interpreter", or_none(between(text, "interpreter ", ","))),
        ("build-id", or_none(id.map(|id| id.trim().to_owned()))),
        ("stripped", first(&[("not stripped", "false"), ("stripped", "true")])),
        ("debug", text.contains("with debug_info").to_string()),
    ]
}

/// Returns the fixtures: a name and the path of each.
fn fixtures(directory: &Path) -> Vec<(String, PathBuf)> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).unwrap();
    let source = "#include <stdio.h>\nint main(void) { puts(\"x\"); return 0; }\n";
    fs::write(directory.join("x.c"), source).unwrap();
    let mut made = Vec::new();
    let make = |made: &mut Vec<_>, name: &str, program: &Path, first: &[&str], flags: &[&str]| {
        let mut command = Command::new(program);
        command.args(first).args(flags).args(["x.c", "-o", name]).current_dir(directory);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        made.push((name.to_owned(), directory.join(name)));
    };
    if let Some(gcc) = tool("gcc") {
        for (name, flags) in VARIANTS {
            make(&mut made, name, &gcc, &["-fPIC"], flags);
        }
        for (name, bytes) in patched(&fs::read(directory.join("dynamic")).unwrap()) {
            let path = directory.join(name);
            fs::write(&path, bytes).unwrap();
            made.push((name.to_owned(), path));
        }
    }
    if let Some(zig) = tool("zig") {
        for target in FOREIGN {
            make(&mut made, target, &zig, &["cc", "-target", target, "-Wl,--build-id=sha1"], &[]);
        }
    }
    for index in 0..made.len() {
        let (name, path) = made[index].clone();
        let bytes = fs::read(path).unwrap();
        let stripped =
            longshore::binary::elf::strip(&bytes, longshore::binary::elf::StripOptions::default())
                .unwrap()
                .bytes()
                .unwrap();
        let name = format!("{name}, stripped by us");
        let path = directory.join(format!("{index}.stripped"));
        fs::write(&path, stripped).unwrap();
        made.push((name, path));
    }
    made
}

/// Returns copies of a 64-bit file with properties that linkers do not easily produce (gABI, "ELF Header" and
/// "Program Header").
fn patched(bytes: &[u8]) -> [(&'static str, Vec<u8>); 2] {
    let facts = Facts::read(bytes).unwrap();
    assert_eq!(facts.class, 64);
    let mut writable = bytes.to_vec();
    for entry in writable[64..].chunks_mut(56).take(facts.segments.len()) {
        if entry[..4] == 1_u32.to_ne_bytes() && entry[4] & 1 == 1 {
            entry[4] |= 2;
        }
    }
    let mut bare = bytes.to_vec();
    bare[40..48].fill(0);
    bare[58..64].fill(0);
    [("writable-code", writable), ("no-section-headers", bare)]
}

#[test]
fn peers_agree_or_the_table_has_a_reason() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify/agreement");
    let mut table = String::from("| file | property | longshore | peer | says | why |\n");
    table.push_str("| --- | --- | --- | --- | --- | --- |\n");
    let mut unexplained = Vec::new();
    let (mut compared, mut differ) = (0, 0);
    let first: [Peer; 2] = [("readelf", readelf), ("file", file)];
    let peers = first.iter().chain(&PEERS);
    let peers: Vec<_> = peers.filter_map(|p| Some((tool(p.0)?, p))).collect();
    for (name, path) in fixtures(&directory) {
        let longshore_facts = longshore_facts(&Facts::read(&fs::read(&path).unwrap()).unwrap());
        for (program, (peer, ask)) in &peers {
            let said = ask(program, &path);
            assert!(!said.is_empty(), "{peer} says nothing of {name}");
            for (property, says) in said {
                let (_, we) = longshore_facts.iter().find(|(known, _)| *known == property).unwrap();
                compared += 1;
                if *we == says {
                    continue;
                }
                differ += 1;
                let why = REASONS.iter().find(|(p, about, longshore_facts, _)| {
                    p == peer
                        && *about == property
                        && (longshore_facts.is_empty() || longshore_facts == we)
                });
                let row = format!("| {name} | {property} | {we} | {peer} | {says} |");
                let _ = writeln!(table, "{row} {} |", why.map_or("?", |(.., why)| why));
                if why.is_none() {
                    unexplained.push(row);
                }
            }
        }
    }
    let _ = writeln!(table, "\n{compared} values compared, {differ} differ.");
    fs::write(directory.join("agreement.md"), &table).unwrap();
    eprintln!("{table}");
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}
