//! Which targets are allowed: what can be told from the URL alone.

use mix_address_rules::{is_local_name, is_refused};
use url::{Host, Url};

use crate::refusal::Refusal;

/// Longest URL.
const LONGEST_URL: usize = 8 * 1024;

/// Reads a URL by the WHATWG rules.
pub fn parse(text: &str) -> Result<Url, Refusal> {
    if text.len() > LONGEST_URL {
        return Err(Refusal::new("ERR_URL", "longer than 8 KiB"));
    }
    let url = Url::parse(text).map_err(|error| Refusal::new("ERR_URL", error.to_string()))?;
    if url.as_str().len() > LONGEST_URL {
        return Err(Refusal::new("ERR_URL", "longer than 8 KiB"));
    }
    Ok(url)
}

/// Tests a target. `dangerous` lifts the rules for scheme, host name and address.
pub fn check(url: &Url, dangerous: bool) -> Result<(), Refusal> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::blocked("userinfo"));
    }
    match url.scheme() {
        "https" => {}
        "http" if dangerous => {}
        _ => return Err(Refusal::blocked("scheme")),
    }
    let Some(host) = url.host() else {
        return Err(Refusal::new("ERR_URL", "no host"));
    };
    if dangerous {
        return Ok(());
    }
    match host {
        // The parser has made the name lower-case ASCII.
        Host::Domain(name) if is_local_name(name) => Err(Refusal::blocked("host")),
        Host::Ipv4(address) if is_refused(address.into()) => Err(Refusal::blocked("address")),
        Host::Ipv6(address) if is_refused(address.into()) => Err(Refusal::blocked("address")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<String> {
        check(&parse(text).unwrap(), false)
            .err()
            .map(|refusal| refusal.text)
    }

    #[test]
    fn public_targets_are_allowed() {
        for text in [
            "https://api.example.com/",
            "https://api.example.com:8443/x?y#z",
            "https://bücher.example.com/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://[::ffff:8.8.8.8]/",
            "https://localhost.example.com/",
        ] {
            assert_eq!(reason(text), None, "{text}");
        }
    }

    #[test]
    fn schemes_and_userinfo() {
        assert_eq!(reason("http://api.example.com/").unwrap(), "scheme");
        assert_eq!(reason("ftp://api.example.com/").unwrap(), "scheme");
        assert_eq!(reason("file:///etc/passwd").unwrap(), "scheme");
        assert_eq!(reason("wss://api.example.com/").unwrap(), "scheme");
        assert_eq!(
            reason("https://user:pw@api.example.com/").unwrap(),
            "userinfo"
        );
        assert_eq!(reason("https://user@api.example.com/").unwrap(), "userinfo");
    }

    #[test]
    fn local_names() {
        for host in [
            "db",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "vault.internal",
            "printer.local",
            "x.home.arpa",
            "x.onion",
            "x.test",
            "x.invalid",
            "db.",
        ] {
            assert_eq!(
                reason(&format!("https://{host}/")).as_deref(),
                Some("host"),
                "{host}"
            );
        }
    }

    #[test]
    fn addresses_in_any_spelling() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.5",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "[::]",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:a00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
            "[2001::1]",
            "[2001:1ff::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff:fff::1]",
            "[::7f00:1]",
            "127.0.0.1.",
        ] {
            assert_eq!(
                reason(&format!("https://{host}/")).as_deref(),
                Some("address"),
                "{host}"
            );
        }
        for host in [
            "100.63.0.1",
            "172.32.0.1",
            "11.0.0.1",
            "223.255.255.255",
            "[2001:200::1]",
            "[3fff:1000::1]",
        ] {
            assert_eq!(reason(&format!("https://{host}/")), None, "{host}");
        }
    }

    #[test]
    fn dangerous_mode_lifts_scheme_host_and_address() {
        let check = |text: &str| check(&parse(text).unwrap(), true).map_err(|refusal| refusal.text);
        assert_eq!(check("http://127.0.0.1:8000/"), Ok(()));
        assert_eq!(check("http://db/"), Ok(()));
        assert_eq!(check("ftp://127.0.0.1/"), Err("scheme".into()));
        assert_eq!(check("http://a:b@127.0.0.1/"), Err("userinfo".into()));
    }

    #[test]
    fn malformed_urls() {
        let long = format!("https://example.com/{}", "x".repeat(8192));
        for text in [
            "",
            "x",
            "/a/b",
            "https://",
            "https://a b/",
            "https://256.1.1.1/",
            "https://[::g]/",
            "https://[fe80::1%25eth0]/",
            &long,
        ] {
            assert_eq!(
                parse(text).map_err(|refusal| refusal.code).err(),
                Some("ERR_URL"),
                "{text}"
            );
        }
    }
}
