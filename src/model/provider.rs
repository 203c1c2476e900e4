//! The three CI systems: their names, and their hosted runners.

use std::fmt;

use serde::Deserialize;

use crate::model::{
    error::{Error, Result},
    platform::Platform,
    suggest::nearest,
};

/// A CI system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// CircleCI.
    Circleci,
}

impl Provider {
    /// Every one.
    pub const ALL: [Provider; 3] = [Provider::Github, Provider::Gitlab, Provider::Circleci];

    /// Returns the variable that the provider sets in every job.
    pub fn variable(self) -> &'static str {
        match self {
            Provider::Github => "GITHUB_ACTIONS",
            Provider::Gitlab => "GITLAB_CI",
            Provider::Circleci => "CIRCLECI",
        }
    }

    /// Returns the provider that runs this job, by the variables that `var` returns; `None` outside
    /// of CI.
    pub fn detect<S: AsRef<str>>(var: impl Fn(&str) -> Option<S>) -> Option<Self> {
        let is_set = |provider: &Provider| {
            var(provider.variable())
                .is_some_and(|value| !["", "0", "false"].contains(&value.as_ref()))
        };
        Self::ALL.into_iter().find(is_set)
    }

    /// Returns the name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Github => "github",
            Provider::Gitlab => "gitlab",
            Provider::Circleci => "circleci",
        }
    }

    /// Returns the default runner: amd64, which cross-compiles for all other targets.
    pub fn default_runner(self) -> &'static str {
        match self {
            Provider::Github => "ubuntu-24.04",
            Provider::Gitlab => "saas-linux-small-amd64",
            Provider::Circleci => "medium",
        }
    }

    /// Returns the names of the provider's hosted Linux runners
    /// (<https://docs.github.com/actions/reference/runners/github-hosted-runners>,
    /// <https://docs.gitlab.com/ci/runners/hosted_runners/linux/> and
    /// <https://circleci.com/docs/guides/execution-managed/resource-class-overview/>).
    pub fn runners(self) -> &'static [&'static str] {
        match self {
            Provider::Github => &[
                "ubuntu-latest",
                "ubuntu-22.04",
                "ubuntu-24.04",
                "ubuntu-22.04-arm",
                "ubuntu-24.04-arm",
            ],
            Provider::Gitlab => &[
                "saas-linux-small-amd64",
                "saas-linux-medium-amd64",
                "saas-linux-large-amd64",
                "saas-linux-xlarge-amd64",
                "saas-linux-2xlarge-amd64",
                "saas-linux-small-arm64",
                "saas-linux-medium-arm64",
                "saas-linux-large-arm64",
            ],
            Provider::Circleci => &[
                "small",
                "medium",
                "medium+",
                "large",
                "xlarge",
                "2xlarge",
                "2xlarge+",
                "arm.medium",
                "arm.large",
                "arm.xlarge",
                "arm.2xlarge",
            ],
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `"ubuntu-24.04-arm"`: a hosted runner. `["self-hosted", "arm64"]`: the labels of self-hosted
/// runners.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a runner is a name, or a list with the labels of a self-hosted one")]
pub enum Runner {
    /// One of [`Provider::runners`].
    Hosted(String),
    /// Labels (GitHub), tags (GitLab), or one resource class (CircleCI).
    SelfHosted(Vec<String>),
}

impl Runner {
    /// Returns the kind of machine that it is: a program that one runner of a kind compiled also runs on the
    /// others. Jobs of GitLab and CircleCI run in one image, so that only the architecture differs; images
    /// of GitHub have different versions of the C library.
    pub fn machine(&self, provider: Provider) -> String {
        match (self, provider) {
            (Runner::Hosted(name), Provider::Github) => name.clone(),
            (Runner::Hosted(name), Provider::Gitlab) => {
                name.rsplit('-').next().unwrap_or(name).to_owned()
            }
            (Runner::Hosted(name), Provider::Circleci) => {
                if name.starts_with("arm.") { "arm64" } else { "amd64" }.to_owned()
            }
            (Runner::SelfHosted(labels), _) => labels.join("-"),
        }
    }

    /// Returns the platform on which its jobs run; `None` if it is a self-hosted one, with labels that can mean
    /// anything.
    pub fn platform(&self, provider: Provider) -> Option<Platform> {
        let Runner::Hosted(name) = self else { return None };
        let arm64 = match provider {
            Provider::Github => name.ends_with("-arm"),
            Provider::Gitlab => name.ends_with("-arm64"),
            Provider::Circleci => name.starts_with("arm."),
        };
        let architecture = if arm64 { "arm64" } else { "amd64" }.to_owned();
        Some(Platform { os: "linux".to_owned(), architecture, variant: None })
    }

    /// Checks the name against the provider's hosted runners. `key` is the key in the
    /// configuration.
    ///
    /// # Errors
    /// An unknown hosted runner, or invalid labels.
    pub fn check(&self, provider: Provider, key: &str) -> Result<()> {
        match self {
            Runner::Hosted(name) if provider.runners().contains(&name.as_str()) => Ok(()),
            Runner::Hosted(name) => {
                let known = provider.runners();
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? Your own is `[\"{name}\"]`"),
                    None => format!("known: {}; your own is `[\"{name}\"]`", known.join(", ")),
                };
                let message = format!("`{key}`: {provider} has no runner `{name}`");
                Err(Error::usage(message).hint(hint))
            }
            Runner::SelfHosted(labels) => {
                let is_valid_label = |label: &String| {
                    !label.is_empty() && !label.chars().any(|c| c.is_control() || c == '$')
                };
                let one = provider != Provider::Circleci || labels.len() == 1;
                match one && !labels.is_empty() && labels.iter().all(is_valid_label) {
                    true => Ok(()),
                    false => Err(Error::usage(format!(
                        "`{key}`: this is not a runner of \
                                                       {provider}"
                    ))
                    .hint("labels are words; CircleCI has one resource class, `namespace/name`")),
                }
            }
        }
    }
}

/// The runner with each provider, in a target file or in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Runners {
    /// With GitHub Actions: `runs-on`.
    pub github: Option<Runner>,
    /// With GitLab CI: `tags`.
    pub gitlab: Option<Runner>,
    /// With CircleCI: `resource_class`.
    pub circleci: Option<Runner>,
}

impl Runners {
    /// Returns the runner with `provider`.
    pub fn get(&self, provider: Provider) -> Option<&Runner> {
        match provider {
            Provider::Github => self.github.as_ref(),
            Provider::Gitlab => self.gitlab.as_ref(),
            Provider::Circleci => self.circleci.as_ref(),
        }
    }

    /// Checks every runner against the hosted runners of its provider.
    ///
    /// # Errors
    /// As [`Runner::check`].
    pub fn check(&self, key: &str) -> Result<()> {
        for provider in Provider::ALL {
            if let Some(runner) = self.get(provider) {
                runner.check(provider, &format!("{key}.{provider}"))?;
            }
        }
        Ok(())
    }
}

/// Escapes `text` as the value of a GitHub workflow command (`actions/toolkit`,
/// `packages/core/src/command.ts`).
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes `text` as a property of a GitHub workflow command.
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
