//! Key sets of identity services: fetched at start, every hour, and when a key is unknown.

use anyhow::Result;
use mix_identity::KeySet;
use mix_runtime::download::Downloads;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify, watch};

/// Between two fetches.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Before the next fetch where one has failed.
const RETRY: Duration = Duration::from_secs(60);

/// Between two fetches because of an unknown key.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(300);

/// How long a set counts that cannot be fetched again.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Time of a fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// Largest set in bytes.
const MAX_BYTES: usize = 512 << 10;

/// The keys of all services.
pub struct Keys(Arc<Shared>);

struct Shared {
    downloads: Downloads,
    services: Vec<Service>,
    /// All sets together; `None` until one was fetched.
    all: watch::Sender<Option<Arc<KeySet>>>,
    /// When an unknown key was last a reason to fetch.
    asked: Mutex<Option<Instant>>,
    /// A fetch because of an unknown key has failed.
    failed: Notify,
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
            downloads: Downloads::new()?,
            services: urls.into_iter().map(service).collect(),
            all: watch::Sender::new(None),
            asked: Mutex::new(None),
            failed: Notify::new(),
        });
        if shared.services.is_empty() {
            shared.all.send_replace(Some(Arc::default()));
        } else {
            let mut all = shared.fetch().await;
            let kept = shared.clone();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(if all { INTERVAL } else { RETRY }) => {
                            all = kept.fetch().await;
                        }
                        () = kept.failed.notified() => all = false,
                    }
                }
            });
        }
        Ok(Keys(shared))
    }

    /// The keys that tokens are verified with; `None`: no set could be fetched.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.all.borrow().clone()
    }

    /// Tells when sets were fetched again.
    pub fn changes(&self) -> watch::Receiver<Option<Arc<KeySet>>> {
        self.0.all.subscribe()
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
        if !self.0.fetch().await {
            self.0.failed.notify_one();
        }
        *asked = Some(Instant::now());
        true
    }

    /// `unavailable` if no set is there, `no_keys` if there is no key in any.
    pub fn trouble(&self) -> Option<&'static str> {
        match self.current() {
            None => Some("unavailable"),
            Some(all) => (all.is_empty() && !self.0.services.is_empty()).then_some("no_keys"),
        }
    }
}

impl Shared {
    /// False if a set cannot be fetched.
    async fn fetch(&self) -> bool {
        let fetching = self.services.iter().map(|service| async move {
            let fetched = self.downloads.get(&service.url, MAX_BYTES, FETCH_LIMIT).await;
            let set = fetched
                .map_err(anyhow::Error::from)
                .and_then(|bytes| Ok(KeySet::parse(&bytes)?));
            let set = match set {
                Ok(set) => set,
                Err(error) => {
                    tracing::error!(url = %service.url, error = %format!("{error:#}"), "keys cannot be fetched");
                    return false;
                }
            };
            if set.is_empty() {
                tracing::error!(url = %service.url, "there is no key in the key set");
            }
            *service
                .fetched
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), set));
            true
        });
        let fetched = futures::future::join_all(fetching).await;
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
        self.all.send_replace(all.map(Arc::new));
        fetched.into_iter().all(|fetched| fetched)
    }
}
