//! Bodies about grants.

use super::Job;
use crate::access::scope;
use crate::body::{object, object_or_form, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::head::Head;
use crate::names::{is_agent_name, is_app_name};
use crate::route::Route;
use mix_identity::{Grant, Resource, Target};

/// `{subject, role, resource?}`; the resource defaults to the scope of the path and must lie inside it.
pub(super) fn add(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = if route.v0 {
        object_or_form(head, body)?
    } else {
        object(head, body)?
    };
    refuse_unknown(&members, &["subject", "role", "resource"])?;
    let mut needed = |name: &str| {
        take_text(&mut members, name)?
            .ok_or_else(|| ApiError::bad_param(format!("{name} is missing")))
    };
    let (subject, role) = (needed("subject")?, needed("role")?);
    let scope = scope(route);
    let resource = match take_text(&mut members, "resource")? {
        Some(resource) => resource,
        None => resource_of(&scope).to_string(),
    };
    let bad = |message: String| ApiError::new(400, "bad_grant", message);
    let grant = Grant::parse(&subject, &role, &resource).map_err(|error| bad(error.to_string()))?;
    if !has_valid_names(&grant.resource) {
        return Err(bad(format!(
            "{resource:?} has a name that no app or agent can have"
        )));
    }
    if !is_inside(&grant.resource, &scope) {
        return Err(bad(format!(
            "{resource} lies outside of {}",
            resource_of(&scope)
        )));
    }
    Ok(Job::AddGrant(grant))
}

/// The resource that a scope stands for.
fn resource_of(scope: &Target) -> Resource {
    match scope.clone() {
        Target::Workspace => Resource::Workspace,
        Target::App(app) => Resource::Db(app),
        Target::Agent(app, agent) => Resource::Agent(app, agent),
        Target::Command(program) => Resource::Command(program),
    }
}

/// True if a grant on the resource belongs to the scope of a path.
pub fn is_inside(resource: &Resource, scope: &Target) -> bool {
    match (scope, resource) {
        (Target::Workspace, _) => true,
        (Target::App(app), Resource::Db(found) | Resource::Agent(found, _)) => app == found,
        (Target::Agent(app, agent), Resource::Agent(in_app, found)) => {
            app == in_app && agent == found
        }
        (Target::Command(program), Resource::Command(found)) => program == found,
        _ => false,
    }
}

fn has_valid_names(resource: &Resource) -> bool {
    match resource {
        Resource::Workspace => true,
        Resource::Db(app) => is_app_name(app),
        Resource::Agent(app, agent) => is_app_name(app) && is_agent_name(agent),
        Resource::Command(program) => !program.starts_with('.'),
    }
}
