//! Messages of the Model Context Protocol.

use super::Job;
use crate::body::check_charset;
use crate::error::ApiError;
use crate::form::Params;
use crate::head::{Head, without_port};
use crate::names;
use crate::plan::Settings;
use mix_address_rules::is_this_machine;

/// Header with the id of a conversation.
pub const SESSION: &str = "mcp-session-id";

/// Header with the version of the protocol that client and server have agreed on.
const VERSION: &str = "mcp-protocol-version";

/// Pages of other sites do not speak for the user of a browser: an origin must be named by the
/// operator, or be of this machine.
pub fn check_origin(settings: &Settings, head: &Head) -> Result<(), ApiError> {
    let Some(origin) = head.header("origin") else {
        return Ok(());
    };
    let authority = origin.split_once("://").map_or("", |(_, host)| host);
    if is_this_machine(&without_port(authority))
        || settings.cors_origins.iter().any(|named| named == origin)
    {
        return Ok(());
    }
    Err(ApiError::new(
        403,
        "forbidden",
        "this origin is not allowed here (--cors-origin)",
    ))
}

/// The message, its conversation and version, and `app` of the query string.
pub fn message(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    if head.media_type().as_deref() != Some("application/json") {
        return Err(ApiError::new(
            415,
            "bad_media_type",
            "send application/json as Content-Type",
        ));
    }
    check_charset(head)?;
    let app = Params::of(head)?.text("app")?;
    if app.as_deref().is_some_and(|app| !names::is_app_name(app)) {
        return Err(ApiError::bad_name("app"));
    }
    Ok(Job::Mcp {
        session: head.header(SESSION).map(str::to_owned),
        version: head.header(VERSION).map(str::to_owned),
        app,
        message: body.to_vec(),
    })
}
