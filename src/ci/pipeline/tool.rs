//! The program that jobs run. If it is compiled, one job of each kind of machine does it and hands it on as an
//! artifact; later jobs compare its digest with an output of that job, and compile nothing. If it is
//! downloaded, each job does it and compares the file with the digest in the pipeline.

use super::{
    PipelineInputs,
    job::{
        Artifact, ArtifactName, CheckoutSource, Download, EnvValue, Job, JobStage, JobStep, Run,
        StoreCondition,
    },
    release::READ,
    script, tool_script,
};
use crate::{
    build::config::tool::{ToolDownload, ToolSource},
    model::{
        command::quote,
        platform::Platform,
        provider::{Provider, Runner},
    },
};

/// The name of the output with the digest.
pub(super) const OUTPUT: &str = "tool";
/// The directory of the programs that jobs run.
pub(super) const TOOLS: &str = "target/ci-tool";
/// The file name of such a program: `cargo longshore` finds it.
pub const TOOL_NAME: &str = "cargo-longshore";

/// The program for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// A job compiles it and hands it on.
    HandedOn {
        /// That job.
        job: String,
        /// The kind of machine, in lowercase letters, digits and `-`.
        machine: String,
    },
    /// Each job downloads it.
    Downloaded {
        /// The files.
        download: ToolDownload,
        /// The platform of the job, if it is known.
        platform: Option<Platform>,
    },
    /// The job compiles this commit for itself.
    Installed {
        /// The URL of the repository.
        url: String,
        /// The commit.
        rev: String,
    },
    /// This command compiles it in a checkout.
    Called(String),
}

/// The programs for all runners of a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    provider: Provider,
    /// That of the default runner.
    default: Tool,
    /// The others, each with a runner and its kind.
    others: Vec<(String, Runner, Tool)>,
}

impl Tools {
    /// Returns the programs for the default runner, which `job` compiles, and for those of all targets.
    pub(super) fn new(inputs: &PipelineInputs<'_>, provider: Provider, job: &str) -> Self {
        let settings = inputs.settings();
        let usual = settings.runner(provider, None);
        let default = Tool::of_job(inputs, provider, job);
        let mut others: Vec<(String, Runner, Tool)> = Vec::new();
        for target in inputs.targets {
            let runner = settings.runner(provider, Some(target));
            let kind = runner.machine(provider);
            let known = kind == usual.machine(provider);
            if known || others.iter().any(|(other, ..)| *other == kind) {
                continue;
            }
            let tool = match inputs.tool {
                ToolSource::Download(download) => Tool::downloaded(download, &runner, provider),
                _ => {
                    let mut machine = lower(&kind);
                    let is_used = |name: &str| {
                        let mut tools = others.iter().map(|(.., tool)| tool).chain([&default]);
                        tools.any(|tool| tool.machine() == Some(name))
                    };
                    while is_used(&machine) {
                        machine.push('-');
                    }
                    Tool::HandedOn { job: format!("tool-{machine}"), machine }
                }
            };
            others.push((kind, runner, tool));
        }
        Tools { provider, default, others }
    }

    /// Returns the program for the default runner.
    pub(super) fn default(&self) -> &Tool {
        &self.default
    }

    /// Returns the program for a runner.
    pub(super) fn get(&self, runner: &Runner) -> &Tool {
        let kind = runner.machine(self.provider);
        let own = self.others.iter().find(|(other, ..)| *other == kind);
        own.map_or(&self.default, |(.., tool)| tool)
    }

    /// Returns the jobs that compile the programs for other runners than the default one.
    pub(super) fn jobs(&self, inputs: &PipelineInputs<'_>) -> Vec<Job> {
        let job = |(_, runner, tool): &(String, Runner, Tool)| {
            let Tool::HandedOn { job, machine } = tool else { return None };
            let title = format!("Compile longshore on {machine}");
            Some(Job {
                stage: JobStage::Build,
                runner: runner.clone(),
                minutes: inputs.settings().limits.plan,
                permissions: vec![READ],
                steps: tool.first_steps(inputs, self.provider, CheckoutSource::Commit),
                ..inputs.job(self.provider, job, &title)
            })
        };
        self.others.iter().filter_map(job).collect()
    }
}

/// Returns a name in characters that paths, artifacts and jobs of all providers accept.
fn lower(text: &str) -> String {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.to_ascii_lowercase().chars().map(|c| if fine(c) { c } else { '-' }).collect()
}

impl Tool {
    /// Returns the program for jobs of the default runner; if it has to be compiled, `job` does it.
    pub(super) fn of_job(inputs: &PipelineInputs<'_>, provider: Provider, job: &str) -> Self {
        let runner = inputs.settings().runner(provider, None);
        match inputs.tool {
            ToolSource::Download(download) => Tool::downloaded(download, &runner, provider),
            _ => Tool::HandedOn { job: job.to_owned(), machine: lower(&runner.machine(provider)) },
        }
    }

    /// Returns the program for a job of the default runner that may compile it for itself.
    pub(super) fn of_check(inputs: &PipelineInputs<'_>, provider: Provider) -> Self {
        match inputs.tool {
            ToolSource::Download(download) => {
                let runner = inputs.settings().runner(provider, None);
                Tool::downloaded(download, &runner, provider)
            }
            ToolSource::Git { url, rev } => Tool::Installed { url: url.clone(), rev: rev.clone() },
            _ => Tool::Called(inputs.command()),
        }
    }

    fn downloaded(download: &ToolDownload, runner: &Runner, provider: Provider) -> Self {
        Tool::Downloaded { download: download.clone(), platform: runner.platform(provider) }
    }

    /// Returns the job that compiles it for others.
    pub(super) fn job(&self) -> Option<&str> {
        match self {
            Tool::HandedOn { job, .. } => Some(job),
            _ => None,
        }
    }

    fn machine(&self) -> Option<&str> {
        match self {
            Tool::HandedOn { machine, .. } => Some(machine),
            _ => None,
        }
    }

    /// Returns the directory that it is in, if it is a file.
    pub(super) fn directory(&self) -> Option<String> {
        match self {
            Tool::HandedOn { machine, .. } => Some(format!("{TOOLS}/{machine}")),
            Tool::Downloaded { .. } => Some(TOOLS.to_owned()),
            Tool::Installed { .. } => Some(format!("{}/bin", tool_script::INSTALLED)),
            Tool::Called(_) => None,
        }
    }

    /// Returns the command that starts it.
    pub(super) fn command(&self) -> String {
        let Tool::Called(command) = self else {
            let directory = self.directory().unwrap_or_default();
            return quote(&format!("{directory}/{TOOL_NAME}"));
        };
        command.clone()
    }

    /// Returns the first steps of a job that compiles: they end with the program at its path. If it is handed on,
    /// this is the job that compiles it.
    pub(super) fn first_steps(
        &self,
        inputs: &PipelineInputs<'_>,
        provider: Provider,
        source: CheckoutSource,
    ) -> Vec<JobStep> {
        let mut steps = inputs.first_steps(source);
        let Tool::HandedOn { machine, .. } = self else {
            steps.extend(self.fetch(provider));
            return steps;
        };
        let directory = format!("{TOOLS}/{machine}");
        let export = tool_script::compile_and_hand_on(
            &Tool::of_check(inputs, provider),
            provider,
            &quote(&directory),
            &variable(machine),
        );
        steps.push(JobStep::Run(Run { output: Some(OUTPUT), ..export }));
        steps.push(JobStep::Upload(Artifact {
            name: artifact(machine),
            path: directory,
            days: 7,
            when: StoreCondition::Success,
            handed_on: true,
        }));
        steps
    }

    /// Returns the steps of a job that get and check it.
    pub(super) fn fetch(&self, provider: Provider) -> Vec<JobStep> {
        match self {
            Tool::HandedOn { job, machine } => {
                let path = format!("{TOOLS}/{machine}");
                let variable = variable(machine);
                let mut check = tool_script::check(provider, &quote(&path), &variable);
                check.env.push((variable, EnvValue::Output(job.clone(), OUTPUT)));
                let name = ArtifactName::Whole(artifact(machine));
                let download = Download { name, path, optional: false };
                vec![JobStep::Download(download), JobStep::Run(check)]
            }
            Tool::Downloaded { download, platform } => {
                vec![JobStep::Run(tool_script::download(download, platform.as_ref()))]
            }
            Tool::Installed { url, rev } => {
                let lines = tool_script::install(url, rev);
                vec![JobStep::Run(script::run("Compile longshore", lines))]
            }
            Tool::Called(_) => Vec::new(),
        }
    }
}

/// Returns the name of the artifact with the program.
fn artifact(machine: &str) -> String {
    format!("longshore-tool-{machine}")
}

/// Returns the variable with the digest of the program.
fn variable(machine: &str) -> String {
    format!("LONGSHORE_TOOL_{}", machine.to_ascii_uppercase().replace('-', "_"))
}
