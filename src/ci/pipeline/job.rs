//! The pipeline as values that no CI system owns: jobs with what they need, and steps. Renderers turn
//! it into files and decide nothing.

use std::collections::BTreeMap;

use crate::model::provider::Runner;

/// What runs on one occasion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    /// The occasion.
    pub(super) occasion: Occasion,
    /// Variables of all jobs.
    pub(super) env: BTreeMap<String, String>,
    /// The image that jobs run in, where jobs run in images.
    pub(super) image: String,
    /// In an order in which each comes after those that it needs.
    pub(super) jobs: Vec<Job>,
}

/// When a pipeline runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A tag `v…` is pushed.
    Release,
    /// A pull request, a push to one of these branches, and this time.
    Check {
        /// The default branch first.
        branches: Vec<String>,
        /// Five fields, as cron has them.
        schedule: Option<String>,
    },
}

/// A job, on a separate machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Letters, digits, `_` and `-`; unique among all pipelines of a provider.
    pub(super) id: String,
    /// For people.
    pub(super) title: String,
    /// What comes where the provider has stages.
    pub(super) stage: Stage,
    /// The jobs that have to be done.
    pub(super) needs: Vec<String>,
    /// Where it runs.
    pub(super) runner: Runner,
    /// After how many minutes it is ended.
    pub(super) minutes: u32,
    /// What its token may do.
    pub(super) permissions: Vec<Permission>,
    /// Whether it may request an identity token.
    pub(super) id_token: bool,
    /// The provider's environment.
    pub(super) environment: Option<String>,
    /// For which of the pipeline's occasions it is.
    pub(super) audience: Audience,
    /// What it does.
    pub(super) steps: Vec<Step>,
}

/// Passes the job's time limit in minutes to longshore, before the provider ends it (docs/ci-logs.md).
pub(super) const TIME_LIMIT: &str = "LONGSHORE_TIME_LIMIT";

/// Stages, where the provider has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// What makes things.
    Build,
    /// The consumer of the results.
    Test,
    /// What needs all of the above.
    Deploy,
}

/// For whom a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everyone.
    All,
    /// Pull requests of branches of the repository itself, whatever became of the jobs before it: its
    /// token may write, and forks get none. Nothing depends on it.
    OwnPullRequests,
}

/// What a token may do. Everything that is not said is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permission {
    /// As GitHub calls it.
    pub(super) scope: &'static str,
    /// Whether it may write.
    pub(super) write: bool,
    /// Why.
    pub(super) why: &'static str,
}

/// One thing that a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The source.
    Checkout(Source),
    /// A script.
    Run(Run),
    /// Files that outlive the job.
    Upload(Artifact),
    /// Files of jobs before it.
    Download(Download),
    /// Files of other runs, where there are any.
    Restore(Cache),
    /// Files for other runs.
    Save(Cache),
    /// A report of tests, as JUnit writes them, for providers that show such; a path.
    Tests(String),
}

/// Which source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The commit that the pipeline is for.
    Commit,
    /// With the commits before it.
    History,
    /// That of the branch that a pull request is for: nothing of the pull request.
    Base,
}

/// A script for a POSIX shell; it ends at the first command that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// What it does, for people.
    pub(super) name: String,
    /// Its lines.
    pub(super) script: String,
    /// Additional variables.
    pub(super) env: Vec<(String, Value)>,
}

/// What a variable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A secret of that name, where the provider does not put secrets into the environment itself.
    Secret(String),
    /// The job's token, where the provider does not put it into the environment itself.
    Token,
}

/// Files that outlive a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    /// Unique in the pipeline.
    pub(super) name: String,
    /// Where they are; a directory, or one file.
    pub(super) path: String,
    /// How long they are kept.
    pub(super) days: u32,
    /// In which case.
    pub(super) when: When,
    /// Whether jobs after this one get them, at the same path.
    pub(super) handed_on: bool,
}

/// In which case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Everything before went well; then the files have to be there.
    Success,
    /// Something before failed.
    Failure,
    /// In any.
    Always,
}

/// Artifacts of jobs before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    /// The name of the one, or what the names of several begin with.
    pub(super) name: Name,
    /// Where they are put: what was the artifact's path, where it is a directory.
    pub(super) path: String,
    /// Whether there may be none.
    pub(super) optional: bool,
}

/// Which artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// This one.
    Whole(String),
    /// All with this prefix, merged.
    Start(String),
}

/// Files that are kept between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cache {
    /// What they are found by; the newest of several is taken.
    pub(super) key: String,
    /// The directory.
    pub(super) path: String,
}
