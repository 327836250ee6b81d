//! Which URLs and addresses guests may reach.

use http::Uri;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest URL.
const MAX_URL: usize = 8 << 10;

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No URL with a host.
    Parse,
    /// A user-info part.
    UserInfo,
    /// Not `https`.
    Scheme,
    /// A name of a local network.
    Host,
    /// A refused address.
    Address,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Reason::Parse => "url",
            Reason::UserInfo => "userinfo",
            Reason::Scheme => "scheme",
            Reason::Host => "host",
            Reason::Address => "address",
        })
    }
}

/// Judges everything that can be judged without resolving the name.
pub fn check_uri(uri: &Uri, dangerous: bool, own: &[SocketAddr]) -> Result<(), Reason> {
    let authority = uri.authority().ok_or(Reason::Parse)?;
    let length =
        authority.as_str().len() + uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URL {
        return Err(Reason::Parse);
    }
    if authority.as_str().contains('@') {
        return Err(Reason::UserInfo);
    }
    if dangerous {
        return Ok(());
    }
    if !matches!(uri.scheme_str(), Some("https" | "wss")) {
        return Err(Reason::Scheme);
    }
    let host = authority.host().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    if let Some(address) = literal(host) {
        if is_refused(address) || own.iter().any(|mine| mine.ip() == address) {
            return Err(Reason::Address);
        }
        return Ok(());
    }
    if is_local_name(host) {
        Err(Reason::Host)
    } else {
        Ok(())
    }
}

/// Names that never lead to the public network.
fn is_local_name(host: &str) -> bool {
    const SUFFIXES: [&str; 7] = [
        "localhost",
        "local",
        "internal",
        "home.arpa",
        "onion",
        "test",
        "invalid",
    ];
    let malformed = host.is_empty() || host.contains(['%', '[', ']', ' ']);
    malformed
        || !host.contains('.')
        || SUFFIXES.iter().any(|suffix| {
            host == *suffix
                || host
                    .strip_suffix(suffix)
                    .is_some_and(|rest| rest.ends_with('.'))
        })
}

/// An address in any spelling that a URL parser takes: dotted, short, decimal, hexadecimal, octal, IPv6.
fn literal(host: &str) -> Option<IpAddr> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        // A zone id or nonsense is refused like the unspecified address.
        return Some(
            inner
                .parse::<Ipv6Addr>()
                .unwrap_or(Ipv6Addr::UNSPECIFIED)
                .into(),
        );
    }
    let parts: Vec<&str> = host.split('.').collect();
    let last = parts.last()?;
    if !is_number(last) {
        return None;
    }
    // The host ends in a number, so it is an address or nothing.
    Some(IpAddr::V4(numeric(&parts).unwrap_or(Ipv4Addr::UNSPECIFIED)))
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && (part.bytes().all(|byte| byte.is_ascii_digit()) || part.starts_with("0x"))
}

fn numeric(parts: &[&str]) -> Option<Ipv4Addr> {
    if parts.len() > 4 {
        return None;
    }
    let mut numbers = Vec::with_capacity(4);
    for part in parts {
        numbers.push(number(part)?);
    }
    let (last, first) = numbers.split_last()?;
    let mut value: u64 = 0;
    for (index, number) in first.iter().enumerate() {
        if *number > 255 {
            return None;
        }
        value |= number << (8 * (3 - index));
    }
    if *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    Some(Ipv4Addr::from((value | last) as u32))
}

fn number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|value| *value <= u64::from(u32::MAX))
}

/// True for every address that guests may not reach.
pub fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_refused_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => is_refused_v4(inner),
            None => is_refused_v6(address),
        },
    }
}

/// The IPv4 address inside of `::ffff:0:0/96` and `64:ff9b::/96`.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let mapped = parts[..5] == [0; 5] && parts[5] == 0xffff;
    let translated = parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    (mapped || translated)
        .then(|| Ipv4Addr::from((u32::from(parts[6]) << 16) | u32::from(parts[7])))
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    const RANGES: [([u8; 4], u32); 17] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([168, 63, 129, 16], 32),
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
        ([255, 255, 255, 255], 32),
    ];
    let value = u32::from(address);
    RANGES.iter().any(|(start, bits)| {
        let mask = u32::MAX << (32 - bits);
        value & mask == u32::from(Ipv4Addr::from(*start)) & mask
    })
}

fn is_refused_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let global = parts[0] & 0xe000 == 0x2000;
    let special = parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0db8)
        || parts[0] == 0x2002
        || parts[0] & 0xfff0 == 0x3ff0 && parts[0] == 0x3fff && parts[1] < 0x1000;
    !global || special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(url: &str) -> Result<(), Reason> {
        let uri: Uri = url.parse().map_err(|_| Reason::Parse)?;
        check_uri(
            &uri,
            false,
            &["93.184.216.34:443".parse().expect("an address")],
        )
    }

    #[test]
    fn examples_of_the_specification() {
        assert_eq!(judge("http://api.example.com/"), Err(Reason::Scheme));
        assert_eq!(
            judge("https://user:pw@api.example.com/"),
            Err(Reason::UserInfo)
        );
        for url in [
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::ffff:10.0.0.5]/",
            "https://10.0.0.5/",
            "https://169.254.169.254/",
            "https://[fd00:ec2::254]/",
            "https://[::1]/",
            "https://93.184.216.34/",
            "https://1.2.3.4.5/",
            "https://256.1.1.1/",
        ] {
            assert_eq!(judge(url), Err(Reason::Address), "{url}");
        }
        for url in [
            "https://db/",
            "https://vault.internal/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://x.test/",
        ] {
            assert_eq!(judge(url), Err(Reason::Host), "{url}");
        }
        for url in [
            "https://api.example.com/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://latest.example/",
        ] {
            assert_eq!(judge(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn special_ranges_are_refused() {
        for text in [
            "0.1.2.3",
            "100.64.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "2001:db8::1",
            "2001::1",
            "2002::1",
            "3fff::1",
            "fe80::1",
            "ff02::1",
            "::",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
        ] {
            assert!(is_refused(text.parse().expect("an address")), "{text}");
        }
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2001:4860:4860::8888",
            "64:ff9b::808:808",
        ] {
            assert!(!is_refused(text.parse().expect("an address")), "{text}");
        }
    }
}
