//! The pipeline as values that are independent of CI systems: jobs with their dependencies, and steps.
//! Renderers turn it into files and decide nothing.

use std::collections::BTreeMap;

use crate::model::provider::Runner;

/// The jobs for one trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    /// The occasion.
    pub(super) trigger: Trigger,
    /// Variables of all jobs.
    pub(super) env: BTreeMap<String, String>,
    /// The image of jobs, with providers that run jobs in images.
    pub(super) image: String,
    /// In an order in which each comes after those that it needs.
    pub(super) jobs: Vec<Job>,
}

/// The event that starts a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
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
    /// Its stage, with providers that have stages.
    pub(super) stage: JobStage,
    /// The jobs that have to be done.
    pub(super) needs: Vec<String>,
    /// Whether it waits for every job of the stages before its own: `needs` may be longer than a provider
    /// accepts.
    pub(super) needs_stages: bool,
    /// Its runner.
    pub(super) runner: Runner,
    /// The number of minutes after which it is ended.
    pub(super) minutes: u32,
    /// The permissions of its token.
    pub(super) permissions: Vec<Permission>,
    /// Whether it may request an identity token.
    pub(super) id_token: bool,
    /// The provider's environment.
    pub(super) environment: Option<String>,
    /// Whether the provider's runner describes how the stored files were made, outside of the job's scripts.
    pub(super) provenance: bool,
    /// For which of the pipeline's occasions it is.
    pub(super) audience: Audience,
    /// Its steps.
    pub(super) steps: Vec<JobStep>,
}

/// Passes the job's time limit in minutes to longshore, before the provider ends it (docs/ci-logs.md).
pub(super) const TIME_LIMIT: &str = "LONGSHORE_TIME_LIMIT";

/// Stages, for providers that have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum JobStage {
    /// Jobs that build.
    Build,
    /// The consumer of the results.
    Test,
    /// Jobs that need all of the above.
    Deploy,
}

/// The audience of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everyone.
    All,
    /// Pull requests of branches of the repository itself, whatever became of the jobs before it: its
    /// token may write, and forks get none. Nothing depends on it.
    OwnPullRequests,
}

/// A permission of a token. Everything that is not listed is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permission {
    /// As GitHub calls it.
    pub(super) scope: &'static str,
    /// Whether it may write.
    pub(super) write: bool,
    /// The reason.
    pub(super) why: &'static str,
}

/// One action of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobStep {
    /// The source.
    Checkout(CheckoutSource),
    /// A script.
    Run(Run),
    /// Files that outlive the job.
    Upload(Artifact),
    /// Files of jobs before it.
    Download(Download),
    /// Files of other runs, if there are any.
    Restore(Cache),
    /// Files for other runs.
    Save(Cache),
    /// An attestation of every file that a list of checksums names; its path.
    Attest(String),
    /// A report of tests, as JUnit writes them, for providers that show such; a path.
    Tests(String),
}

/// The source that is checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckoutSource {
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
    /// Its name, for people.
    pub(super) name: String,
    /// Its lines.
    pub(super) script: String,
    /// Additional variables.
    pub(super) env: Vec<(String, EnvValue)>,
    /// The name of the value that it hands to later jobs.
    pub(super) output: Option<&'static str>,
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EnvValue {
    /// A secret of that name, if the provider does not put secrets into the environment itself.
    Secret(String),
    /// `true` if a secret of that name is set, and not its value, with providers that have expressions.
    IsSet(String),
    /// The value that a step of an earlier job handed on: the job, and the name of the value.
    Output(String, &'static str),
    /// The job's token, if the provider does not put it into the environment itself.
    Token,
}

/// Files that outlive a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    /// Unique in the pipeline.
    pub(super) name: String,
    /// The path of a directory, or of one file.
    pub(super) path: String,
    /// The number of days for which they are stored.
    pub(super) days: u32,
    /// In which case.
    pub(super) when: StoreCondition,
    /// Whether jobs after this one get them, at the same path.
    pub(super) handed_on: bool,
}

/// The case in which they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreCondition {
    /// Everything before went well; then the files have to be there.
    Success,
    /// Something before failed.
    Failure,
    /// In any.
    Always,
}

/// Artifacts of earlier jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    /// The name of the artifact, or the prefix of the names of several.
    pub(super) name: ArtifactName,
    /// Their destination: the artifact's path, if it is a directory.
    pub(super) path: String,
    /// Whether there may be none.
    pub(super) optional: bool,
}

/// The selected artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArtifactName {
    /// This one.
    Whole(String),
    /// All with this prefix, merged.
    Start(String),
}

/// Files that are cached between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cache {
    /// The prefix of their key; the newest of several is restored.
    pub(super) key: String,
    /// The directory.
    pub(super) path: String,
}
