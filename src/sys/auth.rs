//! Credentials for registries: where they are looked for, in which order. `docs/registry.md` says the
//! same.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::{Context, fs};
use crate::{
    command::Command,
    distribution::{
        Credential, Secret,
        credential::{self, File, Place},
    },
    error::{Error, Result, Status},
};

/// The variables for user and password.
pub const VARIABLES: (&str, &str) = ("LONGSHORE_REGISTRY_USER", "LONGSHORE_REGISTRY_PASSWORD");

/// The registry that a GitHub token is for.
pub const GITHUB: &str = "ghcr.io";

/// How long a helper may take; some ask the user.
const HELPER: Duration = Duration::from_secs(60);

/// A credential, and where it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it was found, for people.
    pub origin: String,
    /// Whether it was in [`VARIABLES`], which do not say which registry they are for.
    pub anywhere: bool,
}

/// The credential for a repository of the registry at `host`; none where nothing is known of it.
///
/// # Errors
/// One of the variables is missing, a file cannot be read, or a helper failed.
pub fn find(cx: &Context, github: bool, host: &str, repository: &str) -> Result<Option<Found>> {
    if let Some(found) = variables(cx)? {
        return Ok(Some(found));
    }
    if github && host == GITHUB {
        let token = cx.env.var("GITHUB_TOKEN").ok_or_else(|| {
            Error::usage("`GITHUB_TOKEN` is not set")
                .hint("in a workflow: `env: { GITHUB_TOKEN: ${{ github.token }} }`")
        })?;
        let user = cx.env.var("GITHUB_ACTOR").unwrap_or("x-access-token").to_owned();
        let credential = Credential::Password(user, Secret::new(token));
        let origin = "`GITHUB_TOKEN`".to_owned();
        return Ok(Some(Found { credential, origin, anywhere: false }));
    }
    for path in files(cx) {
        let Some(text) = fs::read_to_string_if_there(&path)? else { continue };
        let file = File::parse(path.as_str(), &text)?;
        for place in file.places(path.as_str(), host, repository)? {
            let (found, origin) = match place {
                Place::Here(credential) => (Some(credential), format!("`{path}`")),
                Place::Helper { name, key, own } => {
                    let origin = format!("`docker-credential-{name}`, named in `{path}`");
                    (helper(cx, &name, &key, own, path.as_str())?, origin)
                }
            };
            if let Some(credential) = found {
                return Ok(Some(Found { credential, origin, anywhere: false }));
            }
        }
    }
    Ok(None)
}

fn variables(cx: &Context) -> Result<Option<Found>> {
    let (user, password) = (cx.env.var(VARIABLES.0), cx.env.var(VARIABLES.1));
    let lacks = |what: &str, other: &str| {
        Err(Error::usage(format!("`{other}` is set, and `{what}` is not")).hint("set both"))
    };
    match (user, password) {
        (None, None) => Ok(None),
        (Some(_), None) => lacks(VARIABLES.1, VARIABLES.0),
        (None, Some(_)) => lacks(VARIABLES.0, VARIABLES.1),
        (Some(user), Some(password)) => {
            let credential = Credential::Password(user.to_owned(), Secret::new(password));
            let origin = format!("`{}`", VARIABLES.0);
            Ok(Some(Found { credential, origin, anywhere: true }))
        }
    }
}

/// The files, the first to be looked at first: docker's, then podman's.
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

/// What a helper program has. One that a whole file names, and that is not installed, has nothing:
/// Docker Desktop leaves its name behind.
fn helper(
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
    let command = Command::new(found).arg("get");
    let output = cx.children.answer(&command, format!("{key}\n").into_bytes(), HELPER)?;
    let failed = |why: &str| {
        // What it wrote may hold what it is there to hide.
        Error::new(Status::Registry, format!("`{command}` gave no credentials for `{key}`: {why}"))
            .hint(format!("run it: `echo {key} | {program} get`; `{path}` names it"))
    };
    if output.timed_out {
        return Err(failed("its time was up"));
    }
    credential::answer(output.success(), &output.stdout, &output.stderr).map_err(|why| failed(&why))
}
