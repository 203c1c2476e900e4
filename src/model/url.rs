//! The parts of URLs that the registry protocol needs.

use core::net::{IpAddr, Ipv4Addr};

/// Escapes `text` as the value of a parameter: all characters but the unreserved ones (RFC 3986,
/// 2.3).
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

/// Returns `url` with an additional query parameter; the value is escaped.
pub fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{name}={}", encode(value))
}

/// Returns scheme, host and port: the origin that credentials are for.
pub fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let known = ["http", "https"].contains(&scheme) && end > 0;
    known.then(|| &url[..scheme.len() + 3 + end])
}

/// Returns whether both URLs have one scheme, host and port; the scheme's default port may be
/// omitted.
pub fn is_same_origin(a: &str, b: &str) -> bool {
    let plain = |url| {
        let origin = origin(url)?.to_ascii_lowercase();
        let port = if origin.starts_with("https:") { ":443" } else { ":80" };
        Some(origin.strip_suffix(port).map(str::to_owned).unwrap_or(origin))
    };
    plain(a).is_some() && plain(a) == plain(b)
}

/// The reason for which a location is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// It leads from https to http.
    Downgrade,
    /// It is not the URL of anything that can be requested.
    Malformed,
}

/// Resolves the URL of a `Location` in a response from `base`: it may be a complete URL, or begin
/// with its host, its path, or its query (RFC 9110, 10.2.2).
///
/// # Errors
/// It must not be followed.
pub fn resolve(base: &str, location: &str) -> Result<String, LocationError> {
    let url = absolute(base, location).ok_or(LocationError::Malformed)?;
    let found =
        origin(&url).filter(|found| !found.contains('@')).ok_or(LocationError::Malformed)?;
    if base.starts_with("https:") && !found.starts_with("https://") {
        return Err(LocationError::Downgrade);
    }
    Ok(url)
}

fn absolute(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let visible = |byte: u8| byte.is_ascii_graphic();
    if location.is_empty() || !location.bytes().all(visible) {
        return None;
    }
    let root = origin(base)?;
    let (scheme, _) = base.split_once(':')?;
    let path = base.split(['?', '#']).next().unwrap_or(base);
    Some(if location.split(['/', '?']).next()?.contains(':') {
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
    })
}

/// Returns the next page of a list, from its `Link` header (RFC 8288, 3): the target with the relation `next`.
pub fn next_page(link: &str) -> Option<&str> {
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

/// Splits `HOST[:PORT]` into host and port; an IPv6 address is without its brackets.
pub fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'))
    {
        return (address, rest.strip_prefix(':'));
    }
    match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// Returns whether a host, with or without a port, is this machine.
pub fn is_loopback(host: &str) -> bool {
    let (name, _) = host_and_port(host);
    let local = name.eq_ignore_ascii_case("localhost");
    local || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Returns whether a host, with or without a port, is an address that only this machine or its
/// network can reach, in any form that resolvers accept.
pub fn is_private(host: &str) -> bool {
    let (name, _) = host_and_port(host);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let name = name.split('%').next().unwrap_or_default();
    let address = name.parse::<IpAddr>().ok().or_else(|| parse_inet_aton(name).map(IpAddr::V4));
    match address.map(|address| address.to_canonical()) {
        None => false,
        Some(IpAddr::V4(address)) => is_private_v4(address),
        Some(IpAddr::V6(address)) => {
            let segments = address.segments();
            // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address.
            let inner = match segments {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
                }
                _ => None,
            };
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || inner.is_some_and(is_private_v4)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 0.0.0.0/8 reaches this machine; 100.64.0.0/10 is a provider's own network (RFC 6598).
    let shared = first == 0 || first == 100 && second & 0xc0 == 64;
    shared || address.is_loopback() || address.is_private() || address.is_link_local()
}

/// Parses an IPv4 address in the forms of inet_aton(3): one to four numbers, in decimal, octal or
/// hexadecimal; the last one fills the remaining bytes.
fn parse_inet_aton(name: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some("") => Some(0),
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    };
    let parts = name.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let free = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if free < 32 && *last >> free != 0 {
        return None;
    }
    let bits =
        leading.iter().enumerate().fold(*last, |bits, (at, part)| bits | part << (24 - 8 * at));
    Some(Ipv4Addr::from_bits(bits))
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
            ("ftp://a.b/u", None),
            ("https://", None),
            ("https://u:p@c.d/", None),
            ("", None),
            ("/a b", None),
            ("/a\r\nb", None),
        ] {
            let expected = expected.ok_or(LocationError::Malformed);
            assert_eq!(
                resolve(base, location).as_deref().map_err(|bad| *bad),
                expected,
                "{location}"
            );
        }
        assert_eq!(resolve(base, "http://a.b:5000/u"), Err(LocationError::Downgrade));
        assert!(resolve("http://a/", "https://b/").is_ok());
        assert_eq!(
            with_parameter("https://a/u?x=1", "digest", "sha256:0"),
            "https://a/u?x=1&digest=sha256%3A0"
        );
        assert_eq!(with_parameter("https://a/u", "d", "a b+c"), "https://a/u?d=a%20b%2Bc");
    }

    #[test]
    fn next_pages_are_found() {
        for (link, expected) in [
            ("</v2/x/tags/list?last=1&n=2>; rel=\"next\"", Some("/v2/x/tags/list?last=1&n=2")),
            ("<a>; rel=prev, <b,c>;rel=next", Some("b,c")),
            ("<a>; title=x; REL=\"last Next\"", Some("a")),
            ("<a>; rel=prev", None),
            ("<a; rel=next", None),
            ("<a>, ", None),
            ("", None),
        ] {
            assert_eq!(next_page(link), expected, "{link}");
        }
    }

    #[test]
    fn origins() {
        assert!(is_same_origin("https://a.b/x", "https://A.b:443/y?z"));
        assert!(!is_same_origin("https://a.b/x", "http://a.b/x"));
        assert!(!is_same_origin("https://a.b/x", "https://a.b:444/x"));
        assert!(!is_same_origin("https://a.b/x", "https://a.b.c/x"));
        assert!(!is_same_origin("x", "x"));
    }

    #[test]
    fn private_addresses() {
        for host in [
            "localhost",
            "a.localhost:1",
            "LOCALHOST.",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1:443",
            "0",
            "0.0.0.0",
            "10.1.2.3:5000",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "[::1]:443",
            "[::]",
            "[fe80::1%eth0]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "127.0.0.1.",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "auth.docker.io",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "10.example",
            "[2001:db8::1]",
            "256.1.1.1.1",
            "1.2.3.4.5",
            "localhost.example",
            "",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn loopback_addresses() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example:1", "[::2]", "10.0.0.1", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
