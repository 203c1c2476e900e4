//! Credentials for registries: the sources, and their order. `docs/registry.md` documents the same.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::{Context, fs};
use crate::{
    image::distribution::{
        Credential,
        credential::{self, CredentialFile, CredentialSource},
    },
    model::{
        command::Command,
        error::{Error, Result, Status},
        secret::Secret,
    },
};

/// The variable for the registry that [`USER`] and [`PASSWORD`] are for.
pub const HOST: &str = "LONGSHORE_REGISTRY_HOST";

/// The variable for the user.
pub const USER: &str = "LONGSHORE_REGISTRY_USER";

/// The variable for the password.
pub const PASSWORD: &str = "LONGSHORE_REGISTRY_PASSWORD";

/// The registry that a GitHub token is for.
pub const GITHUB: &str = "ghcr.io";

/// The time limit of a helper; some prompt the user.
const HELPER: Duration = Duration::from_secs(60);

/// A credential, and where it was found.
#[derive(Clone, Debug)]
pub struct FoundCredential {
    /// The credential.
    pub credential: Credential,
    /// Its source, for people.
    pub origin: String,
}

/// Returns the credential for a repository of the registry at `host`; `None` if there is none.
///
/// # Errors
/// One of the variables is missing, a file cannot be read, or a helper failed.
pub fn find_credential(
    cx: &Context,
    github: bool,
    host: &str,
    repository: &str,
) -> Result<Option<FoundCredential>> {
    if let Some(found) = variables(cx, host)? {
        return Ok(Some(found));
    }
    if github && host == GITHUB {
        let token = cx.env.var("GITHUB_TOKEN").ok_or_else(|| {
            Error::usage("`GITHUB_TOKEN` is not set")
                .hint("in a workflow: `env: { GITHUB_TOKEN: ${{ github.token }} }`")
        })?;
        check_sendable("GITHUB_TOKEN", token)?;
        let user = cx.env.var("GITHUB_ACTOR").unwrap_or("x-access-token").to_owned();
        let credential = Credential::Password(user, Secret::new(token));
        let origin = "`GITHUB_TOKEN`".to_owned();
        return Ok(Some(FoundCredential { credential, origin }));
    }
    for path in files(cx) {
        let Some(text) = fs::read_to_string_if_exists(&path)? else { continue };
        let file = CredentialFile::parse(path.as_str(), &text)?;
        for location in file.sources(path.as_str(), host, repository)? {
            let (found, origin) = match location {
                CredentialSource::Inline(credential) => (Some(credential), format!("`{path}`")),
                CredentialSource::Helper { name, key, own } => {
                    let origin = format!("`docker-credential-{name}`, named in `{path}`");
                    (run_helper(cx, &name, &key, own, path.as_str())?, origin)
                }
            };
            if let Some(credential) = found {
                return Ok(Some(FoundCredential { credential, origin }));
            }
        }
    }
    Ok(None)
}

/// Returns the credential in the variables, if they are for the registry at `host`.
fn variables(cx: &Context, host: &str) -> Result<Option<FoundCredential>> {
    let lacks = |set: &str, missing: &str| {
        Error::usage(format!("`{set}` is set, and `{missing}` is not")).hint("set both")
    };
    let (user, password) = match (cx.env.var(USER), cx.env.var(PASSWORD)) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(lacks(USER, PASSWORD)),
        (None, Some(_)) => return Err(lacks(PASSWORD, USER)),
        (Some(user), Some(password)) => (user, password),
    };
    let named = cx.env.var(HOST).ok_or_else(|| {
        lacks(PASSWORD, HOST).hint(format!(
            "set `{HOST}` to the registry that the password is for; it is sent to no other: \
             `{HOST}={host}`"
        ))
    })?;
    let name = named.strip_prefix("https://").unwrap_or(named);
    let name = name.strip_suffix('/').unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if named != credential::DOCKER_KEY && (name.is_empty() || !name.chars().all(plain)) {
        let message = format!("`{HOST}` is `{}`, not a host", named.escape_debug());
        return Err(
            Error::usage(message).hint("the form is `HOST` or `HOST:PORT`, such as `ghcr.io`")
        );
    }
    if !credential::is_key_for(named, host) {
        return Ok(None);
    }
    check_sendable(USER, user)?;
    check_sendable(PASSWORD, password)?;
    if user.contains(':') {
        return Err(Error::usage(format!("`{USER}` contains a colon"))
            .hint("a user cannot contain one (RFC 7617)"));
    }
    let credential = Credential::Password(user.to_owned(), Secret::new(password));
    Ok(Some(FoundCredential { credential, origin: format!("`{USER}`") }))
}

/// Fails if the value of a variable cannot be sent as a user, a password or a token. The value is
/// not shown.
///
/// # Errors
/// It contains a control character.
pub fn check_sendable(variable: &str, value: &str) -> Result<()> {
    match credential::find_problem(value) {
        None => Ok(()),
        Some(flaw) => Err(Error::usage(format!("`{variable}` cannot be used: {flaw}"))
            .hint("`$(cat FILE)` and `printf %s` leave the line break out")),
    }
}

/// Returns the files in the order of the search: docker's, then podman's.
fn files(cx: &Context) -> Vec<Utf8PathBuf> {
    let env = &cx.env;
    let var = |name| env.var(name).map(|path| env.dir.join(path));
    let home = |path: &str| env.home().map(|home| home.join(path));
    let docker = match var("DOCKER_CONFIG") {
        Some(dir) => Some(dir.join("config.json")),
        None => home(".docker/config.json"),
    };
    let podman = match var("REGISTRY_AUTH_FILE") {
        Some(file) => vec![Some(file)],
        None => vec![
            var("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            match var("XDG_CONFIG_HOME") {
                Some(dir) => Some(dir.join("containers/auth.json")),
                None => home(".config/containers/auth.json"),
            },
        ],
    };
    [docker].into_iter().chain(podman).flatten().collect()
}

/// Returns the credential of a helper program. One that applies to the entire file, and that is not
/// installed, has none: Docker Desktop leaves its name behind.
fn run_helper(
    cx: &Context,
    name: &str,
    key: &str,
    own: bool,
    path: &str,
) -> Result<Option<Credential>> {
    let program = format!("docker-credential-{name}");
    let Some(found) = cx.env.which(&program) else {
        if !own {
            cx.warn(format!("`{path}` names `{program}`, which is not installed"));
            return Ok(None);
        }
        return Err(Error::tool(format!("`{program}` is not installed"))
            .hint(format!("`{path}` says that it has the credentials for `{key}`")));
    };
    let command = Command::new(found).arg("get").with_credentials();
    let output = cx.children.answer_within(&command, format!("{key}\n").into_bytes(), HELPER)?;
    let failed = |why: &str| {
        // Its output may contain secrets.
        Error::new(Status::Registry, format!("`{command}` gave no credentials for `{key}`: {why}"))
            .hint(format!("run it: `echo {key} | {program} get`; `{path}` names it"))
    };
    if output.timed_out {
        return Err(failed("its time was up"));
    }
    credential::parse_helper_output(output.success(), &output.stdout, &output.stderr)
        .map_err(|why| failed(&why))
}
