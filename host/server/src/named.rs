//! What a request names: that it is there, and that it stays there while the request is answered.

use super::Server;
use super::maintained;
use super::occupancy::{Presence, Refused};
use super::registered::{self, Runnable};
use mix_http_api::{Action, ApiError, Job, Managed, Route};
use mix_runtime::workspace::Place;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an app that is being changed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the path names must be there before the body is read. `None`: it names no app, or one that
/// the request makes.
pub fn existing(server: &Server, route: &Route) -> Result<Option<Place>, ApiError> {
    // Links may be made to what is not there yet, so that making one tells nothing.
    if route.ws.is_empty() || route.action == Action::CreateLink {
        return Ok(None);
    }
    let makes_app = matches!(route.action, Action::CreateApp | Action::PutAppmeta);
    // Grants may speak of apps that are not there yet.
    let about_grants = matches!(
        route.action,
        Action::ListGrants | Action::AddGrant | Action::GetGrant | Action::DeleteGrant
    );
    let app = if route.app.is_empty() {
        "_rmx_none"
    } else {
        &route.app
    };
    let place =
        Place::new(&server.ws_dir, &route.ws, app).map_err(|_| ApiError::bad_name("app"))?;
    let has_app = !(route.app.is_empty() || makes_app || about_grants);
    // An app is inside its workspace.
    if has_app && place.folder().is_dir() {
        return Ok(Some(place));
    }
    if !place.workspace_folder().is_dir() {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    }
    match has_app {
        true => Err(ApiError::no_such_app()),
        false => Ok(None),
    }
}

/// What a request to run something means; `None` for other requests. It is looked up inside the app:
/// records that are opened while the app is deleted would stay open on a folder that is gone.
pub async fn looked_up(
    server: &Arc<Server>,
    place: &Place,
    route: &Route,
) -> Result<Option<Runnable>, ApiError> {
    if !matches!(route.action, Action::RunAgent | Action::RunQuery) {
        return Ok(None);
    }
    let _presence = enter(server, &place.workspace, &place.app).await?;
    if route.action == Action::RunAgent {
        return registered::find(server, place, &route.name).await.map(Some);
    }
    match registered::query(server, place, &route.name).await? {
        Some(query) => Ok(Some(Runnable::Query(query))),
        None => {
            let message = "no registered query of that name";
            Err(ApiError::new(404, "not_found", message))
        }
    }
}

/// Enters an app, or the workspace if there is none, as soon as nobody changes it.
pub async fn enter(server: &Arc<Server>, ws: &str, app: &str) -> Result<Presence, ApiError> {
    let entered = server.occupancy.enter_soon(ws, app, PATIENCE).await;
    entered.map_err(|refused| match refused {
        Refused::Deleted if app.is_empty() => ApiError::new(404, "no_such_ws", "no such workspace"),
        Refused::Deleted => ApiError::no_such_app(),
        Refused::Busy => ApiError::new(503, "busy", "the app is being changed; try again"),
    })
}

/// What works in a place is there while the place is not being deleted; what makes or deletes a
/// place sees to that itself.
pub async fn enter_for(
    server: &Arc<Server>,
    managed: &Managed,
) -> Result<Option<Presence>, ApiError> {
    let route = &managed.route;
    let by_itself = matches!(
        managed.job,
        Job::CreateWorkspace(_) | Job::DeleteWorkspace | Job::CreateApp(_) | Job::DeleteApp
    );
    if by_itself || route.ws.is_empty() {
        return Ok(None);
    }
    // Work on the records as a whole keeps others out, who wait; more of its kind does not.
    if matches!(managed.job, Job::Modify(_)) && server.maintained.is_at(&route.ws, &route.app) {
        return Err(maintained::refused());
    }
    enter(server, &route.ws, &route.app).await.map(Some)
}
