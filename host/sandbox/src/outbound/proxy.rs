//! A proxy of the operator that outbound requests go through.
//!
//! The rules hold as without it: the name is resolved here, every answer is judged, and the proxy
//! is asked (`CONNECT`) for one of the judged addresses, never for a name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mix_file_path::percent;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of an answer of the proxy.
const LONGEST: usize = 16 << 10;

/// Where the proxy is, and what it wants to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// Value of the header `Proxy-Authorization`.
    authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the password.
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Proxy, String> {
        let wrong = || "a proxy is http://[USER:PASSWORD@]HOST:PORT".to_owned();
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let place: http::uri::Authority = place.parse().map_err(|_| wrong())?;
        let port = place
            .port_u16()
            .filter(|port| *port > 0)
            .ok_or_else(wrong)?;
        let host = place.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(wrong());
        }
        let authorization = user.map(|user| {
            let user = percent::decode(user).ok_or_else(wrong)?;
            Ok::<_, String>(format!("Basic {}", STANDARD.encode(user)))
        });
        Ok(Proxy {
            host,
            port,
            authorization: authorization.transpose()?,
        })
    }
}

impl Proxy {
    /// A connection through the proxy to this very address.
    pub async fn connect(&self, target: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = head(&mut stream).await?;
        match status(&head) {
            Some(200..=299) => Ok(stream),
            Some(status) => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("the proxy answers {status}"),
            )),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the proxy does not speak HTTP",
            )),
        }
    }
}

/// The head of an answer, byte by byte: what comes after it belongs to the target.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer of the proxy is too long",
            ));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_written_as_a_url() {
        let proxy: Proxy = "http://proxy.example.com:3128/".parse().expect("a proxy");
        assert_eq!(
            (proxy.host.as_str(), proxy.port),
            ("proxy.example.com", 3128)
        );
        assert_eq!(proxy.authorization, None);
        let proxy: Proxy = "http://ada:p%40ss@[::1]:8080".parse().expect("a proxy");
        assert_eq!(proxy.host, "::1");
        let wanted = format!("Basic {}", STANDARD.encode("ada:p@ss"));
        assert_eq!(proxy.authorization, Some(wanted));
        assert!(!format!("{proxy:?}").contains("ada"));
        for wrong in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://proxy",
            "http://:3128",
            "http://proxy:0",
            "http://proxy:3128/path",
            "http://a%zz@proxy:3128",
        ] {
            assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_status_line_is_one() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407 X\r\n\r\n"), Some(407));
        for wrong in [
            &b""[..],
            b"HTTP/2 200\r\n\r\n",
            b"SSH-2.0\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert_eq!(status(wrong), None);
        }
    }
}
