//! Agents of other servers, which this one trusts to name them.

use super::keys::Keys;
use crate::issuing::seconds_now;
use http::Uri;
use mix_identity::{Refusal, RunningAgent, issuer, verify_origin};
use tokio::sync::OnceCell;

/// The servers that the operator trusts.
pub struct Trusted(Vec<Other>);

struct Other {
    /// Its URL, without a slash at the end.
    url: String,
    /// Fetched when the first of its agents asks: it may not run yet when this server starts.
    keys: OnceCell<Keys>,
}

impl Trusted {
    /// Nothing is fetched yet.
    pub fn new(servers: &[Uri]) -> Trusted {
        let other = |server: &Uri| Other {
            url: server.to_string().trim_end_matches('/').to_owned(),
            keys: OnceCell::new(),
        };
        Trusted(servers.iter().map(other).collect())
    }

    /// The agent that a header names; none if its server is not trusted or did not say so. The
    /// request goes on without it.
    pub async fn agent(&self, header: &str, own: &str) -> Option<RunningAgent> {
        let named = issuer(header).unwrap_or_default();
        let Some(other) = self.0.iter().find(|other| other.url == named) else {
            tracing::warn!(issuer = %named, "X-Rmx-Origin of a server that is not trusted is ignored");
            return None;
        };
        let keys = match other.keys().await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(issuer = %named, error = %format!("{error:#}"), "keys cannot be fetched");
                return None;
            }
        };
        let verified = match other.verify(keys, header, own) {
            Err(Refusal::UnknownKey | Refusal::NoKeys) if keys.fetch_again().await => {
                other.verify(keys, header, own)
            }
            verified => verified,
        };
        match verified {
            Ok(agent) => Some(agent),
            Err(refusal) => {
                tracing::warn!(issuer = %named, %refusal, "X-Rmx-Origin is ignored");
                None
            }
        }
    }
}

impl Other {
    async fn keys(&self) -> anyhow::Result<&Keys> {
        let start = || async {
            let url = format!("{}/v1/auth/jwks.json", self.url);
            Keys::start(vec![url.parse()?]).await
        };
        self.keys.get_or_try_init(start).await
    }

    fn verify(&self, keys: &Keys, header: &str, own: &str) -> Result<RunningAgent, Refusal> {
        let keys = keys.current().ok_or(Refusal::NoKeys)?;
        verify_origin(header, &keys, (&self.url, own), seconds_now())
    }
}
