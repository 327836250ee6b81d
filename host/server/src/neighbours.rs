//! What a run may do with the records of other apps: what its caller may, and what
//! the running agent was granted.

use super::identity::Admitted;
use super::{Server, manage};
use mix_identity::{Caller, Permission, RunningAgent, Target};
use mix_runtime::neighbours::Neighbours;
use mix_runtime::workspace::Place;
use std::pin::Pin;
use std::sync::Arc;

/// The rights of a run in its workspace.
pub struct Rights {
    server: Arc<Server>,
    who: Admitted,
    agent: RunningAgent,
}

impl Rights {
    /// Those of an agent that runs for somebody.
    pub fn of_run(server: &Arc<Server>, who: &Admitted, place: &Place, agent: &str) -> Arc<Rights> {
        let authority = server.base_url.parse::<http::Uri>().ok();
        let authority = authority.and_then(|uri| Some(uri.authority()?.to_string()));
        Arc::new(Rights {
            server: server.clone(),
            who: who.clone(),
            agent: RunningAgent {
                server: authority.unwrap_or_default(),
                workspace: place.workspace.clone(),
                app: place.app.clone(),
                agent: agent.to_owned(),
                here: true,
            },
        })
    }

    async fn allows(&self, permission: Permission, target: &Target) -> bool {
        let as_agent = Admitted {
            caller: Caller {
                agent: Some(self.agent.clone()),
                ..self.who.caller.clone()
            },
            everything: false,
        };
        for who in [&self.who, &as_agent] {
            let may = manage::may(&self.server, who, &self.agent.workspace, permission, target);
            match may.await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => tracing::error!(?error, "the grants of a workspace cannot be read"),
            }
        }
        false
    }
}

impl Neighbours for Rights {
    fn may(
        self: Arc<Self>,
        app: String,
        writes: bool,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let permission = if writes {
            Permission::Write
        } else {
            Permission::Read
        };
        Box::pin(async move { self.allows(permission, &Target::App(app)).await })
    }
}
