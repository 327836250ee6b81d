//! Names to addresses, once, each answer judged, and the peer of each connection after that.

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;

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
    mix_address_rules::is_refused(address) || own.contains(&address)
}

/// Connections whose peer is judged once more.
#[derive(Clone)]
pub struct PeerChecked {
    pub connector: HttpConnector<GuardedResolver>,
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
            dangerous: false,
            own: Arc::default(),
        };
        let uri: Uri = format!("http://localhost:{port}/").parse().expect("a URL");
        let error = checked.call(uri.clone()).await.expect_err("refused");
        assert!(matches!(error.downcast_ref(), Some(Refused::Address)));
        checked.dangerous = true;
        assert!(checked.call(uri).await.is_ok());
    }
}
