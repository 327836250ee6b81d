//! Registered queries, and the bytes of a record.

use crate::records::{Database, map, text};
use crate::{Server, registered};
use mix_http_api::{ApiError, Done};
use mix_runtime::programs::Missing;
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::sync::Arc;

pub async fn put(
    server: &Arc<Server>,
    place: &Place,
    name: &str,
    source: Map,
    mut members: Map,
) -> Result<Done, ApiError> {
    match server.programs.find(place, name) {
        Err(Missing::Agent) => {}
        _ => {
            return Err(ApiError::new(
                409,
                "exists",
                "the app has an agent of that name",
            ));
        }
    }
    let _turn = server.describing.of((place.folder(), name)).await;
    let database = Database::new(server, place.clone());
    let ast = database.parse(Value::Map(source)).await?;
    let stored = registered::query(server, place, name).await?;
    members.insert(Arc::from("_rmx_type"), text(mix_http_api::registered::KIND));
    members.insert(Arc::from("name"), text(name));
    members.insert(Arc::from("ast"), ast);
    if let Some(id) = stored.as_ref().and_then(|record| record.get("_rmx_id")) {
        members.insert(Arc::from("_rmx_id"), id.clone());
    }
    database.save(members).await?;
    let status = if stored.is_some() { 200 } else { 201 };
    Ok(Done::Value(status, map([("name", text(name))])))
}

pub async fn delete(server: &Arc<Server>, place: &Place, name: &str) -> Result<Done, ApiError> {
    let Some(record) = registered::query(server, place, name).await? else {
        return Err(ApiError::new(
            404,
            "not_found",
            "no registered query of that name",
        ));
    };
    let id = crate::grants::id_of(&record)?;
    Database::new(server, place.clone()).delete(&[id]).await?;
    Ok(Done::Nothing)
}

/// A string or binary member as it is, in the type that the record names.
pub async fn raw(
    server: &Arc<Server>,
    place: &Place,
    id: &str,
    member: &str,
) -> Result<Done, ApiError> {
    let record = Database::new(server, place.clone()).get(id).await?;
    let bytes = match record.get(member) {
        Some(Value::String(text)) => text.as_bytes().to_vec(),
        Some(Value::Binary(bytes)) => bytes.to_vec(),
        _ => {
            return Err(ApiError::new(
                409,
                "not_raw",
                format!("member {member} is neither a string nor binary"),
            ));
        }
    };
    let media_type = match record.get("_rmx_content_type") {
        Some(Value::String(kind)) if is_media_type(kind) => kind.to_string(),
        _ => "application/octet-stream".to_owned(),
    };
    Ok(Done::Bytes(media_type, bytes))
}

/// What may stand in a header: `type/subtype` with parameters.
fn is_media_type(text: &str) -> bool {
    text.len() <= 200 && text.contains('/') && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
