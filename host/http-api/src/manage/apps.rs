//! Bodies about apps.

use crate::body::object;
use crate::error::ApiError;
use crate::head::Head;
use crate::route::Route;
use mix_value::{Map, Value};

/// Metadata; a member `name` must be the app of the path. What the record store owns is left out.
pub(super) fn metadata(route: &Route, head: &Head, body: &[u8]) -> Result<Map, ApiError> {
    let mut members = object(head, body)?;
    match members.remove("name") {
        None => {}
        Some(Value::String(name)) if *name == *route.app => {}
        Some(_) => {
            return Err(ApiError::bad_param(
                "name must be the name of the app, or absent",
            ));
        }
    }
    members.retain(|name, _| !name.starts_with("_rmx_"));
    Ok(members)
}
