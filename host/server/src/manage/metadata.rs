//! Metadata of apps: the record with `_rmx_type:"app"` of the app's own database.

use super::{on_disk, workspaces};
use crate::Server;
use crate::identity::Admitted;
use crate::records::{Database, text};
use mix_http_api::{ApiError, Done, Need};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value, escjson};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// Largest `runtime.json`.
const MAX_RUNTIME: u64 = 4 << 20;

pub async fn get(server: &Arc<Server>, place: &Place) -> Result<Done, ApiError> {
    Ok(Done::Value(200, shown(place, of(server, place).await?)))
}

pub async fn list(server: &Arc<Server>, who: &Admitted, ws: &str) -> Result<Done, ApiError> {
    let mut all = Vec::new();
    for app in workspaces::visible_apps(server, who, ws).await? {
        let place = Place::new(&server.ws_dir, ws, &app).map_err(|_| ApiError::bad_name("app"))?;
        all.push(shown(&place, of(server, &place).await?));
    }
    Ok(Done::Value(200, Value::Array(all)))
}

pub async fn put(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    members: Map,
) -> Result<Done, ApiError> {
    let _turn = turn(server, place).await;
    let need = Need::WriteOrCreate(place.app.clone());
    server.judge_again(who, &need, &place.workspace).await?;
    let is_new = make(place).await?;
    if !is_new {
        // Somebody else may have made it at this moment.
        server.judge_again(who, &need, &place.workspace).await?;
    }
    let (status, saved) = match is_new {
        true => (201, save_first(server, place, members).await?),
        false => (200, save(server, place, members).await?),
    };
    Ok(Done::Value(status, shown(place, Some(saved))))
}

pub async fn patch(server: &Arc<Server>, place: &Place, changes: Map) -> Result<Done, ApiError> {
    let _turn = turn(server, place).await;
    let mut members = of(server, place).await?.unwrap_or_default();
    for (name, value) in changes {
        match value {
            Value::Null => members.remove(&name),
            value => members.insert(name, value),
        };
    }
    let saved = save(server, place, members).await?;
    Ok(Done::Value(200, shown(place, Some(saved))))
}

/// Makes the folders of an app; false if it is there. Of two who do so at once, one makes it.
pub async fn make(place: &Place) -> Result<bool, ApiError> {
    let place = place.clone();
    on_disk(move || {
        let is_new = match fs::DirBuilder::new().mode(0o700).create(place.folder()) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error.into()),
        };
        place.create()?;
        Ok(is_new)
    })
    .await
}

/// The turn at the metadata of an app: two changes at once would each leave out the other.
pub async fn turn<'a>(server: &'a Server, place: &Place) -> MutexGuard<'a, ()> {
    server.describing.of(place.folder()).await
}

/// Saves the metadata of an app that was just made. Without them it is gone again: half an app would be
/// in the way of the next try.
pub async fn save_first(
    server: &Arc<Server>,
    place: &Place,
    members: Map,
) -> Result<Map, ApiError> {
    let saved = save(server, place, members).await;
    if saved.is_err() {
        server.assembly.close(&place.folder()).await;
        server.programs.forget(&place.folder());
        workspaces::remove(&server.ws_dir, place.folder()).await?;
    }
    saved
}

/// Saves metadata over what there is; called with the turn taken.
pub async fn save(server: &Arc<Server>, place: &Place, mut members: Map) -> Result<Map, ApiError> {
    let stored = of(server, place).await?;
    members.retain(|name, _| !name.starts_with("_rmx_"));
    if let Some(id) = stored.as_ref().and_then(|record| record.get("_rmx_id")) {
        members.insert(Arc::from("_rmx_id"), id.clone());
    }
    members.insert(Arc::from("_rmx_type"), text("app"));
    members.insert(Arc::from("name"), text(&place.app));
    Database::new(server, place.clone()).save(members).await
}

/// The stored record; the newest, if there are several.
async fn of(server: &Arc<Server>, place: &Place) -> Result<Option<Map>, ApiError> {
    // Asking shall not make a database where there is none.
    if !place.folder().join("v2").is_dir() {
        return Ok(None);
    }
    let rows = Database::new(server, place.clone())
        .query(
            "_rmx_type == \"app\" | orderDesc(_rmx_created_at) | limit(1)",
            Map::new(),
        )
        .await?;
    Ok(rows.into_iter().next())
}

/// Whether programs of the app may see the texts of tokens.
pub async fn shows_tokens(server: &Arc<Server>, place: &Place) -> Result<bool, ApiError> {
    let record = of(server, place).await?;
    let settings = record.as_ref().and_then(|record| record.get("settings"));
    Ok(match settings {
        Some(Value::Map(settings)) => settings.get("tokenText") == Some(&Value::Bool(true)),
        _ => false,
    })
}

/// Metadata as it is shown: with the name, without what the record store keeps.
fn shown(place: &Place, record: Option<Map>) -> Value {
    let mut members = record.unwrap_or_default();
    members.retain(|name, _| !name.starts_with("_rmx_"));
    members.insert(Arc::from("name"), text(&place.app));
    Value::Map(members)
}

/// The settings of the runtime, a file among the programs of the app.
pub async fn runtime(place: &Place) -> Result<Done, ApiError> {
    let path = place.code().join("runtime.json");
    let found = on_disk(move || match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(facts) if facts.len() > MAX_RUNTIME => anyhow::bail!("runtime.json is too large"),
        Ok(_) => Ok(Some(fs::read_to_string(&path)?)),
    })
    .await?;
    let Some(found) = found else {
        return Err(ApiError::new(
            404,
            "not_found",
            "the app has no runtime settings",
        ));
    };
    match escjson::parse_plain(&found) {
        Ok(Value::Map(mut settings)) => {
            settings.insert(Arc::from("dbName"), text(&place.app));
            Ok(Done::Value(200, Value::Map(settings)))
        }
        _ => {
            tracing::error!(workspace = %place.workspace, app = %place.app, "runtime.json is no JSON object");
            Err(ApiError::internal())
        }
    }
}
