//! Grants of a workspace, an app or an agent.

use crate::Server;
use crate::identity::Admitted;
use crate::records::{map, text};
use mix_http_api::{ApiError, Done, Route, is_inside, scope};
use mix_identity::Grant;
use mix_value::Value;
use std::sync::Arc;

pub async fn list(server: &Arc<Server>, route: &Route) -> Result<Done, ApiError> {
    let rights = server.grants.of(&route.ws).await?;
    let scope = scope(route);
    let grants = rights
        .grants()
        .filter(|(_, grant)| is_inside(&grant.resource, &scope))
        .map(|(id, grant)| value(id, grant));
    Ok(Done::Value(200, Value::Array(grants.collect())))
}

pub async fn add(
    server: &Arc<Server>,
    who: &Admitted,
    route: &Route,
    grant: Grant,
) -> Result<Done, ApiError> {
    let (id, is_new) = server.grants.add(&route.ws, grant.clone()).await?;
    if is_new {
        log("granted", who, route, &grant);
    }
    let status = if is_new { 201 } else { 200 };
    Ok(Done::Value(status, value(&id, &grant)))
}

pub async fn get(server: &Arc<Server>, route: &Route) -> Result<Done, ApiError> {
    let grant = find(server, route).await?;
    Ok(Done::Value(200, value(&route.id, &grant)))
}

pub async fn delete(server: &Arc<Server>, who: &Admitted, route: &Route) -> Result<Done, ApiError> {
    let grant = find(server, route).await?;
    server
        .grants
        .remove(&route.ws, std::slice::from_ref(&route.id))
        .await?;
    log("revoked", who, route, &grant);
    Ok(Done::Nothing)
}

async fn find(server: &Arc<Server>, route: &Route) -> Result<Grant, ApiError> {
    let rights = server.grants.of(&route.ws).await?;
    let scope = scope(route);
    let found = rights
        .grants()
        .find(|(id, grant)| *id == route.id && is_inside(&grant.resource, &scope));
    match found {
        Some((_, grant)) => Ok(grant.clone()),
        None => Err(ApiError::new(404, "not_found", "no such grant here")),
    }
}

fn value(id: &str, grant: &Grant) -> Value {
    map([
        ("id", text(id)),
        ("subject", text(&grant.subject.to_string())),
        ("role", text(&grant.role.to_string())),
        ("resource", text(&grant.resource.to_string())),
    ])
}

fn log(what: &str, who: &Admitted, route: &Route, grant: &Grant) {
    tracing::info!(
        target: "mixer::grants",
        actor = %who.caller.name(),
        workspace = %route.ws,
        subject = %grant.subject,
        role = %grant.role,
        resource = %grant.resource,
        "{what}"
    );
}
