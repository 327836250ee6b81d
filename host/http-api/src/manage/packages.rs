//! Requests about packages and whole workspaces.

use super::Job;
use crate::error::ApiError;
use crate::form::{boolean, parse_pairs};
use crate::head::Head;
use crate::names::is_workspace_name;

/// Values of query parameters; the last one counts.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub fn of(head: &Head) -> Result<Params, ApiError> {
        parse_pairs(head.query()).map(Params)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        let found = self.0.iter().rev().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone())
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => boolean(name, &text),
        }
    }
}

/// The body must be bytes.
fn check_type(head: &Head) -> Result<(), ApiError> {
    match head.media_type().as_deref() {
        None | Some("application/octet-stream" | "application/zip") => Ok(()),
        Some(_) => Err(ApiError::new(
            415,
            "bad_media_type",
            "send the package as application/octet-stream",
        )),
    }
}

pub(super) fn install(head: &Head) -> Result<Job, ApiError> {
    check_type(head)?;
    let params = Params::of(head)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Job::Install {
        force: params.flag("force", false)?,
        dry_run: params.flag("dry_run", false)?,
        platform: given(params.text("platform")),
        surface: given(params.text("surface")),
    })
}

pub(super) fn export(head: &Head) -> Result<Job, ApiError> {
    let history = Params::of(head)?.flag("history", true)?;
    Ok(Job::Export { history })
}

/// The workspace that an import makes: `ws`, or `id` as older clients call it.
pub(crate) fn import_name(head: &Head) -> Result<String, ApiError> {
    let params = Params::of(head)?;
    let name = params.text("ws").or_else(|| params.text("id"));
    name.filter(|name| is_workspace_name(name))
        .ok_or_else(|| ApiError::bad_name("workspace"))
}

pub(super) fn import(head: &Head) -> Result<Job, ApiError> {
    check_type(head)?;
    let params = Params::of(head)?;
    Ok(Job::Import {
        name: import_name(head)?,
        replace: params.flag("replace", false)?,
        grants: params.flag("grants", false)?,
    })
}
