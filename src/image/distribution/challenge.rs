//! The authentication that a registry requires of the client: the `WWW-Authenticate` header (RFC 9110,
//! 11.6.1; the Docker registry's "Token Authentication Specification").

/// One authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from another server.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// The token server's name for the registry.
        service: Option<String>,
    },
}

/// Returns the best scheme that a header offers: tokens before passwords. Headers without a known one,
/// or that cannot be parsed, offer none.
pub fn choose<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let all: Vec<Challenge> = headers.into_iter().flat_map(parse).collect();
    let bearer = all.iter().find(|one| matches!(one, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header;
    let mut scheme = String::new();
    let (mut realm, mut service) = (None, None);
    let mut end = |scheme: &str, realm: Option<String>, service| match (scheme, realm) {
        ("basic", _) => found.push(Challenge::Basic),
        ("bearer", Some(realm)) => found.push(Challenge::Bearer { realm, service }),
        _ => {}
    };
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let at = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(at);
        if word.is_empty() {
            break;
        }
        let Some(value) = after.strip_prefix('=') else {
            end(&scheme, realm.take(), service.take());
            scheme = word.to_ascii_lowercase();
            rest = after;
            continue;
        };
        let (text, after) = take_value(value);
        rest = after;
        match word.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(text),
            "service" => service = Some(text),
            _ => {}
        }
    }
    end(&scheme, realm, service);
    found
}

/// Returns a token or a quoted string at the start of `text`, and the text that follows.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let at = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..at].to_owned(), &text[at..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        let service = service.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.to_owned(), service })
    }

    #[test]
    fn headers_of_registries() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="insufficient_scope""#;
        let expected = bearer("https://auth.docker.io/token", Some("registry.docker.io"));
        assert_eq!(choose([docker]), expected);
        assert_eq!(choose(["bearer realm=https://x/t"]), bearer("https://x/t", None));
        assert_eq!(choose([r#"Basic realm="Registry, \"ours\"""#]), Some(Challenge::Basic));
        assert_eq!(
            choose(["Basic realm=x", r#"Bearer realm="https://x""#]),
            bearer("https://x", None)
        );
        let both = r#"Basic realm="a", Bearer service="s", realm="https://x""#;
        assert_eq!(choose([both]), bearer("https://x", Some("s")));
    }

    #[test]
    fn invalid_headers_offer_nothing() {
        for text in
            ["", ",", "=", "Bearer", "Bearer realm", "Negotiate abc==", "a=b=c", "\"", "é=\"é\\"]
        {
            assert_eq!(choose([text]), None, "{text}");
        }
        let docker = r#"Bearer realm="https://é/token",service="a\"b",scope="x""#;
        for at in 0..docker.len() {
            if let (Some(start), Some(end)) = (docker.get(..at), docker.get(at..)) {
                let _ = (choose([start]), choose([end]));
            }
        }
    }
}
