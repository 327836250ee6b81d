//! May this caller do that?

use crate::caller::{Caller, TokenKind};
use crate::grant::Grant;
use crate::subject::Subject;

/// What somebody may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Run an agent.
    Run,
    /// Take a workspace out.
    Export,
    /// Read records and files.
    Read,
    /// Change records and files.
    Write,
    /// Change grants.
    GrantPermissions,
    /// Delete for good.
    Delete,
    /// Create apps.
    CreateDb,
}

/// On what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The workspace itself.
    Workspace,
    /// An app, or a record, query or file of it.
    App(String),
    /// An agent of an app.
    Agent(String, String),
    /// A program that an agent starts.
    Command(String),
}

/// What a workspace says about rights.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// False: there is no such workspace.
    pub exists: bool,
    /// User name of the owner (`User::name`).
    pub owner: Option<String>,
    /// All grants.
    pub grants: Vec<Grant>,
}

/// The decision, in the order of the rules: administrators of the server, existence, owner, own app, grants.
pub fn allow(
    caller: &Caller,
    permission: Permission,
    workspace: &Workspace,
    target: &Target,
    server_admins: &[Subject],
) -> bool {
    is_server_admin(caller, server_admins)
        || (workspace.exists
            && (owns(caller, workspace, target)
                || is_own_app(caller, workspace, target)
                || workspace
                    .grants
                    .iter()
                    .any(|grant| gives(caller, grant, permission, target))))
}

/// True if some grant, or ownership, reaches anything in the target: what "any" asks for.
pub fn touches(
    caller: &Caller,
    workspace: &Workspace,
    target: &Target,
    server_admins: &[Subject],
) -> bool {
    if is_server_admin(caller, server_admins) {
        return true;
    }
    let inside = |grant: &Grant| {
        use crate::grant::Resource;
        grant.resource.covers(target)
            || match (target, &grant.resource) {
                (Target::Workspace, resource) => !matches!(resource, Resource::Command(_)),
                (Target::App(app), Resource::Agent(in_app, _)) => app == in_app,
                _ => false,
            }
    };
    workspace.exists
        && (owns(caller, workspace, target)
            || is_own_app(caller, workspace, target)
            || workspace.grants.iter().any(|grant| {
                caller.is(&grant.subject) && grant.role.fits(&grant.resource) && inside(grant)
            }))
}

/// True if the caller is among those who have rights over the whole server: administrators, or
/// creators of workspaces. Such rights come with tokens of the identity service or of the process only.
pub fn is_server_admin(caller: &Caller, server_admins: &[Subject]) -> bool {
    matches!(caller.kind, TokenKind::KeySet | TokenKind::Process)
        && server_admins.iter().any(|subject| caller.is(subject))
}

fn owns(caller: &Caller, workspace: &Workspace, target: &Target) -> bool {
    !matches!(target, Target::Command(_))
        && caller
            .user
            .as_ref()
            .is_some_and(|user| workspace.owner.as_deref() == Some(user.name().as_str()))
}

fn is_own_app(caller: &Caller, workspace: &Workspace, target: &Target) -> bool {
    caller.agent.as_ref().is_some_and(|running| {
        running.here
            && running.workspace == workspace.name
            && match target {
                Target::App(app) | Target::Agent(app, _) => *app == running.app,
                Target::Workspace | Target::Command(_) => false,
            }
    })
}

fn gives(caller: &Caller, grant: &Grant, permission: Permission, target: &Target) -> bool {
    let in_effect = permission != Permission::CreateDb || *target == Target::Workspace;
    in_effect
        && caller.is(&grant.subject)
        && grant.role.gives(permission)
        && grant.role.fits(&grant.resource)
        && grant.resource.covers(target)
}
