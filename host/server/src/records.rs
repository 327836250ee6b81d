//! Calls of the record store: for requests, and for what the server keeps itself.

use super::Server;
use mix_http_api::{ApiError, CallFailure, FamilyCall};
use mix_runtime::assembly::Assembly;
use mix_runtime::bindings::Failure;
use mix_runtime::run;
use mix_runtime::run_context::RunContext;
use mix_runtime::stream::HostReply;
use mix_runtime::workspace::Place;
use mix_value::{Map, Value, msgpack};
use std::sync::Arc;
use std::time::Duration;

/// User name of the server's own calls.
const SYSTEM: &str = "_rmx_system";

/// Time of what the server asks for itself, whatever callers have.
pub const OWN_TIME: Duration = Duration::from_secs(30);

/// Answers a request to the record store.
pub async fn answer(
    server: &Arc<Server>,
    place: Place,
    user: &str,
    call: FamilyCall,
) -> mix_http_api::Response {
    let Ok(_slot) = server.calls.acquire(&place.workspace).await else {
        return call.refuse(ApiError::new(503, "busy", "too many calls of records wait"));
    };
    let result = perform(
        &server.assembly,
        place,
        user,
        call.function,
        &call.args,
        server.query_timeout,
    )
    .await;
    if let Err(failure) = &result {
        tracing::debug!(request = %call.request_id, code = %failure.code, "{}", failure.message);
    }
    call.finish(result)
}

/// The database of an app, as the server itself uses it.
pub struct Database {
    assembly: Arc<Assembly>,
    place: Place,
    time: Duration,
}

impl Database {
    /// The records of an app.
    pub fn new(server: &Server, place: Place) -> Database {
        Database {
            assembly: server.assembly.clone(),
            place,
            time: OWN_TIME,
        }
    }

    /// The same for a query of a caller, who has so much time.
    pub fn within(self, time: Duration) -> Database {
        Database { time, ..self }
    }

    /// All rows of a query.
    pub async fn query(&self, query: &str, params: Map) -> Result<Vec<Map>, ApiError> {
        let request = map([("query", text(query)), ("params", Value::Map(params))]);
        let rows = self.rows(request).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row {
                Value::Map(row) => Some(row),
                _ => None,
            })
            .collect())
    }

    /// All rows of a request to the query endpoint.
    pub async fn rows(&self, request: Value) -> Result<Vec<Value>, ApiError> {
        match self.call("$db_http_query", request).await? {
            Value::Map(mut answer) => match answer.remove("rows") {
                Some(Value::Array(rows)) => Ok(rows),
                _ => Err(ApiError::internal()),
            },
            _ => Err(ApiError::internal()),
        }
    }

    /// What the query endpoint answers.
    pub async fn answer(&self, request: Value) -> Result<Value, ApiError> {
        self.call("$db_http_query", request).await
    }

    /// The clauses of a query: the request has its text or its clauses.
    pub async fn parse(&self, request: Value) -> Result<Value, ApiError> {
        match self.call("$db_http_parse", request).await? {
            Value::Map(mut answer) => answer.remove("ast").ok_or_else(ApiError::internal),
            _ => Err(ApiError::internal()),
        }
    }

    /// Names of the parameters of a query.
    pub async fn params(&self, ast: Value) -> Result<Vec<String>, ApiError> {
        let answer = self
            .call("$db_http_parse", map([("queryAST", ast)]))
            .await?;
        let Value::Map(mut answer) = answer else {
            return Err(ApiError::internal());
        };
        let Some(Value::Array(names)) = answer.remove("params") else {
            return Err(ApiError::internal());
        };
        Ok(names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }

    /// One record, or `not_found` or `deleted`.
    pub async fn get(&self, id: &str) -> Result<Map, ApiError> {
        match self.call("$db_http_get", text(id)).await? {
            Value::Map(record) => Ok(record),
            _ => Err(ApiError::internal()),
        }
    }

    /// Saves one record and gives what is stored.
    pub async fn save(&self, record: Map) -> Result<Map, ApiError> {
        let request = map([
            ("records", Value::Array(vec![Value::Map(record)])),
            ("op", text("save")),
            ("want", text("records")),
        ]);
        let saved = match self.call("$db_http_save", request).await? {
            Value::Map(mut answer) => answer.remove("records"),
            _ => None,
        };
        match saved {
            Some(Value::Array(records)) => match records.into_iter().next() {
                Some(Value::Map(record)) => Ok(record),
                _ => Err(ApiError::internal()),
            },
            _ => Err(ApiError::internal()),
        }
    }

    /// Deletes records that may be gone already.
    pub async fn delete(&self, ids: &[String]) -> Result<(), ApiError> {
        let request = map([
            (
                "records",
                Value::Array(ids.iter().map(|id| text(id)).collect()),
            ),
            ("op", text("delete")),
            ("want", text("none")),
        ]);
        self.call("$db_http_save", request).await.map(|_| ())
    }

    async fn call(&self, function: &'static str, request: Value) -> Result<Value, ApiError> {
        perform(
            &self.assembly,
            self.place.clone(),
            SYSTEM,
            function,
            // Null is the app's own database.
            &Value::Array(vec![Value::Null, request]),
            self.time,
        )
        .await
        .map_err(|failure| {
            tracing::debug!(function, code = %failure.code, "{}", failure.message);
            failure.error(function == "$db_http_query")
        })
    }
}

/// Calls a function of a family for a user.
pub async fn perform(
    assembly: &Arc<Assembly>,
    place: Place,
    user: &str,
    function: &'static str,
    args: &Value,
    time: Duration,
) -> Result<Value, CallFailure> {
    let target = assembly.find(function).ok_or_else(|| CallFailure {
        code: "ERR_FFI_MISSING".to_owned(),
        message: format!("no plugin offers {function}"),
        detail: None,
    })?;
    let args = msgpack::encode(args).map_err(|error| {
        let code = match error {
            msgpack::EncodeError::TooDeep => "too_deep",
            msgpack::EncodeError::TooLarge => "too_large",
        };
        CallFailure {
            code: "ERR_VALUE".to_owned(),
            message: format!("the request cannot be handed to the record store: {error}"),
            detail: Some(map([("code", text(code))])),
        }
    })?;
    let who = run::caller(&place, "", user, Some(time));
    let context = RunContext::new(assembly.clone(), place, who, None, None, &[]);
    match tokio::time::timeout(time, context.start_target(target, args)).await {
        Err(_) => Err(CallFailure {
            code: "ERR_TIMEOUT".to_owned(),
            message: "the record store did not answer in time".to_owned(),
            detail: None,
        }),
        Ok(Err(failure)) => Err(call_failure(failure)),
        Ok(Ok(HostReply::One(bytes))) => {
            msgpack::decode(&bytes).map_err(|error| unusable(function, &error.to_string()))
        }
        Ok(Ok(HostReply::Many(_))) => Err(unusable(function, "a stream instead of a value")),
    }
}

fn call_failure(failure: Failure) -> CallFailure {
    CallFailure {
        code: failure.code,
        message: failure.message,
        detail: failure
            .detail
            .and_then(|bytes| msgpack::decode(&bytes).ok()),
    }
}

fn unusable(function: &str, reason: &str) -> CallFailure {
    tracing::error!(function, reason, "unusable reply");
    CallFailure {
        code: "ERR_INTERNAL".to_owned(),
        message: "unusable reply".to_owned(),
        detail: None,
    }
}

/// A string value.
pub fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

/// A map value.
pub fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (Arc::from(name), value))
            .collect(),
    )
}
