//! The pipelines as one file of GitLab CI (<https://docs.gitlab.com/ci/yaml/>). It has no `stages`: the jobs are
//! in the default stages, so that the file can be included.

use super::{
    job::{
        Artifact, Audience, Cache, Job, Occasion, Pipeline, Source, Stage, Step, TIME_LIMIT, When,
    },
    yaml::{Yaml, map, text, texts},
};
use crate::model::provider::Runner;

/// What jobs have in common.
const COMMON: &str = ".longshore";

/// Renders the file. `whole` means that it is not included by a file that decides when pipelines run.
pub(super) fn render(pipelines: &[Pipeline], whole: bool) -> Vec<(String, Yaml)> {
    let mut pairs = Vec::new();
    if whole {
        let rules = pipelines.iter().flat_map(|pipeline| rules(&pipeline.occasion)).collect();
        pairs.push(("workflow".to_owned(), map([("rules", Yaml::List(rules))])));
    }
    if let Some(first) = pipelines.first() {
        let value =
            |(name, value): (&String, &String)| (name.clone(), text(value.replace('$', "$$")));
        let env: Vec<_> = first.env.iter().map(value).collect();
        let common = map([("image", text(&first.image))])
            .with_some("variables", (!env.is_empty()).then_some(Yaml::Map(env)));
        pairs.push((COMMON.to_owned(), common));
    }
    for pipeline in pipelines {
        pairs.extend(pipeline.jobs.iter().map(|of| (id(&of.id), job(of, pipeline))));
    }
    pairs
}

/// Jobs share their names with all that is included.
fn id(id: &str) -> String {
    format!("longshore-{id}")
}

fn rules(occasion: &Occasion) -> Vec<Yaml> {
    let rule = |condition: String| map([("if", text(condition))]);
    match occasion {
        Occasion::Release => vec![rule("$CI_COMMIT_TAG =~ /^v/".to_owned())],
        Occasion::Check { branches, .. } => {
            let pulls = rule("$CI_PIPELINE_SOURCE == \"merge_request_event\"".to_owned());
            // The schedule is in the project's settings, and not in files.
            let timed = rule("$CI_PIPELINE_SOURCE == \"schedule\"".to_owned());
            let pushed = |name: &String| rule(format!("$CI_COMMIT_BRANCH == \"{name}\""));
            [pulls, timed].into_iter().chain(branches.iter().map(pushed)).collect()
        }
    }
}

fn job(job: &Job, pipeline: &Pipeline) -> Yaml {
    let stage = match job.stage {
        Stage::Build => "build",
        Stage::Test => "test",
        Stage::Deploy => "deploy",
    };
    let own = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID && $GITLAB_TOKEN";
    let optional = job.audience == Audience::OwnPullRequests;
    let rules = match optional {
        true => vec![map([("if", text(own)), ("when", text("always"))])],
        false => rules(&pipeline.occasion),
    };
    let tags = match &job.runner {
        Runner::Hosted(name) => vec![name.clone()],
        Runner::SelfHosted(labels) => labels.clone(),
    };
    // A job that needs everything is in the last stage, which waits for all others, and gets all of
    // their artifacts; `needs` could name no more than 50 (`ci_needs_size_limit`).
    let all = job.needs.len() + 1 == pipeline.jobs.len() && job.stage == Stage::Deploy;
    let needs = (!all || optional).then(|| texts(job.needs.iter().map(|need| id(need))));
    let environment = job.environment.as_ref();
    let environment =
        environment.map(|name| map([("name", text(name)), ("action", text("access"))]));
    let history = job.steps.contains(&Step::Checkout(Source::History));
    let variables = map([(TIME_LIMIT, text(job.minutes.to_string()))])
        .with_some("GIT_DEPTH", history.then(|| text("0")));
    let token = map([("SIGSTORE_ID_TOKEN", map([("aud", text("sigstore"))]))]);
    map([("extends", text(COMMON)), ("stage", text(stage))])
        .with_some("needs", needs)
        .with("rules", Yaml::List(rules))
        .with_some("allow_failure", optional.then_some(Yaml::Bool(true)))
        .with("tags", texts(tags))
        .with("timeout", text(format!("{} minutes", job.minutes)))
        .with_some("environment", environment)
        .with_some("id_tokens", job.id_token.then_some(token))
        .with("variables", variables)
        .with_some("cache", cache(&job.steps))
        .with("script", Yaml::List(job.steps.iter().filter_map(script).collect()))
        .with_some("artifacts", artifacts(&job.steps))
}

/// GitLab runs all lines in one shell: each script gets a separate one, which it may exit.
fn script(step: &Step) -> Option<Yaml> {
    let Step::Run(run) = step else { return None };
    let title = crate::model::command::quote(&format!("==> {}", run.name));
    Some(text(format!("echo {title}\n(\n{})\n", run.script)))
}

fn cache(steps: &[Step]) -> Option<Yaml> {
    let cache: &Cache = steps.iter().find_map(|step| match step {
        Step::Restore(cache) => Some(cache),
        _ => None,
    })?;
    Some(map([("key", text(&cache.key)), ("paths", texts([&cache.path]))]))
}

/// A job has one set of artifacts: as long as the longest is kept, and on failure, too, where one is.
fn artifacts(steps: &[Step]) -> Option<Yaml> {
    let all = || {
        steps.iter().filter_map(|step| match step {
            Step::Upload(artifact) => Some(artifact),
            _ => None,
        })
    };
    let days = all().map(|artifact| artifact.days).max()?;
    let always = all().any(|artifact: &Artifact| artifact.when != When::Success);
    let tests = steps.iter().find_map(|step| match step {
        Step::Tests(path) => Some(map([("junit", text(path))])),
        _ => None,
    });
    let when = if always { "always" } else { "on_success" };
    Some(
        map([
            ("when", text(when)),
            ("expire_in", text(format!("{days} days"))),
            ("paths", texts(all().map(|artifact| &artifact.path))),
        ])
        .with_some("reports", tests),
    )
}
