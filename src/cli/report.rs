//! Results as text.

use std::{collections::BTreeMap, fmt::Write};

use crate::model::{
    collect::CollectOrdered as _,
    schema::{
        Doctor, Plan,
        allocator::AllocatorChoice,
        dist::Release,
        doctor::State,
        linker::LinkerChoice,
        memory::MemoryChoice,
        plan::{Build, Companions, Flag, Job, Std, Via},
    },
    withheld::PASS_VARIABLE,
};

/// Formats the plan: the binaries, their flags, and the origin of each.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let release = &plan.release;
    let version = release.version.as_deref().unwrap_or("(several versions)");
    let _ = writeln!(text, "{} {version}", release.name);
    line(&mut text, "revision", &revision(release));
    line(&mut text, "epoch", &release.source_date_epoch.to_string());
    for (name, version) in &release.tools {
        line(&mut text, name, version);
    }
    let preset = plan.profile.preset.map(|preset| format!(" (preset {})", preset.name()));
    line(&mut text, "profile", &format!("{}{}", plan.profile.name, preset.unwrap_or_default()));
    for setting in &plan.profile.settings {
        let _ = writeln!(text, "    {} = {}  # {}", setting.key, setting.value, setting.origin);
    }
    for switch in &plan.profile.unstable {
        line(&mut text, "unstable", switch.name());
    }
    line(&mut text, "audit", audit(plan));
    for build in &plan.builds {
        let _ = writeln!(text, "\nbuild for {}", build.targets.join(", "));
        for (target, std) in &build.std {
            let std = match std {
                Std::Installed => "installed".to_owned(),
                Std::Source { source, options, .. } if options.is_empty() => {
                    format!("built from {source}")
                }
                Std::Source { source, options, .. } => {
                    format!("built from {source} ({})", options.join(", "))
                }
                Std::Missing => "missing: dist provides it first".to_owned(),
            };
            line(&mut text, "std", &format!("{target}: {std}"));
        }
        for (target, choice) in allocators(plan, build) {
            let AllocatorChoice { allocator, origin } = choice;
            line(&mut text, "allocator", &format!("{target}: {}  # {origin}", allocator.name()));
        }
        for (target, MemoryChoice { functions, origin, .. }) in memory_functions(plan, build) {
            line(&mut text, "memory", &format!("{target}: {}  # {origin}", functions.name()));
        }
        for (target, LinkerChoice { linker, origin }) in linkers(plan, build) {
            line(&mut text, "linker", &format!("{target}: {}  # {origin}", linker.name()));
        }
        if let Some(pgo) = plan.jobs.first().and_then(|job| job.pgo.as_ref()) {
            line(&mut text, "pgo", &format!("profile {}  # {}", pgo.profile, pgo.origin));
        }
        let of_build = |job: &&Job| {
            build.targets.contains(&job.target) && build.packages.contains(&job.package)
        };
        for job in plan.jobs.iter().filter(of_build) {
            let _ = writeln!(
                text,
                "  {} {} (package {} {}) -> {}/{}",
                job.platform, job.binary, job.package, job.version, plan.output, job.path
            );
            if let Some(debug) = &job.debug {
                line(&mut text, "", &format!("symbols -> {}/{debug}", plan.output));
            }
        }
    }
    text.push_str(&flags(plan));
    for image in &plan.images {
        let platforms: Vec<_> = image.platforms.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "\nimage {}:{} for {}", image.name, image.tag, platforms.join(", "));
        let entrypoint = image.entrypoint.as_deref().unwrap_or("none: no binary stands out");
        line(&mut text, "entrypoint", entrypoint);
        line(&mut text, "user", &image.user);
    }
    text += &archives(plan);
    for skipped in &plan.skipped {
        let _ = writeln!(
            text,
            "\nleft out: {} ({}): {}",
            skipped.binary, skipped.package, skipped.reason
        );
    }
    text + &notes(plan)
}

/// Formats the commit of the source, or the reason for which it is unknown.
fn revision(release: &Release) -> String {
    match (&release.revision, release.dirty) {
        (Some(hash), Some(true)) => {
            let changes = release.changes.as_ref().map(|changes| format!(": {changes}"));
            format!("{hash} (dirty{})", changes.unwrap_or_default())
        }
        (Some(hash), _) => hash.clone(),
        (None, _) => {
            let reason = release.no_revision.as_deref().unwrap_or("unknown");
            format!("none: {reason}")
        }
    }
}

/// Formats differences from cargo, and the variables that builds do not inherit.
fn notes(plan: &Plan) -> String {
    let mut text = String::new();
    for note in &plan.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    if !plan.withheld.is_empty() {
        let names = plan.withheld.join(", ");
        let _ = writeln!(text, "\nnot inherited by builds: {names}  # {PASS_VARIABLE} passes them");
    }
    text
}

/// Formats whether binaries contain the list of their dependencies.
fn audit(plan: &Plan) -> &'static str {
    match plan.jobs.iter().any(|job| job.audit) {
        true => "dependencies are listed in the binaries",
        false => "dependencies are not listed in the binaries  # metadata",
    }
}

/// Returns the allocator of each target of a build.
fn allocators<'a>(plan: &'a Plan, build: &Build) -> BTreeMap<&'a str, &'a AllocatorChoice> {
    let of_build = |job: &&Job| build.targets.contains(&job.target);
    let jobs = plan.jobs.iter().filter(of_build);
    jobs.map(|job| (job.target.as_str(), &job.allocator)).collect_map()
}

/// Returns the implementation of memory functions of each target of a build.
fn memory_functions<'a>(plan: &'a Plan, build: &Build) -> BTreeMap<&'a str, &'a MemoryChoice> {
    let of_build = |job: &&Job| build.targets.contains(&job.target);
    let jobs = plan.jobs.iter().filter(of_build);
    jobs.map(|job| (job.target.as_str(), &job.memory_functions)).collect_map()
}

/// Returns the linker of each target of a build.
fn linkers<'a>(plan: &'a Plan, build: &Build) -> BTreeMap<&'a str, &'a LinkerChoice> {
    let of_build = |job: &&Job| build.targets.contains(&job.target);
    let jobs = plan.jobs.iter().filter(of_build);
    jobs.map(|job| (job.target.as_str(), &job.linker)).collect_map()
}

/// Formats the flags of each target; targets with the same flags are listed together.
fn flags(plan: &Plan) -> String {
    let mut text = String::new();
    let mut groups: Vec<(&[Flag], Vec<&str>)> = Vec::new();
    for job in &plan.jobs {
        match groups.iter_mut().find(|(flags, _)| *flags == job.rustflags) {
            Some((_, targets)) if targets.contains(&job.target.as_str()) => {}
            Some((_, targets)) => targets.push(&job.target),
            None => groups.push((&job.rustflags, vec![&job.target])),
        }
    }
    for (flags, targets) in groups {
        let _ = writeln!(text, "\nrustflags for {}", targets.join(", "));
        for flag in flags {
            let way = match flag.via {
                Via::Rustflags => "",
                Via::Linker => "; added by the linker's wrapper",
                Via::Default => "; rustc's default, not passed",
            };
            let _ = writeln!(text, "    {}  # {}{way}", flag.flag, flag.origin);
        }
    }
    text
}

/// Formats the archives and their content.
fn archives(plan: &Plan) -> String {
    let mut text = String::new();
    for archive in &plan.archives {
        let _ = writeln!(text, "\narchive {}", archive.name);
        let mut formats: Vec<_> = archive.formats.iter().map(|format| format.ending()).collect();
        formats.extend(archive.debug.then_some("debug.tar.zst"));
        formats.extend(archive.requested_formats());
        line(&mut text, "formats", &formats.join(", "));
        let files = archive.files.keys().map(String::as_str);
        let all: Vec<_> = archive.binaries.iter().map(String::as_str).chain(files).collect();
        line(&mut text, "files", &all.join(", "));
        for (name, companions) in [("complete", &archive.completions), ("man", &archive.man)] {
            if let Companions::Run { binary, args, .. } = companions {
                line(&mut text, name, &format!("`{binary} {}` writes it", args.join(" ")));
            }
        }
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<10} {value}");
}

/// Formats the result of `doctor`: a line for each tool, and the command that fixes a missing one.
pub(super) fn doctor(doctor: &Doctor) -> String {
    let mut text = String::new();
    let width = doctor.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &doctor.checks {
        let state = match check.state {
            State::Good => "good",
            State::Provided => "later",
            State::Optional => "none",
            State::Bad => "BAD",
        };
        let _ = writeln!(text, "{state:>5}  {:<width$}  {}", check.name, check.detail);
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "{:>5}  {:<width$}  fix: {fix}", "", "");
        }
    }
    let verdict = if doctor.healthy { "ready to build" } else { "not ready to build" };
    let _ = writeln!(text, "{verdict}");
    text
}
