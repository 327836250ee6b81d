//! Apps and what they offer.

use super::{may, metadata, names, packages, workspaces};
use crate::Server;
use crate::identity::Admitted;
use crate::named::enter;
use crate::records::{Database, map, text};
use crate::registered::{self, Runnable};
use mix_http_api::{ApiError, Done, described, is_agent_name};
use mix_identity::{Permission, Resource, Subject, Target};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::sync::Arc;

pub async fn get(server: &Arc<Server>, who: &Admitted, place: &Place) -> Result<Done, ApiError> {
    let mut agents = Vec::new();
    let mut offered = server.programs.agents(place);
    offered.extend(registered::names(server, place).await?);
    for agent in offered {
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
    let _turn = metadata::turn(server, place).await;
    if !metadata::make(place).await? {
        return Err(ApiError::new(409, "exists", "the app exists"));
    }
    metadata::save_first(server, place, members).await?;
    Ok(Done::Value(201, map([("name", text(&place.app))])))
}

pub async fn delete(server: &Arc<Server>, place: &Place) -> Result<Done, ApiError> {
    // The workspace stays meanwhile, and no install is at work in the app.
    let _presence = enter(server, &place.workspace, "").await?;
    let _turn = packages::turn(server, &place.workspace).await?;
    let Some(_closed) = server.occupancy.close(&place.workspace, &place.app).await else {
        return Err(ApiError::no_such_app());
    };
    server.assembly.close(&place.folder()).await;
    server.programs.forget(&place.folder());
    let _held = workspaces::clear(server, &place.workspace, Some(&place.app)).await?;
    server.files.usage.forget(&place.workspace);
    // Before the app: if this breaks off, no grants wait for another app of its name.
    let rights = server.grants.of(&place.workspace).await?;
    let of_app: Vec<String> = rights
        .grants()
        .filter(|(_, grant)| {
            is_inside(&grant.resource, &place.app) || is_agent_of(server, &grant.subject, place)
        })
        .map(|(id, _)| id.to_owned())
        .collect();
    server.grants.remove(&place.workspace, &of_app).await?;
    server.links.forget(&place.workspace, Some(&place.app));
    server.forget_topics(&place.workspace, Some(&place.app));
    match workspaces::remove(&server.ws_dir, place.folder()).await? {
        true => Ok(Done::Nothing),
        false => Err(ApiError::no_such_app()),
    }
}

fn is_inside(resource: &Resource, of: &str) -> bool {
    match resource {
        Resource::Db(app) | Resource::Agent(app, _) => app == of,
        Resource::Workspace | Resource::Command(_) => false,
    }
}

/// Whether a subject is an agent of the app, on this server.
fn is_agent_of(server: &Server, subject: &Subject, place: &Place) -> bool {
    match subject {
        Subject::Agent {
            server: name,
            workspace,
            app,
            ..
        } => server.is_called(name) && *workspace == place.workspace && *app == place.app,
        _ => false,
    }
}

/// Parameters and output of what a name stands for.
pub async fn describe(server: &Arc<Server>, place: &Place, name: &str) -> Result<Done, ApiError> {
    let told = match registered::find(server, place, name).await? {
        Runnable::Agent {
            program,
            agent,
            fixed,
            alias,
        } => {
            let kind = if alias.is_some() { "alias" } else { "agent" };
            let arguments = program.arguments(&agent).unwrap_or_default();
            let params = arguments.iter().map(|param| described::Parameter {
                name: param.name.clone(),
                kind: param.kind.clone(),
                optional: param.optional,
            });
            let description = alias.unwrap_or_else(|| program.description(&agent).to_owned());
            described::agent(name, kind, &description, params, &fixed)
        }
        Runnable::Query(record) => {
            let ast = record.get("ast").cloned().unwrap_or(Value::Null);
            let params = Database::new(server, place.clone()).params(ast).await?;
            described::query(name, &record, params)
        }
    };
    Ok(Done::Value(200, told))
}
