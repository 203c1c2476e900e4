//! The destination of the comment, from the job's variables.

use serde::Deserialize;

use crate::model::{
    error::{Error, Result},
    provider::Provider,
    secret::Secret,
    url,
};

/// GitHub's own API.
const GITHUB: &str = "https://api.github.com";

/// The comments of one pull request.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The address of all of its comments.
    pub comments: String,
    /// The address that the identifier of one of them is added to.
    pub one: String,
    /// The address that identifies the token's user.
    pub user: String,
    /// The address of GitHub's GraphQL API, which also answers an app; `None` with GitLab.
    pub graphql: Option<String>,
    /// Whether the job runs in GitHub Actions, where the job's own token is that of an app.
    pub actions: bool,
    /// Whether it is GitLab's API, and not GitHub's.
    pub gitlab: bool,
    /// The token for the API.
    pub token: Secret,
    /// The pull request, for people.
    pub name: String,
}

/// The reason for which there is no destination, although nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoDestination {
    /// The job is of no pull request.
    PullRequest,
    /// This variable is not set.
    Token(&'static str),
}

/// The fields of GitHub's event that are read (<https://docs.github.com/webhooks/webhook-events-and-payloads>).
#[derive(Deserialize)]
struct GithubEvent {
    pull_request: Option<EventPullRequest>,
}

#[derive(Deserialize)]
struct EventPullRequest {
    number: u64,
}

/// Returns the destination of this job's comment. `var` returns the variables that are not empty, `event` is
/// the content of the file that `GITHUB_EVENT_PATH` names. Fails if a variable is missing or malformed.
///
/// GitHub: <https://docs.github.com/actions/reference/variables-reference>; GitLab:
/// <https://docs.gitlab.com/ci/variables/predefined_variables/>; CircleCI:
/// <https://circleci.com/docs/variables/>.
///
/// # Errors
/// The provider is unknown, or one of its variables is missing or invalid.
pub fn destination<'a>(
    var: impl Fn(&str) -> Option<&'a str>,
    event: Option<&str>,
) -> Result<std::result::Result<Destination, NoDestination>> {
    let provider = Provider::detect(&var).ok_or_else(|| {
        Error::usage("this is not a job of GitHub Actions, GitLab CI or CircleCI")
            .hint(format!("they set `{}`", Provider::ALL.map(Provider::variable).join("`, `")))
    })?;
    let need = |name: &str| var(name).ok_or_else(|| Error::usage(format!("`{name}` is not set")));
    let (number, repository) = match provider {
        Provider::Github => (github_number(&var, event)?, need("GITHUB_REPOSITORY")?.to_owned()),
        Provider::Gitlab => {
            let Some(number) = var("CI_MERGE_REQUEST_IID") else {
                return Ok(Err(NoDestination::PullRequest));
            };
            let number = parse_number("CI_MERGE_REQUEST_IID", number)?;
            (Some(number), need("CI_PROJECT_ID")?.to_owned())
        }
        Provider::Circleci => match var("CIRCLE_PULL_REQUEST") {
            None => return Ok(Err(NoDestination::PullRequest)),
            Some(url) => {
                let (number, repository) = circleci_pull_request(&var, url)?;
                (Some(number), repository)
            }
        },
    };
    let Some(number) = number else { return Ok(Err(NoDestination::PullRequest)) };
    let gitlab = provider == Provider::Gitlab;
    let variable = if gitlab { "GITLAB_TOKEN" } else { "GITHUB_TOKEN" };
    let Some(token) = var(variable) else { return Ok(Err(NoDestination::Token(variable))) };
    // Any other character could not be sent as a header (RFC 9110, 5.5); the value is not printed.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::usage(format!("`{variable}` is not a token"))
            .hint("it may contain a line end or a space"));
    }
    let token = Secret::new(token);
    let mut graphql = None;
    let (api, comments, one, name) = if gitlab {
        let api = api_url("CI_API_V4_URL", need("CI_API_V4_URL")?)?;
        let project = url::encode(&repository);
        let notes = format!("{api}/projects/{project}/merge_requests/{number}/notes");
        (api, notes.clone(), notes, format!("merge request !{number}"))
    } else {
        let api = api_url("GITHUB_API_URL", var("GITHUB_API_URL").unwrap_or(GITHUB))?;
        let (owner, name) = split_repository(&repository)?;
        let issues = format!("{api}/repos/{}/{}/issues", url::encode(owner), url::encode(name));
        let comments = format!("{issues}/{number}/comments");
        // A server of one's own has `/api/v3` and `/api/graphql`.
        graphql = Some(format!("{}/graphql", api.strip_suffix("/v3").unwrap_or(api)));
        let name = format!("pull request #{number} of {repository}");
        (api, comments, format!("{issues}/comments"), name)
    };
    let user = format!("{api}/user");
    let actions = provider == Provider::Github;
    Ok(Ok(Destination { comments, one, user, graphql, actions, gitlab, token, name }))
}

/// Returns the number of the pull request: from the event, else from the ref `refs/pull/NUMBER/merge`.
fn github_number<'a>(
    var: &impl Fn(&str) -> Option<&'a str>,
    event: Option<&str>,
) -> Result<Option<u64>> {
    let event = event.map(serde_json::from_str::<GithubEvent>).transpose().map_err(|error| {
        Error::usage("the file in `GITHUB_EVENT_PATH` is not an event").because(error)
    })?;
    if let Some(pull_request) = event.and_then(|event| event.pull_request) {
        return Ok(Some(pull_request.number));
    }
    let rest = var("GITHUB_REF").and_then(|name| name.strip_prefix("refs/pull/"));
    rest.map(|rest| parse_number("GITHUB_REF", rest.split('/').next().unwrap_or(rest))).transpose()
}

/// Returns number and repository of `https://HOST/OWNER/NAME/pull/NUMBER`. CircleCI also has separate
/// variables for the repository.
fn circleci_pull_request<'a>(
    var: &impl Fn(&str) -> Option<&'a str>,
    url: &str,
) -> Result<(u64, String)> {
    let wrong = || {
        Error::usage(format!("`CIRCLE_PULL_REQUEST` is `{}`", url.escape_debug()))
            .hint("only pull requests of GitHub's can be commented on from CircleCI")
    };
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let [host, owner, name, "pull", number] = parts[..] else { return Err(wrong()) };
    if host != "github.com" && var("GITHUB_API_URL").is_none() {
        return Err(wrong().hint("for GitHub Enterprise Server, set `GITHUB_API_URL`"));
    }
    let owner = var("CIRCLE_PROJECT_USERNAME").unwrap_or(owner);
    let name = var("CIRCLE_PROJECT_REPONAME").unwrap_or(name);
    Ok((parse_number("CIRCLE_PULL_REQUEST", number)?, format!("{owner}/{name}")))
}

/// Splits the name of a repository into owner and name.
fn split_repository(repository: &str) -> Result<(&str, &str)> {
    let pair = repository.split_once('/').filter(|(owner, name)| {
        let plain = |part: &str| !part.is_empty() && !part.contains('/') && !part.starts_with('.');
        plain(owner) && plain(name)
    });
    pair.ok_or_else(|| {
        Error::usage(format!("`{}` is not a repository", repository.escape_debug()))
            .hint("`GITHUB_REPOSITORY` is `OWNER/NAME`")
    })
}

fn parse_number(variable: &str, text: &str) -> Result<u64> {
    let wrong = || {
        Error::usage(format!(
            "`{variable}` has no number of a pull request: `{}`",
            text.escape_debug()
        ))
    };
    text.parse().map_err(|_| wrong())
}

/// Returns the address of an API, without the slash at its end.
fn api_url<'a>(variable: &str, text: &'a str) -> Result<&'a str> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@".contains(&byte));
    match url::origin(text) {
        Some(_) if visible => Ok(text.trim_end_matches('/')),
        // It may hold a password.
        _ => Err(Error::usage(format!("`{variable}` is not the address of an API"))),
    }
}
