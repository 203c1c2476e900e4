//! The proxy for a URL, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, with the rules of
//! Go's `golang.org/x/net/http/httpproxy`, which docker, podman and skopeo use. Go does not read
//! `ALL_PROXY`; curl does, where no other variable names a proxy.

use core::net::IpAddr;

use crate::model::{
    error::{Error, Result},
    secret::Secret,
    url,
};

/// The variables that name proxies and exceptions.
#[derive(Clone, Debug)]
pub struct Proxies {
    http: Option<ProxyVariable>,
    https: Option<ProxyVariable>,
    exceptions: Vec<Exception>,
    /// Whether the process seems to be a CGI program, where `HTTP_PROXY` is a header of the request.
    cgi: bool,
}

#[derive(Clone, Debug)]
struct ProxyVariable {
    variable: &'static str,
    value: Secret,
}

/// A proxy to connect through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its address, with its password.
    pub url: Secret,
    /// Its address without user and password.
    pub shown: String,
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy `{}` of `{}`", self.shown, self.variable)
    }
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<String>),
    Domain {
        /// It begins with a dot.
        suffix: String,
        /// Whether the domain itself matches, and not only the names below it.
        includes_domain: bool,
        port: Option<String>,
    },
}

impl Proxies {
    /// Reads the variables; `var` returns those that are set and not empty.
    pub fn new<'a>(var: impl Fn(&str) -> Option<&'a str>) -> Self {
        let first = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| Some((*name, var(name)?)));
            found.map(|(variable, value)| ProxyVariable { variable, value: Secret::new(value) })
        };
        let all = || first(&["ALL_PROXY", "all_proxy"]);
        let list = var("NO_PROXY").or_else(|| var("no_proxy")).unwrap_or_default();
        Proxies {
            http: first(&["HTTP_PROXY", "http_proxy"]).or_else(all),
            https: first(&["HTTPS_PROXY", "https_proxy"]).or_else(all),
            exceptions: list.split(',').filter_map(Exception::parse).collect(),
            cgi: var("REQUEST_METHOD").is_some(),
        }
    }

    /// Returns the proxy for `url`; `None` if it is connected to directly.
    ///
    /// # Errors
    /// The variable for it holds something else than the address of a proxy that can be used.
    pub fn choose(&self, url: &str) -> Result<Option<Proxy>> {
        let Some((scheme, authority)) = url::origin(url).and_then(|entry| entry.split_once("://"))
        else {
            return Ok(None);
        };
        let setting = if scheme == "https" { &self.https } else { &self.http };
        let Some(ProxyVariable { variable, value }) = setting else { return Ok(None) };
        if self.bypasses(authority, if scheme == "https" { "443" } else { "80" }) {
            return Ok(None);
        }
        if self.cgi && scheme == "http" && variable.eq_ignore_ascii_case("HTTP_PROXY") {
            let message = format!("`{variable}` is not used: `REQUEST_METHOD` is set");
            return Err(Error::usage(message)
                .hint("in a CGI program the client sets this variable; unset one of the two"));
        }
        parse_proxy(variable, value.reveal()).map(Some)
    }

    fn bypasses(&self, authority: &str, port: &str) -> bool {
        if url::is_loopback(authority) {
            return true;
        }
        let (host, named) = url::host_and_port(authority);
        let port = named.filter(|port| !port.is_empty()).unwrap_or(port);
        let host = host.to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        self.exceptions.iter().any(|exception| exception.matches(&host, port, address))
    }
}

/// Returns the proxy that the value of a variable names.
fn parse_proxy(variable: &'static str, value: &str) -> Result<Proxy> {
    let value = value.trim();
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("http".to_owned(), value),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.starts_with("socks") {
        return Err(Error::usage(format!("`{variable}` names a SOCKS proxy (`{scheme}://`)"))
            .hint("HTTP proxies are supported; `NO_PROXY` names hosts that need none"));
    }
    let known = ["http", "https"].contains(&scheme.as_str()) && ["", "/"].contains(&path);
    let (name, port) = url::host_and_port(host);
    let numbered = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if !known || !visible(authority) || name.is_empty() || !numbered {
        // The value is not shown: it can hold a password.
        return Err(Error::usage(format!("`{variable}` is not the address of a proxy"))
            .hint("the form is `http://[USER:PASSWORD@]HOST:PORT`"));
    }
    Ok(Proxy {
        variable,
        url: Secret::new(format!("{scheme}://{authority}")),
        shown: format!("{scheme}://{host}"),
    })
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Exception::All);
        }
        if let Some((address, bits)) = entry.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
        {
            let (most, mapped) = match (address, address.to_canonical()) {
                (IpAddr::V4(_), _) => (32, 0),
                (IpAddr::V6(_), IpAddr::V4(_)) => (128, 96),
                (IpAddr::V6(_), IpAddr::V6(_)) => (128, 0),
            };
            if bits > most || bits < mapped {
                return None;
            }
            return Some(Exception::Network(address.to_canonical(), bits - mapped));
        }
        let (host, port) = match entry.parse::<IpAddr>() {
            // Colons of an IPv6 address separate no port.
            Ok(_) => (entry.as_str(), None),
            Err(_) => url::host_and_port(&entry),
        };
        let port = port.filter(|port| !port.is_empty()).map(str::to_owned);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Exception::Address(address.to_canonical(), port));
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        match host.strip_prefix('.') {
            _ if host.is_empty() => None,
            Some(_) => {
                Some(Exception::Domain { suffix: host.to_owned(), includes_domain: false, port })
            }
            None => {
                Some(Exception::Domain { suffix: format!(".{host}"), includes_domain: true, port })
            }
        }
    }

    fn matches(&self, host: &str, port: &str, address: Option<IpAddr>) -> bool {
        let same_port = |named: &Option<String>| named.as_deref().is_none_or(|named| named == port);
        match self {
            Exception::All => true,
            Exception::Network(network, bits) => {
                address.is_some_and(|address| network_contains(*network, *bits, address))
            }
            Exception::Address(named, port) => address == Some(*named) && same_port(port),
            Exception::Domain { suffix, includes_domain, port } => {
                let below = host.ends_with(suffix.as_str());
                (below || *includes_domain && host == &suffix[1..]) && same_port(port)
            }
        }
    }
}

/// Returns whether the first `bits` of both addresses, which are of one family, are equal.
fn network_contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let equal = |a: u128, b: u128, width: u32| {
        let rest = width - u32::from(bits).min(width);
        a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => equal(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => equal(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies<'a>(vars: &'a [(&'a str, &'a str)]) -> Proxies {
        Proxies::new(move |name| vars.iter().find(|(known, _)| *known == name).map(|entry| entry.1))
    }

    fn choose(vars: &[(&str, &str)], url: &str) -> Option<(&'static str, String)> {
        proxies(vars).choose(url).unwrap().map(|proxy| (proxy.variable, proxy.shown))
    }

    /// The documented rules of Go's package, entry by entry.
    #[test]
    fn exceptions_are_those_of_go() {
        let direct = |list: &str, url: &str| {
            let vars = [("HTTP_PROXY", "p:1"), ("HTTPS_PROXY", "p:1"), ("NO_PROXY", list)];
            choose(&vars, url).is_none()
        };
        let list = "foo.example, .bar.example ,*.baz.example,Upper.example,, 192.168.1.1,\
                    192.168.1.2:81,192.168.1.3:80,10.0.0.0/30,2001:db8::52:0:1,\
                    [2001:db8::52:0:2]:443,[2001:db8::52:0:3]:80,2002:db8:a::45/64,port.example:5000";
        for (host, expected) in [
            ("foo.example", true),
            ("FOO.Example", true),
            ("a.foo.example", true),
            ("foo.example:8080", true),
            ("afoo.example", false),
            ("bar.example", false),
            ("a.bar.example", true),
            ("a.b.bar.example:5000", true),
            ("baz.example", false),
            ("a.baz.example", true),
            ("upper.example", true),
            ("192.168.1.1", true),
            ("192.168.1.1:5000", true),
            ("192.168.1.2:80", false),
            ("192.168.1.2:81", true),
            ("192.168.1.3", true),
            ("192.168.1.3:81", false),
            ("10.0.0.2", true),
            ("10.0.0.3:5000", true),
            ("10.0.0.4", false),
            ("[2001:db8::52:0:1]", true),
            ("[2001:db8::52:0:1]:5000", true),
            ("[2001:db8::52:0:2]", false),
            ("[2001:db8::52:0:2]:443", true),
            ("[2001:db8::52:0:3]", true),
            ("[2001:db8::52:0:3]:443", false),
            ("[2002:db8:a::123]", true),
            ("[2002:db8:b::1]", false),
            ("[::ffff:10.0.0.1]", true),
            ("port.example:5000", true),
            ("a.port.example:5000", true),
            ("port.example", false),
            ("port.example:50", false),
            ("other.example", false),
            // Always connected to directly.
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("127.1.2.3:5000", true),
            ("[::1]:5000", true),
            ("[::ffff:127.0.0.1]", true),
        ] {
            assert_eq!(direct(list, &format!("http://{host}/v2/")), expected, "{host}");
        }
        assert!(direct("other, *", "https://any.example/"));
        assert!(direct("0.0.0.0/0", "https://10.1.1.1/") && !direct("0.0.0.0/0", "https://[::2]/"));
        assert!(direct("::/0", "https://[::2]/"));
        // For https the default port is a different one.
        assert!(direct("a.example:443", "https://a.example/"));
        assert!(!direct("a.example:80", "https://a.example/"));
        for odd in
            ["10.0.0.0/33", "/8", ":5000", "*x.example", "a b", "10.0.0.0/", "..", "*.", "[", "]:"]
        {
            assert!(!direct(odd, "https://x.example/"), "{odd}");
            assert!(!direct(odd, "https://10.0.0.1/"), "{odd}");
        }
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let both = [("HTTPS_PROXY", "https://s:1/"), ("HTTP_PROXY", "h:2")];
        assert_eq!(choose(&both, "https://a/"), Some(("HTTPS_PROXY", "https://s:1".to_owned())));
        assert_eq!(choose(&both, "http://a/"), Some(("HTTP_PROXY", "http://h:2".to_owned())));
        assert_eq!(choose(&both[..1], "http://a/"), None);
        assert_eq!(choose(&both[1..], "https://a/"), None);
        let small = [("https_proxy", "s"), ("http_proxy", "h"), ("no_proxy", "b.example")];
        assert_eq!(choose(&small, "https://a/"), Some(("https_proxy", "http://s".to_owned())));
        assert_eq!(choose(&small, "http://b.example"), None);
        let twice = [("http_proxy", "small"), ("HTTP_PROXY", "large")];
        assert_eq!(choose(&twice, "http://a/"), Some(("HTTP_PROXY", "http://large".to_owned())));
        let all = [("ALL_PROXY", "all:3"), ("HTTP_PROXY", "h")];
        assert_eq!(choose(&all, "https://a/"), Some(("ALL_PROXY", "http://all:3".to_owned())));
        assert_eq!(choose(&all, "http://a/"), Some(("HTTP_PROXY", "http://h".to_owned())));
    }

    #[test]
    fn the_password_is_used_and_not_shown() {
        let vars = [("HTTPS_PROXY", "http://me:hunter2@p.example:3128")];
        let proxy = proxies(&vars).choose("https://a/").unwrap().unwrap();
        assert_eq!(proxy.url.reveal(), "http://me:hunter2@p.example:3128");
        assert_eq!(proxy.shown, "http://p.example:3128");
        assert!(!format!("{proxy} {proxy:?} {:?}", proxies(&vars)).contains("hunter2"));
    }

    #[test]
    fn invalid_proxies_are_errors_that_name_the_variable() {
        for value in [
            "socks5://me:hunter2@p:1",
            "socks5h://p",
            "ftp://hunter2@p",
            "http://",
            "http://hunter2@",
            "http://p:port",
            "http://p:99999",
            "http://p/hunter2",
            "a hunter2",
            "http://hunter2\u{1b}",
        ] {
            let error =
                proxies(&[("HTTPS_PROXY", value)]).choose("https://a.example/").unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains("`HTTPS_PROXY`") && !text.contains("hunter2"), "{value}: {text}");
            // The value has no effect if it is not for that URL.
            assert!(
                proxies(&[("HTTPS_PROXY", value)]).choose("https://localhost/").unwrap().is_none()
            );
        }
        let cgi = [("HTTP_PROXY", "p"), ("REQUEST_METHOD", "GET")];
        assert!(proxies(&cgi).choose("http://a.example/").is_err());
        assert!(proxies(&cgi).choose("http://127.0.0.1/").unwrap().is_none());
        let secure = [("HTTPS_PROXY", "p"), ("REQUEST_METHOD", "GET")];
        assert!(proxies(&secure).choose("https://a.example/").unwrap().is_some());
    }
}
