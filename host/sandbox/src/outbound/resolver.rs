//! Names to addresses, once, each answer judged, and the peer of each connection after that.
//! Behind a proxy the judged address is what the proxy is asked for.

use super::CONNECT_LIMIT;
use super::guard::is_same;
use super::proxy::Proxy;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;

/// Addresses of a name that a proxy is asked for, one after the other.
const MOST_TRIED: usize = 4;

/// Gives the connector addresses that were judged; it connects to nothing else.
#[derive(Clone)]
pub struct GuardedResolver {
    pub dangerous: bool,
    pub own: Arc<RwLock<Vec<SocketAddr>>>,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// One of the answers is an address that guests may not reach.
    #[error("the name resolves to an address that is refused")]
    Address,
    /// No answer.
    #[error("the name has no address")]
    NoAnswer,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let dangerous = self.dangerous;
        let own = addresses(&self.own);
        Box::pin(async move {
            let answers = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|_| Refused::NoAnswer)?;
            judged(answers.collect(), dangerous, &own).map(Vec::into_iter)
        })
    }
}

/// The answers, if there are any and none of them is refused.
fn judged(
    answers: Vec<SocketAddr>,
    dangerous: bool,
    own: &[IpAddr],
) -> Result<Vec<SocketAddr>, Refused> {
    if answers.is_empty() {
        return Err(Refused::NoAnswer);
    }
    let refused = |answer: &SocketAddr| is_refused(answer.ip(), own);
    if !dangerous && answers.iter().any(refused) {
        return Err(Refused::Address);
    }
    Ok(answers)
}

fn is_refused(address: IpAddr, own: &[IpAddr]) -> bool {
    mix_address_rules::is_refused(address) || own.iter().any(|own| is_same(*own, address))
}

/// Connections whose peer is judged once more.
#[derive(Clone)]
pub struct PeerChecked {
    pub connector: HttpConnector<GuardedResolver>,
    pub proxy: Option<Proxy>,
    pub dangerous: bool,
    pub own: Arc<RwLock<Vec<SocketAddr>>>,
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for PeerChecked {
    type Response = TokioIo<TcpStream>;
    type Error = BoxedError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxedError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxedError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Some(proxy) = self.proxy.clone() {
            let resolver = GuardedResolver {
                dangerous: self.dangerous,
                own: self.own.clone(),
            };
            return Box::pin(async move {
                let connecting = through(&proxy, resolver, &uri);
                match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
                    Ok(connected) => Ok(TokioIo::new(connected?)),
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            });
        }
        let connecting = self.connector.call(uri);
        let own = addresses(&self.own);
        let dangerous = self.dangerous;
        Box::pin(async move {
            let stream = connecting.await?;
            let peer = stream.inner().peer_addr()?;
            if !dangerous && is_refused(peer.ip(), &own) {
                return Err(Refused::Address.into());
            }
            Ok(stream)
        })
    }
}

/// A connection through the proxy to one of the addresses of a host, each of them judged.
async fn through(
    proxy: &Proxy,
    mut resolver: GuardedResolver,
    uri: &Uri,
) -> Result<TcpStream, BoxedError> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("http" | "ws") => 80,
        _ => 443,
    });
    let targets = match host.parse::<IpAddr>() {
        Ok(address) => {
            let own = addresses(&resolver.own);
            let literal = vec![SocketAddr::new(address, port)];
            judged(literal, resolver.dangerous, &own)?
        }
        Err(_) => resolver.call(host.parse()?).await?.collect(),
    };
    let mut failed = BoxedError::from(Refused::NoAnswer);
    for target in targets.iter().take(MOST_TRIED) {
        match proxy.connect(SocketAddr::new(target.ip(), port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

fn addresses(own: &RwLock<Vec<SocketAddr>>) -> Vec<IpAddr> {
    let own = own.read().unwrap_or_else(PoisonError::into_inner);
    own.iter().map(SocketAddr::ip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(texts: &[&str]) -> Vec<SocketAddr> {
        let address = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
        texts.iter().map(address).collect()
    }

    #[test]
    fn one_refused_answer_refuses_the_name() {
        let own = ["93.184.216.34".parse().expect("an address")];
        let judge = |texts: &[&str]| judged(answers(texts), false, &own);
        assert_eq!(
            judge(&["8.8.8.8", "2606:4700::1111"]).unwrap(),
            answers(&["8.8.8.8", "2606:4700::1111"])
        );
        for refused in [
            &["8.8.8.8", "10.0.0.1"][..],
            &["8.8.8.8", "::1"],
            &["::ffff:127.0.0.1"],
            &["169.254.169.254", "8.8.8.8"],
            // The address of this server itself.
            &["93.184.216.34"],
            &["::ffff:93.184.216.34"],
            &["64:ff9b::93.184.216.34"],
        ] {
            assert!(
                matches!(judge(refused), Err(Refused::Address)),
                "{refused:?}"
            );
        }
        assert!(matches!(judge(&[]), Err(Refused::NoAnswer)));
        assert!(judged(answers(&["10.0.0.1"]), true, &own).is_ok());
        assert!(matches!(
            judged(Vec::new(), true, &own),
            Err(Refused::NoAnswer)
        ));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_connected_to() {
        let name: Name = "localhost".parse().expect("a name");
        let mut resolver = GuardedResolver {
            dangerous: false,
            own: Arc::default(),
        };
        assert!(matches!(resolver.call(name).await, Err(Refused::Address)));
    }

    /// Whatever a name was resolved to, the peer of the connection counts: here a resolver that
    /// lets all addresses pass stands for one whose answer was exchanged.
    #[tokio::test]
    async fn the_peer_of_a_connection_is_judged_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let open = GuardedResolver {
            dangerous: true,
            own: Arc::default(),
        };
        let mut checked = PeerChecked {
            connector: HttpConnector::new_with_resolver(open),
            proxy: None,
            dangerous: false,
            own: Arc::default(),
        };
        let uri: Uri = format!("http://localhost:{port}/").parse().expect("a URL");
        let error = checked.call(uri.clone()).await.expect_err("refused");
        assert!(matches!(error.downcast_ref(), Some(Refused::Address)));
        checked.dangerous = true;
        assert!(checked.call(uri).await.is_ok());
    }

    /// A proxy that tells what it was asked for, and passes nothing on.
    async fn proxy() -> (Proxy, tokio::task::JoinHandle<String>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.expect("a head"));
            }
            let answer = b"HTTP/1.1 200 Fine\r\nX: y\r\n\r\nfirst";
            stream.write_all(answer).await.expect("answered");
            String::from_utf8(asked).expect("text")
        });
        let proxy = format!("http://ada:pw@127.0.0.1:{port}").parse();
        (proxy.expect("a proxy"), asked)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_judged_address() {
        use tokio::io::AsyncReadExt;
        let (proxy, asked) = proxy().await;
        let checked = |dangerous| PeerChecked {
            connector: HttpConnector::new_with_resolver(GuardedResolver {
                dangerous,
                own: Arc::default(),
            }),
            proxy: Some(proxy.clone()),
            dangerous,
            own: Arc::default(),
        };
        // What may not be reached is not asked for.
        for refused in [
            "https://127.0.0.1/",
            "https://[::1]:1/",
            "https://localhost/",
        ] {
            let uri = refused.parse().expect("a URL");
            let error = checked(false).call(uri).await.expect_err("refused");
            assert!(
                matches!(error.downcast_ref(), Some(Refused::Address)),
                "{refused}"
            );
        }
        let uri = "https://127.0.0.1:8443/x".parse().expect("a URL");
        let mut stream = checked(true)
            .call(uri)
            .await
            .expect("connected")
            .into_inner();
        let asked = asked.await.expect("asked");
        assert!(asked.starts_with("CONNECT 127.0.0.1:8443 HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n"));
        assert!(
            asked.contains("Proxy-Authorization: Basic YWRhOnB3\r\n"),
            "{asked}"
        );
        // Not a byte of what follows is lost.
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.expect("read");
        assert_eq!(&first, b"first");
    }
}
