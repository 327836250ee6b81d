//! What an app offers besides its agents: aliases and registered queries, records of its database.

use super::Server;
use super::records::Database;
use mix_http_api::alias::{Alias, found, lookup};
use mix_http_api::{AgentRun, ApiError, RunOutcome};
use mix_runtime::programs::{Executable, Missing};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::sync::Arc;

/// What a name stands for.
pub enum Runnable {
    /// An agent of a program, under its own name.
    Agent {
        /// The program.
        program: Arc<Executable>,
        /// Name in the program.
        agent: String,
        /// Parameters of an alias, which win over the caller's.
        fixed: Map,
        /// Description of an alias.
        alias: Option<String>,
    },
    /// A registered query, with its record.
    Query(Map),
}

/// Agents before aliases before registered queries.
pub async fn find(server: &Arc<Server>, place: &Place, name: &str) -> Result<Runnable, ApiError> {
    let missing = match server.programs.find(place, name) {
        Ok(program) => {
            return Ok(Runnable::Agent {
                program,
                agent: name.to_owned(),
                fixed: Map::new(),
                alias: None,
            });
        }
        Err(missing) => missing,
    };
    if matches!(missing, Missing::Agent | Missing::Damaged(_))
        && let Some(alias) = record(server, place, Alias::KIND, name).await?
    {
        return target(server, place, Alias::of(name, &alias)?);
    }
    if matches!(missing, Missing::Agent | Missing::Damaged(_))
        && let Some(query) = query(server, place, name).await?
    {
        return Ok(Runnable::Query(query));
    }
    let outcome = super::runs::missing_outcome(missing);
    Err(outcome.error(name).unwrap_or_else(ApiError::internal))
}

/// One level only: an alias of an alias, or of nothing, is none.
fn target(server: &Arc<Server>, place: &Place, alias: Alias) -> Result<Runnable, ApiError> {
    match server.programs.find(place, &alias.agent) {
        Ok(program) => Ok(Runnable::Agent {
            program,
            agent: alias.agent,
            fixed: alias.fixed,
            alias: Some(alias.description),
        }),
        Err(_) => Err(alias.leads_nowhere()),
    }
}

/// The record of a registered query.
pub async fn query(
    server: &Arc<Server>,
    place: &Place,
    name: &str,
) -> Result<Option<Map>, ApiError> {
    record(server, place, mix_http_api::registered::KIND, name).await
}

/// Names of aliases and registered queries.
pub async fn names(server: &Arc<Server>, place: &Place) -> Result<Vec<String>, ApiError> {
    if !has_records(place) {
        return Ok(Vec::new());
    }
    let rows = Database::new(server, place.clone())
        .query(
            "_rmx_type == \"agent_alias\" || _rmx_type == \"cloud_query\" | {name}",
            Map::new(),
        )
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| match row.get("name") {
            Some(Value::String(name)) => Some(name.to_string()),
            _ => None,
        })
        .collect())
}

async fn record(
    server: &Arc<Server>,
    place: &Place,
    kind: &str,
    name: &str,
) -> Result<Option<Map>, ApiError> {
    if !has_records(place) {
        return Ok(None);
    }
    let request = Value::Map(lookup(kind, name));
    found(Database::new(server, place.clone()).answer(request).await?)
}

/// Asking shall not make a database where there is none.
pub fn has_records(place: &Place) -> bool {
    place.folder().join("v2").is_dir()
}

/// Runs a registered query: no code, the rights of the app.
pub async fn run(
    server: &Arc<Server>,
    place: Place,
    query: &Map,
    run: &AgentRun,
) -> Result<RunOutcome, ApiError> {
    let request = mix_http_api::registered::request(query, run)?;
    let _slot = match server.calls.acquire(&place.workspace).await {
        Ok(slot) => slot,
        Err(none) => return Ok(none.outcome()),
    };
    let database = Database::new(server, place).within(server.query_timeout);
    let answer = database.answer(request).await?;
    mix_http_api::registered::output(answer).map(RunOutcome::Output)
}
