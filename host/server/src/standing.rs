//! Callers who stay connected: whether they still may.

use super::Server;
use super::identity::Admitted;
use mix_http_api::{ApiError, Need, Route};
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
    /// Returns when the caller may not stay any more: the token is over, for instance.
    pub async fn lost(&self, server: &Arc<Server>) {
        loop {
            tokio::time::sleep(CHECKED_EVERY).await;
            if let Err(error) = self.check(server).await
                && matches!(error.status, 401 | 403)
            {
                return;
            }
        }
    }

    async fn check(&self, server: &Arc<Server>) -> Result<(), ApiError> {
        let Some(identity) = &server.identity else {
            return Ok(());
        };
        identity.caller(server, self.token.as_deref()).await?;
        let (who, need) = (self.who.clone(), Need::of(&self.route));
        identity.judge(server, who, &need, &self.route).await?;
        Ok(())
    }
}
