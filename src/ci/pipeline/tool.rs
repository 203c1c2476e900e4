//! The program that jobs run. One job of each kind of machine compiles it and hands it on as an artifact; later
//! jobs compare its digest with an output of that job, and compile nothing.

use super::{
    PipelineInputs,
    job::{
        Artifact, ArtifactName, CheckoutSource, Download, EnvValue, Job, JobStage, JobStep, Run,
        StoreCondition,
    },
    release::READ,
    script,
};
use crate::model::{
    command::quote,
    provider::{Provider, Runner},
};

/// The name of the output with the digest.
pub(super) const OUTPUT: &str = "tool";

/// The program for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    /// The job that compiles it.
    job: String,
    /// The kind of machine, in lowercase letters, digits and `-`.
    machine: String,
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
        let default = Tool { job: job.to_owned(), machine: lower(&usual.machine(provider)) };
        let mut others: Vec<(String, Runner, Tool)> = Vec::new();
        for target in inputs.targets {
            let runner = settings.runner(provider, Some(target));
            let kind = runner.machine(provider);
            let known = kind == usual.machine(provider);
            if known || others.iter().any(|(other, ..)| *other == kind) {
                continue;
            }
            let mut machine = lower(&kind);
            while machine == default.machine
                || others.iter().any(|(.., tool)| tool.machine == machine)
            {
                machine.push('-');
            }
            let tool = Tool { job: format!("tool-{machine}"), machine };
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
        let job = |(_, runner, tool): &(String, Runner, Tool)| Job {
            stage: JobStage::Build,
            runner: runner.clone(),
            minutes: inputs.settings().limits.plan,
            permissions: vec![READ],
            steps: tool.build(inputs, self.provider, CheckoutSource::Commit),
            ..inputs.job(
                self.provider,
                &tool.job,
                &format!("Compile longshore on {}", tool.machine),
            )
        };
        self.others.iter().map(job).collect()
    }
}

/// Returns a name in characters that paths, artifacts and jobs of all providers accept.
fn lower(text: &str) -> String {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.to_ascii_lowercase().chars().map(|c| if fine(c) { c } else { '-' }).collect()
}

impl Tool {
    /// Returns a program of the default runner that this job compiles.
    pub(super) fn of_job(inputs: &PipelineInputs<'_>, provider: Provider, job: &str) -> Self {
        let machine = lower(&inputs.settings().runner(provider, None).machine(provider));
        Tool { job: job.to_owned(), machine }
    }

    /// Returns the job that compiles it.
    pub(super) fn job(&self) -> &str {
        &self.job
    }

    /// Returns the directory that it is in, in each job.
    pub(super) fn directory(&self) -> String {
        format!("{}/{}", script::TOOLS, self.machine)
    }

    /// Returns the command that starts it.
    pub(super) fn command(&self) -> String {
        quote(&format!("{}/{}", self.directory(), script::TOOL_NAME))
    }

    fn artifact(&self) -> String {
        format!("longshore-tool-{}", self.machine)
    }

    /// Returns the variable with its digest.
    fn variable(&self) -> String {
        format!("LONGSHORE_TOOL_{}", self.machine.to_ascii_uppercase().replace('-', "_"))
    }

    /// Returns the steps of the job that compiles it: its first.
    pub(super) fn build(
        &self,
        inputs: &PipelineInputs<'_>,
        provider: Provider,
        source: CheckoutSource,
    ) -> Vec<JobStep> {
        let directory = quote(&self.directory());
        let export = script::export_tool(&inputs.tool(), provider, &directory, &self.variable());
        let mut steps = inputs.first_steps(source);
        steps.push(JobStep::Run(Run { output: Some(OUTPUT), ..export }));
        steps.push(JobStep::Upload(Artifact {
            name: self.artifact(),
            path: self.directory(),
            days: 7,
            when: StoreCondition::Success,
            handed_on: true,
        }));
        steps
    }

    /// Returns the steps of a later job that fetch and check it.
    pub(super) fn fetch(&self, provider: Provider) -> [JobStep; 2] {
        let mut check = script::check_tool(provider, &quote(&self.directory()), &self.variable());
        check.env.push((self.variable(), EnvValue::Output(self.job.clone(), OUTPUT)));
        [
            JobStep::Download(Download {
                name: ArtifactName::Whole(self.artifact()),
                path: self.directory(),
                optional: false,
            }),
            JobStep::Run(check),
        ]
    }
}
