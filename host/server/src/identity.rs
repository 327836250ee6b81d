//! Who calls, and whether they may.
//!
//! The rules are in `mix-identity`; here are the keys, the grants of a workspace as they are
//! loaded, and the answer to a caller who may not.

mod keys;

use keys::Keys;

use super::grants::Grants;
use mix_http_api::{ApiError, Need, Route};
use mix_identity::{
    Caller, Issuers, Permission, Refusal, Subject, Target, Verifier, Workspace, allow,
    is_server_admin, process_token, touches,
};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the operator says about identity.
#[derive(Debug, Clone, Default)]
pub struct IdentityOptions {
    /// Key sets of identity services.
    pub key_urls: Vec<http::Uri>,
    /// Accepted issuers and audiences of their tokens.
    pub issuers: Issuers,
    /// May do everything.
    pub server_admins: Vec<Subject>,
    /// May create workspaces.
    pub workspace_creators: Vec<Subject>,
    /// User for whom a token of this process is made, an administrator.
    pub dev_user: Option<String>,
}

impl IdentityOptions {
    /// True if nothing is said: then nobody is known.
    pub fn is_empty(&self) -> bool {
        self.key_urls.is_empty()
            && self.server_admins.is_empty()
            && self.workspace_creators.is_empty()
            && self.dev_user.is_none()
    }
}

/// Keys and those who have rights over the whole server.
pub struct Identity {
    keys: Keys,
    issuers: Issuers,
    server_admins: Vec<Subject>,
    workspace_creators: Vec<Subject>,
    process_key: [u8; 32],
}

/// A caller who was admitted.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who it is.
    pub caller: Caller,
    /// True for an administrator of the server, and for everybody where nobody is known.
    pub everything: bool,
}

impl Identity {
    /// Makes the process key and starts to fetch the keys of the services.
    pub async fn start(options: IdentityOptions) -> anyhow::Result<Identity> {
        let mut process_key = [0; 32];
        getrandom::fill(&mut process_key)
            .map_err(|error| anyhow::anyhow!("no random key for this process: {error}"))?;
        Ok(Identity {
            keys: Keys::start(options.key_urls).await?,
            issuers: options.issuers,
            server_admins: options.server_admins,
            workspace_creators: options.workspace_creators,
            process_key,
        })
    }

    /// A token of this process.
    pub fn process_token(&self, user: &str) -> Option<String> {
        process_token(user, &self.process_key, now())
    }

    /// What is wrong with the keys, for the readiness of the server.
    pub fn trouble(&self) -> Option<&'static str> {
        self.keys.trouble()
    }

    /// The caller behind a token; none is the anonymous one.
    async fn caller(&self, token: Option<&str>) -> Result<Caller, ApiError> {
        let Some(token) = token else {
            return Ok(Caller::anonymous());
        };
        let refusal = match self.verify(token) {
            Ok(caller) => return Ok(caller),
            // The service may have changed its keys.
            Err(Refusal::UnknownKey) if self.keys.fetch_again().await => match self.verify(token) {
                Ok(caller) => return Ok(caller),
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        let (status, code) = match refusal {
            Refusal::Expired => (401, "token_expired"),
            Refusal::Untrusted => (401, "untrusted_issuer"),
            Refusal::NoKeys => (503, "busy"),
            Refusal::Bad(_) | Refusal::UnknownKey => (401, "bad_token"),
        };
        Err(ApiError::new(status, code, refusal.to_string()))
    }

    fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        let keys = self.keys.current();
        let verifier = Verifier {
            keys: keys.as_deref(),
            process_key: &self.process_key,
            issuers: &self.issuers,
            now: now(),
        };
        verifier.verify(token)
    }

    /// Verifies the token, then decides.
    pub async fn admit(
        &self,
        grants: &Grants,
        ws_dir: &Path,
        token: Option<&str>,
        need: &Need,
        route: &Route,
    ) -> Result<Admitted, ApiError> {
        let caller = self.caller(token).await?;
        if is_server_admin(&caller, &self.server_admins) {
            return Ok(Admitted {
                caller,
                everything: true,
            });
        }
        let decided_here = match need {
            Need::Nothing => Some(true),
            Need::Token => Some(caller.user.is_some()),
            Need::User(name) => Some(
                caller
                    .user
                    .as_ref()
                    .is_some_and(|user| user.name() == *name),
            ),
            Need::Creator => Some(is_server_admin(&caller, &self.workspace_creators)),
            Need::ServerAdmin => Some(false),
            Need::CreateOrOwn(ws) if !ws_dir.join(ws).is_dir() => {
                Some(is_server_admin(&caller, &self.workspace_creators))
            }
            _ => None,
        };
        let allowed = match decided_here {
            Some(allowed) => allowed,
            None => {
                let ws = match need {
                    Need::CreateOrOwn(ws) => ws,
                    _ => &route.ws,
                };
                let loaded = grants.of(ws).await?;
                let exists = |app: &str| {
                    mix_runtime::workspace::Place::new(ws_dir, &route.ws, app)
                        .is_ok_and(|place| place.folder().is_dir())
                };
                is_met(need, &caller, &loaded.workspace, &exists, |id| {
                    loaded.subject_of(id)
                })
            }
        };
        if allowed {
            return Ok(Admitted {
                caller,
                everything: false,
            });
        }
        Err(need.refusal(caller.user.is_none()))
    }
}

/// The decision of a need that a workspace answers.
fn is_met<'a>(
    need: &Need,
    caller: &Caller,
    workspace: &Workspace,
    app_exists: &dyn Fn(&str) -> bool,
    subject_of: impl Fn(&str) -> Option<&'a Subject>,
) -> bool {
    let may = |permission, target: &Target| allow(caller, permission, workspace, target, &[]);
    match need {
        Need::Allowed(permissions, target) => permissions
            .iter()
            .any(|permission| may(*permission, target)),
        Need::Any(target) => touches(caller, workspace, target, &[]),
        Need::WriteOrCreate(app) if app_exists(app) => {
            may(Permission::Write, &Target::App(app.clone()))
        }
        Need::WriteOrCreate(_) => may(Permission::CreateDb, &Target::Workspace),
        Need::RemoveGrant(target, id) => {
            may(Permission::GrantPermissions, target)
                || subject_of(id).is_some_and(|subject| {
                    matches!(subject, Subject::Email(_) | Subject::Sub(_)) && caller.is(subject)
                })
        }
        Need::ReadFile(app) => may(Permission::Read, &Target::App(app.clone())),
        Need::Owner | Need::CreateOrOwn(_) => {
            workspace.exists
                && caller
                    .user
                    .as_ref()
                    .is_some_and(|user| workspace.owner.as_deref() == Some(&user.name()))
        }
        Need::Nothing | Need::Token | Need::User(_) | Need::Creator | Need::ServerAdmin => false,
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs() as i64)
}
