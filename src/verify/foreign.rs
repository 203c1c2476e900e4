//! Verdicts on programs for other systems than Linux, by those lints that mean something there.

use super::{
    FileContext, LINTS, Lint, LintSelection, Policy, READABLE,
    expected::{
        growth_limit_scope, growth_violation, library_violation, limit_scope, size_violation,
    },
    leftover, linkage,
    lint::{Scope, Violation},
    mode, new_finding,
    policy::inputs,
    strings::FoundStrings,
    verdict,
};
use crate::{
    binary::{
        elf::quote,
        foreign::{ForeignFacts, ForeignFormat, ProgramKind},
    },
    model::{
        schema::{dist::Verdict, verify::Fact},
        source::Source,
    },
};

/// The lints without a meaning for such files, each with the reason.
const NOT_APPLICABLE: [(&str, &str); 6] = [
    ("float-abi", "such machines pass floating-point numbers in one way only"),
    ("glibc", "such files do not use glibc"),
    ("static-glibc", "such files do not use glibc"),
    ("page-size", "only Linux kernels have different page sizes"),
    ("allocator-page-size", "only Linux kernels have different page sizes"),
    ("cpu-level", "such files do not record a level"),
];

/// Returns the verdict under `policy` on a program with `facts` read from `source`, and with the other
/// facts in `context`.
pub fn judge_foreign(
    source: Source<'_>,
    facts: &ForeignFacts,
    context: &FileContext,
    policy: &Policy,
) -> Verdict {
    let path = match FoundStrings::find_build_path(source, policy) {
        Ok(path) => path,
        Err(error) => return super::reject_unreadable(&error.to_string()),
    };
    let mut choice = LintSelection::default();
    for lint in &LINTS {
        choice.add(lint, policy, lint_scope(lint, facts, context, policy));
    }
    let LintSelection { applied, not_applied, mut findings } = choice;
    let mut lints = vec![READABLE.to_owned()];
    for (lint, level) in applied {
        lints.push(lint.id.to_owned());
        let violations = check_lint(lint, facts, context, policy, path.as_deref());
        findings.extend(violations.into_iter().map(|found| new_finding(lint.id, level, found)));
    }
    verdict(lints, not_applied, findings)
}

/// Returns whether the lint is applied to such a file.
fn lint_scope(lint: &Lint, facts: &ForeignFacts, context: &FileContext, policy: &Policy) -> Scope {
    let (settings, named) = (policy.settings(), policy.is_named(lint.id));
    let known =
        |is: bool, reason| if is || named { Scope::Applied } else { Scope::NotApplied(reason) };
    match lint.id {
        "program" | "stripped" | "nx-stack" | "build-path" => Scope::Applied,
        "machine" if policy.machine().is_some() => Scope::Applied,
        "machine" => linkage::NO_MACHINE,
        "run-path" => known(facts.format == ForeignFormat::MachO, "PE files have no search path"),
        "privileges" | "mode" => mode::mode_scope(context.mode, named),
        "size" => limit_scope(settings.max_size.file.is_some(), settings.max_size.is_empty()),
        "growth" => growth_limit_scope(
            settings.max_growth.file.is_some(),
            settings.max_growth.is_empty(),
            context.base.is_some(),
        ),
        "libraries" if named && settings.libraries.is_none() => {
            Scope::Missing(inputs::LIBRARIES.0, inputs::LIBRARIES.1)
        }
        id => match NOT_APPLICABLE.iter().find(|(lint, _)| *lint == id) {
            Some((_, reason)) => Scope::NotApplied(reason),
            None => known(false, "it is applied to ELF files only"),
        },
    }
}

/// Returns the findings of the lint on such a file.
fn check_lint(
    lint: &Lint,
    facts: &ForeignFacts,
    context: &FileContext,
    policy: &Policy,
    path: Option<&[u8]>,
) -> Vec<Violation> {
    let settings = policy.settings();
    match lint.id {
        "program" => program(facts),
        "machine" => machine(facts, policy),
        "stripped" => stripped(facts),
        "nx-stack" => nx_stack(facts),
        "run-path" => run_path(facts),
        "build-path" => leftover::build_path_violation(path),
        "privileges" => mode::check_privileges(context.mode),
        "mode" => mode::check_mode(context.mode, is_unix_program(facts)),
        "size" => {
            size_violation("program", facts.size, settings.max_size.file).into_iter().collect()
        }
        "growth" => growth_violation("program", facts.size, context.base, settings.max_growth.file)
            .into_iter()
            .collect(),
        "libraries" => {
            let allowed = settings.libraries.as_deref().unwrap_or_default();
            library_violation(&facts.libraries, allowed).into_iter().collect()
        }
        "static" if !facts.libraries.is_empty() => {
            let names = facts.libraries.iter().take(8).map(|name| quote(name.as_bytes()));
            let names = names.collect::<Vec<_>>().join(", ");
            vec![Violation::new(
                "the program needs shared libraries",
                names,
                "programs of this system need some",
            )]
        }
        "static" => Vec::new(),
        "dynamic" if !facts.libraries.is_empty() => Vec::new(),
        "build-id" if facts.id.is_some() => Vec::new(),
        id => vec![Violation::new(
            format!("`{id}` cannot be checked in a {} file", facts.format.name()),
            "the lint is defined for ELF files",
            format!("leave `{id}` out of `deny` and `warn` for such files"),
        )],
    }
}

fn is_unix_program(facts: &ForeignFacts) -> bool {
    facts.format == ForeignFormat::MachO && facts.kind == ProgramKind::Program
}

fn program(facts: &ForeignFacts) -> Vec<Violation> {
    let ProgramKind::Other(description) = facts.kind else {
        return Vec::new();
    };
    vec![Violation::new(
        "the file is not a program",
        format!("it is {description}"),
        "give the file that cargo names as the executable",
    )]
}

fn machine(facts: &ForeignFacts, policy: &Policy) -> Vec<Violation> {
    let Some(expected) = policy.machine() else {
        return Vec::new();
    };
    vec![Violation::new(
        format!("the file does not run on `{}`", expected.platform),
        format!("it is a {} file for {}", facts.format.name(), facts.machine),
        expected.hint,
    )]
}

fn stripped(facts: &ForeignFacts) -> Vec<Violation> {
    let evidence = match (facts.symbols, facts.debug) {
        (false, false) => return Vec::new(),
        (true, false) => "it has symbols",
        (_, true) => "it has debug information",
    };
    let hint = "`strip = \"symbols\"` in the profile removes them";
    vec![Violation::new("the program is not stripped", evidence, hint)]
}

fn nx_stack(facts: &ForeignFacts) -> Vec<Violation> {
    if !facts.executable_stack {
        return Vec::new();
    }
    let (evidence, hint) = match facts.format {
        ForeignFormat::MachO => {
            ("its header has MH_ALLOW_STACK_EXECUTION", "link without `-allow_stack_execute`")
        }
        ForeignFormat::Pe => {
            ("its header lacks IMAGE_DLLCHARACTERISTICS_NX_COMPAT", "link with `/NXCOMPAT`")
        }
    };
    vec![Violation::new("the program requests an executable stack", evidence, hint)]
}

/// Checks the search path: a path that begins with `@` is relative to the program.
fn run_path(facts: &ForeignFacts) -> Vec<Violation> {
    let fixed = facts.run_paths.iter().filter(|path| !path.starts_with('@'));
    let found: Vec<_> = fixed.map(|path| format!("LC_RPATH {}", quote(path.as_bytes()))).collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program names directories to search for shared libraries",
        found.join(", "),
        "check the link arguments for `-rpath`",
    )]
}

/// Returns all `facts`, in a fixed order.
pub fn foreign_facts(facts: &ForeignFacts) -> Vec<Fact> {
    let yes_or_no = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let quoted = |text: &String| quote(text.as_bytes());
    let kind = match facts.kind {
        ProgramKind::Program => "program",
        ProgramKind::Library => "library",
        ProgramKind::Other(description) => description,
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
        ("signed", yes_or_no(facts.signed)),
        ("symbols", yes_or_no(facts.symbols)),
        ("debug-information", yes_or_no(facts.debug)),
        ("any-address", yes_or_no(facts.any_address)),
        ("executable-stack", yes_or_no(facts.executable_stack)),
    ]);
    let id = facts.id.iter().map(|id| id.iter().map(|b| format!("{b:02x}")).collect());
    rows.extend(id.map(|id: String| ("build-id", id)));
    let fact = |(name, value): (&str, String)| Fact { name: name.to_owned(), value, note: None };
    rows.into_iter().map(fact).collect()
}
