//! Apps and what they offer.

use super::{may, metadata, names, workspaces};
use crate::programs::Missing;
use crate::server::Server;
use crate::server::identity::Admitted;
use crate::server::records::{map, text};
use crate::server::runs::missing_outcome;
use crate::workspace::Place;
use mix_http_api::{ApiError, Done, is_agent_name};
use mix_identity::{Permission, Resource, Target};
use mix_value::{Map, Value};
use std::sync::Arc;

pub async fn get(server: &Arc<Server>, who: &Admitted, place: &Place) -> Result<Done, ApiError> {
    let mut agents = Vec::new();
    for agent in server.programs.agents(place) {
        let target = Target::Agent(place.app.clone(), agent.clone());
        if is_agent_name(&agent)
            && may(server, who, &place.workspace, Permission::Run, &target).await?
        {
            agents.push(agent);
        }
    }
    agents.sort();
    agents.dedup();
    Ok(Done::Value(
        200,
        map([("name", text(&place.app)), ("agents", names(agents))]),
    ))
}

pub async fn create(server: &Arc<Server>, place: &Place, members: Map) -> Result<Done, ApiError> {
    let _presence = server
        .occupancy
        .enter(&place.workspace, &place.app)
        .ok_or_else(|| ApiError::new(409, "exists", "the app is being deleted"))?;
    if place.folder().is_dir() {
        return Err(ApiError::new(409, "exists", "the app exists"));
    }
    metadata::make(place).await?;
    metadata::save(server, place, members).await?;
    Ok(Done::Value(201, map([("name", text(&place.app))])))
}

pub async fn delete(server: &Arc<Server>, place: &Place) -> Result<Done, ApiError> {
    let missing = || ApiError::new(404, "no_such_app", "no such app");
    let Some(_closed) = server.occupancy.close(&place.workspace, &place.app).await else {
        return Err(missing());
    };
    server.assembly.close(&place.folder()).await;
    server.programs.forget(&place.folder());
    if !workspaces::remove(&server.ws_dir, place.folder()).await? {
        return Err(missing());
    }
    let rights = server.grants.of(&place.workspace).await?;
    let of_app: Vec<String> = rights
        .grants()
        .filter(|(_, grant)| match &grant.resource {
            Resource::Db(app) | Resource::Agent(app, _) => *app == place.app,
            Resource::Workspace | Resource::Command(_) => false,
        })
        .map(|(id, _)| id.to_owned())
        .collect();
    server.grants.remove(&place.workspace, &of_app).await?;
    Ok(Done::Nothing)
}

/// Parameters and output of an agent.
pub fn describe(server: &Arc<Server>, place: &Place, agent: &str) -> Result<Done, ApiError> {
    let refused = |missing: Missing| {
        missing_outcome(missing)
            .error(agent)
            .unwrap_or_else(ApiError::internal)
    };
    let program = server.programs.find(place, agent).map_err(refused)?;
    let params = program
        .params(agent)
        .ok_or_else(|| refused(Missing::Agent))?;
    let described = |name: &str, kind: &str, optional: bool| {
        map([
            ("name", text(name)),
            ("type", text(kind)),
            ("optional", Value::Bool(optional)),
        ])
    };
    let in_params = params
        .iter()
        .map(|param| described(&param.name, &param.kind, param.optional));
    Ok(Done::Value(
        200,
        map([
            ("name", text(agent)),
            ("description", text("")),
            ("kind", text("agent")),
            ("inParams", Value::Array(in_params.collect())),
            (
                "outParams",
                Value::Array(vec![described("output", "data", false)]),
            ),
        ]),
    ))
}
