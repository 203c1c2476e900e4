//! Names of images in registries: `[host[:port]/]path[:tag][@digest]`, as the OCI distribution
//! specification 1.1 ("Pulling manifests") and <https://github.com/distribution/reference> have them.

use std::{fmt, str::FromStr};

use crate::model::digest::Digest;

/// The registry of names without one.
pub const DOCKER_REGISTRY: &str = "docker.io";

/// The maximum length of a path (distribution/reference, "RepositoryNameTotalLengthMax").
const MAX_PATH: usize = 255;

/// The maximum length of a tag.
const MAX_TAG: usize = 128;

/// An image, or several under one name, in a registry. Displayed completely: with the registry, and with
/// `library/` where Docker implies it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The registry's host, with its port if there is one.
    pub registry: String,
    /// The path in the registry.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Returns registry and path, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the reference that a registry is requested for: the digest, else the tag, else
    /// `latest`, as with Docker.
    pub fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The error for a text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseReferenceError {
    text: String,
    reason: String,
}

impl fmt::Display for ParseReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an image reference: {}", self.text.escape_debug(), self.reason)
    }
}

impl std::error::Error for ParseReferenceError {}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        let parse_error =
            |reason: String| ParseReferenceError { text: text.chars().take(300).collect(), reason };
        parse(text.strip_prefix("docker://").unwrap_or(text)).map_err(parse_error)
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("leave `{}://` away", scheme.escape_debug()));
    }
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => {
            (rest, Some(digest.parse::<Digest>().map_err(|error| error.to_string())?))
        }
    };
    // A colon before the last slash belongs to a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (registry, path) = match name.split_once('/') {
        Some((host, path)) if is_host(host) => (host, path),
        _ => (DOCKER_REGISTRY, name),
    };
    check_host(registry)?;
    let official = ["docker.io", "index.docker.io"].contains(&registry);
    let registry = if official { DOCKER_REGISTRY } else { registry };
    let path = match official && !path.contains('/') {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    check_path(&path, name)?;
    Ok(Reference {
        registry: registry.to_owned(),
        repository: path,
        tag: tag.map(str::to_owned),
        digest,
    })
}

/// Returns whether the text before the first slash is a host, and not the first part of a path.
fn is_host(text: &str) -> bool {
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    text.contains(['.', ':', '[']) || text == "localhost" || upper
}

fn check_host(host: &str) -> Result<(), String> {
    let parse_error = || format!("`{}` is not a host with or without a port", host.escape_debug());
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<core::net::Ipv6Addr>().map_err(|_| parse_error())?;
            (None, port)
        }
        None => {
            let at = host.find(':').unwrap_or(host.len());
            (Some(&host[..at]), &host[at..])
        }
    };
    if !port.is_empty() {
        let digits = port.strip_prefix(':').ok_or_else(parse_error)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !number || digits.parse::<u16>().map_err(|_| parse_error())? == 0 {
            return Err(parse_error());
        }
    }
    let part = |part: &str| {
        let ends = part.starts_with('-') || part.ends_with('-');
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty() && !ends && part.bytes().all(known)
    };
    match name.is_none_or(|name| name.len() <= 253 && name.split('.').all(part)) {
        true => Ok(()),
        false => Err(parse_error()),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| first(byte) || byte == b'.' || byte == b'-';
    let bytes = tag.as_bytes();
    let starts = bytes.first().is_some_and(|&byte| first(byte));
    if starts && bytes.len() <= MAX_TAG && bytes.iter().all(|&byte| rest(byte)) {
        return Ok(());
    }
    Err(format!(
        "the tag `{}` is not at most {MAX_TAG} letters, digits, `_`, `.` and `-`, the first of which is \
         neither `.` nor `-`",
        tag.escape_debug()
    ))
}

fn check_path(path: &str, name: &str) -> Result<(), String> {
    if path.is_empty() || path.ends_with('/') {
        return Err("the name is missing".to_owned());
    }
    if path.len() > MAX_PATH {
        return Err(format!("the name has more than {MAX_PATH} characters"));
    }
    if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("64 hex digits are taken for an identifier, and not for a name".to_owned());
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("names are lowercase".to_owned());
    }
    match path.split('/').find(|part| !is_component(part)) {
        None => Ok(()),
        Some(part) => Err(format!(
            "`{}` is not lowercase letters and digits with one `.`, one or two `_`, or any number of \
             `-` between them",
            part.escape_debug()
        )),
    }
}

/// Returns the repository name for `text`: in lowercase, with each run of characters that cannot
/// separate its parts replaced by `-`. `None` if nothing is left, or 64 hex digits, which engines take
/// for an identifier.
pub fn repository_name(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut separator = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if !c.is_ascii_lowercase() && !c.is_ascii_digit() {
            separator.push(c);
            continue;
        }
        if !name.is_empty() && !separator.is_empty() {
            let known = matches!(separator.as_str(), "." | "_" | "__");
            let known = known || separator.bytes().all(|byte| byte == b'-');
            name.push_str(if known { &separator } else { "-" });
        }
        separator.clear();
        name.push(c);
    }
    check_path(&name, &name).is_ok().then_some(name)
}

/// Returns the tag for a version: `+`, which a tag cannot have, becomes `_`. `None` if it is too long.
pub fn version_tag(version: &str) -> Option<String> {
    let tag = version.replace('+', "_");
    check_tag(&tag).is_ok().then_some(tag)
}

/// Returns whether `text` matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(letter) && bytes.last().is_some_and(letter);
    let mut between = bytes.split(letter).filter(|separator| !separator.is_empty());
    ends && between
        .all(|text| matches!(text, b"." | b"_" | b"__") || text.iter().all(|&byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_name(text: &str) -> String {
        text.parse::<Reference>()
            .map_or_else(|error| error.to_string(), |reference| reference.to_string())
    }

    #[test]
    fn names_are_completed_as_docker_does() {
        let digest = Digest::sha256(b"");
        for (text, expected) in [
            ("hello", "docker.io/library/hello"),
            ("hello:1.0", "docker.io/library/hello:1.0"),
            ("index.docker.io/hello", "docker.io/library/hello"),
            ("me/hello", "docker.io/me/hello"),
            ("docker.io/me/hello:x", "docker.io/me/hello:x"),
            ("ghcr.io/me/hello", "ghcr.io/me/hello"),
            ("localhost/hello", "localhost/hello"),
            ("localhost:5000/hello:1", "localhost:5000/hello:1"),
            ("host:5000/a/b/c", "host:5000/a/b/c"),
            ("[::1]:5000/hello", "[::1]:5000/hello"),
            ("Host/hello", "Host/hello"),
            ("docker://ghcr.io/me/hello:_x", "ghcr.io/me/hello:_x"),
            ("a.b/c__d/e---f/g.h", "a.b/c__d/e---f/g.h"),
        ] {
            assert_eq!(full_name(text), expected);
            // A complete name is unchanged.
            assert_eq!(full_name(expected), expected);
        }
        let text = format!("ghcr.io/me/hello:1.0@{digest}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!((reference.tag.as_deref(), reference.digest), (Some("1.0"), Some(digest)));
        assert_eq!((reference.to_string(), reference.target()), (text, digest.to_string()));
        assert_eq!("a.b/c".parse::<Reference>().unwrap().target(), "latest");
    }

    #[test]
    fn invalid_references_are_rejected_with_the_reason() {
        for (text, reason) in [
            ("", "the name is missing"),
            (":1", "the name is missing"),
            ("ghcr.io/", "the name is missing"),
            ("https://ghcr.io/me/hello", "leave `https://` away"),
            ("ghcr.io/Me/hello", "names are lowercase"),
            ("Hello", "names are lowercase"),
            ("ghcr.io/me//hello", "`` is not lowercase"),
            ("ghcr.io/me/a___b", "`a___b` is not lowercase"),
            ("ghcr.io/me/a..b", "`a..b` is not lowercase"),
            ("ghcr.io/me/-a", "`-a` is not lowercase"),
            ("ghcr.io/me/a-", "`a-` is not lowercase"),
            ("ghcr.io/../etc", "`..` is not lowercase"),
            ("ghcr.io/é", "`é` is not lowercase"),
            ("hello:", "the tag `` is not"),
            ("hello:.x", "the tag `.x` is not"),
            ("hello:a b", "the tag `a b` is not"),
            ("hello@sha256:00", "is not `sha256:` and 64"),
            ("hello@md5:00", "is not `sha256:` and 64"),
            ("host:0/a", "`host:0` is not a host"),
            ("host:99999/a", "`host:99999` is not a host"),
            ("host:+1/a", "`host:+1` is not a host"),
            ("-a.b/a", "`-a.b` is not a host"),
            ("a..b/a", "`a..b` is not a host"),
            ("u:p@host/a", "is not `sha256:`"),
            ("[::1/a", "`[::1` is not a host"),
            ("a.b\r\nX: y/a", "is not a host"),
        ] {
            let name = full_name(text);
            assert!(
                name.contains(reason) && name.contains("is not an image reference"),
                "{text}: {name}"
            );
        }
        assert!(full_name(&"a".repeat(64)).contains("identifier"));
        assert!(full_name(&format!("a.b/{}", "a".repeat(256))).contains("more than 255"));
        assert!(full_name(&format!("a:{}", "a".repeat(129))).contains("the tag"));
        assert!(full_name(&format!("a:{}", "a".repeat(128))).starts_with("docker.io"));
    }

    #[test]
    fn package_names_become_repository_names() {
        for (text, expected) in [
            ("hello", "hello"),
            ("MyTool", "mytool"),
            ("my_tool", "my_tool"),
            ("my__tool", "my__tool"),
            ("my___tool", "my-tool"),
            ("my--tool", "my--tool"),
            ("my_-tool", "my-tool"),
            ("_my-tool-", "my-tool"),
            ("caf\u{e9}-x", "caf-x"),
            ("a.b", "a.b"),
        ] {
            let name = repository_name(text).unwrap();
            assert_eq!(name, expected);
            assert!(name.parse::<Reference>().is_ok(), "{name}");
        }
        for text in ["", "-", "___", "\u{e9}", &"a".repeat(64), &"a".repeat(256)] {
            assert_eq!(repository_name(text), None, "{text}");
        }
        assert_eq!(version_tag("1.2.3-rc.1+b7").as_deref(), Some("1.2.3-rc.1_b7"));
        assert_eq!(version_tag(&format!("1.2.3+{}", "b".repeat(128))), None);
    }

    /// Accepted references contain nothing with a meaning in a URL or a header.
    #[test]
    fn accepted_references_need_no_escaping_in_urls() {
        let alphabet: Vec<char> = "aZ0./:@-_[]? #%\r\né".chars().collect();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut accepted = 0;
        for _ in 0..60_000 {
            let mut text = String::new();
            for _ in 0..(state % 9) + 1 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = usize::try_from(state >> 33).unwrap() % alphabet.len();
                text.push(alphabet[at]);
            }
            let Ok(reference) = text.parse::<Reference>() else { continue };
            accepted += 1;
            assert_eq!(reference.to_string().parse(), Ok(reference.clone()), "{text}");
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "./_-".contains(c);
            assert!(reference.repository.chars().all(plain), "{text}");
            assert!(!reference.repository.contains(".."), "{text}");
        }
        assert!(accepted > 500, "{accepted}");
    }
}
