//! Verdicts on programs for other systems than Linux, by those lints that mean something there.

use super::{
    About, LINTS, Policy, READABLE,
    expected::{grown, too_large},
    finding, leftover,
    lint::Complaint,
    mode,
    text::Texts,
};
use crate::{
    elf::{Source, quote},
    foreign::{Foreign, Format, Kind},
    schema::{
        dist::{Level, Verdict},
        verify::Fact,
    },
};

/// The verdict on a program whose facts were read from `source`, under `policy`, and on what is
/// known `about` it beside that.
pub fn foreign(source: Source<'_>, facts: &Foreign, about: &About, policy: &Policy) -> Verdict {
    let settings = policy.settings();
    let path = match Texts::paths(source, policy) {
        Ok(path) => path,
        Err(error) => return super::unreadable(&error.to_string()),
    };
    let checks: [(&str, bool, Vec<Complaint>); 10] = [
        ("program", true, program(facts)),
        ("machine", policy.machine().is_some(), machine(facts, policy)),
        ("stripped", true, stripped(facts)),
        ("nx-stack", true, nx_stack(facts)),
        ("run-path", facts.format == Format::MachO, run_path(facts)),
        ("build-path", true, leftover::path(path.as_deref())),
        ("privileges", about.mode.is_some(), mode::of_privileges(about.mode)),
        ("mode", about.mode.is_some(), mode::of_mode(about.mode, is_unix_program(facts))),
        (
            "size",
            settings.max_size.file.is_some(),
            too_large("program", facts.size, settings.max_size.file).into_iter().collect(),
        ),
        (
            "growth",
            settings.max_growth.file.is_some() && about.base.is_some(),
            grown("program", facts.size, about.base, settings.max_growth.file)
                .into_iter()
                .collect(),
        ),
    ];
    let mut lints = vec![READABLE.to_owned()];
    let mut findings = Vec::new();
    for (id, applies, complaints) in checks {
        let lint = LINTS.iter().find(|lint| lint.id == id).filter(|_| applies);
        let Some(level) = lint.map(|lint| policy.level(lint)).filter(|l| *l != Level::Allow) else {
            continue;
        };
        lints.push(id.to_owned());
        findings.extend(complaints.into_iter().map(|complaint| finding(id, level, complaint)));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Verdict { accepted: findings.iter().all(|found| found.level < Level::Deny), lints, findings }
}

fn is_unix_program(facts: &Foreign) -> bool {
    facts.format == Format::MachO && facts.kind == Kind::Program
}

fn program(facts: &Foreign) -> Vec<Complaint> {
    let Kind::Other(what) = facts.kind else {
        return Vec::new();
    };
    vec![Complaint::new(
        "the file is not a program",
        format!("it is {what}"),
        "give the file that cargo names as the executable",
    )]
}

fn machine(facts: &Foreign, policy: &Policy) -> Vec<Complaint> {
    let Some(wanted) = policy.machine() else {
        return Vec::new();
    };
    vec![Complaint::new(
        format!("the file does not run on `{}`", wanted.platform),
        format!("it is a {} file for {}", facts.format.name(), facts.machine),
        wanted.hint,
    )]
}

fn stripped(facts: &Foreign) -> Vec<Complaint> {
    let evidence = match (facts.symbols, facts.debug) {
        (false, false) => return Vec::new(),
        (true, false) => "it has symbols",
        (_, true) => "it has debug information",
    };
    let hint = "`strip = \"symbols\"` in the profile takes them away";
    vec![Complaint::new("the program is not stripped", evidence, hint)]
}

fn nx_stack(facts: &Foreign) -> Vec<Complaint> {
    if !facts.executable_stack {
        return Vec::new();
    }
    let (evidence, hint) = match facts.format {
        Format::MachO => {
            ("its header has MH_ALLOW_STACK_EXECUTION", "link without `-allow_stack_execute`")
        }
        Format::Pe => {
            ("its header lacks IMAGE_DLLCHARACTERISTICS_NX_COMPAT", "link with `/NXCOMPAT`")
        }
    };
    vec![Complaint::new("the program asks for an executable stack", evidence, hint)]
}

/// A path that begins with `@` is found from where the program is.
fn run_path(facts: &Foreign) -> Vec<Complaint> {
    let fixed = facts.run_paths.iter().filter(|path| !path.starts_with('@'));
    let found: Vec<_> = fixed.map(|path| format!("LC_RPATH {}", quote(path.as_bytes()))).collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program names directories to search for shared libraries",
        found.join(", "),
        "look for `-rpath` among the link arguments",
    )]
}

/// All that `facts` say, in a fixed order.
pub fn tell_foreign(facts: &Foreign) -> Vec<Fact> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let quoted = |text: &String| quote(text.as_bytes());
    let kind = match facts.kind {
        Kind::Program => "program",
        Kind::Library => "library",
        Kind::Other(what) => what,
    };
    let mut rows = vec![
        ("format", facts.format.name().to_owned()),
        ("size", facts.size.to_string()),
        ("class", facts.class.to_string()),
        ("machine", facts.machine.to_string()),
        ("kind", kind.to_owned()),
    ];
    rows.extend(facts.libraries.iter().map(|name| ("needed", quoted(name))));
    rows.extend(facts.run_paths.iter().map(|path| ("runpath", quoted(path))));
    rows.extend(facts.system.iter().map(|system| ("oldest-system", quoted(system))));
    rows.extend([
        ("signed", yes(facts.signed)),
        ("symbols", yes(facts.symbols)),
        ("debug-information", yes(facts.debug)),
        ("any-address", yes(facts.any_address)),
        ("executable-stack", yes(facts.executable_stack)),
    ]);
    let id = facts.id.iter().map(|id| id.iter().map(|b| format!("{b:02x}")).collect());
    rows.extend(id.map(|id: String| ("build-id", id)));
    let fact = |(name, value): (&str, String)| Fact { name: name.to_owned(), value, note: None };
    rows.into_iter().map(fact).collect()
}
