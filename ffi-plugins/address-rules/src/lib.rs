//! Which hosts and addresses outbound requests may go to.
//!
//! Family `http` judges with this what stands in a URL, the host what a name resolves to and where
//! redirects lead: [`is_local_name`] for names, [`is_refused`] for addresses. How a URL is read is the business
//! of whoever reads it. [`is_this_machine`] tells where nobody listens on the way, so that plain HTTP will do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names that end so never lead to the public network.
const LOCAL_NAMES: [&str; 7] = [
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "onion",
    "test",
    "invalid",
];

/// Hosts, as they stand in URLs, that are this machine.
pub const THIS_MACHINE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// True for a host, as it stands in a URL and without its port, that is this machine.
pub fn is_this_machine(host: &str) -> bool {
    THIS_MACHINE
        .iter()
        .any(|local| local.eq_ignore_ascii_case(host))
}

/// True for a name, in lower-case letters, that does not lead to the public network, or is none.
pub fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let malformed = name.contains(['%', '[', ']', ' ']);
    malformed
        || !name.contains('.')
        || LOCAL_NAMES.iter().any(|local| {
            name.strip_suffix(local)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
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
pub fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let mapped = parts[..5] == [0; 5] && parts[5] == 0xffff;
    let translated = parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    (mapped || translated)
        .then(|| Ipv4Addr::from((u32::from(parts[6]) << 16) | u32::from(parts[7])))
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    const RANGES: [([u8; 4], u32); 16] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        // The platform service of a cloud provider.
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
        || parts[0] == 0x3fff && parts[1] < 0x1000;
    !global || special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_told_from_others() {
        for name in [
            "",
            "db",
            "localhost",
            "a.localhost",
            "localhost.",
            "vault.internal",
            "printer.local",
            "x.home.arpa",
            "x.onion",
            "x.test",
            "x.invalid",
            "db.",
            "a.b%00.org",
        ] {
            assert!(is_local_name(name), "{name}");
        }
        for name in [
            "api.example.com",
            "api.example.com.",
            "localhost.example.com",
            "mylocal.org",
        ] {
            assert!(!is_local_name(name), "{name}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "localhost.",
            "localhost.example.com",
            "a.localhost",
            "127.0.0.2",
            "127.0.0.1.example.com",
            "::1",
            "[::2]",
            "localhost:80",
        ] {
            assert!(!is_this_machine(host), "{host}");
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
