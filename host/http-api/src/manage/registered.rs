//! Bodies about registered queries.

use super::Job;
use crate::body::{object, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::form::Params;
use crate::head::Head;
use crate::names::is_agent_name;
use crate::route::Route;
use mix_value::{Map, Value};
use std::sync::Arc;

const MEMBERS: [&str; 9] = [
    "ast",
    "query",
    "description",
    "db",
    "skip",
    "limit",
    "include_superseded",
    "include_deleted",
    "params",
];

/// `{ast|query, description?, db?, skip?, limit?, include_superseded?, include_deleted?, params?}`;
/// old clients send the name in it.
pub(super) fn put(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    let name = match (route.v0, route.name.is_empty()) {
        (true, true) => take_text(&mut members, "name")?
            .ok_or_else(|| ApiError::bad_param("name is missing"))?,
        (false, true) => {
            return Err(ApiError::new(400, "bad_name", "the name parse is reserved"));
        }
        _ => route.name.clone(),
    };
    if !is_agent_name(&name) || name == "parse" {
        return Err(ApiError::bad_name("query"));
    }
    refuse_unknown(&members, &MEMBERS)?;
    for (member, value) in &members {
        let fits = match member.as_ref() {
            "ast" => matches!(value, Value::Array(_)),
            "query" | "description" => matches!(value, Value::String(_)),
            "db" => matches!(value, Value::String(db) if **db == *route.app),
            "skip" | "limit" => matches!(value, Value::Int(number) if *number >= 0),
            "include_superseded" | "include_deleted" => matches!(value, Value::Bool(_)),
            _ => matches!(value, Value::Map(_)),
        };
        if !fits {
            return Err(ApiError::bad_param(match member.as_ref() {
                "db" => "db must be the app itself".to_owned(),
                _ => format!("{member} has the wrong type"),
            }));
        }
    }
    let mut source = Map::new();
    match (members.remove("query"), members.remove("ast")) {
        (Some(query), None) => source.insert(Arc::from("query"), query),
        (None, Some(ast)) => source.insert(Arc::from("queryAST"), ast),
        _ => {
            return Err(ApiError::bad_param(
                "exactly one of query and ast is needed",
            ));
        }
    };
    Ok(Job::PutQuery {
        name,
        source,
        members,
    })
}

/// The member of `?data=…`, by default `data`.
pub(super) fn raw(head: &Head) -> Result<Job, ApiError> {
    let field = Params::of(head)?.text("data")?;
    Ok(Job::Raw(field.unwrap_or_else(|| "data".to_owned())))
}
