//! The jobs of a provider's file, and a run of them: each in a clone of its own with a home of its own, as
//! separate machines would, and nothing between them but what the file hands on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    command::{LONGSHORE, plain},
    peer,
    workspace::Workspace,
};

/// An action of a job, in any file.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A script, and what its step gets beside the variables of the job.
    Run { script: String, env: BTreeMap<String, String> },
    /// The value that a step with this identifier left in `GITHUB_OUTPUT` is an output of the job.
    Output(String),
    /// A file of variables for jobs that need this one.
    Variables(String),
    /// `path` of the work tree goes to the artifact, as what is in it or under its own path.
    Put { artifact: String, path: String, content: bool },
    /// Copies the content of artifacts with this prefix to this path in the work tree.
    Get { start: String, into: String },
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
    for (job_id, provider) in file["jobs"].as_object().unwrap() {
        let mut job = Job::default();
        job.needs.extend(list(&provider["needs"]).iter().map(text));
        // What is done after a failure only is not.
        let after_failure = |step: &&Value| step["if"] == "${{ failure() }}";
        for step in list(&provider["steps"]).iter().filter(|step| !after_failure(step)) {
            let with = &step["with"];
            let uses = step["uses"].as_str().unwrap_or_default();
            let action = match uses.split('@').next().unwrap() {
                "" => {
                    let env = step["env"].as_object().into_iter().flatten();
                    let env = env.map(|(name, value)| (name.clone(), text(value))).collect();
                    job.actions.push(Action::Run { script: text(&step["run"]), env });
                    let Some(id) = step["id"].as_str() else { continue };
                    let output = format!("${{{{ steps.{id}.outputs.value }}}}");
                    assert_eq!(provider["outputs"][id], output);
                    Action::Output(format!("${{{{ needs.{job_id}.outputs.{id} }}}}"))
                }
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
                // It has no counterpart here: the files that it names have to be there.
                "actions/attest" => Action::Run {
                    script: format!(
                        "sha256sum --check --quiet \"{}\"",
                        text(&with["subject-checksums"])
                    ),
                    env: BTreeMap::new(),
                },
                other => panic!("{other}"),
            };
            job.actions.push(action);
        }
        jobs.insert(job_id.clone(), job);
    }
    jobs
}

/// Returns those of GitLab's file.
pub(crate) fn gitlab(file: &Value) -> BTreeMap<String, Job> {
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
        let run = Action::Run { script: lines, env: BTreeMap::new() };
        let variables = provider["artifacts"]["reports"]["dotenv"].as_str();
        let variables = variables.map(|path| Action::Variables(path.to_owned()));
        let actions = get.chain([run]).chain(put).chain(variables).collect();
        jobs.insert((*id).clone(), Job { needs, actions });
    }
    jobs
}

/// Returns those of CircleCI's.
pub(crate) fn circleci(file: &Value) -> BTreeMap<String, Job> {
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
                "run" => job.actions.push(Action::Run {
                    script: text(&how["command"]).replace("\\<<", "<<"),
                    env: BTreeMap::new(),
                }),
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
    /// Values that jobs handed on, by the expressions for them.
    pub(crate) outputs: BTreeMap<String, String>,
    /// Variables that jobs handed on.
    pub(crate) handed_on: BTreeMap<String, String>,
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

impl<'a> Run<'a> {
    pub(crate) fn new(
        jobs: BTreeMap<String, Job>,
        source: &'a Workspace,
        variables: &'a [(&'static str, &'static str)],
    ) -> Self {
        Run {
            jobs,
            source,
            variables,
            store: TempDir::new().unwrap(),
            done: Vec::new(),
            outputs: BTreeMap::new(),
            handed_on: BTreeMap::new(),
        }
    }

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
                Action::Put { artifact, path, content } => {
                    let to = self.store.path().join(artifact);
                    let to = if *content { to } else { to.join(path) };
                    copy(&work.join(path), &to);
                }
                _ if failed => {}
                Action::Output(name) => {
                    let lines = fs::read_to_string(home.join("output")).unwrap();
                    let value = lines.strip_prefix("value=").unwrap().trim_end().to_owned();
                    self.outputs.insert(name.clone(), value);
                }
                Action::Variables(path) => {
                    let lines = fs::read_to_string(work.join(path)).unwrap();
                    let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
                    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
                    self.handed_on.extend(pairs);
                }
                Action::Run { script, env } => {
                    let output = self.script(script, env, (&work, &home), more);
                    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    written.push_str(&told(&output.stdout));
                    written.push_str(&told(&output.stderr));
                    if !output.status.success() {
                        failed = true;
                    }
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

    /// Changes the program that a job stored.
    pub(crate) fn swap_tool(&self, path: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let path = self.store.path().join(path);
        let old = fs::read(&path).unwrap();
        fs::write(path, change(&old)).unwrap();
    }

    fn script(
        &self,
        script: &str,
        env: &BTreeMap<String, String>,
        (work, home): (&Path, &Path),
        more: &[(&str, &str)],
    ) -> Output {
        // Of what a provider puts in place of expressions, only outputs matter here.
        let env = env.iter().map(|(name, value)| {
            let needed = value.starts_with("${{ needs.");
            let output = || self.outputs.get(value).unwrap_or_else(|| panic!("no {value}"));
            (name, if needed { output() } else { value })
        });
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
            .env("GITHUB_OUTPUT", home.join("output"))
            .envs(&self.handed_on)
            .envs(env)
            .envs(self.variables.iter().copied())
            .envs(more.iter().copied());
        command.output().unwrap()
    }
}

/// Returns `PATH` with the program under test before all else.
pub(crate) fn path() -> std::ffi::OsString {
    let tools = Path::new(LONGSHORE).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// Returns longshore's cache directory, which is outside of the homes.
pub(crate) fn cache() -> PathBuf {
    let usual = || peer::cargo_home().parent().unwrap().join(".cache/longshore");
    std::env::var_os("LONGSHORE_CACHE_DIR").map_or_else(usual, PathBuf::from)
}
