//! Credentials as docker and podman keep them: `config.json` and `auth.json`
//! (<https://docs.docker.com/reference/cli/docker/login/>, containers-auth.json(5)).

use std::{collections::BTreeMap, fmt};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::Deserialize;

use crate::model::{
    error::{Error, Result},
    reference::DOCKER_REGISTRY,
    secret::Secret,
    url,
};

/// The key under which docker keeps the credentials for its own registry.
pub const DOCKER_KEY: &str = "https://index.docker.io/v1/";

/// The user name with which helpers give an identity token instead of a password.
const TOKEN_USER: &str = "<token>";

/// Returns the problem with the text of a user, a password or a token; `None` if it can be sent.
/// Control characters come from files and variables that end with a line break.
pub fn find_problem(text: &str) -> Option<&'static str> {
    if text.ends_with(['\n', '\r']) {
        return Some("it ends with a line break");
    }
    text.chars().any(char::is_control).then_some("it contains a control character")
}

/// A credential that identifies the client to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password, or a token that is used as one.
    Password(String, Secret),
    /// A refresh token, for which a token server issues tokens (OAuth 2).
    Identity(Secret),
}

impl Credential {
    /// Returns user and password as the `Authorization` header has them (RFC 7617); `None` for a token.
    pub fn basic(&self) -> Option<Secret> {
        match self {
            Credential::Password(user, password) => {
                let pair = STANDARD.encode(format!("{user}:{}", password.reveal()));
                Some(Secret::new(format!("Basic {pair}")))
            }
            Credential::Identity(_) => None,
        }
    }

    /// Returns everything in it that must not be shown, in each form that it is sent in.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Credential::Identity(token) => {
                vec![Secret::new(url::encode(token.reveal())), token.clone()]
            }
            Credential::Password(_, password) => {
                let pair = self.basic();
                let pair = pair.as_ref().and_then(|pair| pair.reveal().strip_prefix("Basic "));
                pair.map(Secret::new).into_iter().chain([password.clone()]).collect()
            }
        }
    }
}

/// One file of credentials.
#[derive(Debug, Default)]
pub struct CredentialFile {
    entries: BTreeMap<String, CredentialEntry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CredentialFileJson {
    auths: Option<BTreeMap<String, CredentialEntry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Clone, Deserialize, Default)]
#[serde(default)]
struct CredentialEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(alias = "identityToken")]
    identitytoken: Option<String>,
}

impl fmt::Debug for CredentialEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The source of the credentials of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// In the file itself.
    Inline(Credential),
    /// The output of `docker-credential-NAME get` for that key.
    Helper {
        /// The program's name without its beginning.
        name: String,
        /// The key that is requested.
        key: String,
        /// Whether it is for this registry alone, as against for all that the file knows.
        own: bool,
    },
}

impl CredentialFile {
    /// Reads a file. `path` is for errors, in which nothing of the file's content is.
    ///
    /// # Errors
    /// It is not such a file.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let wrong = |error: serde_json::Error| {
            let location = format!("line {}, column {}", error.line(), error.column());
            Error::usage(format!("`{path}` is not a valid file of credentials: {location}"))
                .hint("`docker login` or `podman login` writes such a file")
        };
        let text = if text.trim().is_empty() { "{}" } else { text };
        let model: CredentialFileJson = serde_json::from_str(text).map_err(wrong)?;
        Ok(CredentialFile {
            entries: model.auths.unwrap_or_default(),
            helpers: model.cred_helpers.unwrap_or_default(),
            store: model.creds_store.filter(|name| !name.is_empty()),
        })
    }

    /// Returns where the credentials for a repository may be, the likeliest first: a helper for its
    /// registry, the file's store, then the file itself. podman keeps some for a part of a registry
    /// alone; the longest prefix of the name wins.
    ///
    /// # Errors
    /// The stored credential cannot be read, or the name of a helper is invalid.
    pub fn sources(
        &self,
        path: &str,
        host: &str,
        repository: &str,
    ) -> Result<Vec<CredentialSource>> {
        let mut sources = Vec::new();
        let helper = |name: &str, key: &str, own: bool| -> Result<CredentialSource> {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(known) {
                let name = name.escape_debug();
                return Err(Error::usage(format!("`{path}` names a helper `{name}`"))
                    .hint("the program is called `docker-credential-NAME`"));
            }
            Ok(CredentialSource::Helper { name: name.to_owned(), key: key.to_owned(), own })
        };
        let own = self.helpers.iter().find(|(key, _)| is_key_for(key, host));
        if let Some((key, name)) = own.filter(|(_, name)| !name.is_empty()) {
            sources.push(helper(name, key, true)?);
        } else if let Some(name) = &self.store {
            let key = if host == DOCKER_REGISTRY { DOCKER_KEY } else { host };
            sources.push(helper(name, key, false)?);
        }
        let mut scopes: Vec<String> = Vec::new();
        let ends = repository.match_indices('/').map(|(at, _)| at).chain([repository.len()]);
        scopes.extend(ends.map(|end| format!("{host}/{}", &repository[..end])));
        let narrow = scopes.iter().rev().find_map(|scope| self.entries.get_key_value(scope));
        let found = narrow.or_else(|| self.entries.iter().find(|(key, _)| is_key_for(key, host)));
        if let Some((key, entry)) = found {
            let unread = || {
                Error::usage(format!("`{path}` has credentials for `{key}` that cannot be read"))
                    .hint(format!(
                        "`docker logout {host}` removes them, `docker login {host}` makes new ones"
                    ))
            };
            sources.extend(entry.credential().ok_or_else(unread)?.map(CredentialSource::Inline));
        }
        Ok(sources)
    }
}

impl CredentialEntry {
    /// Returns the credential; inner `None` if it is stored elsewhere, outer `None` if it cannot be
    /// read.
    fn credential(&self) -> Option<Option<Credential>> {
        let non_empty = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = non_empty(&self.identitytoken) {
            return Some(Some(Credential::Identity(Secret::new(token))));
        }
        let pair = match non_empty(&self.auth) {
            None => non_empty(&self.username).zip(non_empty(&self.password)),
            Some(auth) => {
                // Padded or not: both are found.
                let config = GeneralPurposeConfig::new()
                    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
                let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
                let bytes = engine.decode(auth.trim()).ok()?;
                let text = String::from_utf8(bytes).ok()?;
                let (user, password) = text.split_once(':')?;
                Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
        };
        if pair
            .iter()
            .any(|(user, password)| find_problem(user).or(find_problem(password)).is_some())
        {
            return None;
        }
        Some(pair.map(|(user, password)| password_credential(user, password)))
    }
}

fn password_credential(user: String, password: String) -> Credential {
    match user == TOKEN_USER {
        true => Credential::Identity(Secret::new(password)),
        false => Credential::Password(user, Secret::new(password)),
    }
}

/// Returns whether a key, which may be a complete URL, is for the registry at `host`.
pub fn is_key_for(key: &str, host: &str) -> bool {
    let name = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (name, path) = match name {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        // Without a scheme, what has a path is for that path alone.
        None => (key, ""),
    };
    let known_path = ["", "v1", "v1/", "v2", "v2/"].contains(&path);
    let docker = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    let same = name.eq_ignore_ascii_case(host) || host == DOCKER_REGISTRY && docker.contains(&name);
    same && known_path
}

/// Returns the answer of a helper: the credential, or `None` if it has none.
///
/// # Errors
/// A sentence about the problem, without any text of the answer.
pub fn parse_helper_output(
    success: bool,
    stdout: &[u8],
    stderr: &[u8],
) -> std::result::Result<Option<Credential>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct HelperOutput {
        username: String,
        secret: String,
    }
    if !success {
        // The text of the helpers' own library, docker-credential-helpers.
        let unknown = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).to_lowercase();
            text.contains("credentials not found") || text.contains("no credentials server url")
        };
        return match unknown(stdout) || unknown(stderr) {
            true => Ok(None),
            false => Err("it failed".to_owned()),
        };
    }
    let answer: HelperOutput = serde_json::from_slice(stdout)
        .map_err(|_| "its output is not the JSON of a credential helper".to_owned())?;
    if answer.secret.is_empty() {
        return Ok(None);
    }
    if let Some(flaw) = find_problem(&answer.secret).or(find_problem(&answer.username)) {
        return Err(format!("its answer cannot be sent: {flaw}"));
    }
    Ok(Some(password_credential(answer.username, answer.secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline_credential(text: &str, host: &str, repository: &str) -> Option<Credential> {
        let file = CredentialFile::parse("f", text).unwrap();
        match file.sources("f", host, repository).unwrap().pop() {
            Some(CredentialSource::Inline(credential)) => Some(credential),
            _ => None,
        }
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password(user.to_owned(), Secret::new(password)))
    }

    #[test]
    fn dockers_file() {
        // `me:a:b`, padded and not.
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6YTpi"},
            "ghcr.io": {"auth": "bWU6eA=="}, "https://quay.io/v2/": {"auth": "bWU6eA"},
            "t.example": {"auth": "bWU6", "identitytoken": "id"},
            "p.example:5000": {"username": "u", "password": "p"}, "kept.example": {}},
            "HttpHeaders": {"User-Agent": "x"}}"#;
        assert_eq!(inline_credential(text, "docker.io", "library/x"), password("me", "a:b"));
        assert_eq!(inline_credential(text, "ghcr.io", "a/b"), password("me", "x"));
        assert_eq!(inline_credential(text, "quay.io", "a/b"), password("me", "x"));
        assert_eq!(
            inline_credential(text, "t.example", "a"),
            Some(Credential::Identity(Secret::new("id")))
        );
        assert_eq!(inline_credential(text, "p.example:5000", "a"), password("u", "p"));
        for none in ["kept.example", "p.example", "hcr.io", "ghcr.io.example"] {
            assert_eq!(inline_credential(text, none, "a"), None, "{none}");
        }
    }

    #[test]
    fn podmans_file_has_keys_for_parts_of_registries() {
        let text = r#"{"auths": {"q.io": {"auth": "YTox"}, "q.io/team": {"auth": "YToy"},
            "q.io/team/x": {"auth": "YToz"}}}"#;
        assert_eq!(inline_credential(text, "q.io", "other/x"), password("a", "1"));
        assert_eq!(inline_credential(text, "q.io", "team/y"), password("a", "2"));
        assert_eq!(inline_credential(text, "q.io", "team/x/y"), password("a", "3"));
        assert_eq!(inline_credential(text, "q.io", "teams"), password("a", "1"));
        let only = r#"{"auths": {"q.io/team": {"auth": "YToy"}}}"#;
        assert_eq!(inline_credential(only, "q.io", "other"), None);
    }

    #[test]
    fn helpers_precede_inline_credentials() {
        let text = r#"{"auths": {"a.io": {"auth": "YTox"}}, "credsStore": "desktop",
            "credHelpers": {"gcr.io": "gcloud", "bad.io": "../x"}}"#;
        let file = CredentialFile::parse("f", text).unwrap();
        let sources_for = |host: &str| file.sources("f", host, "x");
        let helper = |name: &str, key: &str, own| CredentialSource::Helper {
            name: name.to_owned(),
            key: key.to_owned(),
            own,
        };
        assert_eq!(sources_for("gcr.io").unwrap(), [helper("gcloud", "gcr.io", true)]);
        let stored = sources_for("a.io").unwrap();
        assert_eq!(stored[0], helper("desktop", "a.io", false));
        assert_eq!(stored.len(), 2);
        assert_eq!(sources_for("docker.io").unwrap(), [helper("desktop", DOCKER_KEY, false)]);
        assert!(sources_for("bad.io").unwrap_err().to_string().contains("helper `../x`"));
    }

    #[test]
    fn helper_outputs() {
        let ok = br#"{"ServerURL":"x","Username":"me","Secret":"s"}"#;
        assert_eq!(parse_helper_output(true, ok, b""), Ok(password("me", "s")));
        let token = br#"{"Username":"<token>","Secret":"s"}"#;
        assert_eq!(
            parse_helper_output(true, token, b""),
            Ok(Some(Credential::Identity(Secret::new("s"))))
        );
        assert_eq!(
            parse_helper_output(false, b"credentials not found in native keychain\n", b""),
            Ok(None)
        );
        assert!(
            parse_helper_output(false, b"", b"hunter2")
                .is_err_and(|reason| !reason.contains("hunter2"))
        );
        assert!(
            parse_helper_output(true, b"hunter2", b"")
                .is_err_and(|reason| !reason.contains("hunter2"))
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let text = r#"{"auths": {"a.io": {"auth": "bWU6aHVudGVyMg==", "password": "hunter2"},
            "b.io": {"identitytoken": "hunter2"}}}"#;
        let file = CredentialFile::parse("f", text).unwrap();
        let mut shown = format!("{file:?}{:?}", file.sources("f", "a.io", "x").unwrap());
        shown += &format!("{:?}", file.sources("f", "b.io", "x").unwrap());
        for broken in [text.replace("}}}", ""), text.replace("bWU6", "!"), "hunter2".to_owned()] {
            let result =
                CredentialFile::parse("f", &broken).and_then(|file| file.sources("f", "a.io", "x"));
            shown += &format!("{:?}", result.unwrap_err());
        }
        assert!(!shown.contains("hunter2") && !shown.contains("bWU6"), "{shown}");
    }
}
