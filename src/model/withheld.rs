//! Inherited variables that hold credentials. A build, and any other program of the workspace, does
//! not need them, so children do not inherit them. `docs/secrets.md` has the same list.

/// The variable that names, separated by commas or spaces, withheld variables that children inherit
/// nevertheless. It is not a setting, so that the built source cannot request secrets.
pub const PASS_VARIABLE: &str = "LONGSHORE_PASS_ENV";

/// Exact names.
const NAMES: &[&str] = &[
    // Signing.
    "COSIGN_PASSWORD",
    "COSIGN_PRIVATE_KEY",
    "GPG_PASSPHRASE",
    "GPG_PRIVATE_KEY",
    "MINISIGN_PASSWORD",
    "SIGSTORE_ID_TOKEN",
    // GitHub, and forges with its variables.
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_PAT",
    "FORGEJO_TOKEN",
    "GITEA_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_RUNTIME_TOKEN",
    // GitLab. The URL of the repository holds the token of the job.
    "GITLAB_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "GL_TOKEN",
    "CI_BUILD_TOKEN",
    "CI_JOB_TOKEN",
    "CI_JOB_JWT",
    "CI_JOB_JWT_V1",
    "CI_JOB_JWT_V2",
    "CI_REPOSITORY_URL",
    "CI_BUILD_REPO",
    "CI_REGISTRY_PASSWORD",
    "CI_DEPLOY_PASSWORD",
    "CI_DEPENDENCY_PROXY_PASSWORD",
    // CircleCI.
    "CIRCLE_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    // Registries of images and packages. Cargo needs its publishing token for crates.io only to
    // publish; those of other registries (`CARGO_REGISTRIES_*_TOKEN`) also to download.
    "CARGO_REGISTRIES_CRATES_IO_TOKEN",
    "CARGO_REGISTRY_TOKEN",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_PASSWORD",
    "DOCKERHUB_PASSWORD",
    "DOCKERHUB_TOKEN",
    "REGISTRY_PASSWORD",
    "REGISTRY_TOKEN",
    "NODE_AUTH_TOKEN",
    "NPM_TOKEN",
    "PYPI_TOKEN",
    "TWINE_PASSWORD",
    "UV_PUBLISH_PASSWORD",
    "UV_PUBLISH_TOKEN",
];

/// The endings of names that begin with `LONGSHORE_` and hold a credential.
const OWN_SUFFIXES: &[&str] = &["PASSWORD", "TOKEN", "SECRET", "PASSPHRASE"];

/// Returns whether children do not inherit the variable `name`. `var` returns the variables that
/// are set and not empty.
pub fn is_withheld<'a>(name: &str, var: impl Fn(&str) -> Option<&'a str>) -> bool {
    let own = name
        .strip_prefix("LONGSHORE_")
        .is_some_and(|rest| OWN_SUFFIXES.iter().any(|ending| rest.ends_with(ending)));
    if !own && !NAMES.contains(&name) {
        return false;
    }
    // sccache stores in the cache of GitHub Actions with this token; the runner does not pass it to steps
    // automatically.
    if name == "ACTIONS_RUNTIME_TOKEN" && var("SCCACHE_GHA_ENABLED").is_some() {
        return false;
    }
    let passed = var(PASS_VARIABLE).unwrap_or_default();
    !passed.split([',', ' ', '\t', '\n']).any(|passed| passed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_withheld_and_what_cargo_needs_is_not() {
        let none = |_: &str| None;
        for name in [
            "LONGSHORE_REGISTRY_PASSWORD",
            "LONGSHORE_REGISTRY_TOKEN",
            "LONGSHORE_MINISIGN_PASSWORD",
            "COSIGN_PASSWORD",
            "CARGO_REGISTRIES_CRATES_IO_TOKEN",
            "GITHUB_TOKEN",
            "CI_JOB_TOKEN",
            "ACTIONS_RUNTIME_TOKEN",
        ] {
            assert!(is_withheld(name, none), "{name}");
        }
        for name in [
            "CARGO_REGISTRIES_MINE_TOKEN",
            "LONGSHORE_REGISTRY_USER",
            "LONGSHORE_CACHE_DIR",
            "GITHUB_TOKENS",
            "MY_LONGSHORE_PASSWORD",
            "SSH_AUTH_SOCK",
            "PATH",
        ] {
            assert!(!is_withheld(name, none), "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_named_is_passed() {
        let var = |name: &str| (name == PASS_VARIABLE).then_some("GH_TOKEN, GITHUB_TOKEN");
        assert!(!is_withheld("GITHUB_TOKEN", var));
        assert!(!is_withheld("GH_TOKEN", var));
        assert!(is_withheld("CI_JOB_TOKEN", var));
        let sccache = |name: &str| (name == "SCCACHE_GHA_ENABLED").then_some("true");
        assert!(!is_withheld("ACTIONS_RUNTIME_TOKEN", sccache));
        assert!(is_withheld("GITHUB_TOKEN", sccache));
    }
}
