//! The destination of a release: from arguments, the variables of a CI job, or the git remote.
//!
//! GitHub: <https://docs.github.com/actions/reference/variables-reference>; GitLab:
//! <https://docs.gitlab.com/ci/variables/predefined_variables/>; Forgejo and Gitea set GitHub's variables, and
//! `FORGEJO_ACTIONS` or `GITEA_ACTIONS`: <https://forgejo.org/docs/latest/user/actions/reference/>.

use semver::Version;

use crate::model::{
    error::{Error, Result},
    provider::Provider,
    schema::publication::ForgeKind,
    secret::Secret,
    url,
};

/// The variable of a token for any forge.
pub const TOKEN: &str = "LONGSHORE_RELEASE_TOKEN";

/// The forges of hosts that many projects use. Others are recognised by their first label.
const HOSTS: [(&str, ForgeKind); 5] = [
    ("github.com", ForgeKind::Github),
    ("gitlab.com", ForgeKind::Gitlab),
    ("codeberg.org", ForgeKind::Forgejo),
    ("gitea.com", ForgeKind::Forgejo),
    ("code.forgejo.org", ForgeKind::Forgejo),
];

/// A repository at a forge.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The kind of forge.
    pub forge: ForgeKind,
    /// The address of its API, without a slash at its end.
    pub api: String,
    /// The repository: `OWNER/NAME`; at GitLab there may be more groups.
    pub repository: String,
    /// The token, and the variable that it was read from.
    pub token: Option<(Secret, &'static str)>,
    /// The tag and the commit of the job that runs, for a forge that does not show tags to the token of a job.
    pub job_tag: Option<(String, String)>,
}

impl Destination {
    /// Returns the variable of the token, for messages.
    pub fn token_variable(&self) -> &'static str {
        match (&self.token, self.forge) {
            (Some((_, variable)), _) => variable,
            (None, ForgeKind::Github) => "GITHUB_TOKEN",
            (None, ForgeKind::Gitlab) => "GITLAB_TOKEN",
            (None, ForgeKind::Forgejo) => "FORGEJO_TOKEN",
        }
    }

    /// Returns whether the token is that of a GitLab job, which has a header of its kind.
    pub fn has_job_token(&self) -> bool {
        self.token.as_ref().is_some_and(|(_, variable)| *variable == "CI_JOB_TOKEN")
    }

    /// Returns the permission that the token needs.
    pub fn permission(&self) -> &'static str {
        match self.forge {
            ForgeKind::Github => "`contents: write`",
            ForgeKind::Gitlab if self.has_job_token() => {
                "the role Developer of the user that started the job, and access to the package registry"
            }
            ForgeKind::Gitlab => "the scope `api` and the role Developer",
            ForgeKind::Forgejo => "`write:repository`",
        }
    }
}

/// The parts of a destination that the user named.
#[derive(Clone, Debug, Default)]
pub struct RequestedDestination {
    /// The kind of forge.
    pub forge: Option<ForgeKind>,
    /// The address of its API.
    pub api: Option<String>,
    /// The repository.
    pub repository: Option<String>,
}

/// The repository of a git remote.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remote {
    host: String,
    path: String,
}

/// Returns the destination. `var` returns the variables that are not empty, and `remote` is the URL of the git
/// remote.
///
/// # Errors
/// A part is missing, invalid or unknown.
pub fn destination<'a>(
    requested: &RequestedDestination,
    var: impl Fn(&str) -> Option<&'a str>,
    remote: Option<&str>,
) -> Result<Destination> {
    let job = job_forge(&var);
    let remote = remote.and_then(parse_remote);
    let forge = match (requested.forge, job, &remote) {
        (Some(forge), ..) => forge,
        (None, Some(job), _) if requested.api.is_none() => job,
        (None, _, remote) => {
            let host = match (&requested.api, remote) {
                (Some(api), _) => url::origin(api).and_then(|api| api.split_once("://")),
                (None, Some(remote)) => Some(("", remote.host.as_str())),
                (None, None) => None,
            };
            let Some((_, host)) = host else {
                return Err(Error::usage("the forge is unknown: this is not a job of a CI system, and git has no remote `origin`")
                    .hint("name it: `--forge github`, `gitlab` or `forgejo`, and `--repository OWNER/NAME`"));
            };
            forge_of_host(host).ok_or_else(|| {
                Error::usage(format!("the kind of forge of `{}` is unknown", host.escape_debug()))
                    .hint("name it: `--forge github`, `gitlab` or `forgejo`")
            })?
        }
    };
    let of_job = job == Some(forge);
    let api = match &requested.api {
        Some(api) => check_api("--api", api)?,
        None => api(forge, of_job, &var, remote.as_ref())?,
    };
    let repository = match &requested.repository {
        Some(repository) => repository.clone(),
        None => {
            let variable = match forge {
                ForgeKind::Github | ForgeKind::Forgejo => "GITHUB_REPOSITORY",
                ForgeKind::Gitlab => "CI_PROJECT_PATH",
            };
            let of_job = var(variable).filter(|_| of_job).map(str::to_owned);
            of_job.or_else(|| remote.map(|remote| remote.path)).ok_or_else(|| {
                Error::usage("the repository is unknown").hint("name it: `--repository OWNER/NAME`")
            })?
        }
    };
    check_repository(forge, &repository)?;
    let token = token(forge, job, &var)?;
    let job_tag = var("CI_COMMIT_TAG").zip(var("CI_COMMIT_SHA")).filter(|_| of_job);
    let job_tag = job_tag.map(|(tag, commit)| (tag.to_owned(), commit.to_owned()));
    Ok(Destination { forge, api, repository, token, job_tag })
}

/// Returns the version that a tag names: `v1.2.3` or `1.2.3`.
pub fn tag_version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// Returns the forge of the job that runs.
fn job_forge<'a>(var: &impl Fn(&str) -> Option<&'a str>) -> Option<ForgeKind> {
    let set = |name: &str| var(name).is_some_and(|value| !["0", "false"].contains(&value));
    // Jobs of Forgejo and Gitea have GitHub's variable, too.
    if set("FORGEJO_ACTIONS") || set("GITEA_ACTIONS") {
        return Some(ForgeKind::Forgejo);
    }
    match Provider::detect(var)? {
        Provider::Github => Some(ForgeKind::Github),
        Provider::Gitlab => Some(ForgeKind::Gitlab),
        Provider::Circleci => None,
    }
}

fn forge_of_host(host: &str) -> Option<ForgeKind> {
    let (name, _) = url::host_and_port(host);
    let name = name.to_ascii_lowercase();
    let known = HOSTS.iter().find(|(known, _)| name == *known || name == format!("api.{known}"));
    if let Some((_, forge)) = known {
        return Some(*forge);
    }
    // Tenants of GitHub Enterprise Cloud: <https://docs.github.com/enterprise-cloud@latest/admin/data-residency>.
    if name.ends_with(".ghe.com") {
        return Some(ForgeKind::Github);
    }
    match name.split('.').next() {
        Some("gitlab") => Some(ForgeKind::Gitlab),
        Some("github") => Some(ForgeKind::Github),
        Some("forgejo" | "gitea") => Some(ForgeKind::Forgejo),
        _ => None,
    }
}

/// Returns the address of the API of the job, or else of the remote's host.
fn api<'a>(
    forge: ForgeKind,
    of_job: bool,
    var: &impl Fn(&str) -> Option<&'a str>,
    remote: Option<&Remote>,
) -> Result<String> {
    let variables: &[&str] = match forge {
        ForgeKind::Github => &["GITHUB_API_URL"],
        ForgeKind::Gitlab => &["CI_API_V4_URL"],
        ForgeKind::Forgejo => &["FORGEJO_API_URL", "GITEA_API_URL", "GITHUB_API_URL"],
    };
    let named = variables.iter().filter(|_| of_job).find_map(|name| Some((*name, var(name)?)));
    if let Some((name, api)) = named {
        return check_api(name, api);
    }
    let host = remote.map(|remote| remote.host.as_str());
    Ok(match (forge, host) {
        (ForgeKind::Github, None | Some("github.com")) => "https://api.github.com".to_owned(),
        (ForgeKind::Github, Some(host)) if host.ends_with(".ghe.com") => {
            format!("https://api.{host}")
        }
        (ForgeKind::Github, Some(host)) => format!("https://{host}/api/v3"),
        (ForgeKind::Gitlab, host) => format!("https://{}/api/v4", host.unwrap_or("gitlab.com")),
        (ForgeKind::Forgejo, Some(host)) => format!("https://{host}/api/v1"),
        (ForgeKind::Forgejo, None) => {
            return Err(Error::usage("the address of the forge is unknown")
                .hint("name its API: `--api https://HOST/api/v1`"));
        }
    })
}

/// Checks the address of an API, and returns it without the slash at its end.
fn check_api(origin: &str, text: &str) -> Result<String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@".contains(&byte));
    match url::origin(text) {
        Some(_) if visible => Ok(text.trim_end_matches('/').to_owned()),
        // It may hold a password.
        _ => Err(Error::usage(format!("`{origin}` is not the address of an API"))
            .hint("it begins with `https://` and a host, without user, password and query")),
    }
}

fn check_repository(forge: ForgeKind, repository: &str) -> Result<()> {
    let parts: Vec<&str> = repository.split('/').collect();
    let plain = |part: &&str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.chars().all(allowed) && part.chars().any(|c| c != '.')
    };
    let count = match forge {
        ForgeKind::Gitlab => parts.len() >= 2,
        ForgeKind::Github | ForgeKind::Forgejo => parts.len() == 2,
    };
    if count && parts.iter().all(plain) {
        return Ok(());
    }
    let form = if forge == ForgeKind::Gitlab { "GROUP/NAME" } else { "OWNER/NAME" };
    Err(Error::usage(format!("`{}` is not a repository", repository.escape_debug()))
        .hint(format!("expected `{form}`")))
}

/// Returns the token, and the variable that has it. The token of a job is for the forge that runs it.
fn token<'a>(
    forge: ForgeKind,
    job: Option<ForgeKind>,
    var: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<(Secret, &'static str)>> {
    let in_forgejo = job == Some(ForgeKind::Forgejo);
    let names: &[&'static str] = match forge {
        ForgeKind::Github if in_forgejo => &[TOKEN, "GH_TOKEN"],
        ForgeKind::Github => &[TOKEN, "GITHUB_TOKEN", "GH_TOKEN"],
        ForgeKind::Gitlab => &[TOKEN, "GITLAB_TOKEN", "CI_JOB_TOKEN"],
        ForgeKind::Forgejo if in_forgejo => {
            &[TOKEN, "FORGEJO_TOKEN", "GITEA_TOKEN", "GITHUB_TOKEN"]
        }
        ForgeKind::Forgejo => &[TOKEN, "FORGEJO_TOKEN", "GITEA_TOKEN"],
    };
    let Some((name, token)) = names.iter().find_map(|name| Some((*name, var(name)?))) else {
        return Ok(None);
    };
    // Any other character could not be sent as a header (RFC 9110, 5.5); the value is not printed.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::usage(format!("`{name}` is not a token"))
            .hint("it may contain a line end or a space"));
    }
    Ok(Some((Secret::new(token), name)))
}

/// Parses the URL of a remote: `https://HOST/PATH`, `ssh://USER@HOST:PORT/PATH` or `USER@HOST:PATH` (git-fetch(1),
/// "GIT URLS").
fn parse_remote(remote: &str) -> Option<Remote> {
    let (authority, path) = match remote.split_once("://") {
        Some(("https" | "http" | "ssh" | "git" | "git+ssh", rest)) => rest.split_once('/')?,
        Some(_) => return None,
        None => remote.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // The port of SSH is not that of the API.
    let web = remote.starts_with("http");
    let (host, _) = url::host_and_port(authority);
    let host = if web { authority } else { host };
    let host = host.strip_prefix("ssh.").filter(|rest| rest.contains('.')).unwrap_or(host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let valid = !host.is_empty() && path.contains('/');
    valid.then(|| Remote { host: host.to_ascii_lowercase(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(vars: &[(&str, &'static str)], remote: Option<&str>) -> Result<Destination> {
        let var =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        destination(&RequestedDestination::default(), var, remote)
    }

    #[test]
    fn jobs_name_their_forge() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_REPOSITORY", "me/hello"),
            ("GITHUB_TOKEN", "hunter2"),
        ];
        let found = find(&github, Some("git@gitlab.com:you/other.git")).unwrap();
        assert_eq!((found.forge, &*found.repository), (ForgeKind::Github, "me/hello"));
        assert_eq!(found.token_variable(), "GITHUB_TOKEN");
        assert!(!format!("{found:?}").contains("hunter2"));
        let forgejo = [
            ("GITHUB_ACTIONS", "true"),
            ("FORGEJO_ACTIONS", "true"),
            ("GITHUB_API_URL", "https://codeberg.org/api/v1/"),
            ("GITHUB_REPOSITORY", "me/hello"),
            ("GITHUB_TOKEN", "hunter2"),
        ];
        let found = find(&forgejo, None).unwrap();
        assert_eq!((found.forge, &*found.api), (ForgeKind::Forgejo, "https://codeberg.org/api/v1"));
        assert!(found.token.is_some());
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", "https://git.example.org/api/v4"),
            ("CI_PROJECT_PATH", "group/sub/hello"),
            ("CI_JOB_TOKEN", "hunter2"),
            ("CI_COMMIT_TAG", "v1.0.0"),
            ("CI_COMMIT_SHA", "abc"),
        ];
        let found = find(&gitlab, None).unwrap();
        assert_eq!((found.forge, &*found.repository), (ForgeKind::Gitlab, "group/sub/hello"));
        assert!(found.has_job_token() && found.job_tag.is_some());
    }

    #[test]
    fn remotes_name_their_forge() {
        for (remote, forge, api, repository) in [
            (
                "git@github.com:me/hello.git",
                ForgeKind::Github,
                "https://api.github.com",
                "me/hello",
            ),
            (
                "https://github.com/me/hello",
                ForgeKind::Github,
                "https://api.github.com",
                "me/hello",
            ),
            (
                "ssh://git@ssh.github.com:443/me/hello.git",
                ForgeKind::Github,
                "https://api.github.com",
                "me/hello",
            ),
            (
                "https://x:secret@gitlab.com/a/b/c.git",
                ForgeKind::Gitlab,
                "https://gitlab.com/api/v4",
                "a/b/c",
            ),
            (
                "https://gitlab.example:8443/a/b.git",
                ForgeKind::Gitlab,
                "https://gitlab.example:8443/api/v4",
                "a/b",
            ),
            (
                "ssh://git@codeberg.org/me/hello.git",
                ForgeKind::Forgejo,
                "https://codeberg.org/api/v1",
                "me/hello",
            ),
            ("git@x.ghe.com:me/hello.git", ForgeKind::Github, "https://api.x.ghe.com", "me/hello"),
            (
                "git@github.example:me/hello.git",
                ForgeKind::Github,
                "https://github.example/api/v3",
                "me/hello",
            ),
        ] {
            let found = find(&[], Some(remote)).unwrap();
            assert_eq!(
                (found.forge, &*found.api, &*found.repository),
                (forge, api, repository),
                "{remote}"
            );
        }
        for remote in
            ["", "/srv/hello.git", "../hello", "file:///srv/x/y", "https://example.org/me/hello"]
        {
            assert!(find(&[], Some(remote)).is_err(), "{remote}");
        }
        assert!(find(&[], None).is_err());
    }

    #[test]
    fn wrong_values_are_rejected_and_not_shown() {
        for (name, value) in [
            ("GITHUB_API_URL", "https://user:hunter2@api.github.com"),
            ("GITHUB_API_URL", "hunter2"),
            ("GITHUB_TOKEN", "hunter2\nx"),
        ] {
            let mut vars = vec![("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "me/hello")];
            vars.push((name, value));
            let error = find(&vars, None).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for repository in ["hello", "a/b/c", "../x", "a/..", "a/b?x", "/", ""] {
            let requested = RequestedDestination {
                forge: Some(ForgeKind::Github),
                repository: Some(repository.to_owned()),
                ..RequestedDestination::default()
            };
            assert!(destination(&requested, |_| None, None).is_err(), "{repository}");
        }
    }

    #[test]
    fn the_token_of_a_forgejo_job_is_not_sent_to_github() {
        let vars = [("FORGEJO_ACTIONS", "true"), ("GITHUB_TOKEN", "hunter2")];
        let var =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let requested = RequestedDestination {
            forge: Some(ForgeKind::Github),
            repository: Some("me/hello".to_owned()),
            ..RequestedDestination::default()
        };
        assert!(destination(&requested, var, None).unwrap().token.is_none());
    }
}
