//! Bodies about workspaces.

use super::Job;
use crate::body::{object, object_or_form, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::head::Head;
use crate::names::is_workspace_name;
use crate::route::Route;
use mix_identity::Subject;

/// `{name?}`
pub(super) fn create(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = if route.v0 {
        object_or_form(head, body)?
    } else {
        object(head, body)?
    };
    refuse_unknown(&members, &["name"])?;
    let name = take_text(&mut members, "name")?;
    if name.as_deref().is_some_and(|name| !is_workspace_name(name)) {
        return Err(ApiError::bad_name("workspace"));
    }
    Ok(Job::CreateWorkspace(name))
}

/// `{org?, owner?}`
pub(super) fn patch(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    refuse_unknown(&members, &["org", "owner"])?;
    let org = take_text(&mut members, "org")?;
    if org.as_deref().is_some_and(|org| !is_workspace_name(org)) {
        return Err(ApiError::bad_name("org"));
    }
    let owner = match take_text(&mut members, "owner")? {
        None => None,
        // A user name has the form that it has in a grant.
        Some(name) => match Subject::parse(&format!("user/{name}")) {
            Some(Subject::Email(email)) => Some(email),
            Some(Subject::Sub(sub)) => Some(format!("sub:{sub}")),
            _ => {
                return Err(ApiError::bad_param(
                    "owner must be an e-mail address or sub:<sub>",
                ));
            }
        },
    };
    Ok(Job::PatchWorkspace { org, owner })
}
