//! The little of URLs that the protocol needs.

/// `text` as the value of a parameter: all but the unreserved characters is escaped (RFC 3986, 2.3).
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `url` with one more parameter, whose value is escaped.
pub fn with(url: &str, name: &str, value: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{name}={}", encode(value))
}

/// Scheme, host and port: what credentials are for.
pub fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let known = ["http", "https"].contains(&scheme) && end > 0;
    known.then(|| &url[..scheme.len() + 3 + end])
}

/// Whether both are of one scheme, host and port; a port that goes without saying may be said.
pub fn same_origin(a: &str, b: &str) -> bool {
    let plain = |url| {
        let origin = origin(url)?.to_ascii_lowercase();
        let port = if origin.starts_with("https:") { ":443" } else { ":80" };
        Some(origin.strip_suffix(port).map(str::to_owned).unwrap_or(origin))
    };
    plain(a).is_some() && plain(a) == plain(b)
}

/// Where a `Location` leads that came in answer to `base`: it may be a whole URL, or begin with its
/// host, its path, or its query (RFC 9110, 10.2.2). None where it is no place that can be asked, or
/// where it leads from https to http.
pub fn resolve(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let visible = |byte: u8| byte.is_ascii_graphic();
    if location.is_empty() || !location.bytes().all(visible) {
        return None;
    }
    let root = origin(base)?;
    let (scheme, _) = base.split_once(':')?;
    let path = base.split(['?', '#']).next().unwrap_or(base);
    let url = if location.split(['/', '?']).next()?.contains(':') {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{root}{location}")
    } else if location.starts_with('?') {
        format!("{path}{location}")
    } else {
        let directory =
            path.get(root.len()..)?.rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{root}{directory}/{location}")
    };
    let found = origin(&url)?;
    let weaker = scheme == "https" && !found.starts_with("https://");
    let named = found.contains('@');
    (!weaker && !named).then_some(url)
}

/// Where a list goes on, by its `Link` header (RFC 8288, 3): the target with the relation `next`.
pub fn next(link: &str) -> Option<&str> {
    let mut rest = link;
    loop {
        let (target, behind) = rest.split_once('<')?.1.split_once('>')?;
        // Targets of others follow behind a comma; none of the parameters that are used here has one.
        let (parameters, more) = behind.split_once(",").unwrap_or((behind, ""));
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        };
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = more;
    }
}

/// Whether a host, with or without a port, is this machine's own.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    let local = name.eq_ignore_ascii_case("localhost");
    local || name.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let base = "https://a.b:5000/v2/x/blobs/uploads/?from=y";
        for (location, expected) in [
            ("/v2/u?_state=a%3D", Some("https://a.b:5000/v2/u?_state=a%3D")),
            ("https://c.d/u", Some("https://c.d/u")),
            ("//c.d/u", Some("https://c.d/u")),
            ("123?x=1#f", Some("https://a.b:5000/v2/x/blobs/uploads/123?x=1")),
            ("?x=1", Some("https://a.b:5000/v2/x/blobs/uploads/?x=1")),
            ("http://a.b:5000/u", None),
            ("ftp://a.b/u", None),
            ("https://", None),
            ("https://u:p@c.d/", None),
            ("", None),
            ("/a b", None),
            ("/a\r\nb", None),
        ] {
            assert_eq!(resolve(base, location).as_deref(), expected, "{location}");
        }
        assert!(resolve("http://a/", "https://b/").is_some());
        assert_eq!(
            with("https://a/u?x=1", "digest", "sha256:0"),
            "https://a/u?x=1&digest=sha256%3A0"
        );
        assert_eq!(with("https://a/u", "d", "a b+c"), "https://a/u?d=a%20b%2Bc");
    }

    #[test]
    fn lists_go_on() {
        for (link, expected) in [
            ("</v2/x/tags/list?last=1&n=2>; rel=\"next\"", Some("/v2/x/tags/list?last=1&n=2")),
            ("<a>; rel=prev, <b,c>;rel=next", Some("b,c")),
            ("<a>; title=x; REL=\"last Next\"", Some("a")),
            ("<a>; rel=prev", None),
            ("<a; rel=next", None),
            ("<a>, ", None),
            ("", None),
        ] {
            assert_eq!(next(link), expected, "{link}");
        }
    }

    #[test]
    fn origins() {
        assert!(same_origin("https://a.b/x", "https://A.b:443/y?z"));
        assert!(!same_origin("https://a.b/x", "http://a.b/x"));
        assert!(!same_origin("https://a.b/x", "https://a.b:444/x"));
        assert!(!same_origin("https://a.b/x", "https://a.b.c/x"));
        assert!(!same_origin("x", "x"));
    }

    #[test]
    fn this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example:1", "[::2]", "10.0.0.1", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
