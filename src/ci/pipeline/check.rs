//! The pipeline of pull requests and of pushes to branches: everything built quickly, verified, and
//! measured against the branch that it is for.

use super::{
    Inputs,
    job::{
        Artifact, Audience, Cache, Download, Job, Name, Occasion, Permission, Pipeline, Source,
        Stage, Step, When,
    },
    release::{READ, logs},
    script,
};
use crate::model::provider::Provider;

/// The report on sizes.
const REPORT: &str = "longshore-report";

/// What it is with `provider`.
pub(super) fn pipeline(inputs: &Inputs<'_>, provider: Provider) -> Pipeline {
    let settings = inputs.settings();
    let mut jobs = vec![check(inputs, provider)];
    if !settings.test.is_empty() {
        let mut steps = vec![Step::Checkout(Source::Commit), Step::Run(script::toolchain(inputs))];
        steps.push(Step::Run(script::run("Test", settings.test.join("\n"))));
        let minutes = settings.limits.test;
        jobs.push(Job { minutes, steps, ..job(inputs, provider, "test", "Test") });
    }
    // CircleCI has no token for comments.
    if provider != Provider::Circleci {
        jobs.push(comment(inputs, provider));
    }
    let branches = settings.branches();
    Pipeline {
        occasion: Occasion::Check { branches, schedule: settings.schedule.clone() },
        env: inputs.env(),
        image: inputs.image(),
        jobs,
    }
}

/// A job that reads the source and does nothing yet.
fn job(inputs: &Inputs<'_>, provider: Provider, id: &str, title: &str) -> Job {
    let settings = inputs.settings();
    Job {
        id: id.to_owned(),
        title: title.to_owned(),
        stage: Stage::Test,
        needs: Vec::new(),
        runner: settings.runner(provider, None),
        minutes: settings.limits.check,
        permissions: vec![READ],
        id_token: false,
        environment: None,
        audience: Audience::All,
        steps: Vec::new(),
    }
}

fn check(inputs: &Inputs<'_>, provider: Provider) -> Job {
    let settings = inputs.settings();
    let tool = inputs.tool();
    let cache = Cache { key: "longshore-check".to_owned(), path: script::CACHE.to_owned() };
    let keep = |verb: &str| {
        let line = format!("{tool} cache {verb} {}", script::CACHE);
        Step::Run(script::run(&format!("Cache: {verb}"), line))
    };
    // Another profile than ours has no presets.
    let own = inputs.workspace.settings.profile.is_some();
    let preset = if own { "" } else { " --preset quick" };
    let reports = provider != Provider::Github;

    let mut steps = inputs.begin(Source::History);
    steps.push(Step::Run(script::base(inputs, provider)));
    steps.extend([Step::Restore(cache.clone()), keep("restore")]);
    steps.extend(inputs.before("check", &settings.before.check));
    let build = format!("{tool} dist{preset}");
    steps.push(Step::Run(script::run("Build, verify, smoke-test", build)));
    steps.extend([keep("save"), Step::Save(cache)]);
    // GitHub shows annotations, which need no file.
    steps.push(Step::Run(match reports {
        true => script::verify_with_report(&tool),
        false => script::verify(&tool),
    }));
    steps.extend(inputs.after("check", &settings.after.check));
    steps.push(Step::Upload(Artifact {
        name: "longshore-sizes".to_owned(),
        path: "target/dist/dist.json".to_owned(),
        days: 90,
        when: When::Success,
        handed_on: false,
    }));
    steps.push(Step::Run(script::size(&tool)));
    steps.push(Step::Upload(Artifact {
        name: REPORT.to_owned(),
        path: script::REPORT.to_owned(),
        days: 14,
        when: When::Always,
        handed_on: true,
    }));
    steps.extend(logs("check"));
    if reports {
        steps.push(Step::Tests(format!("{}/verify.xml", script::REPORT)));
    }
    let why = "finds the artifact of the base's last run";
    let permissions = vec![READ, Permission { scope: "actions", write: false, why }];
    Job { permissions, steps, ..job(inputs, provider, "check", "Build and verify") }
}

/// It has a token that may write, so it runs nothing that the pull request brings.
fn comment(inputs: &Inputs<'_>, provider: Provider) -> Job {
    let mut steps = inputs.begin(Source::Base);
    steps.push(Step::Download(Download {
        name: Name::Whole(REPORT.to_owned()),
        path: script::REPORT.to_owned(),
        optional: true,
    }));
    steps.push(Step::Run(script::comment(&inputs.tool())));
    let why = "writes the comment";
    Job {
        needs: vec!["check".to_owned()],
        stage: Stage::Deploy,
        permissions: vec![READ, Permission { scope: "pull-requests", write: true, why }],
        minutes: inputs.settings().limits.plan,
        audience: Audience::OwnPullRequests,
        steps,
        ..job(inputs, provider, "comment", "Comment")
    }
}
