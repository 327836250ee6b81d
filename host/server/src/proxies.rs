//! Proxies in front of the server: whom a request comes from that one of them has passed on.

use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses, `10.0.0.0/8` or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong =
            || format!("{text:?} is no range of addresses (10.0.0.0/8, fd00::/8, 127.0.0.1)");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => most,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(Network { address, bits })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits));
                let mask = mask.unwrap_or_default();
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits));
                let mask = mask.unwrap_or_default();
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Whom a request comes from: the peer, or the last address in `X-Forwarded-For` that no trusted
/// proxy has. What stands before that was written by somebody who is not trusted.
pub fn client<'a>(
    trusted: &[Network],
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let mut hops = forwarded.rev().flat_map(|line| line.rsplit(','));
    while is_trusted(client) {
        match hops.next().map(|hop| hop.trim().parse::<IpAddr>()) {
            Some(Ok(address)) => client = address.to_canonical(),
            // Nobody says more.
            None | Some(Err(_)) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Network> = trusted
            .iter()
            .map(|text| text.parse().expect("a range"))
            .collect();
        let peer = peer.parse().expect("an address");
        client(&trusted, peer, forwarded.iter().copied()).to_string()
    }

    #[test]
    fn only_trusted_proxies_say_whom_they_speak_for() {
        let near = ["10.0.0.0/8", "::1"];
        assert_eq!(from(&[], "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(from(&near, "9.9.9.9", &["1.2.3.4"]), "9.9.9.9");
        assert_eq!(from(&near, "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            from(&near, "::1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]),
            "1.2.3.4"
        );
        assert_eq!(from(&near, "10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(from(&near, "10.0.0.1", &["6.6.6.6, x"]), "10.0.0.1");
        assert_eq!(from(&near, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            from(&near, "::ffff:10.0.0.1", &["2001:db8::1"]),
            "2001:db8::1"
        );
        assert_eq!(from(&["0.0.0.0/0"], "8.8.8.8", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn ranges_are_checked() {
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
