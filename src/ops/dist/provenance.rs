//! The provenance of a release, in a file beside it.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::request::BuildRequest,
    model::{
        digest::Digest,
        error::Result,
        provider::Provider,
        schema::{
            Dist,
            dist::{Document, DocumentKind},
        },
    },
    ops::{dist::planned::Planned, output::stage::Stage},
    release::provenance::{self, ProvenanceFacts, ToolFile},
    sys::{Context, digests::digests, env::Env, fs},
};

/// Writes the provenance of all files in `dist` so far, and adds it to `dist`: after everything that it
/// describes, and before checksums.
///
/// # Errors
/// A tool cannot be read, or the file not be written.
pub fn write(
    cx: &Context,
    request: &BuildRequest,
    planned: &Planned,
    stage: &Stage,
    dist: &mut Dist,
) -> Result<()> {
    let known = provenance_facts(cx, planned)?;
    let bytes = provenance::statement(dist, &planned.plan, request, &known)?;
    let path = format!("archives/{}", provenance::file_name(dist));
    let (sha256, size) = (Digest::sha256(&bytes), bytes.len() as u64);
    if !stage.reuse(&path, &sha256, size)? {
        fs::write(&stage.path(&path), &bytes)?;
    }
    fs::set_time(&stage.path(&path), dist.release.source_date_epoch)?;
    let kind = DocumentKind::Provenance;
    dist.documents.push(Document { kind, subject: None, path, size, sha256 });
    Ok(())
}

fn provenance_facts(cx: &Context, planned: &Planned) -> Result<ProvenanceFacts> {
    let plan = &planned.plan;
    let lock = Utf8Path::new(&plan.workspace).join("Cargo.lock");
    let files = tool_files(cx, planned);
    let found = digests(cx, files.iter().map(|(_, path)| path.as_path()))?;
    let files = files.into_iter().zip(found).filter_map(|((tool, path), sha256)| {
        let file = path.file_name().unwrap_or(tool).to_owned();
        Some(ToolFile { tool: tool.to_owned(), file, sha256: sha256? })
    });
    let sysroot = planned.rust.sysroot.as_str();
    let home = cx.env.cargo_home().unwrap_or_default();
    let directories = [
        (plan.target_directory.as_str(), "$TARGET"),
        (&plan.workspace, "$WORKSPACE"),
        (sysroot, "$SYSROOT"),
        (home.as_str(), "$CARGO_HOME"),
        (cx.env.cache.as_str(), "$CACHE"),
        (cx.env.home().map_or("", Utf8Path::as_str), "$HOME"),
    ];
    let directories = directories.into_iter().filter(|(location, _)| location.len() > 1);
    Ok(ProvenanceFacts {
        repository: repository(&cx.env).or_else(|| planned.repository.clone()),
        lock: if lock.exists() { Some(fs::digest(&lock)?.0) } else { None },
        files: files.collect(),
        builder: builder(&cx.env),
        directories: directories
            .map(|(location, name)| (location.to_owned(), name.to_owned()))
            .collect(),
    })
}

/// Returns the main files of the tools. rustc is a small program and a large library; the rustc that
/// rustup puts on `PATH` only starts it.
fn tool_files(cx: &Context, planned: &Planned) -> Vec<(&'static str, Utf8PathBuf)> {
    let sysroot = &planned.rust.sysroot;
    let mut files = vec![
        ("longshore", cx.env.exe.clone()),
        ("cargo", sysroot.join("bin/cargo")),
        ("rustc", sysroot.join("bin/rustc")),
    ];
    let lib = sysroot.join("lib");
    let names = fs::names(&lib).unwrap_or_default();
    let drivers = names.iter().filter(|name| name.starts_with("librustc_driver-"));
    files.extend(drivers.map(|name| ("rustc", lib.join(name))));
    let zig = planned.zig.as_ref().filter(|zig| zig.args.is_empty());
    files.extend(zig.map(|zig| ("zig", zig.program.clone())));
    files
}

/// Returns the repository that a CI system builds: it was checked out, while a package may name the one
/// that it was forked from.
fn repository(env: &Env) -> Option<String> {
    match env.provider()? {
        Provider::Github => {
            let (server, name) = (env.var("GITHUB_SERVER_URL")?, env.var("GITHUB_REPOSITORY")?);
            Some(format!("{server}/{name}"))
        }
        Provider::Gitlab => env.var("CI_PROJECT_URL").map(str::to_owned),
        Provider::Circleci => None,
    }
}

/// Returns the builder, in the terms of GitHub's and GitLab's own provenance: the definition of the
/// job, at the revision it has. Values that differ from run to run are left out.
fn builder(env: &Env) -> Option<String> {
    match env.provider()? {
        Provider::Github => {
            let (server, workflow) =
                (env.var("GITHUB_SERVER_URL")?, env.var("GITHUB_WORKFLOW_REF")?);
            Some(format!("{server}/{workflow}"))
        }
        Provider::Gitlab => {
            let (project, name) = (env.var("CI_PROJECT_URL")?, env.var("CI_COMMIT_REF_NAME")?);
            let file = env.var("CI_CONFIG_PATH").unwrap_or(".gitlab-ci.yml");
            Some(format!("{project}//{file}@{name}"))
        }
        Provider::Circleci => None,
    }
}
