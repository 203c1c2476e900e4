//! Names of images in registries: `[host[:port]/]path[:tag][@digest]`, as the OCI distribution
//! specification 1.1 ("Pulling manifests") and <https://github.com/distribution/reference> have them.

use std::{fmt, str::FromStr};

use crate::model::digest::Digest;

/// The registry of names that have none.
pub const DOCKER: &str = "docker.io";

/// The longest path (distribution/reference, "RepositoryNameTotalLengthMax").
const PATH: usize = 255;

/// The longest tag.
const TAG: usize = 128;

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
    /// Registry and path, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns what is requested from a registry: the digest, else the tag, else `latest`, as with Docker.
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

/// The text is not a reference, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAReference {
    text: String,
    why: String,
}

impl fmt::Display for NotAReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no image reference: {}", self.text.escape_debug(), self.why)
    }
}

impl std::error::Error for NotAReference {}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let bad = |why: String| NotAReference { text: text.chars().take(300).collect(), why };
        parse(text.strip_prefix("docker://").unwrap_or(text)).map_err(bad)
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
        _ => (DOCKER, name),
    };
    check_host(registry)?;
    let official = ["docker.io", "index.docker.io"].contains(&registry);
    let registry = if official { DOCKER } else { registry };
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

/// Whether what stands before the first slash is a host, and not the first part of a path.
fn is_host(text: &str) -> bool {
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    text.contains(['.', ':', '[']) || text == "localhost" || upper
}

fn check_host(host: &str) -> Result<(), String> {
    let bad = || format!("`{}` is not a host with or without a port", host.escape_debug());
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<core::net::Ipv6Addr>().map_err(|_| bad())?;
            (None, port)
        }
        None => {
            let at = host.find(':').unwrap_or(host.len());
            (Some(&host[..at]), &host[at..])
        }
    };
    if !port.is_empty() {
        let digits = port.strip_prefix(':').ok_or_else(bad)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !number || digits.parse::<u16>().map_err(|_| bad())? == 0 {
            return Err(bad());
        }
    }
    let part = |part: &str| {
        let ends = part.starts_with('-') || part.ends_with('-');
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty() && !ends && part.bytes().all(known)
    };
    match name.is_none_or(|name| name.len() <= 253 && name.split('.').all(part)) {
        true => Ok(()),
        false => Err(bad()),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| first(byte) || byte == b'.' || byte == b'-';
    let bytes = tag.as_bytes();
    let starts = bytes.first().is_some_and(|&byte| first(byte));
    if starts && bytes.len() <= TAG && bytes.iter().all(|&byte| rest(byte)) {
        return Ok(());
    }
    Err(format!(
        "the tag `{}` is not at most {TAG} letters, digits, `_`, `.` and `-`, the first of which is \
         neither `.` nor `-`",
        tag.escape_debug()
    ))
}

fn check_path(path: &str, name: &str) -> Result<(), String> {
    if path.is_empty() || path.ends_with('/') {
        return Err("the name is missing".to_owned());
    }
    if path.len() > PATH {
        return Err(format!("the name has more than {PATH} characters"));
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

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
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

    fn whole(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|error| error.to_string(), |of| of.to_string())
    }

    #[test]
    fn names_are_made_whole_as_docker_does() {
        let digest = Digest::of(b"");
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
            assert_eq!(whole(text), expected);
            // A complete name is unchanged.
            assert_eq!(whole(expected), expected);
        }
        let text = format!("ghcr.io/me/hello:1.0@{digest}");
        let of: Reference = text.parse().unwrap();
        assert_eq!((of.tag.as_deref(), of.digest), (Some("1.0"), Some(digest)));
        assert_eq!((of.to_string(), of.target()), (text, digest.to_string()));
        assert_eq!("a.b/c".parse::<Reference>().unwrap().target(), "latest");
    }

    #[test]
    fn what_is_no_reference_is_refused_and_told() {
        for (text, why) in [
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
            let told = whole(text);
            assert!(told.contains(why) && told.contains("is no image reference"), "{text}: {told}");
        }
        assert!(whole(&"a".repeat(64)).contains("identifier"));
        assert!(whole(&format!("a.b/{}", "a".repeat(256))).contains("more than 255"));
        assert!(whole(&format!("a:{}", "a".repeat(129))).contains("the tag"));
        assert!(whole(&format!("a:{}", "a".repeat(128))).starts_with("docker.io"));
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

    /// What is accepted has nothing in it that means something in a URL or a header.
    #[test]
    fn what_is_accepted_goes_into_urls_as_it_is() {
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
            let Ok(of) = text.parse::<Reference>() else { continue };
            accepted += 1;
            assert_eq!(of.to_string().parse(), Ok(of.clone()), "{text}");
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "./_-".contains(c);
            assert!(of.repository.chars().all(plain), "{text}");
            assert!(!of.repository.contains(".."), "{text}");
        }
        assert!(accepted > 500, "{accepted}");
    }
}
