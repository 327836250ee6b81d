//! Roles on resources, given to subjects.

use crate::decision::{Permission, Target};
use crate::subject::Subject;
use std::fmt;

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Run agents.
    Runner,
    /// Run, export, read and write.
    Editor,
    /// Everything.
    Admin,
    /// Create apps.
    DbCreator,
}

/// What a role is given on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `workspace`: everything in it but commands.
    Workspace,
    /// `db/<app>`: an app with its agents, records, queries and files.
    Db(String),
    /// `agent/<app>/<agent>`
    Agent(String, String),
    /// `command/<program>`
    Command(String),
}

/// One grant of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// To whom.
    pub subject: Subject,
    /// What.
    pub role: Role,
    /// On what.
    pub resource: Resource,
}

/// Why a grant cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    /// The subject has no known form.
    #[error("{0:?} is no subject: {wanted}", wanted = Subject::wanted(.0))]
    Subject(String),
    /// The role is unknown.
    #[error("the role {0:?} is none of runner, editor, admin, db/creator")]
    Role(String),
    /// The resource has no known form.
    #[error(
        "the resource {0:?} is none of workspace, db/<app>, agent/<app>/<agent>, command/<program>"
    )]
    Resource(String),
    /// The role cannot be given on this kind of resource.
    #[error("the role {0} cannot be given on {1}")]
    RoleOnResource(Role, Resource),
    /// A domain that everybody can have an address in.
    #[error("the domain {0:?} is a public suffix")]
    PublicDomain(String),
    /// Too much for everybody.
    #[error("the role {1} cannot be given to {0}")]
    TooMany(Subject, Role),
}

impl Role {
    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Role> {
        Some(match text {
            "runner" => Role::Runner,
            "editor" => Role::Editor,
            "admin" => Role::Admin,
            "db/creator" => Role::DbCreator,
            _ => return None,
        })
    }

    /// True if the role includes the permission.
    pub fn gives(self, permission: Permission) -> bool {
        use Permission::{CreateDb, Export, Read, Run, Write};
        match self {
            Role::Runner => permission == Run,
            Role::Editor => matches!(permission, Run | Export | Read | Write),
            Role::Admin => true,
            Role::DbCreator => permission == CreateDb,
        }
    }

    /// True if the role has a meaning on the resource.
    pub fn fits(self, resource: &Resource) -> bool {
        matches!(
            (self, resource),
            (Role::Runner, _)
                | (
                    Role::Editor | Role::Admin,
                    Resource::Db(_) | Resource::Workspace
                )
                | (Role::DbCreator, Resource::Workspace)
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Role::Runner => "runner",
            Role::Editor => "editor",
            Role::Admin => "admin",
            Role::DbCreator => "db/creator",
        })
    }
}

impl Resource {
    /// Reads the text form; names are checked by the caller, who knows their patterns.
    pub fn parse(text: &str) -> Option<Resource> {
        let name = |text: &str| {
            (!text.is_empty() && !text.contains('/') && text.len() <= 128).then(|| text.to_owned())
        };
        match text.split_once('/') {
            None if text == "workspace" => Some(Resource::Workspace),
            Some(("db", app)) => Some(Resource::Db(name(app)?)),
            Some(("agent", path)) => {
                let (app, agent) = path.split_once('/')?;
                Some(Resource::Agent(name(app)?, name(agent)?))
            }
            Some(("command", program)) => Some(Resource::Command(name(program)?)),
            _ => None,
        }
    }

    /// True if a grant on this resource reaches the target.
    pub fn covers(&self, target: &Target) -> bool {
        match (self, target) {
            (Resource::Workspace, target) => !matches!(target, Target::Command(_)),
            (Resource::Db(app), Target::App(wanted) | Target::Agent(wanted, _)) => app == wanted,
            (Resource::Agent(app, agent), Target::Agent(in_app, wanted)) => {
                app == in_app && agent == wanted
            }
            (Resource::Command(program), Target::Command(wanted)) => program == wanted,
            _ => false,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Workspace => out.write_str("workspace"),
            Resource::Db(app) => write!(out, "db/{app}"),
            Resource::Agent(app, agent) => write!(out, "agent/{app}/{agent}"),
            Resource::Command(program) => write!(out, "command/{program}"),
        }
    }
}

impl Grant {
    /// Reads and judges the three texts of a grant.
    pub fn parse(subject: &str, role: &str, resource: &str) -> Result<Grant, BadGrant> {
        let grant = Grant {
            subject: Subject::parse(subject)
                .ok_or_else(|| BadGrant::Subject(subject.to_owned()))?,
            role: Role::parse(role).ok_or_else(|| BadGrant::Role(role.to_owned()))?,
            resource: Resource::parse(resource)
                .ok_or_else(|| BadGrant::Resource(resource.to_owned()))?,
        };
        if !grant.role.fits(&grant.resource) {
            return Err(BadGrant::RoleOnResource(grant.role, grant.resource));
        }
        match &grant.subject {
            Subject::Domain(host) if !host.contains('.') => {
                Err(BadGrant::PublicDomain(host.clone()))
            }
            Subject::AllUsers | Subject::Anonymous
                if matches!(grant.role, Role::Admin | Role::DbCreator) =>
            {
                Err(BadGrant::TooMany(grant.subject, grant.role))
            }
            _ => Ok(grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_grants_are_named() {
        let bad = |subject, role, resource| Grant::parse(subject, role, resource).expect_err(role);
        assert!(matches!(
            bad("x", "admin", "workspace"),
            BadGrant::Subject(_)
        ));
        assert!(matches!(
            bad("user/a@b.c", "root", "workspace"),
            BadGrant::Role(_)
        ));
        assert!(matches!(
            bad("user/a@b.c", "admin", "ws"),
            BadGrant::Resource(_)
        ));
        assert!(matches!(
            bad("user/a@b.c", "editor", "agent/app/x"),
            BadGrant::RoleOnResource(..)
        ));
        assert!(matches!(
            bad("user/a@b.c", "db/creator", "db/app"),
            BadGrant::RoleOnResource(..)
        ));
        assert!(matches!(
            bad("user/a@b.c", "admin", "command/sh"),
            BadGrant::RoleOnResource(..)
        ));
        assert!(matches!(
            bad("domain/com", "runner", "workspace"),
            BadGrant::PublicDomain(_)
        ));
        assert!(matches!(
            bad("anonymous", "admin", "workspace"),
            BadGrant::TooMany(..)
        ));
        assert!(Grant::parse("all-users", "editor", "db/app").is_ok());
        assert!(Grant::parse("user/a@b.c", "runner", "command/sh").is_ok());
    }
}
