//! Key sets of identity services: fetched at start, every hour, and when a key is unknown.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mix_identity::KeySet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Between two fetches.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Between two fetches because of an unknown key.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(300);

/// How long a set counts that cannot be fetched again.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Time of a fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// Largest set in bytes.
const MAX_BYTES: usize = 512 << 10;

type KeyClient = Client<HttpsConnector<HttpConnector>, Empty<bytes::Bytes>>;

/// The keys of all services.
pub struct Keys(Arc<Shared>);

struct Shared {
    client: KeyClient,
    services: Vec<Service>,
    /// All sets together; `None` until one was fetched.
    all: RwLock<Option<Arc<KeySet>>>,
    /// When an unknown key was last a reason to fetch.
    asked: Mutex<Option<Instant>>,
}

struct Service {
    url: http::Uri,
    fetched: RwLock<Option<(Instant, KeySet)>>,
}

impl Keys {
    /// Fetches all sets once and keeps them fresh from then on.
    pub async fn start(urls: Vec<http::Uri>) -> Result<Keys> {
        let service = |url| Service {
            url,
            fetched: RwLock::new(None),
        };
        let shared = Arc::new(Shared {
            client: client()?,
            services: urls.into_iter().map(service).collect(),
            all: RwLock::new(None),
            asked: Mutex::new(None),
        });
        if shared.services.is_empty() {
            *shared.all.write().unwrap_or_else(PoisonError::into_inner) =
                Some(Arc::new(KeySet::default()));
        } else {
            shared.fetch().await;
            let kept = shared.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(INTERVAL).await;
                    kept.fetch().await;
                }
            });
        }
        Ok(Keys(shared))
    }

    /// The keys that tokens are verified with; `None`: no set could be fetched.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0
            .all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fetches all sets because a key is unknown, unless that was done lately; true if it was done now
    /// or while this call waited for another one.
    pub async fn fetch_again(&self) -> bool {
        if self.0.services.is_empty() {
            return false;
        }
        let begin = Instant::now();
        let mut asked = self.0.asked.lock().await;
        if let Some(last) = *asked
            && last.elapsed() < UNKNOWN_KEY_INTERVAL
        {
            return last >= begin;
        }
        self.0.fetch().await;
        *asked = Some(Instant::now());
        true
    }

    /// `unavailable` if no set is there.
    pub fn trouble(&self) -> Option<&'static str> {
        self.current().is_none().then_some("unavailable")
    }
}

impl Shared {
    async fn fetch(&self) {
        let fetching = self.services.iter().map(|service| async move {
            let fetched = tokio::time::timeout(FETCH_LIMIT, fetch(&self.client, &service.url));
            let set = match fetched.await {
                Ok(Ok(set)) => set,
                Ok(Err(error)) => {
                    tracing::error!(url = %service.url, error = %format!("{error:#}"), "keys cannot be fetched");
                    return;
                }
                Err(_) => {
                    tracing::error!(url = %service.url, "keys cannot be fetched: no answer in time");
                    return;
                }
            };
            *service
                .fetched
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), set));
        });
        futures::future::join_all(fetching).await;
        let mut all: Option<KeySet> = None;
        for service in &self.services {
            let fetched = service
                .fetched
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some((_, set)) = fetched.as_ref().filter(|(when, _)| when.elapsed() < LIFE) {
                all.get_or_insert_with(KeySet::default).extend(set.clone());
            }
        }
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all.map(Arc::new);
    }
}

/// One set. A redirect is a failure: the operator named the address.
async fn fetch(client: &KeyClient, url: &http::Uri) -> Result<KeySet> {
    let response = client.get(url.clone()).await.context("no answer")?;
    if response.status() != http::StatusCode::OK {
        bail!("the answer has status {}", response.status());
    }
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("the answer broke off or is too large: {error}"))?;
    Ok(KeySet::parse(&body.to_bytes())?)
}

fn client() -> Result<KeyClient> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_roots()
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// The address of a key set: https, or http on this machine.
pub fn key_url(text: &str) -> Result<http::Uri, String> {
    let url: http::Uri = text
        .parse()
        .map_err(|error| format!("{text} is no URL: {error}"))?;
    let host = url.host().unwrap_or_default();
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match url.scheme_str() {
        Some("https") if !host.is_empty() => Ok(url),
        Some("http") if local => Ok(url),
        _ => Err(format!(
            "{text}: keys are fetched over https, or over http from this machine"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for fine in [
            "https://id.example.com/jwks.json",
            "http://127.0.0.1:9/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(key_url(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "http://id.example.com/",
            "ftp://localhost/",
            "keys.json",
            "",
        ] {
            assert!(key_url(wrong).is_err(), "{wrong}");
        }
    }
}
