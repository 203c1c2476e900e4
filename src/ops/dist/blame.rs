//! The cause of a failure: the crate, its path in the dependency graph, and the relevant lines of the
//! log. Computed only after a failure.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    binary::elf::Facts,
    build::cargo::{blame, message::BuildScript},
    model::{
        command::Command,
        error::{Error, Result},
        machine::Linkage,
        schema::plan::{Build, Plan},
        source::Source,
    },
    ops::{dist::build::Built, output::stage::Stage},
    sys::{Context, file},
};

/// Lines of the log that an error shows, about.
const EXCERPT_LINES: usize = 40;

/// A build that failed.
#[derive(Debug)]
pub(in crate::ops) struct BuildFailure<'a> {
    /// The job.
    pub(in crate::ops) build: &'a Build,
    /// The command.
    pub(in crate::ops) command: &'a Command,
    /// Its messages for people.
    pub(in crate::ops) lines: &'a [String],
    /// The linker flags of its build scripts.
    pub(in crate::ops) scripts: &'a [BuildScript],
    /// Its exit status.
    pub(in crate::ops) ending: String,
    /// The path of its complete log.
    pub(in crate::ops) log: Utf8PathBuf,
}

/// Returns the error of a failed build: the crate and its path in the dependency graph, the end of the
/// log, and the package that requested a library that the linker did not find.
pub(in crate::ops) fn build_error(cx: &Context, failure: &BuildFailure<'_>) -> Error {
    let BuildFailure { build, command, lines, scripts, ending, log } = failure;
    let failed = blame::failed_crate(lines);
    let what = match &failed {
        Some(failed) => format!("cannot build `{failed}`"),
        None => "the build failed".to_owned(),
    };
    let mut detail =
        vec![format!("$ {}", without_env(command)), blame::excerpt(lines, EXCERPT_LINES)];
    let mut hint = known_remedy(lines).map(str::to_owned);
    if hint.is_none() && lines.iter().any(|line| blame::is_rust_lld_failure(line)) {
        detail.push("rust-lld failed to link".to_owned());
        hint = Some(
            "`linker = \"zig\"` in `[workspace.metadata.longshore]`, or `--linker zig`, links with \
             zig and its libraries"
                .to_owned(),
        );
    }
    let missing = blame::missing_libraries(lines);
    for library in &missing {
        let subject = format!("library `{library}` is missing: ");
        let requester = build
            .targets
            .iter()
            .find_map(|target| find_requester(cx, build, scripts, library, target));
        let unknown = "no build script links it, so a `#[link]` attribute or a flag does";
        detail.push(subject + requester.as_ref().map_or(unknown, |(text, _)| text));
        if let Some((_, package)) = requester {
            hint = Some(static_link_hint(&package));
        }
    }
    // The library's own crate is in question, where one is missing, and not the one that links.
    if let Some(failed) = failed.filter(|_| missing.is_empty())
        && let Some(way) = dependency_chain(cx, build, &failed.spec(), None)
        && let Some(needed) = blame::describe_chain(&way)
    {
        detail.push(format!("`{failed}` was being built, {needed}"));
    }
    let whole = format!("the complete log is `{log}`");
    let hint = hint.map_or(whole.clone(), |hint| format!("{hint}; {whole}"));
    Error::build(format!("{what}: cargo ended with {ending}")).detail(detail.join("\n")).hint(hint)
}

/// Returns the command without the long list of variables, which the log has.
fn without_env(command: &Command) -> Command {
    Command { env: Default::default(), ..command.clone() }
}

fn static_link_hint(package: &str) -> String {
    format!(
        "have `{package}` build its own library and link it statically: most such crates have a \
         feature for that (`vendored`, `bundled`, `static`)"
    )
}

/// Returns the remedy for some well-known failures of a build.
fn known_remedy(lines: &[String]) -> Option<&'static str> {
    let seen = |text: &str| lines.iter().any(|line| line.contains(text));
    if seen("No space left on device") {
        Some("free some space")
    } else if seen("because --locked was passed") {
        Some(
            "`Cargo.lock` is missing or old: `cargo generate-lockfile` makes it, `--no-locked` \
              does without",
        )
    } else if seen("failed to download from") || seen("Could not resolve host") {
        Some("the network is out of reach: try again, or `--offline` after `cargo fetch`")
    } else if seen("requires rustc") {
        Some("a newer toolchain is needed")
    } else if seen("is `cmake` not installed?") {
        Some("a build script needs `cmake`: install it")
    } else if seen("-Werror,-Wdate-time") {
        Some(
            "C code uses the time of its compilation, which zig rejects: \
             `CFLAGS=-Wno-error=date-time` sets it to `SOURCE_DATE_EPOCH`",
        )
    } else {
        None
    }
}

/// Returns the package that requests `library` in a build for `target`, as a sentence, and its name.
fn find_requester(
    cx: &Context,
    build: &Build,
    scripts: &[BuildScript],
    library: &str,
    target: &str,
) -> Option<(String, String)> {
    let mut sentences = Vec::new();
    let mut first = None;
    for script in blame::scripts_linking(scripts, library, target) {
        let way = dependency_chain(cx, build, &script.package, Some(target)).unwrap_or_default();
        let package = way.first().unwrap_or(&script.package).clone();
        let needed =
            blame::describe_chain(&way).map_or_else(String::new, |needed| format!(", {needed}"));
        sentences.push(format!("the build script of `{package}` links it{needed}"));
        first.get_or_insert(package);
    }
    Some((sentences.join("; "), first?))
}

/// Returns the shortest path from a package to one of the workspace, by `cargo tree`. It explains an
/// existing error, so a failure here only makes that shorter.
fn dependency_chain(
    cx: &Context,
    build: &Build,
    spec: &str,
    target: Option<&str>,
) -> Option<Vec<String>> {
    let mut args = vec!["tree", "--frozen", "--prefix", "depth", "--edges", "normal,build"];
    args.extend(["--color", "never", "--invert", spec]);
    // The same packages with the same features, as far as the two commands share flags.
    let mut given = build.args.iter().skip(1).map(String::as_str);
    while let Some(arg) = given.next() {
        match arg {
            "--manifest-path" | "--package" | "--features" => args.extend([arg, given.next()?]),
            "--all-features" | "--no-default-features" => args.push(arg),
            _ => {}
        }
    }
    let all = build.targets.iter().map(String::as_str);
    for target in all.filter(|name| target.is_none_or(|target| target == *name)) {
        args.extend(["--target", target]);
    }
    let command = Command::new(cx.env.cargo()).args(args).dir(&cx.env.dir);
    let output = cx.children.output(&command).ok().filter(|output| output.success())?;
    blame::shortest_dependency_chain(&String::from_utf8_lossy(&output.stdout))
}

/// Adds to `error`, which rejects the built programs, the packages that bring the shared libraries of
/// programs that should need none.
pub(in crate::ops) fn with_library_sources(
    cx: &Context,
    plan: &Plan,
    built: &Built,
    stage: &Stage,
    error: Error,
) -> Error {
    let mut sentences = Vec::new();
    let mut package = None;
    for job in plan.jobs.iter().filter(|job| job.linkage != Linkage::Dynamic) {
        let Some(build) = plan.builds.iter().find(|build| build.targets.contains(&job.target))
        else {
            continue;
        };
        for needed in needed_libraries(&stage.path(&job.path)).unwrap_or_default() {
            let library = blame::library_name(&needed);
            let Some((requester, name)) =
                find_requester(cx, build, &built.report.scripts, library, &job.target)
            else {
                continue;
            };
            let what = format!("{} {}", job.platform, job.binary);
            sentences.push(format!("{what} is linked to `{needed}`: {requester}"));
            package.get_or_insert(name);
        }
    }
    let Some(package) = package else {
        return error;
    };
    let before = error.detail_text().map(str::to_owned);
    let hint = error.hint_text().map_or_else(String::new, |hint| format!("; {hint}"));
    let detail = before.into_iter().chain(sentences).collect::<Vec<_>>().join("\n");
    error.detail(detail).hint(static_link_hint(&package) + &hint)
}

/// Returns the shared libraries that a program needs.
fn needed_libraries(path: &Utf8Path) -> Result<Vec<String>> {
    let file = file::open(path)?;
    let facts = Facts::read(Source::File(&file));
    Ok(facts.map(|facts| facts.needed).unwrap_or_default())
}
