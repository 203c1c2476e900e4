//! The release pipeline of each provider's file, run for real.

use std::{collections::BTreeMap, path::Path};

use longshore::model::schema::publication::ForgeKind;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    ci::{peers, yaml},
    command::{LONGSHORE, longshore, plain},
    dist::digest,
    peer,
    pipeline::{Job, Run, cache, circleci, github, gitlab, path},
    registry::Registry,
    release_forge::{ReleaseForge, TOKEN},
    tool::{ToolServer, VERSION},
    workspace::Workspace,
};

/// Settings for `Cargo.toml` with which a build takes little time; these tests are about what
/// comes before and after it.
pub(crate) const QUICK: &str = "[workspace.metadata.longshore]\npreset = \"quick\"\n\
                                [profile.dist]\nlto = \"off\"\nopt-level = 0\n";

/// Adds an xtask, and what it has of longshore.
fn with_xtask(workspace: Workspace) -> Workspace {
    let manifest = std::fs::read_to_string(workspace.path("Cargo.toml")).unwrap();
    // For cargo itself, which compiles the xtask.
    let manifest = manifest.replace("[profile.dist]\n", "[profile.dist]\ninherits = \"release\"\n");
    let members = "[workspace]\nmembers = [\"stub\", \"xtask\"]\n";
    let crate_of = |name: &str, more: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n{more}")
    };
    let stub = "pub fn run() -> i32 {\n    let args = std::env::args_os().skip(1);\n    \
                std::process::Command::new(\"cargo-longshore\").args(args).status().unwrap().code().unwrap()\n}\n";
    let workspace = workspace
        .file("Cargo.toml", &format!("{manifest}\n{members}"))
        .file(".cargo/config.toml", "[alias]\nxtask = \"run --package xtask --\"\n")
        .file("stub/Cargo.toml", &crate_of("longshore", ""))
        .file("stub/src/lib.rs", stub)
        .file(
            "xtask/Cargo.toml",
            &crate_of("xtask", "[dependencies]\nlongshore = { path = \"../stub\" }\n"),
        )
        .file("xtask/src/main.rs", "fn main() {\n    std::process::exit(longshore::run());\n}\n");
    peer::lock(&workspace);
    workspace
}

/// Returns a repository with the files of all providers, that releases to `repository`. The build fails in the
/// job that `BROKEN` names, and in all that have no name where it is `yes`. `more` is for `Cargo.toml`.
///
/// Jobs get longshore from `tool`, a line of the settings. Without one, the workspace has an xtask, with a crate
/// `longshore` that starts the program under test.
fn released(repository: &str, more: &str, (tool, release): (Option<&str>, bool)) -> Workspace {
    let settings = format!(
        "{more}[workspace.metadata.longshore.ci]\nrepository = \"{repository}\"\nrelease = {release}\n\
         before.build = ['test \"${{BROKEN-no}}\" != \"${{CI_JOB_NAME-yes}}\"']\n{}",
        tool.unwrap_or_default()
    );
    let workspace = Workspace::empty()
        .package("hello", &settings)
        // Whatever is there: nothing is installed for this.
        .file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n")
        .file(".gitignore", "/target\n/.gitlab-ci-local\n/.gitlab-ci-reports\n");
    let workspace = if tool.is_none() { with_xtask(workspace) } else { workspace };
    generate_and_commit(&workspace);
    workspace
}

/// Writes the files of all providers, and commits and tags everything.
pub(crate) fn generate_and_commit(workspace: &Workspace) {
    let all = "ci generate --provider github --provider gitlab --provider circleci";
    longshore(workspace, all).run();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
        let output = plain("git").args(who).args(args).current_dir(workspace.root()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=first"]);
    git(&["tag", "v0.1.0"]);
}

const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The release of a provider, and its start.
pub(crate) struct Provider {
    pub(crate) path: &'static str,
    pub(crate) read: fn(&Value) -> BTreeMap<String, Job>,
    /// The prefix of the names of its jobs.
    pub(crate) start: &'static str,
    /// The forge that has its releases.
    forge: Option<ForgeKind>,
    /// The path of the archives of a release in the store.
    archives: &'static str,
    /// The job that compiles longshore on arm64.
    arm64: &'static str,
    /// The path of longshore for amd64 in the store.
    tool: &'static str,
    /// The variables of a run for a tag.
    pub(crate) variables: &'static [(&'static str, &'static str)],
}

impl Provider {
    /// Returns the names of the jobs of a release, for which longshore is downloaded or compiled.
    fn release_jobs(&self, downloaded: bool) -> Vec<String> {
        let id = |name: &str| format!("{}{name}", self.start);
        let mut ids: Vec<_> = ["plan", "merge", "publish"].map(id).into();
        ids.extend((!downloaded).then(|| id(self.arm64)));
        ids.extend(TARGETS.map(|target| id(&format!("build-{target}"))));
        ids.sort();
        ids
    }
}

pub(crate) const PROVIDERS: [Provider; 3] = [
    Provider {
        path: ".github/workflows/longshore-release.yml",
        read: github,
        start: "",
        forge: Some(ForgeKind::Github),
        archives: "longshore-archives",
        arm64: "tool-ubuntu-24-04-arm",
        tool: "longshore-tool-ubuntu-24-04/cargo-longshore",
        variables: &[("GITHUB_REF_NAME", "v0.1.0"), ("GITHUB_REF_TYPE", "tag")],
    },
    Provider {
        path: ".gitlab-ci.yml",
        read: gitlab,
        start: "longshore-",
        forge: Some(ForgeKind::Gitlab),
        archives: "longshore-merge/target/dist/archives",
        arm64: "tool-arm64",
        tool: "longshore-plan/target/ci-tool/amd64/cargo-longshore",
        variables: &[("CI_COMMIT_TAG", "v0.1.0")],
    },
    Provider {
        path: ".circleci/config.yml",
        read: circleci,
        start: "",
        forge: None,
        archives: "store_artifacts/target/dist/archives",
        arm64: "tool-arm64",
        tool: "persist_to_workspace/target/ci-tool/amd64/cargo-longshore",
        variables: &[("CIRCLE_TAG", "v0.1.0")],
    },
];

/// Returns the variables of a job that publishes the repository `source` at a forge, which has its tag.
fn at_forge(forge: &ReleaseForge, source: &Workspace) -> Vec<(&'static str, String)> {
    let git = plain("git").args(["rev-parse", "HEAD"]).current_dir(source.root()).output().unwrap();
    let commit = String::from_utf8(git.stdout).unwrap().trim().to_owned();
    let kind = forge.with(|state| {
        state.tags.insert("v0.1.0".to_owned(), (commit.clone(), false));
        state.kind
    });
    let api = ReleaseForge::api(kind, &forge.address);
    let words: [(&str, &str); 4] = match kind {
        ForgeKind::Gitlab => [
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", &api),
            ("CI_PROJECT_PATH", "me/group/hello"),
            ("CI_JOB_TOKEN", TOKEN),
        ],
        _ => [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", &api),
            ("GITHUB_REPOSITORY", "me/hello"),
            ("GITHUB_TOKEN", TOKEN),
        ],
    };
    let words = words.into_iter().map(|(name, value)| (name, value.to_owned()));
    words.chain([("CI_COMMIT_SHA", commit)]).collect()
}

#[test]
fn each_providers_release_equals_one_dist() {
    let (Some(peers), Some(registry)) = (peers(), Registry::start()) else { return };
    let Some(server) = ToolServer::start() else { return };
    let machine = server.variables();
    let machine: Vec<_> = machine.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let machine = |more: &[(&'static str, &'static str)]| [&machine, more].concat();
    // Each job downloads a release, or jobs compile an xtask or a commit and hand longshore on.
    let sources = [Some(server.archives(LONGSHORE.as_ref(), VERSION)), None, Some(server.commit())];
    for (at, provider) in PROVIDERS.iter().enumerate() {
        let repository = format!("{}/me/hello{at}", registry.address);
        let downloaded = at == 0;
        let source = released(&repository, QUICK, (sources[at].as_deref(), true));
        let jobs = (provider.read)(&yaml(&peers, &source.path(provider.path)));
        let mut run = Run::new(jobs, &source, provider.variables);
        let id = |name: &str| format!("{}{name}", provider.start);
        let ids: Vec<_> = run.jobs.keys().cloned().collect();
        assert_eq!(ids, provider.release_jobs(downloaded));

        let compiled = ["no crate", "Compiling xtask", "Compiling longshore v0.1.0"][at];
        for job in ["plan", provider.arm64].into_iter().take(if downloaded { 1 } else { 2 }) {
            let told = run.job(&id(job), &machine(&[])).unwrap();
            assert_eq!(told.contains(compiled), !downloaded, "{told}");
        }
        let [amd64, arm64] = TARGETS.map(|target| id(&format!("build-{target}")));
        // A program that a different job, or a different release, stored in its place is not run.
        let change = |run: &Run<'_>, change: &dyn Fn(&[u8]) -> Vec<u8>| {
            if downloaded {
                server.change(&format!("longshore-{VERSION}-{}.tar.gz", TARGETS[0]), change);
            } else {
                run.swap_tool(provider.tool, change);
            }
        };
        change(&run, &|old| [old, b"\n"].concat());
        let told = run.job(&amd64, &machine(&[])).unwrap_err();
        assert!(told.contains("expected sha256") && !told.contains("Compiling"), "{told}");
        change(&run, &|old| old[..old.len() - 1].to_vec());
        let told = run.job(&amd64, &machine(&[])).unwrap();
        assert!(!told.contains(compiled), "{told}");
        run.job(&arm64, &machine(&[("BROKEN", "yes")])).unwrap_err();
        // The merge waits for it, and would refuse.
        run.done.push(arm64.clone());
        let told = run.job(&id("merge"), &machine(&[])).unwrap_err();
        assert!(told.contains("target/parts/aarch64-unknown-linux-musl"), "{told}");
        // That one alone again, and then the merge.
        run.job(&arm64, &machine(&[])).unwrap();
        run.job(&id("merge"), &machine(&[])).unwrap();
        let forge = provider.forge.map(ReleaseForge::start);
        let variables = forge.as_ref().map(|forge| at_forge(forge, &source)).unwrap_or_default();
        let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> = machine(&[]).into_iter().chain(variables).collect();
        let told = run.job(&id("publish"), &variables).unwrap();
        assert!(!told.contains("Compiling "), "{told}");
        // A second run has nothing to do.
        run.job(&id("publish"), &variables).unwrap();

        longshore(&source, "dist").run();
        let local = digest(&source.dist().join("image/hello"));
        assert!(told.contains(&format!("{repository}@{local}")), "{local}: {told}");
        assert!(told.contains(&format!("Tagged {repository}:0.1.0")), "{told}");
        let Some(forge) = forge else { continue };
        assert_eq!(forge.with(|state| state.wrong.clone()), Vec::<String>::new());
        let public = forge.public("v0.1.0").unwrap();
        // What the job that merged left; archives are those of one `dist`, too.
        let read = |directory: &Path| -> BTreeMap<String, Vec<u8>> {
            let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
            let names = names.map(|entry| entry.file_name().into_string().unwrap());
            names
                .map(|name| (name.clone(), std::fs::read(directory.join(&name)).unwrap()))
                .collect()
        };
        let merged = read(&run.store.path().join(provider.archives));
        assert!(public == merged, "{:?}, and {:?} merged", public.keys(), merged.keys());
        let local = read(&source.dist().join("archives"));
        let packed = |name: &&String| name.ends_with(".tar.gz");
        assert_eq!(local.keys().filter(packed).count(), 2);
        for name in local.keys().filter(packed) {
            assert!(public.get(name) == local.get(name), "{name}");
        }
    }
}

#[test]
fn gitlab_ci_local_runs_the_release_and_a_failed_platform_again_alone() {
    let (Some(peers), Some(registry)) = (peers(), Registry::start()) else { return };
    let (Some(node), Some(_)) = (peer::find("node"), peer::find("rsync")) else { return };
    let repository = format!("{}/me/local", registry.address);
    // As users have it: with the preset that is the default, which takes longer.
    let source = released(&repository, "", (Some("command = \"cargo longshore\"\n"), false));
    // Its names are made of where a repository comes from.
    let origin = ["remote", "add", "origin", "https://gitlab.example.org/me/hello.git"];
    assert!(plain("git").args(origin).current_dir(source.root()).status().unwrap().success());
    let home = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        let program = peers.join("node/node_modules/.bin/gitlab-ci-local");
        let output = plain(&node)
            .arg(program)
            .args(["--force-shell-executor", "--shell-isolation"])
            // A pipeline for a tag is for no branch.
            .args(["--variable", "CI_COMMIT_TAG=v0.1.0", "--variable", "CI_COMMIT_BRANCH=none"])
            .args(args)
            .current_dir(source.root())
            .env("PATH", path())
            .env("HOME", home.path())
            .env("CARGO_HOME", peer::cargo_home())
            .env("RUSTUP_HOME", peer::rustup_home())
            .env("ZIG_GLOBAL_CACHE_DIR", peer::zig_cache())
            .env("CARGO_ZIGBUILD_ZIG_PATH", peer::zig())
            .env("LONGSHORE_CACHE_DIR", cache())
            .env_remove("CARGO")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.success(), told)
    };
    let arm64 = "longshore-build-aarch64-unknown-linux-musl";
    let (well, told) = run(&["--variable", &format!("BROKEN={arm64}")]);
    assert!(!well && told.contains(&format!("FAIL  {arm64}")), "{told}");
    assert!(!told.contains("==> Merge"), "{told}");
    let (well, told) = run(&[arm64]);
    assert!(well, "{told}");
    let (well, told) = run(&["longshore-merge"]);
    assert!(well, "{told}");
    let (well, told) = run(&["longshore-publish"]);
    assert!(well, "{told}");
    // The jobs left their artifacts there, which are not an output of `dist`.
    std::fs::remove_dir_all(source.dist()).unwrap();
    longshore(&source, "dist").run();
    let local = digest(&source.dist().join("image/hello"));
    assert!(told.contains(&format!("{repository}@{local}")), "{local}: {told}");
}
