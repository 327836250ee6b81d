//! Which hosts a plugin may send requests to, as its operator wrote them.
//!
//! A pattern is a name or an address, `api.example.com`; `*.example.com` stands for all names
//! below `example.com`, not for that name itself. With a port, `api.example.com:8443`, it is that
//! port alone, without one it is the port of the scheme (443, or 80 where `http` is allowed). The
//! rules about addresses hold besides.

use std::fmt;
use std::str::FromStr;

/// Ports that need not be written.
const USUAL_PORTS: [u16; 2] = [443, 80];

/// One host, or the names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// In small letters, without a dot at its end.
    name: String,
    /// True for the names below it.
    below: bool,
    port: Option<u16>,
}

impl HostPattern {
    fn allows(&self, host: &str, port: u16) -> bool {
        let port_fits = match self.port {
            Some(own) => own == port,
            None => USUAL_PORTS.contains(&port),
        };
        port_fits && self.names(host)
    }

    fn names(&self, host: &str) -> bool {
        if self.below {
            host.strip_suffix(&self.name)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        }
    }

    /// Is everything that the other allows allowed by this one?
    pub fn covers(&self, other: &HostPattern) -> bool {
        let same = self.below == other.below && self.name == other.name;
        self.port == other.port && (same || self.below && self.names(&other.name))
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPattern, String> {
        let bad = || format!("{text:?} is no host: NAME, *.NAME, either with :PORT");
        // The colons of an IPv6 address stand in brackets.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or_else(bad)?))
            }
            _ => (text, None),
        };
        let (name, below) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let address = name.starts_with('[') && name.ends_with(']') && !below;
        let good = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_')
                || address && matches!(byte, b'[' | b']' | b':')
        };
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(good) {
            return Err(bad());
        }
        Ok(HostPattern { name, below, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The hosts that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// All, as far as the rules about addresses allow.
    Any,
    /// These.
    These(Vec<HostPattern>),
}

impl Default for Hosts {
    /// None at all.
    fn default() -> Hosts {
        Hosts::These(Vec::new())
    }
}

impl Hosts {
    /// One more.
    pub fn add(&mut self, host: HostPattern) {
        if let Hosts::These(hosts) = self {
            hosts.push(host);
        }
    }

    /// May a request go there? `port`: as it stands in the address, or that of the scheme.
    pub fn allow(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self {
            Hosts::Any => true,
            Hosts::These(hosts) => {
                let port = port.unwrap_or(USUAL_PORTS[0]);
                hosts.iter().any(|pattern| pattern.allows(&host, port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, host: &str, port: u16) -> bool {
        let mut hosts = Hosts::default();
        hosts.add(pattern.parse().expect("a pattern"));
        hosts.allow(host, Some(port))
    }

    #[test]
    fn names_and_ports() {
        for (pattern, host, port, expected) in [
            ("api.example.com", "api.example.com", 443, true),
            ("api.example.com", "API.Example.COM.", 443, true),
            ("API.example.com.", "api.example.com", 443, true),
            ("api.example.com", "xapi.example.com", 443, false),
            ("api.example.com", "a.api.example.com", 443, false),
            ("api.example.com", "api.example.com.evil.org", 443, false),
            ("api.example.com", "api.example.com", 8443, false),
            ("api.example.com:8443", "api.example.com", 8443, true),
            ("api.example.com:8443", "api.example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", ".example.com", 443, false),
            ("*.example.com", "notexample.com", 443, false),
            ("127.0.0.1:80", "127.0.0.1", 80, true),
            ("[::1]:8080", "[::1]", 8080, true),
            ("[::1]", "[::1]", 443, true),
        ] {
            assert_eq!(
                allows(pattern, host, port),
                expected,
                "{pattern} {host}:{port}"
            );
        }
    }

    #[test]
    fn nothing_is_allowed_at_first() {
        assert!(!Hosts::default().allow("example.com", None));
        assert!(Hosts::Any.allow("example.com", Some(1)));
    }

    #[test]
    fn patterns_are_shown_as_written() {
        for text in ["a.org", "*.a.org", "*.a.org:81", "[::1]:8"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }
}
