//! Who calls, and whether they may.
//!
//! The rules are in `mix-identity`; here are the keys, the grants of a workspace as they are
//! loaded, and the answer to a caller who may not.

mod keys;
mod trusted;

use keys::Keys;
use trusted::Trusted;

use super::Server;
use super::issuing::{self, seconds_now};
use super::neighbours::Inside;
use mix_http_api::{ApiError, Need, Route};
use mix_identity::{
    Caller, Issuers, KeySet, Permission, Refusal, Subject, Target, TokenKind, Verifier, Workspace,
    allow, is_server_admin, issuer, key_id, process_token, touches,
};
use std::sync::Arc;
use tokio::sync::watch;

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
    /// Servers whose agents are believed to be theirs.
    pub trusted_servers: Vec<http::Uri>,
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
    trusted: Trusted,
}

/// A caller who was admitted.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who it is.
    pub caller: Caller,
    /// True for an administrator of the server, and for everybody where nobody is known.
    pub everything: bool,
    /// The token that says so.
    pub token: Option<Arc<str>>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// The workspace that issued it, if one did.
    pub signed_in_at: Option<String>,
}

impl Admitted {
    /// Somebody without a token.
    pub fn anonymous(everything: bool) -> Admitted {
        Admitted {
            caller: Caller::anonymous(),
            everything,
            token: None,
            issuer: None,
            signed_in_at: None,
        }
    }

    /// Whom it stands for: the name, and the workspace that vouches for it if one does. Whoever owns a workspace
    /// decides who its tokens speak of, so that they are nobody else's.
    pub fn principal(&self) -> String {
        let name = self.caller.name();
        match &self.signed_in_at {
            // No address has a blank in it.
            Some(ws) => format!("{name} of {ws}"),
            None => name,
        }
    }
}

/// What a request says about who makes it.
pub struct Asking<'a> {
    /// Its token.
    pub token: Option<&'a str>,
    /// The header with which another server vouches for its agent.
    pub origin: Option<&'a str>,
    /// The run that makes it.
    pub inside: Option<&'a Inside>,
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
            trusted: Trusted::new(&options.trusted_servers),
        })
    }

    /// A token of this process.
    pub fn process_token(&self, user: &str) -> Option<String> {
        process_token(user, &self.process_key, seconds_now())
    }

    /// What is wrong with the keys, for the readiness of the server.
    pub fn trouble(&self) -> Option<&'static str> {
        self.keys.trouble()
    }

    /// Tells when tokens may have lost their keys.
    pub fn key_changes(&self) -> watch::Receiver<Option<Arc<KeySet>>> {
        self.keys.changes()
    }

    /// The caller behind a token; none is the anonymous one.
    pub async fn caller(&self, server: &Server, token: Option<&str>) -> Result<Admitted, ApiError> {
        let Some(token) = token else {
            return Ok(Admitted::anonymous(false));
        };
        let verified = match self.verify(server, token) {
            // The service may have changed its keys, or be there again.
            Err(Refusal::UnknownKey | Refusal::NoKeys) if self.keys.fetch_again().await => {
                self.verify(server, token)
            }
            other => other,
        };
        match verified {
            Ok((caller, signed_in_at)) => Ok(Admitted {
                caller,
                everything: false,
                token: Some(Arc::from(token)),
                issuer: issuer(token),
                signed_in_at,
            }),
            Err(refusal) => {
                let (status, code) = match refusal {
                    Refusal::Expired => (401, "token_expired"),
                    Refusal::Untrusted => (401, "untrusted_issuer"),
                    Refusal::NoKeys => (503, "busy"),
                    Refusal::Bad(_) | Refusal::UnknownKey => (401, "bad_token"),
                };
                Err(ApiError::new(status, code, refusal.to_string()))
            }
        }
    }

    /// The caller, and the workspace that issued the token if one did.
    fn verify(&self, server: &Server, token: &str) -> Result<(Caller, Option<String>), Refusal> {
        let keys = self.keys.current();
        let key_id = key_id(token).unwrap_or_default();
        let workspace = issuing::Keys::workspace_of(&key_id);
        let own = workspace.and_then(|ws| server.keys.verifier(ws));
        let verifier = Verifier {
            keys: keys.as_deref(),
            process_key: &self.process_key,
            issuers: &self.issuers,
            own: own.as_ref(),
            now: seconds_now(),
        };
        let caller = verifier.verify(token)?;
        let signed_in_at = workspace.filter(|_| caller.kind == TokenKind::Workspace);
        Ok((caller, signed_in_at.map(str::to_owned)))
    }

    /// Who makes a request: by its token, and by the agent behind it.
    async fn who(&self, server: &Server, asking: &Asking<'_>) -> Result<Admitted, ApiError> {
        let mut who = match asking.inside.and_then(Inside::caller) {
            Some(caller) => caller.clone(),
            None => self.caller(server, asking.token).await?,
        };
        who.everything = false;
        match (asking.inside, asking.origin) {
            (Some(inside), _) => who = inside.with_agent(who),
            (None, Some(header)) => {
                who.caller.agent = self.trusted.agent(header, &server.base_url).await;
            }
            (None, None) => {}
        }
        Ok(who)
    }

    /// Verifies who asks, then decides.
    pub async fn admit(
        &self,
        server: &Server,
        asking: &Asking<'_>,
        need: &Need,
        route: &Route,
    ) -> Result<Admitted, ApiError> {
        let who = self.who(server, asking).await?;
        self.judge(server, who, need, route).await
    }

    /// Decides about somebody who is known.
    pub async fn judge(
        &self,
        server: &Server,
        who: Admitted,
        need: &Need,
        route: &Route,
    ) -> Result<Admitted, ApiError> {
        let ws = workspace_of(need, route);
        self.judge_in(server, who, need, ws).await
    }

    /// Decides about somebody who is known, in a workspace; where a need is about none, its name is empty.
    pub async fn judge_in(
        &self,
        server: &Server,
        who: Admitted,
        need: &Need,
        ws: &str,
    ) -> Result<Admitted, ApiError> {
        let (grants, ws_dir) = (&server.grants, &server.ws_dir);
        let caller = &who.caller;
        if *need == Need::Nobody {
            return Err(need.refusal(caller.user.is_none()));
        }
        if is_server_admin(caller, &self.server_admins) {
            return Ok(Admitted {
                everything: true,
                ..who
            });
        }
        if let Some(home) = &who.signed_in_at
            && !ws.is_empty()
            && !grants.are_related(home, ws).await?
        {
            let message = "the token was issued by a workspace of another organisation";
            return Err(ApiError::new(401, "untrusted_issuer", message));
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
            Need::Creator => Some(is_server_admin(caller, &self.workspace_creators)),
            Need::ServerAdmin => Some(false),
            Need::CreateOrOwn(ws) if !ws_dir.join(ws).is_dir() => {
                Some(is_server_admin(caller, &self.workspace_creators))
            }
            _ => None,
        };
        let allowed = match decided_here {
            Some(allowed) => allowed,
            None => {
                let loaded = grants.of(ws).await?;
                let exists = |app: &str| {
                    mix_runtime::workspace::Place::new(ws_dir, ws, app)
                        .is_ok_and(|place| place.folder().is_dir())
                };
                is_met(need, caller, &loaded.workspace, &exists, |id| {
                    loaded.subject_of(id)
                })
            }
        };
        if allowed {
            return Ok(who);
        }
        Err(need.refusal(caller.user.is_none()))
    }
}

/// The workspace that a need of a request is about; none: its name is empty.
pub fn workspace_of<'a>(need: &'a Need, route: &'a Route) -> &'a str {
    match (need, &route.topic) {
        (Need::CreateOrOwn(ws), _) => ws,
        // It is not asked whether the workspace of a topic is there.
        (_, Some(topic)) => &topic.workspace,
        (_, None) => &route.ws,
    }
}

impl Server {
    /// Decides once more about somebody who was admitted a while ago: rights may have been taken back meanwhile, or a workspace or
    /// an app of somebody else may have the name that the request was admitted for.
    pub async fn judge_again(&self, who: &Admitted, need: &Need, ws: &str) -> Result<(), ApiError> {
        if let Some(identity) = self.identity.as_ref().filter(|_| !who.everything) {
            identity.judge_in(self, who.clone(), need, ws).await?;
        }
        Ok(())
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
        Need::Nothing
        | Need::Token
        | Need::User(_)
        | Need::Creator
        | Need::ServerAdmin
        | Need::Nobody => false,
    }
}
