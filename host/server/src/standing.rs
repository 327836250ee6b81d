//! Callers who stay connected: whether they still may.

use super::Server;
use super::identity::{Admitted, Identity};
use super::issuing::seconds_now;
use mix_http_api::{ApiError, Need, Route};
use mix_identity::valid_until;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether a caller may stay.
const CHECKED_EVERY: Duration = Duration::from_secs(60);

/// What a connection was opened with.
pub struct Standing {
    /// Who opened it, with the agent that did.
    pub who: Admitted,
    /// The token that said so, unless it was a run of this server that did.
    pub token: Option<String>,
    /// What was asked for.
    pub route: Route,
}

impl Standing {
    /// Returns when the caller may not stay any more. That is seen at the end of the token, when the
    /// key that signed it is taken back, and, of grants, within a minute.
    pub async fn lost(&self, server: &Arc<Server>) {
        let Some(identity) = &server.identity else {
            return std::future::pending().await;
        };
        let mut changes = identity.key_changes();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.rest()) => {}
                // The sender is part of the server.
                _ = changes.changed() => {}
            }
            if let Err(error) = self.check(server, identity).await
                && matches!(error.status, 401 | 403)
            {
                return;
            }
        }
    }

    /// Until it is looked again: a minute, or less if the token ends before.
    fn rest(&self) -> Duration {
        let until = self.token.as_deref().and_then(valid_until);
        until.map_or(CHECKED_EVERY, |until| {
            let left = until.saturating_sub(seconds_now()).max(1);
            Duration::from_secs(left as u64).min(CHECKED_EVERY)
        })
    }

    async fn check(&self, server: &Server, identity: &Identity) -> Result<(), ApiError> {
        identity.caller(server, self.token.as_deref()).await?;
        let (who, need) = (self.who.clone(), Need::of(&self.route));
        identity.judge(server, who, &need, &self.route).await?;
        Ok(())
    }
}
