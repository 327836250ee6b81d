//! Options of a call.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mix_value::{Map, Value};

use super::error::QueryError;
use crate::view::AsOf;

/// Memory a query may use unless told otherwise.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;
const MAX_LABEL: usize = 200;

/// What a caller says beside the pipeline.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Values of the parameters.
    pub params: Map,
    /// Results left out at the start.
    pub skip: u64,
    /// Results at most.
    pub limit: Option<u64>,
    /// Tombstones are visible.
    pub include_deleted: bool,
    /// Superseded versions are visible.
    pub include_superseded: bool,
    /// A moment of the past: watermark, row count or time.
    pub as_of: Option<Value>,
    /// A name for logs.
    pub label: Option<Arc<str>>,
    /// Bytes for sorting, grouping and one result.
    pub max_bytes: usize,
    /// When the query is stopped.
    pub deadline: Option<Instant>,
    /// Set to true to stop the query.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for QueryOptions {
    fn default() -> QueryOptions {
        QueryOptions {
            params: Map::new(),
            skip: 0,
            limit: None,
            include_deleted: false,
            include_superseded: false,
            as_of: None,
            label: None,
            max_bytes: DEFAULT_MAX_BYTES,
            deadline: None,
            cancel: None,
        }
    }
}

impl QueryOptions {
    /// Reads the options of a call: `includeDeleted`, `includeSuperseded`,
    /// `includeHistory`, `skip`, `limit`, `asOf`, `params`, `label`,
    /// `unrestricted`. Null and undefined mean absent; other members are left
    /// to the caller.
    pub fn from_map(map: &Map) -> Result<QueryOptions, QueryError> {
        let member = |name: &str| {
            map.get(name)
                .filter(|value| !value.is_null() && !value.is_undefined())
        };
        let flag = |name: &str| match member(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(QueryError::type_error(format!(
                "{name} must be true or false"
            ))),
        };
        let count = |name: &str| match member(name) {
            None => Ok(None),
            Some(value) => match value.as_int().and_then(|n| u64::try_from(n).ok()) {
                Some(n) => Ok(Some(n)),
                None => Err(QueryError::type_error(format!(
                    "{name} must be an int from 0 on"
                ))),
            },
        };
        flag("unrestricted")?;
        Ok(QueryOptions {
            params: match member("params") {
                None => Map::new(),
                Some(Value::Map(params)) => params.clone(),
                Some(_) => return Err(QueryError::type_error("params must be a map")),
            },
            skip: count("skip")?.unwrap_or(0),
            limit: count("limit")?,
            include_deleted: flag("includeDeleted")?,
            include_superseded: flag("includeSuperseded")? | flag("includeHistory")?,
            as_of: match member("asOf") {
                Some(moment) if AsOf::from_value(moment).is_err() => {
                    return Err(QueryError::type_error(
                        "asOf must be a watermark, a row count or a time",
                    ));
                }
                moment => moment.cloned(),
            },
            label: match member("label") {
                None => None,
                Some(Value::String(label)) if label.len() <= MAX_LABEL => Some(label.clone()),
                Some(_) => {
                    return Err(QueryError::type_error(
                        "label must be a string of at most 200 bytes",
                    ));
                }
            },
            ..QueryOptions::default()
        })
    }
}
