//! Names to addresses, once, each answer judged.

use crate::outbound::guard;
use hyper_util::client::legacy::connect::dns::Name;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
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
        let own: Vec<_> = self
            .own
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(SocketAddr::ip)
            .collect();
        Box::pin(async move {
            let answers = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|_| Refused::NoAnswer)?;
            let answers: Vec<SocketAddr> = answers.collect();
            if answers.is_empty() {
                return Err(Refused::NoAnswer);
            }
            let refused = |address: &SocketAddr| {
                guard::is_refused(address.ip()) || own.contains(&address.ip())
            };
            if !dangerous && answers.iter().any(refused) {
                return Err(Refused::Address);
            }
            Ok(answers.into_iter())
        })
    }
}
