//! The pipeline of pull requests and of pushes to branches: everything built quickly, verified, and compared in
//! size with the target branch.

use super::{
    PipelineInputs,
    job::{
        Artifact, ArtifactName, Audience, Cache, CheckoutSource, Download, Job, JobStage, JobStep,
        Permission, Pipeline, StoreCondition, Trigger,
    },
    release::{READ, logs},
    script,
    tool::Tool,
};
use crate::model::provider::Provider;

/// The report on sizes.
const REPORT: &str = "longshore-report";

/// The environment that has the token for comments.
const COMMENT_ENVIRONMENT: &str = "longshore-comment";

/// Returns the pipeline for `provider`.
pub(super) fn pipeline(inputs: &PipelineInputs<'_>, provider: Provider) -> Pipeline {
    let settings = inputs.settings();
    let mut jobs = vec![check(inputs, provider)];
    if !settings.test.is_empty() {
        let mut steps = vec![
            JobStep::Checkout(CheckoutSource::Commit),
            JobStep::Run(script::toolchain(inputs)),
        ];
        steps.push(JobStep::Run(script::run("Test", settings.test.join("\n"))));
        let minutes = settings.limits.test;
        let permissions = vec![READ];
        jobs.push(Job { minutes, permissions, steps, ..inputs.job(provider, "test", "Test") });
    }
    // CircleCI has no token for comments.
    if provider != Provider::Circleci {
        jobs.extend(comment(inputs, provider));
    }
    let branches = settings.branches();
    Pipeline {
        trigger: Trigger::Check { branches, schedule: settings.schedule.clone() },
        env: inputs.env(),
        image: inputs.image(),
        jobs,
    }
}

fn check(inputs: &PipelineInputs<'_>, provider: Provider) -> Job {
    let program = Tool::of_check(inputs, provider);
    let tool = program.command();
    let cache = Cache { key: "longshore-check".to_owned(), path: script::CACHE.to_owned() };
    let keep = |verb: &str| {
        let line = format!("{tool} cache {verb} {}", script::CACHE);
        JobStep::Run(script::run(&format!("Cache: {verb}"), line))
    };
    // Another profile than ours has no presets.
    let own = inputs.workspace.settings.profile.is_some();
    let preset = if own { "" } else { " --preset quick" };
    let reports = provider != Provider::Github;

    let mut steps = inputs.first_steps(CheckoutSource::History);
    steps.extend(program.fetch(provider));
    steps.push(JobStep::Run(script::base(inputs, provider)));
    steps.extend([JobStep::Restore(cache.clone()), keep("restore")]);
    steps.extend(inputs.before("check", &program));
    let build = format!("{tool} dist{preset}");
    steps.push(JobStep::Run(script::run("Build, verify, smoke-test", build)));
    steps.extend([keep("save"), JobStep::Save(cache)]);
    // GitHub shows annotations, which need no file.
    steps.push(JobStep::Run(match reports {
        true => script::verify_with_report(&tool),
        false => script::verify(&tool),
    }));
    steps.extend(inputs.after("check", &program));
    steps.push(JobStep::Upload(Artifact {
        name: "longshore-sizes".to_owned(),
        path: "target/dist/dist.json".to_owned(),
        days: 90,
        when: StoreCondition::Success,
        handed_on: false,
    }));
    steps.push(JobStep::Run(script::size(&tool)));
    steps.push(JobStep::Upload(Artifact {
        name: REPORT.to_owned(),
        path: script::REPORT.to_owned(),
        days: 14,
        when: StoreCondition::Always,
        handed_on: true,
    }));
    steps.extend(logs("check"));
    if reports {
        steps.push(JobStep::Tests(format!("{}/verify.xml", script::REPORT)));
    }
    let why = "finds the artifact of the base's last run";
    let permissions = vec![READ, Permission { scope: "actions", write: false, why }];
    let minutes = inputs.settings().limits.check;
    Job { permissions, minutes, steps, ..inputs.job(provider, "check", "Build and verify") }
}

/// Returns the job that comments, and the one that compiles longshore for it, if that has to be compiled. Its
/// token has write access, so it compiles nothing, and runs nothing that the pull request brings.
fn comment(inputs: &PipelineInputs<'_>, provider: Provider) -> Vec<Job> {
    let tool = Tool::of_job(inputs, provider, "comment-tool");
    let compile = tool.job().map(|id| Job {
        permissions: vec![READ],
        audience: Audience::OwnPullRequests,
        steps: tool.first_steps(inputs, provider, CheckoutSource::Base),
        ..inputs.job(provider, id, "Compile longshore")
    });
    let report = Download {
        name: ArtifactName::Whole(REPORT.to_owned()),
        path: script::REPORT.to_owned(),
        optional: true,
    };
    let mut steps = vec![JobStep::Checkout(CheckoutSource::Base), JobStep::Download(report)];
    steps.extend(tool.fetch(provider));
    steps.push(JobStep::Run(script::comment(&tool.command())));
    let why = "writes the comment";
    let needs = ["check"].into_iter().chain(tool.job()).map(str::to_owned).collect();
    let comment = Job {
        needs,
        stage: JobStage::Deploy,
        permissions: vec![READ, Permission { scope: "pull-requests", write: true, why }],
        audience: Audience::OwnPullRequests,
        // With GitLab, the token is a variable, and every other job would see it.
        environment: (provider == Provider::Gitlab).then(|| COMMENT_ENVIRONMENT.to_owned()),
        steps,
        ..inputs.job(provider, "comment", "Comment")
    };
    compile.into_iter().chain([comment]).collect()
}
