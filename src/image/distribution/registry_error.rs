//! The errors of a registry: the specification's "Error Codes".

use serde::Deserialize;

/// The longest text of a registry that is passed on.
const MAX_TEXT: usize = 400;

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
    /// Token servers, and servers before registries.
    message: Option<String>,
    details: Option<String>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: Option<String>,
    message: Option<String>,
}

/// Returns the message in the body of an answer, as one line, if it has one for people. `hide` removes
/// secrets, before any of it is truncated.
pub fn message(body: &[u8], hide: impl Fn(&str) -> String) -> Option<String> {
    let parsed = serde_json::from_slice::<Body>(body).ok();
    let text = match parsed {
        Some(parsed) if !parsed.errors.is_empty() => {
            let one = |one: &ErrorEntry| {
                let parts = [one.code.as_deref(), one.message.as_deref()];
                parts
                    .into_iter()
                    .flatten()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(": ")
            };
            parsed.errors.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Some(parsed) => {
            let error = parsed.error.as_ref().and_then(|error| error.as_str()).map(str::to_owned);
            parsed
                .error_description
                .or(parsed.details)
                .or(parsed.message)
                .or(error)
                .unwrap_or_default()
        }
        // An HTML page is not readable in a terminal.
        None => {
            let text = String::from_utf8_lossy(body);
            let page = text.trim_start().starts_with(['<', '{', '[']);
            if page { String::new() } else { text.into_owned() }
        }
    };
    let line = hide(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let line: String = hide(&line).chars().take(MAX_TEXT).collect();
    (!line.is_empty()).then_some(line)
}

/// Returns the status with its name.
pub fn status_name(code: u16) -> String {
    let name = match code {
        400 => "bad request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        408 => "request timeout",
        413 => "content too large",
        416 => "range not satisfiable",
        429 => "too many requests",
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        _ => return format!("status {code}"),
    };
    format!("{code} {name}")
}

/// Returns the hint for an error of `host`. `known` is the source of the credentials for it.
pub fn hint(host: &str, code: u16, known: Option<&str>) -> Option<String> {
    Some(match (code, known) {
        (401 | 403, None) => format!(
            "there are no credentials for `{host}`: `docker login {host}` or `podman login {host}` \
             stores some, or set `LONGSHORE_REGISTRY_HOST` to `{host}`, and `LONGSHORE_REGISTRY_USER` and \
             `LONGSHORE_REGISTRY_PASSWORD`"
        ),
        (401, Some(origin)) => {
            format!("`{host}` rejected the credentials of {origin}: log in again, or replace them")
        }
        (403, Some(origin)) => {
            format!("the account of {origin} lacks permission: check its permissions, and the name")
        }
        (404, _) => {
            "check the name; some registries also report this if the account lacks permission, or \
             if the repository has to be created first"
                .to_owned()
        }
        (405, _) => format!("`{host}` may be a read-only mirror"),
        (413, _) => format!("`{host}`, or a proxy before it, rejects uploads of this size"),
        (429, _) => {
            format!("`{host}` limits the number of requests: wait, or log in for a higher limit")
        }
        (500.., _) => {
            format!("the fault is at `{host}`: retry later: the push resumes")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_before_truncation() {
        let text = format!("{}hunter2 {}", "x".repeat(MAX_TEXT - 3), "hun\u{7}ter2");
        let shown = message(text.as_bytes(), |text| text.replace("hunter2", "***")).unwrap();
        assert!(shown.ends_with("x***"), "{shown}");
        let shown = message(b"hun\x07ter2", |text| text.replace("hunter2", "***"));
        assert_eq!(shown.as_deref(), Some("***"));
    }

    #[test]
    fn bodies() {
        let message = |body: &[u8]| super::message(body, str::to_owned);
        let body = br#"{"errors":[{"code":"DENIED","message":"requested access\n is denied","detail":[]},{"code":"X"}]}"#;
        assert_eq!(message(body).as_deref(), Some("DENIED: requested access is denied; X"));
        assert_eq!(message(br#"{"details":"wrong password"}"#).as_deref(), Some("wrong password"));
        assert_eq!(message(br#"{"error":"invalid_grant"}"#).as_deref(), Some("invalid_grant"));
        assert_eq!(message(b"no \x1b[31m way\n").as_deref(), Some("no [31m way"));
        for none in [&b""[..], b"<html>x</html>", b"{\"a\"", b"{}", b"[]", b"{\"errors\":[]}"] {
            assert_eq!(message(none), None);
        }
        assert_eq!(
            message("é".repeat(1000).as_bytes()).map(|text| text.chars().count()),
            Some(MAX_TEXT)
        );
    }
}
