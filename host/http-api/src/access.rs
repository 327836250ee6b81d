//! What a request needs, and its token.
//!
//! Verifying the token and deciding is the driver's, with `mix-identity`. Where nobody is known
//! ([`Access::Open`]) there is nothing to verify, and the answer is given here.

use crate::error::ApiError;
use crate::form::parse_pairs;
use crate::head::Head;
use crate::names;
use crate::plan::Settings;
use crate::route::{Action, Route};
use crate::topic::Audience;
use mix_identity::{Permission, Target};
use mix_value::Value;
use std::sync::Arc;

/// Longest token.
const MAX_TOKEN: usize = 16 << 10;

/// Who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody is known. Agents run for everybody; the rest is there if `records` says so.
    Open {
        /// True: everything that needs no user is allowed.
        records: bool,
    },
    /// Tokens and grants decide. The driver asks them, with [`crate::NeedsBody::token`] and [`Need`].
    Identity,
}

/// What has to be allowed before anything of the request is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Any valid token.
    Token,
    /// Being the user of this name.
    User(String),
    /// One of the permissions on the target.
    Allowed(&'static [Permission], Target),
    /// Some grant that reaches anything in the target.
    Any(Target),
    /// Writing an app's metadata, or creating the app if it is absent.
    WriteOrCreate(String),
    /// Changing the grants of the target, or being the subject of the grant with this id.
    RemoveGrant(Target, String),
    /// Being the owner of the workspace.
    Owner,
    /// Being one who may create workspaces.
    Creator,
    /// Being an administrator of the server.
    ServerAdmin,
    /// What nobody may do.
    Nobody,
    /// Reading a file of the app: a valid signature of its address does as well as the permission.
    ReadFile(String),
    /// Creating the workspace of this name, or owning it if it is there.
    CreateOrOwn(String),
}

impl Need {
    /// What the action needs.
    pub fn of(route: &Route) -> Need {
        match route.app.as_str() {
            names::LOGGING_APP => Need::of_log(route.action),
            _ => Need::of_action(route),
        }
    }

    /// The activity log: administrators of the workspace read it, and nobody but the server writes it.
    fn of_log(action: Action) -> Need {
        match action {
            Action::GetApp
            | Action::GetAppMeta
            | Action::GetRuntime
            | Action::GetAppmeta
            | Action::GetDocument
            | Action::Query
            | Action::ParseQuery
            | Action::Raw
            | Action::ListGrants
            | Action::GetGrant => Need::Allowed(&[Permission::GrantPermissions], Target::Workspace),
            _ => Need::Nobody,
        }
    }

    fn of_action(route: &Route) -> Need {
        use Permission::{CreateDb, Delete, Export, GrantPermissions, Read, Run, Write};
        let app = || Target::App(route.app.clone());
        let agent = || Target::Agent(route.app.clone(), route.name.clone());
        match route.action {
            Action::Root
            | Action::Health
            | Action::Ready
            | Action::OpenApi
            | Action::Swagger
            | Action::WorkspaceKeys
            | Action::ServerKeys
            | Action::BeginSignIn
            | Action::ReturnSignIn
            | Action::ExchangeToken
            | Action::Upload
            | Action::FollowLink
            | Action::ListWorkspaces => Need::Nothing,
            Action::CreateWorkspace => Need::Creator,
            Action::GetWorkspace
            | Action::ListAppmeta
            | Action::Mcp
            | Action::ListAuthConfigs
            | Action::GetAuthConfig => Need::Any(Target::Workspace),
            Action::PatchWorkspace => Need::ServerAdmin,
            Action::DeleteWorkspace => Need::Owner,
            // Administrators are those who may change grants: no smaller role includes it.
            Action::FlushWorkspace
            | Action::Install
            | Action::CountActivities
            | Action::AddAuthConfig
            | Action::PutAuthConfig
            | Action::PatchAuthConfig
            | Action::DeleteAuthConfig => Need::Allowed(&[GrantPermissions], Target::Workspace),
            Action::Export | Action::PushExport => Need::Allowed(&[Export], Target::Workspace),
            // The name is in the query.
            Action::Import => Need::CreateOrOwn(String::new()),
            Action::Metrics => Need::ServerAdmin,
            Action::Modify => Need::Allowed(&[Delete], app()),
            Action::GetFile if route.path.starts_with("/public/") => Need::Nothing,
            Action::GetFile => Need::ReadFile(route.app.clone()),
            Action::GetContent | Action::GetProps => Need::Allowed(&[Read], app()),
            Action::PutContent
            | Action::PostContent
            | Action::DeleteContent
            | Action::PatchProps
            | Action::CopyFile
            | Action::RegisterFile => Need::Allowed(&[Write], app()),
            Action::GetApp => Need::Any(app()),
            Action::CreateApp => Need::Allowed(&[CreateDb], Target::Workspace),
            Action::DeleteApp => Need::Allowed(&[Delete], app()),
            Action::GetAppMeta | Action::GetRuntime => Need::Allowed(&[Run, Read], app()),
            Action::GetAppmeta => Need::Allowed(&[Read], app()),
            Action::PutAppmeta => Need::WriteOrCreate(route.app.clone()),
            Action::PatchAppmeta => Need::Allowed(&[Write], app()),
            Action::ListGrants | Action::AddGrant | Action::GetGrant => {
                Need::Allowed(&[GrantPermissions], scope(route))
            }
            Action::DeleteGrant => Need::RemoveGrant(scope(route), route.id.clone()),
            Action::DescribeAgent | Action::RunAgent | Action::RunQuery | Action::Session => {
                Need::Allowed(&[Run], agent())
            }
            Action::PostDocuments
            | Action::DeleteDocuments
            | Action::DeleteDocument
            | Action::Save
            | Action::PutQuery
            | Action::DeleteQuery => Need::Allowed(&[Write], app()),
            Action::GetDocument | Action::Query | Action::ParseQuery | Action::Raw => {
                Need::Allowed(&[Read], app())
            }
            Action::Subscribe => match route.topic.as_ref().map(|topic| &topic.audience) {
                Some(Audience::Public) => Need::Nothing,
                Some(Audience::Shared) | None => Need::Token,
                Some(Audience::User(user)) => Need::User(user.clone()),
            },
            Action::OriginalToken
            | Action::CreateLink
            | Action::DeleteLink
            | Action::CreateSignal
            | Action::AwaitSignal
            | Action::SetSignal
            | Action::CancelSignal => Need::Token,
        }
    }

    /// The failure of a caller who is not allowed: whom it is told does not show what exists.
    pub fn refusal(&self, anonymous: bool) -> ApiError {
        if anonymous {
            return ApiError::new(401, "unauthenticated", "this needs a token");
        }
        let (permission, resource) = match self {
            Need::Nothing | Need::Token | Need::User(_) | Need::Nobody => {
                return ApiError::new(403, "forbidden", "not permitted");
            }
            Need::Allowed(permissions, target) => (
                permissions.first().map_or("", |one| word(*one)),
                text_of(target),
            ),
            Need::Any(target) => ("any", text_of(target)),
            Need::WriteOrCreate(app) => ("write", format!("db/{app}")),
            Need::RemoveGrant(target, _) => ("grant_permissions", text_of(target)),
            Need::Owner => ("owner", "workspace".to_owned()),
            Need::Creator => ("workspace_creator", "server".to_owned()),
            Need::ServerAdmin => ("server_admin", "server".to_owned()),
            Need::ReadFile(app) => ("read", format!("db/{app}")),
            Need::CreateOrOwn(_) => ("workspace_creator or owner", "server".to_owned()),
        };
        let text = |text: &str| Value::String(Arc::from(text));
        ApiError::new(
            403,
            "forbidden",
            format!("this needs {permission} on {resource}"),
        )
        .with_detail("permission", text(permission))
        .with_detail("resource", text(&resource))
    }
}

/// What grants of a path are about: the workspace, an app, an agent.
pub fn scope(route: &Route) -> Target {
    if route.app.is_empty() {
        Target::Workspace
    } else if route.name.is_empty() {
        Target::App(route.app.clone())
    } else {
        Target::Agent(route.app.clone(), route.name.clone())
    }
}

/// A target as grants write it.
fn text_of(target: &Target) -> String {
    match target {
        Target::Workspace => "workspace".to_owned(),
        Target::App(app) => format!("db/{app}"),
        Target::Agent(app, agent) => format!("agent/{app}/{agent}"),
        Target::Command(program) => format!("command/{program}"),
    }
}

fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Run => "run",
        Permission::Export => "export",
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::GrantPermissions => "grant_permissions",
        Permission::Delete => "delete",
        Permission::CreateDb => "create_db",
    }
}

/// The token of a request: a header wins over the query of a GET.
pub(crate) fn token(head: &Head) -> Result<Option<String>, ApiError> {
    let bad = |message: &str| ApiError::new(401, "bad_token", message);
    let token = match head.header_count("authorization") {
        0 => in_query(head)?,
        1 => {
            let value = head.header("authorization").unwrap_or_default().trim();
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
                return Err(bad("Authorization must be: Bearer <token>"));
            }
            Some(token.trim().to_owned())
        }
        _ => return Err(bad("more than one Authorization header")),
    };
    match &token {
        Some(token) if token.len() > MAX_TOKEN => Err(bad("the token is too long")),
        _ => Ok(token),
    }
}

fn in_query(head: &Head) -> Result<Option<String>, ApiError> {
    let query = head.query();
    if head.routed_method() != "GET" || !query.contains("token") {
        return Ok(None);
    }
    let pairs = parse_pairs(query)?;
    let mut tokens = pairs.into_iter().filter(|(name, _)| name == "token");
    let first = tokens.next().map(|(_, token)| token);
    if tokens.next().is_some() {
        return Err(ApiError::new(401, "bad_token", "more than one token"));
    }
    Ok(first)
}

/// The decision where nobody is known.
pub(crate) fn judge_open(
    settings: &Settings,
    head: &Head,
    token: Option<&str>,
    need: &Need,
    records: bool,
) -> Result<(), ApiError> {
    if token.is_some() {
        // One that cannot be verified is never "anonymous".
        return Err(ApiError::new(
            401,
            "bad_token",
            "the token cannot be verified: this server has no keys",
        ));
    }
    match need {
        Need::Nobody => Err(ApiError::new(403, "forbidden", "not permitted")),
        Need::Nothing | Need::Allowed([Permission::Run], _) => Ok(()),
        Need::Token | Need::User(_) => Err(ApiError::new(
            401,
            "unauthenticated",
            "this needs a user, and the server knows none",
        )),
        _ if !records => Err(ApiError::new(
            401,
            "unauthenticated",
            "without identity this is served on a loopback address only, to programs and to browsers of a named origin",
        )),
        _ if head.routed_method() != "GET" && is_foreign(settings, head) => Err(ApiError::new(
            403,
            "forbidden",
            "without identity only pages of a named origin may change anything (--cors-origin)",
        )),
        _ => Ok(()),
    }
}

/// True for a page of another site that nobody named.
fn is_foreign(settings: &Settings, head: &Head) -> bool {
    let Some(origin) = head.header("origin") else {
        return false;
    };
    let own = head.authority.as_deref().or(head.header("host"));
    let same = own.is_some_and(|own| {
        origin
            .split_once("://")
            .is_some_and(|(_, host)| host.eq_ignore_ascii_case(own))
    });
    !same && !settings.cors_origins.iter().any(|named| named == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str, authorization: &[&str]) -> Head {
        Head {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: authorization
                .iter()
                .map(|value| ("authorization".to_owned(), (*value).to_owned()))
                .collect(),
            authority: None,
        }
    }

    #[test]
    fn the_header_wins_and_the_query_counts_for_get_only() {
        let get = head("GET", "/x?token=q%2Er&a=1", &[]);
        assert_eq!(token(&get).expect("one token").as_deref(), Some("q.r"));
        let both = head("GET", "/x?token=q", &["bearer h"]);
        assert_eq!(token(&both).expect("one token").as_deref(), Some("h"));
        let post = head("POST", "/x?token=q", &[]);
        assert_eq!(token(&post).expect("none"), None);
    }

    #[test]
    fn other_schemes_two_headers_and_long_tokens_are_refused() {
        let long = format!("Bearer {}", "x".repeat(MAX_TOKEN + 1));
        for wrong in [
            head("GET", "/", &["Basic eDp5"]),
            head("GET", "/", &["Bearer"]),
            head("GET", "/", &["Bearer a", "Bearer b"]),
            head("GET", "/?token=a&token=b", &[]),
            head("GET", "/", &[&long]),
        ] {
            assert_eq!(token(&wrong).expect_err("refused").code, "bad_token");
        }
    }
}
