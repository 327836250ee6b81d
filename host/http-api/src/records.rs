//! Documents, save and query: requests to the record store.
//!
//! The shape of a request is checked here; what its members mean is the
//! store's, reached as functions of the `db` family.

use crate::body::{check_charset, refuse_unknown, value_with};
use crate::call_failure::CallFailure;
use crate::conditional::is_known;
use crate::error::ApiError;
use crate::form::{boolean, only, parse_pairs, twice};
use crate::head::Head;
use crate::json;
use crate::plan::Settings;
use crate::response::{self, Format, Frame, Response, TEXT};
use mix_value::escjson::UndefinedMembers;
use mix_value::{Map, Value};
use std::sync::Arc;

/// Records of one POST to `documents`.
const MAX_RECORDS: usize = 100_000;

/// A function of the `db` family to be called.
#[derive(Debug, Clone)]
pub struct FamilyCall {
    /// Workspace.
    pub workspace: String,
    /// App.
    pub app: String,
    /// `$db_http_…`.
    pub function: &'static str,
    /// Arguments: one array, the first item null for the app's own database.
    pub args: Value,
    /// Id of the request.
    pub request_id: String,
    answer: Answer,
    format: Format,
    frame: Frame,
}

/// What the result is turned into.
#[derive(Debug, Clone)]
enum Answer {
    /// The value as it is.
    Value,
    /// The same, with what is undefined in it.
    Tree,
    /// Ids joined by newlines, 201.
    Ids,
    /// 204.
    Nothing,
    /// `{deleted, not_found, error}` of the ids asked for.
    Deleted {
        asked: Vec<String>,
        malformed: Vec<String>,
    },
    /// Rows with `ETag` and `X-Watermark`.
    Rows {
        request: String,
        if_none_match: Option<String>,
    },
}

/// The endpoints of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    PostDocuments,
    DeleteDocuments,
    GetDocument(String),
    DeleteDocument(String),
    Save,
    Query,
    Parse,
}

/// What the head decides.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    endpoint: Endpoint,
    pairs: Vec<(String, String)>,
    format: Format,
}

/// Checks the query string and `Accept`.
pub(crate) fn prepare(endpoint: Endpoint, head: &Head) -> Result<Prepared, ApiError> {
    let mut pairs = parse_pairs(head.query())?;
    pairs.retain(|(name, _)| name != "token");
    let format = match endpoint {
        Endpoint::PostDocuments | Endpoint::DeleteDocument(_) => Format::Json { tags: true },
        _ => response::value_format(head)?,
    };
    Ok(Prepared {
        endpoint,
        pairs,
        format,
    })
}

/// The call, once the body is there.
pub(crate) fn with_body(
    _settings: &Settings,
    head: &Head,
    frame: Frame,
    (workspace, app): (String, String),
    prepared: Prepared,
    body: &[u8],
) -> Result<FamilyCall, ApiError> {
    let Prepared {
        endpoint,
        pairs,
        format,
    } = prepared;
    let (function, argument, answer) = match endpoint {
        Endpoint::PostDocuments => post_documents(head, &pairs, body)?,
        Endpoint::DeleteDocuments => delete_documents(head, &pairs, body)?,
        Endpoint::GetDocument(id) => ("$db_http_get", text(&id), Answer::Value),
        Endpoint::DeleteDocument(id) => ("$db_http_delete", text(&id), Answer::Nothing),
        Endpoint::Save => (
            "$db_http_save",
            save(records_body(head, body)?)?,
            Answer::Value,
        ),
        Endpoint::Query => query(head, pairs, body)?,
        Endpoint::Parse => parse(head, pairs, body)?,
    };
    Ok(FamilyCall {
        workspace,
        app,
        function,
        args: Value::Array(vec![Value::Null, argument]),
        request_id: frame.request_id.clone(),
        answer,
        format,
        frame,
    })
}

/// A body with records, in which an undefined member is one that is to be removed.
fn records_body(head: &Head, body: &[u8]) -> Result<Value, ApiError> {
    value_with(head, body, UndefinedMembers::Keep)
}

type Call = (&'static str, Value, Answer);

fn post_documents(head: &Head, pairs: &[(String, String)], body: &[u8]) -> Result<Call, ApiError> {
    let records = match records_body(head, body)? {
        Value::Array(items) => items,
        one @ Value::Map(_) => vec![one],
        _ => {
            return Err(ApiError::bad_param(
                "the body must be a record or an array of records",
            ));
        }
    };
    if records.len() > MAX_RECORDS {
        return Err(ApiError::bad_param(format!(
            "more than {MAX_RECORDS} records in one request"
        )));
    }
    let options = pairs
        .iter()
        .filter(|(name, _)| name == "options")
        .flat_map(|(_, list)| list.split(','))
        .filter(|name| !name.is_empty())
        .map(text)
        .collect();
    let request = map([
        ("records", Value::Array(records)),
        ("op", text("save")),
        ("options", Value::Array(options)),
        ("want", text("ids")),
    ]);
    Ok(("$db_http_save", request, Answer::Ids))
}

fn delete_documents(
    head: &Head,
    pairs: &[(String, String)],
    body: &[u8],
) -> Result<Call, ApiError> {
    let form;
    let in_query = only(pairs, "ids")?;
    let ids = match in_query {
        Some(ids) => ids,
        None => {
            if head.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
                return Err(ApiError::bad_param(
                    "ids is missing: a JSON array of record ids",
                ));
            }
            check_charset(head)?;
            let body = std::str::from_utf8(body)
                .map_err(|_| ApiError::bad_param("the form is not UTF-8"))?;
            form = parse_pairs(body)?;
            only(&form, "ids")?
                .ok_or_else(|| ApiError::bad_param("ids is missing: a JSON array of record ids"))?
        }
    };
    let Value::Array(items) = json::body(ids.as_bytes(), true)? else {
        return Err(ApiError::bad_param(
            "ids must be a JSON array of record ids",
        ));
    };
    let mut asked = Vec::new();
    let mut malformed = Vec::new();
    for item in items {
        let id = match item {
            Value::String(id) => id.to_string(),
            Value::Ref(id) => id.as_str().to_owned(),
            other => mix_value::escjson::format(&other).unwrap_or_default(),
        };
        if crate::names::is_record_id(&id) {
            asked.push(id)
        } else {
            malformed.push(id)
        }
    }
    let request = map([
        (
            "records",
            Value::Array(asked.iter().map(|id| text(id)).collect()),
        ),
        ("op", text("delete")),
        ("options", Value::Array(Vec::new())),
        ("want", text("ids")),
    ]);
    Ok((
        "$db_http_save",
        request,
        Answer::Deleted { asked, malformed },
    ))
}

/// Checks the members of a `save` and fills in defaults.
fn save(body: Value) -> Result<Value, ApiError> {
    let Value::Map(mut members) = body else {
        return Err(ApiError::bad_param("the body must be an object"));
    };
    members.retain(|_, member| !member.is_undefined());
    let known = ["records", "record", "op", "options", "projection", "want"];
    refuse_unknown(&members, &known)?;
    let records = match (members.remove("records"), members.remove("record")) {
        (Some(Value::Array(items)), None) => items,
        (None, Some(one)) => vec![one],
        (Some(_), None) => return Err(ApiError::bad_param("records must be an array")),
        _ => {
            return Err(ApiError::bad_param(
                "exactly one of records and record is needed",
            ));
        }
    };
    let op = one_of(&mut members, "op", &["save", "upsert", "delete"])?;
    let want = one_of(&mut members, "want", &["records", "ids", "none"])?;
    let options = match members.remove("options") {
        None => Value::Array(Vec::new()),
        Some(list @ Value::Array(_)) => list,
        Some(_) => return Err(ApiError::bad_param("options must be an array of strings")),
    };
    let mut request = match map([
        ("records", Value::Array(records)),
        ("op", op),
        ("options", options),
        ("want", want),
    ]) {
        Value::Map(request) => request,
        _ => Map::new(),
    };
    if let Some(projection) = members.remove("projection") {
        request.insert(Arc::from("projection"), projection);
    }
    Ok(Value::Map(request))
}

/// A member that is one of a few words; the first is the default.
fn one_of(members: &mut Map, name: &str, words: &[&str]) -> Result<Value, ApiError> {
    match members.remove(name) {
        None => Ok(text(words[0])),
        Some(Value::String(word)) if words.contains(&word.as_ref()) => Ok(Value::String(word)),
        Some(_) => Err(ApiError::bad_param(format!(
            "{name} must be one of {}",
            words.join(", ")
        ))),
    }
}

const QUERY_MEMBERS: [&str; 11] = [
    "query",
    "queryAST",
    "params",
    "includeDeleted",
    "includeSuperseded",
    "includeHistory",
    "skip",
    "limit",
    "asOf",
    "label",
    "explain",
];

fn query(head: &Head, pairs: Vec<(String, String)>, body: &[u8]) -> Result<Call, ApiError> {
    let posted = head.routed_method() == "POST";
    let known = if posted {
        &QUERY_MEMBERS[..]
    } else {
        &QUERY_MEMBERS[..9]
    };
    let mut members = members_of(head, pairs, body, known)?;
    // Two names of one thing.
    if let Some(value) = members.remove("includeHistory")
        && let Some(other) = members.insert(Arc::from("includeSuperseded"), value)
        && members.get("includeSuperseded") != Some(&other)
    {
        return Err(ApiError::bad_param(
            "includeHistory and includeSuperseded contradict each other: give one of them",
        ));
    }
    exactly_one_query(&members)?;
    for (name, value) in &members {
        let fits = match name.as_ref() {
            "query" | "label" => matches!(value, Value::String(_)),
            "queryAST" => matches!(value, Value::Array(_)),
            "params" => matches!(value, Value::Map(_)),
            "includeDeleted" | "includeSuperseded" | "explain" => matches!(value, Value::Bool(_)),
            "skip" | "limit" => matches!(value, Value::Int(_)),
            _ => true,
        };
        if !fits {
            return Err(ApiError::bad_param(format!("{name} has the wrong type")));
        }
    }
    let request = Value::Map(members);
    // The text form is canonical, so equal requests have equal tags.
    let answer = Answer::Rows {
        request: mix_value::escjson::format_tree(&request).unwrap_or_default(),
        if_none_match: head.header("if-none-match").map(str::to_owned),
    };
    Ok(("$db_http_query", request, answer))
}

fn parse(head: &Head, pairs: Vec<(String, String)>, body: &[u8]) -> Result<Call, ApiError> {
    let members = members_of(head, pairs, body, &["query", "queryAST"])?;
    exactly_one_query(&members)?;
    Ok(("$db_http_parse", Value::Map(members), Answer::Tree))
}

/// Members of a query endpoint: the body of a POST, else the query string.
fn members_of(
    head: &Head,
    pairs: Vec<(String, String)>,
    body: &[u8],
    known: &[&str],
) -> Result<Map, ApiError> {
    let mut members = Map::new();
    for (name, value) in pairs {
        if !known.contains(&name.as_str()) || head.routed_method() == "POST" {
            return Err(ApiError::bad_param(format!("unknown parameter {name}")));
        }
        let parsed = match name.as_str() {
            "queryAST" => json::tagged(value.as_bytes(), UndefinedMembers::Anywhere)?,
            "params" => json::body(value.as_bytes(), true)?,
            "includeDeleted" | "includeSuperseded" | "includeHistory" => {
                Value::Bool(boolean(&name, &value)?)
            }
            "skip" | "limit" => match value.parse::<i64>() {
                Ok(number) => Value::Int(number),
                Err(_) => return Err(ApiError::bad_param(format!("{name} must be an int"))),
            },
            // A number of rows; a watermark or a time has more than digits.
            "asOf" => value
                .parse::<u32>()
                .map_or_else(|_| text(&value), |rows| Value::Int(rows.into())),
            _ => text(&value),
        };
        if members.insert(Arc::from(name.as_str()), parsed).is_some() {
            return Err(twice(&name));
        }
    }
    if head.routed_method() == "POST" {
        let Value::Map(found) = value_with(head, body, UndefinedMembers::Anywhere)? else {
            return Err(ApiError::bad_param("the body must be an object"));
        };
        refuse_unknown(&found, known)?;
        for (name, member) in found {
            if member.is_undefined() {
                continue;
            }
            // Only a tree names undefined.
            let member = match &*name {
                "queryAST" => member,
                _ => json::settled(member)?,
            };
            members.insert(name, member);
        }
    }
    Ok(members)
}

fn exactly_one_query(members: &Map) -> Result<(), ApiError> {
    if members.contains_key("query") == members.contains_key("queryAST") {
        return Err(ApiError::bad_param(
            "exactly one of query and queryAST is needed",
        ));
    }
    Ok(())
}

impl FamilyCall {
    /// The response to the finished call.
    pub fn finish(&self, result: Result<Value, CallFailure>) -> Response {
        result
            .map_err(|failure| failure.error(matches!(self.answer, Answer::Rows { .. })))
            .and_then(|value| self.success(value))
            .unwrap_or_else(|error| self.frame.error(error))
    }

    /// The response for a failure found by the driver.
    pub fn refuse(&self, error: ApiError) -> Response {
        self.frame.error(error)
    }

    fn success(&self, value: Value) -> Result<Response, ApiError> {
        match &self.answer {
            Answer::Value => self.frame.value(200, &value, self.format),
            Answer::Tree => self.frame.tree(200, &value, self.format),
            Answer::Nothing => Ok(self.frame.respond(204, TEXT, Vec::new())),
            Answer::Ids => {
                let ids = member_ids(&value, "ids");
                Ok(self.frame.respond(201, TEXT, ids.join("\n").into_bytes()))
            }
            Answer::Deleted { asked, malformed } => {
                let deleted = member_ids(&value, "ids");
                let missing = asked.iter().filter(|id| !deleted.contains(id));
                let list =
                    |ids: Vec<&String>| Value::Array(ids.into_iter().map(|id| text(id)).collect());
                let report = map([
                    ("deleted", list(deleted.iter().collect())),
                    ("not_found", list(missing.collect())),
                    ("error", list(malformed.iter().collect())),
                ]);
                self.frame.value(200, &report, self.format)
            }
            Answer::Rows {
                request,
                if_none_match,
            } => self.rows(value, request, if_none_match.as_deref()),
        }
    }

    fn rows(
        &self,
        value: Value,
        request: &str,
        if_none_match: Option<&str>,
    ) -> Result<Response, ApiError> {
        let Value::Map(mut result) = value else {
            return Err(ApiError::internal());
        };
        let watermark = match result.remove("watermark") {
            Some(Value::String(text)) => text.to_string(),
            _ => String::new(),
        };
        // The same rows in another encoding are other bytes.
        let encoding: &[u8] = match self.format {
            Format::Json { .. } => b"\n",
            Format::MessagePack => b"\n\n",
        };
        let parts = [watermark.as_bytes(), encoding, request.as_bytes()];
        let tag = format!("\"{:032x}\"", fnv128(&parts));
        let mut response = if is_known(if_none_match, &tag) {
            self.frame.respond(304, TEXT, Vec::new())
        } else {
            // With `explain` the plan comes beside the rows.
            let body = match result.remove("rows") {
                Some(rows) if result.is_empty() => rows,
                Some(rows) => {
                    result.insert(Arc::from("rows"), rows);
                    Value::Map(result)
                }
                None => Value::Map(result),
            };
            // A plan has the tree of its query.
            self.frame.tree(200, &body, self.format)?
        };
        response.headers.push(("etag", tag));
        response.headers.push(("x-watermark", watermark));
        Ok(response)
    }
}

fn member_ids(value: &Value, name: &str) -> Vec<String> {
    let Value::Map(map) = value else {
        return Vec::new();
    };
    let Some(Value::Array(items)) = map.get(name) else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| match item {
            Value::Ref(id) => Some(id.as_str().to_owned()),
            Value::String(id) => Some(id.to_string()),
            _ => None,
        })
        .collect()
}

fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (Arc::from(name), value))
            .collect(),
    )
}

/// FNV-1a of 128 bits: a tag for equality, no defence against a forger.
pub(crate) fn fnv128(parts: &[&[u8]]) -> u128 {
    let mut hash: u128 = 0x6c62272e07bb014262b821756295c58d;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000000001000000000000000000013b);
    }
    hash
}
