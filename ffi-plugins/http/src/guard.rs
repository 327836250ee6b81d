//! Which targets are allowed: what can be told from the URL alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::refusal::Refusal;

/// Longest URL.
const LONGEST_URL: usize = 8 * 1024;

/// Host names that end so are local to some network.
const LOCAL_NAMES: [&str; 7] = [
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "onion",
    "test",
    "invalid",
];

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
        Host::Domain(name) if is_local_name(name) => Err(Refusal::blocked("host")),
        Host::Ipv4(address) if is_refused_v4(address) => Err(Refusal::blocked("address")),
        Host::Ipv6(address) if is_refused_v6(address) => Err(Refusal::blocked("address")),
        _ => Ok(()),
    }
}

/// The parser has made the name lower-case ASCII.
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.contains('.') || name.contains('%') {
        return true;
    }
    LOCAL_NAMES.iter().any(|local| {
        name.strip_suffix(local)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    const REFUSED: [([u8; 4], u32); 17] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
        // The platform service address of a cloud provider.
        ([168, 63, 129, 16], 32),
        // A metadata service inside a range that is refused already; named for clarity.
        ([100, 100, 100, 200], 32),
    ];
    let bits = u32::from(address);
    REFUSED
        .iter()
        .any(|&(network, length)| (bits ^ u32::from_be_bytes(network)) >> (32 - length) == 0)
}

fn is_refused_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = || {
        let [high, low] = [segments[6].to_be_bytes(), segments[7].to_be_bytes()];
        Ipv4Addr::new(high[0], high[1], low[0], low[1])
    };
    // ::ffff:0:0/96 and 64:ff9b::/96 are IPv4 in disguise.
    if matches!(
        segments[..6],
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]
    ) {
        return is_refused_v4(embedded());
    }
    let [a, b, ..] = segments;
    let global = a & 0xe000 == 0x2000;
    let reserved = match a {
        0x2001 => b < 0x200 || b == 0xdb8,
        0x2002 => true,
        0x3fff => b < 0x1000,
        _ => false,
    };
    !global || reserved
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
