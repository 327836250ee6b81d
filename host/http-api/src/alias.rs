//! Aliases: records that give an agent a further name, and fix some of its parameters.

use crate::error::ApiError;
use crate::run::AgentRun;
use mix_value::{Map, Value, msgpack};
use std::sync::Arc;

/// Of several records with the name, the one that was made last.
const QUERY: &str = "_rmx_type == $kind && name == $name | orderDesc(_rmx_created_at) | limit(1)";

/// The request to the query endpoint for what is registered under a name: `agent_alias` or `cloud_query`.
pub fn lookup(kind: &str, name: &str) -> Map {
    let text = |text: &str| Value::String(Arc::from(text));
    let params = Map::from([
        (Arc::from("kind"), text(kind)),
        (Arc::from("name"), text(name)),
    ]);
    Map::from([
        (Arc::from("query"), text(QUERY)),
        (Arc::from("params"), Value::Map(params)),
    ])
}

/// The record among the rows that a query answered with.
pub fn found(answer: Value) -> Result<Option<Map>, ApiError> {
    let Value::Map(mut answer) = answer else {
        return Err(ApiError::internal());
    };
    match answer.remove("rows") {
        Some(Value::Array(rows)) => Ok(rows.into_iter().find_map(|row| match row {
            Value::Map(record) => Some(record),
            _ => None,
        })),
        _ => Err(ApiError::internal()),
    }
}

/// What stands behind the name of an alias. It is one level: an agent, no other alias.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// Its own name.
    pub name: String,
    /// The agent.
    pub agent: String,
    /// Parameters that win over those of the caller.
    pub fixed: Map,
    /// What it says about itself.
    pub description: String,
}

impl Alias {
    /// Kind of its record.
    pub const KIND: &str = "agent_alias";

    /// The alias of that name, by its record.
    pub fn of(name: &str, record: &Map) -> Result<Alias, ApiError> {
        let Some(agent) = record.get("aliasTo").and_then(Value::as_str) else {
            return Err(bad(name, "names no agent"));
        };
        let fixed = match record.get("fixedParams") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Map(fixed)) => fixed.clone(),
            Some(_) => return Err(bad(name, "has fixedParams that are no map")),
        };
        let description = record.get("description").and_then(Value::as_str);
        Ok(Alias {
            name: name.to_owned(),
            agent: agent.to_owned(),
            fixed,
            description: description.unwrap_or_default().to_owned(),
        })
    }

    /// What to answer if there is no such agent.
    pub fn leads_nowhere(&self) -> ApiError {
        bad(&self.name, "leads to no agent")
    }
}

fn bad(name: &str, why: &str) -> ApiError {
    ApiError::new(409, "bad_alias", format!("alias {name} {why}"))
}

impl AgentRun {
    /// Puts the parameters that an alias fixes over those of the caller.
    pub fn fix(&mut self, fixed: Map) -> Result<(), ApiError> {
        if fixed.is_empty() {
            return Ok(());
        }
        let Ok(Value::Map(mut params)) = msgpack::decode(&self.params) else {
            return Err(ApiError::internal());
        };
        params.extend(fixed);
        self.params = msgpack::encode(&Value::Map(params)).map_err(|_| ApiError::internal())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(members: &[(&str, Value)]) -> Map {
        let members = members.iter().cloned();
        members
            .map(|(name, value)| (Arc::from(name), value))
            .collect()
    }

    #[test]
    fn a_record_is_an_alias_or_a_bad_one() {
        let fixed = record(&[("n", Value::Int(1))]);
        let good = record(&[
            ("aliasTo", Value::from("report")),
            ("fixedParams", Value::Map(fixed.clone())),
        ]);
        let alias = Alias::of("top", &good).expect("an alias");
        assert_eq!((&*alias.agent, &alias.fixed), ("report", &fixed));
        assert_eq!(alias.leads_nowhere().code, "bad_alias");
        for bad in [
            record(&[]),
            record(&[("aliasTo", Value::Int(1))]),
            record(&[
                ("aliasTo", Value::from("a")),
                ("fixedParams", Value::Int(1)),
            ]),
        ] {
            assert_eq!(Alias::of("top", &bad).expect_err("bad").status, 409);
        }
    }

    #[test]
    fn the_record_is_the_first_of_the_rows() {
        let rows = |rows: Vec<Value>| Value::Map(record(&[("rows", Value::Array(rows))]));
        let one = record(&[("aliasTo", Value::from("a"))]);
        let several = rows(vec![Value::Map(one.clone()), Value::Null]);
        assert_eq!(found(several).expect("rows"), Some(one));
        assert_eq!(found(rows(Vec::new())).expect("rows"), None);
        assert!(found(Value::Null).is_err());
    }
}
