//! Requests about packages and whole workspaces.

use super::{Elsewhere, Job};
use crate::body::{object, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::form::Params;
use crate::head::Head;
use crate::names::is_workspace_name;
use crate::route::Route;
use mix_value::{Map, Value};

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

/// True if the body says where the package lies.
pub(crate) fn is_address(head: &Head) -> bool {
    head.media_type().as_deref() == Some("application/json")
}

/// `url` and `token` of a body, both out of its members.
fn elsewhere(members: &mut Map) -> Result<Elsewhere, ApiError> {
    let url = take_text(members, "url")?;
    Ok(Elsewhere {
        url: url.ok_or_else(|| ApiError::bad_param("url is missing"))?,
        token: take_text(members, "token")?,
    })
}

fn take_flag(members: &mut Map, name: &str) -> Result<Option<bool>, ApiError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(ApiError::bad_param(format!("{name} must be true or false"))),
    }
}

/// Members of the body win over the query.
pub(super) fn install(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut members = Map::new();
    let mut from = None;
    if is_address(head) {
        members = object(head, body)?;
        let known = ["url", "force", "platform", "surface", "dry_run", "token"];
        refuse_unknown(&members, &known)?;
        from = Some(elsewhere(&mut members)?);
    } else {
        check_type(head)?;
    }
    let mut flag = |name: &str| match take_flag(&mut members, name)? {
        Some(flag) => Ok(flag),
        None => params.flag(name, false),
    };
    let (force, dry_run) = (flag("force")?, flag("dry_run")?);
    let mut text = |name: &str| -> Result<Option<String>, ApiError> {
        match given(take_text(&mut members, name)?) {
            None => Ok(given(params.text(name)?)),
            text => Ok(text),
        }
    };
    Ok(Job::Install {
        from,
        force,
        dry_run,
        platform: text("platform")?,
        surface: text("surface")?,
    })
}

pub(super) fn export(head: &Head) -> Result<Job, ApiError> {
    let history = Params::of(head)?.flag("history", true)?;
    Ok(Job::Export { history })
}

/// The workspace that an import makes: `ws`, or `id` as older clients call it.
pub(crate) fn import_name(head: &Head) -> Result<String, ApiError> {
    let params = Params::of(head)?;
    let name = match params.text("ws")? {
        None => params.text("id")?,
        given => given,
    };
    name.filter(|name| is_workspace_name(name))
        .ok_or_else(|| ApiError::bad_name("workspace"))
}

pub(super) fn import(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    let name = import_name(head)?;
    let (mut from, mut remote) = (None, name.clone());
    if is_address(head) {
        let mut members = object(head, body)?;
        refuse_unknown(&members, &["url", "ws", "token"])?;
        from = Some(elsewhere(&mut members)?);
        remote = workspace(&mut members, name.clone())?;
    } else {
        check_type(head)?;
    }
    Ok(Job::Import {
        from,
        remote,
        name,
        replace: params.flag("replace", false)?,
        grants: params.flag("grants", false)?,
    })
}

/// `{url, ws?, token?}`
pub(super) fn push(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    refuse_unknown(&members, &["url", "ws", "token"])?;
    Ok(Job::PushExport {
        to: elsewhere(&mut members)?,
        ws: workspace(&mut members, route.ws.clone())?,
    })
}

/// Name of the workspace on the other server.
fn workspace(members: &mut Map, default: String) -> Result<String, ApiError> {
    let name = take_text(members, "ws")?.unwrap_or(default);
    if is_workspace_name(&name) {
        Ok(name)
    } else {
        Err(ApiError::bad_name("workspace"))
    }
}
