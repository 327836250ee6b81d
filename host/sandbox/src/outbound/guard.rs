//! Which URLs and addresses guests may reach.
//!
//! The rules are those of the specification of the server, section 10 (`BlockUnsafeHttp`). Where each is kept, and what
//! tests it (`http` is the family, `ffi-plugins/http`):
//!
//! | rule | kept in | tests |
//! |---|---|---|
//! | URL, its length, user-info | `http::guard`, here | `malformed_urls`, `schemes_and_userinfo`, `urls_have_an_end` |
//! | scheme | `http::guard`, here | `schemes_and_userinfo`, `examples_of_the_specification` |
//! | host name | `mix-address-rules` | `local_names`, `local_names_are_told_from_others` |
//! | address literal | `http::guard`, here | `addresses_in_any_spelling`, `examples_of_the_specification` |
//! | refused addresses, metadata services | `mix-address-rules` | `special_ranges_are_refused` |
//! | all answers of DNS | `resolver` | `one_refused_answer_refuses_the_name`, `a_name_that_leads_home_is_not_connected_to` |
//! | pinning: one lookup, whose judged answers are all that the connector gets | `resolver` | `one_refused_answer_refuses_the_name`, `a_proxy_is_asked_for_a_judged_address` |
//! | pooled connections, their age | the module above | `connections_are_used_again_for_a_while_by_the_same_target_only` |
//! | peer after connect | `resolver` | `the_peer_of_a_connection_is_judged_again` |
//! | addresses of the server itself | `resolver`, here | `one_refused_answer_refuses_the_name`, `examples_of_the_specification` |
//! | TLS: trust, name, no downgrade, 1.2 | the module above | `certificates_must_be_vouched_for`, `certificates_are_for_the_name_that_is_asked_for`, `what_speaks_no_tls_is_not_spoken_to`, `older_protocols_are_not_spoken` |
//! | redirects: number, rules of each hop, methods | `http::exchange` | `redirects_keep_the_rules`, `methods_of_redirects` |
//! | redirects: credentials | `http::exchange` | `secrets_stay_with_their_origin`, `tokens_of_the_host_go_where_they_are_known` |
//! | client certificates | `client_tls` | `client_certificates_are_shown_to_the_server_only` |
//! | headers that are ignored or refused | `http::request` | `headers_of_the_program_win_except_those_of_the_connection`, `wrong_values_are_refused` |
//! | size of headers and body | `http::transport`, `http::delivery` | `exchanges_that_fail_say_why`, `gzip_is_undone_within_the_limit`, `bodies_go_out_and_come_in_in_pieces` |
//! | time | `http::exchange` | `exchanges_that_fail_say_why` |
//! | `--dangerous-http-mode` | `http::guard`, here | `dangerous_mode_lifts_scheme_host_and_address`, `the_dangerous_mode_lifts_scheme_host_and_address_only` |
//! | `--http-proxy` | `proxy`, `resolver` | `a_proxy_is_asked_for_a_judged_address` |
//!
//! All of it together, from the outside: `tests/system/tests/sandbox.rs`.

use http::Uri;
use mix_address_rules::{embedded_v4, is_local_name, is_refused};
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

/// Reads an address that somebody has written, by the rules of browsers (WHATWG): names become ASCII, addresses get
/// their usual form, and what is no URL with a host is none here either.
pub fn read(text: &str) -> Result<Uri, Reason> {
    if text.len() > MAX_URL {
        return Err(Reason::Parse);
    }
    let url = url::Url::parse(text).map_err(|_| Reason::Parse)?;
    // Without a host the text may be one that `http` takes for a host with a port.
    if !url.has_host() {
        return Err(Reason::Parse);
    }
    url.as_str().parse().map_err(|_| Reason::Parse)
}

/// Judges everything that can be judged without resolving the name.
pub fn check_uri(uri: &Uri, dangerous: bool, own: &[SocketAddr]) -> Result<(), Reason> {
    let authority = uri.authority().ok_or(Reason::Parse)?;
    let scheme = uri.scheme_str().ok_or(Reason::Parse)?;
    // A port that is none, which `http` takes for the usual one.
    if uri.port_u16().is_none() && !port(authority.as_str()).is_empty() {
        return Err(Reason::Parse);
    }
    let length =
        authority.as_str().len() + uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URL {
        return Err(Reason::Parse);
    }
    if authority.as_str().contains('@') {
        return Err(Reason::UserInfo);
    }
    match scheme {
        "https" | "wss" => {}
        "http" | "ws" if dangerous => {}
        _ => return Err(Reason::Scheme),
    }
    if dangerous {
        return Ok(());
    }
    let host = authority.host().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    if let Some(address) = literal(host) {
        if is_refused(address) || own.iter().any(|mine| is_same(mine.ip(), address)) {
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

/// What stands behind the host and its `:`.
fn port(authority: &str) -> &str {
    let host_end = authority.rfind([']', '@']).map_or(0, |at| at + 1);
    authority[host_end..]
        .split_once(':')
        .map_or("", |(_, port)| port)
}

/// Whether an address is that of the server, as itself or inside of one of IPv6.
pub(super) fn is_same(own: IpAddr, address: IpAddr) -> bool {
    let plain = |address: IpAddr| match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(inner) => embedded_v4(inner).map_or(address, IpAddr::V4),
    };
    plain(own) == plain(address)
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
    fn urls_have_an_end() {
        let long = |length| format!("https://a.org/{}", "x".repeat(length - 6));
        assert_eq!(judge(&long(MAX_URL)), Ok(()));
        assert_eq!(judge(&long(MAX_URL + 1)), Err(Reason::Parse));
    }

    #[test]
    fn the_dangerous_mode_lifts_scheme_host_and_address_only() {
        let judge = |url: &str| check_uri(&url.parse().expect("a URL"), true, &[]);
        for url in ["http://localhost/", "http://10.0.0.1/", "https://db/"] {
            assert_eq!(judge(url), Ok(()), "{url}");
        }
        assert_eq!(judge("http://u:p@localhost/"), Err(Reason::UserInfo));
        assert_eq!(judge("nonsense"), Err(Reason::Parse));
        assert_eq!(judge("ftp://localhost/"), Err(Reason::Scheme));
    }

    #[test]
    fn ports_are_numbers_of_ports() {
        for url in [
            "https://api.example.com:443/",
            "https://[2606:4700::1111]:8443/",
            "https://api.example.com:/",
        ] {
            assert_eq!(judge(url), Ok(()), "{url}");
        }
        for url in ["https://api.example.com:99999/", "https://[::1]:65536/"] {
            assert_eq!(judge(url), Err(Reason::Parse), "{url}");
        }
    }

    #[test]
    fn what_people_write_is_read_as_browsers_do() {
        for (text, expected) in [
            (
                "https://B\u{fc}cher.example.com/\u{e4} b",
                "https://xn--bcher-kva.example.com/%C3%A4%20b",
            ),
            ("https://2130706433:443/x#y", "https://127.0.0.1/x"),
            (
                " https://api.example.com/a/../b ",
                "https://api.example.com/b",
            ),
        ] {
            let found = read(text).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "nonsense",
            "https://",
            "https://a:99999/",
            "https://a b/",
            "javascript:1",
            "file:///etc/passwd",
        ] {
            assert_eq!(read(text), Err(Reason::Parse), "{text}");
        }
    }
}
