//! The release pipeline of each provider's file, run for real: every job in a clone of its own with a home
//! of its own, as separate machines would, and nothing between them but what the file hands on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    ci::{peers, yaml},
    command::{LONGSHORE, longshore, plain},
    dist::digest,
    peer,
    registry::Registry,
    workspace::Workspace,
};

/// An action of a job, in any file.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Run(String),
    /// `path` of the work tree goes to the artifact, as what is in it or under its own path.
    Put {
        artifact: String,
        path: String,
        content: bool,
    },
    /// Copies the content of artifacts with this prefix to this path in the work tree.
    Get {
        start: String,
        into: String,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) needs: Vec<String>,
    pub(crate) actions: Vec<Action>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the jobs of a release in a workflow.
pub(crate) fn github(file: &Value) -> BTreeMap<String, Job> {
    let mut jobs = BTreeMap::new();
    for (id, provider) in file["jobs"].as_object().unwrap() {
        let mut job = Job::default();
        job.needs.extend(list(&provider["needs"]).iter().map(text));
        // What is done after a failure only is not.
        let after_failure = |step: &&Value| step["if"] == "${{ failure() }}";
        for step in list(&provider["steps"]).iter().filter(|step| !after_failure(step)) {
            let with = &step["with"];
            let uses = step["uses"].as_str().unwrap_or_default();
            job.actions.push(match uses.split('@').next().unwrap() {
                "" => Action::Run(text(&step["run"])),
                "actions/checkout" => {
                    assert_eq!(with["persist-credentials"], false);
                    continue;
                }
                "actions/upload-artifact" => {
                    let (artifact, path) = (text(&with["name"]), text(&with["path"]));
                    Action::Put { artifact, path, content: true }
                }
                // A cache is found by chance: no job relies on one.
                "actions/cache/restore" | "actions/cache/save" => continue,
                "actions/download-artifact" if with["name"].is_string() => Action::Get {
                    start: format!("{}/", text(&with["name"])),
                    into: text(&with["path"]),
                },
                "actions/download-artifact" => {
                    assert_eq!(with["merge-multiple"], true);
                    let start = text(&with["pattern"]).trim_end_matches('*').to_owned();
                    Action::Get { start, into: text(&with["path"]) }
                }
                other => panic!("{other}"),
            });
        }
        jobs.insert(id.clone(), job);
    }
    jobs
}

/// Returns those of GitLab's file.
fn gitlab(file: &Value) -> BTreeMap<String, Job> {
    gitlab_jobs(file, "$CI_COMMIT_TAG =~ /^v/")
}

/// Returns those that run in that case.
pub(crate) fn gitlab_jobs(file: &Value, case: &str) -> BTreeMap<String, Job> {
    let all = file.as_object().unwrap().iter();
    let all = all.filter(|(_, entry)| entry["rules"][0]["if"] == case);
    let all: Vec<_> = all.collect();
    let stage =
        |value: &Value| ["build", "test", "deploy"].iter().position(|name| value["stage"] == *name);
    let mut jobs = BTreeMap::new();
    for (id, provider) in &all {
        let earlier = all.iter().filter(|(_, other)| stage(other) < stage(provider));
        let needs: Vec<String> = match provider.get("needs") {
            Some(needs) => list(needs).iter().map(text).collect(),
            None => earlier.map(|(id, _)| (*id).clone()).collect(),
        };
        let get =
            needs.iter().map(|need| Action::Get { start: format!("{need}/"), into: String::new() });
        let lines: String = list(&provider["script"]).iter().map(text).collect();
        let put = list(&provider["artifacts"]["paths"]).iter().map(|path| {
            let (artifact, path) = (format!("{id}/"), text(path));
            Action::Put { artifact, path, content: false }
        });
        let actions = get.chain([Action::Run(lines)]).chain(put).collect();
        jobs.insert((*id).clone(), Job { needs, actions });
    }
    jobs
}

/// Returns those of CircleCI's.
fn circleci(file: &Value) -> BTreeMap<String, Job> {
    circleci_jobs(file, "release")
}

/// Returns those of that workflow.
pub(crate) fn circleci_jobs(file: &Value, workflow: &str) -> BTreeMap<String, Job> {
    let mut jobs = BTreeMap::new();
    for entry in list(&file["workflows"][workflow]["jobs"]) {
        let none = Value::Null;
        let (id, how) = match entry.as_object().and_then(|entry| entry.iter().next()) {
            Some((id, how)) => (id.clone(), how),
            None => (text(entry), &none),
        };
        let id = &id;
        let mut job = Job::default();
        job.needs.extend(list(&how["requires"]).iter().map(text));
        for step in list(&file["jobs"][id]["steps"]) {
            let Some((verb, how)) = step.as_object().and_then(|step| step.iter().next()) else {
                assert_eq!(step, "checkout");
                continue;
            };
            let put = |path: &Value| Action::Put {
                artifact: format!("{verb}/"),
                path: text(path),
                content: false,
            };
            match verb.as_str() {
                "run" => job.actions.push(Action::Run(text(&how["command"]).replace("\\<<", "<<"))),
                "persist_to_workspace" => job.actions.extend(list(&how["paths"]).iter().map(put)),
                "attach_workspace" => job.actions.push(Action::Get {
                    start: "persist_to_workspace/".to_owned(),
                    into: text(&how["at"]),
                }),
                "store_artifacts" => job.actions.push(put(&how["path"])),
                "restore_cache" | "save_cache" | "store_test_results" => {}
                other => panic!("{other}"),
            }
        }
        jobs.insert(id.clone(), job);
    }
    jobs
}

/// One run of a pipeline: what its jobs left.
pub(crate) struct Run<'a> {
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) source: &'a Workspace,
    pub(crate) variables: &'a [(&'static str, &'static str)],
    pub(crate) store: TempDir,
    pub(crate) done: Vec<String>,
}

/// Copies files only, without modes and times.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, fs::read(from).unwrap()).unwrap();
        return;
    }
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

impl Run<'_> {
    /// Runs a job on a machine of its own. Gives what it wrote, or what failed.
    pub(crate) fn job(&mut self, id: &str, more: &[(&str, &str)]) -> Result<String, String> {
        let job = self.jobs[id].clone();
        assert!(job.needs.iter().all(|need| self.done.contains(need)), "{id} has to wait");
        let machine = TempDir::new().unwrap();
        let work = machine.path().join(id).join("work");
        peer::run(
            Path::new("git"),
            [
                "clone".as_ref(),
                "--quiet".as_ref(),
                self.source.root().as_os_str(),
                work.as_os_str(),
            ],
        );
        let home = machine.path().join("home");
        fs::create_dir(&home).unwrap();
        let (mut written, mut failed) = (String::new(), false);
        for action in &job.actions {
            match action {
                // What is left after a failure is for people; nothing depends on it.
                Action::Run(_) | Action::Get { .. } if failed => {}
                Action::Run(script) => {
                    let output = self.script(script, &work, &home, more);
                    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    written.push_str(&told(&output.stdout));
                    written.push_str(&told(&output.stderr));
                    if !output.status.success() {
                        failed = true;
                    }
                }
                Action::Put { artifact, path, content } => {
                    let to = self.store.path().join(artifact);
                    let to = if *content { to } else { to.join(path) };
                    copy(&work.join(path), &to);
                }
                Action::Get { start, into } => {
                    for entry in fs::read_dir(self.store.path()).unwrap() {
                        let entry = entry.unwrap();
                        let name = format!("{}/", entry.file_name().to_str().unwrap());
                        if name.starts_with(start) {
                            copy(&entry.path(), &work.join(into));
                        }
                    }
                }
            }
        }
        if failed {
            return Err(written);
        }
        self.done.push(id.to_owned());
        Ok(written)
    }

    fn script(&self, script: &str, work: &Path, home: &Path, more: &[(&str, &str)]) -> Output {
        let mut command = plain("sh");
        for name in [
            "GITHUB_ACTIONS",
            "GITHUB_REF_NAME",
            "CI_COMMIT_TAG",
            "CIRCLE_TAG",
            "CI_JOB_NAME",
            "CARGO",
        ] {
            command.env_remove(name);
        }
        command
            .args(["-e", "-c", script])
            .current_dir(work)
            .env("PATH", path())
            .env("HOME", home)
            // What takes long to fetch is on each machine.
            .env("CARGO_HOME", peer::cargo_home())
            .env("RUSTUP_HOME", peer::rustup_home())
            .env("ZIG_GLOBAL_CACHE_DIR", peer::zig_cache())
            .env("CARGO_ZIGBUILD_ZIG_PATH", peer::zig())
            .env("LONGSHORE_CACHE_DIR", cache())
            .envs(self.variables.iter().copied())
            .envs(more.iter().copied());
        command.output().unwrap()
    }
}

/// Returns `PATH` with the program under test before all else.
fn path() -> std::ffi::OsString {
    let tools = Path::new(LONGSHORE).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// Returns longshore's cache directory, which is outside of the homes.
fn cache() -> PathBuf {
    let usual = || peer::cargo_home().parent().unwrap().join(".cache/longshore");
    std::env::var_os("LONGSHORE_CACHE_DIR").map_or_else(usual, PathBuf::from)
}

/// Settings for `Cargo.toml` with which a build takes little time; these tests are about what
/// comes before and after it.
pub(crate) const QUICK: &str = "[workspace.metadata.longshore]\npreset = \"quick\"\n\
                                [profile.dist]\nlto = \"off\"\nopt-level = 0\n";

/// Returns a repository with the files of all providers, that releases to `repository`. The build fails in the
/// job that `BROKEN` names, and in all that have no name where it is `yes`. `more` is for `Cargo.toml`.
fn released(repository: &str, more: &str) -> Workspace {
    let settings = format!(
        "{more}[workspace.metadata.longshore.ci]\nrepository = \"{repository}\"\nrelease = false\n\
         before.build = ['test \"${{BROKEN-no}}\" != \"${{CI_JOB_NAME-yes}}\"']\n"
    );
    let workspace = Workspace::empty()
        .package("hello", &settings)
        // Whatever is there: nothing is installed for this.
        .file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n")
        .file(".gitignore", "/target\n/.gitlab-ci-local\n");
    let all = "ci generate --provider github --provider gitlab --provider circleci";
    longshore(&workspace, all).run();
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
    workspace
}

const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The release of a provider, and its start.
struct Provider {
    path: &'static str,
    read: fn(&Value) -> BTreeMap<String, Job>,
    /// The prefix of the names of its jobs.
    start: &'static str,
    /// The variables of a run for a tag.
    variables: &'static [(&'static str, &'static str)],
}

const PROVIDERS: [Provider; 3] = [
    Provider {
        path: ".github/workflows/longshore-release.yml",
        read: github,
        start: "",
        variables: &[("GITHUB_REF_NAME", "v0.1.0"), ("GITHUB_REF_TYPE", "tag")],
    },
    Provider {
        path: ".gitlab-ci.yml",
        read: gitlab,
        start: "longshore-",
        variables: &[("CI_COMMIT_TAG", "v0.1.0")],
    },
    Provider {
        path: ".circleci/config.yml",
        read: circleci,
        start: "",
        variables: &[("CIRCLE_TAG", "v0.1.0")],
    },
];

#[test]
fn each_providers_release_equals_one_dist() {
    let (Some(peers), Some(registry)) = (peers(), Registry::start()) else { return };
    for (at, provider) in PROVIDERS.iter().enumerate() {
        let repository = format!("{}/me/hello{at}", registry.address);
        let source = released(&repository, QUICK);
        let jobs = (provider.read)(&yaml(&peers, &source.path(provider.path)));
        let (store, done) = (TempDir::new().unwrap(), Vec::new());
        let mut run = Run { jobs, source: &source, variables: provider.variables, store, done };
        let id = |name: &str| format!("{}{name}", provider.start);
        let ids: Vec<_> = run.jobs.keys().cloned().collect();
        let mut expected = vec![id("plan"), id("merge")];
        expected.extend(TARGETS.map(|target| id(&format!("build-{target}"))));
        expected.sort();
        assert_eq!(ids, expected);

        run.job(&id("plan"), &[]).unwrap();
        let [amd64, arm64] = TARGETS.map(|target| id(&format!("build-{target}")));
        run.job(&amd64, &[]).unwrap();
        run.job(&arm64, &[("BROKEN", "yes")]).unwrap_err();
        // The merge waits for it, and would refuse.
        run.done.push(arm64.clone());
        let told = run.job(&id("merge"), &[]).unwrap_err();
        assert!(told.contains("target/parts/aarch64-unknown-linux-musl"), "{told}");
        // That one alone again, and then the merge.
        run.job(&arm64, &[]).unwrap();
        let told = run.job(&id("merge"), &[]).unwrap();

        longshore(&source, "dist").run();
        let local = digest(&source.dist().join("image/hello"));
        assert!(told.contains(&format!("{repository}@{local}")), "{local}: {told}");
        assert!(told.contains(&format!("Tagged {repository}:0.1.0")), "{told}");
    }
}

#[test]
fn gitlab_ci_local_runs_the_release_and_a_failed_platform_again_alone() {
    let (Some(peers), Some(registry)) = (peers(), Registry::start()) else { return };
    let (Some(node), Some(_)) = (peer::find("node"), peer::find("rsync")) else { return };
    let repository = format!("{}/me/local", registry.address);
    // As users have it: with the preset that is the default, which takes longer.
    let source = released(&repository, "");
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
    // The jobs left their artifacts there, which are not an output of `dist`.
    std::fs::remove_dir_all(source.dist()).unwrap();
    longshore(&source, "dist").run();
    let local = digest(&source.dist().join("image/hello"));
    assert!(told.contains(&format!("{repository}@{local}")), "{local}: {told}");
}
