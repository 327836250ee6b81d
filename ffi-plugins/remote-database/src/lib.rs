//! The main database of a run where its environment names a server for it (`remoteDatabaseServer`):
//! that of the same app there, over HTTP.
//!
//! ```text
//! $db_…(null, …) ── is the database the main one? ── no ──▶ the record store
//!                          └─ yes ──▶ $http_do_server of family `http` ──▶ B/app/APP/…
//! ```
//!
//! The requests are made by the family `http` of the run ([`Requests`]), so they follow its rules about
//! addresses and carry the token of its caller. They are those of module `dbRemote`, and so are the
//! errors. Functions that answer with a stream get all of it in one answer.
//!
//! `mixer` asks this before it calls the record store; in a composed component a part in front
//! of the store does (`mix-plugin-main-database`).

mod response;

use futures::{StreamExt, TryStreamExt, stream};
use mix_file_path::percent;
use mix_value::msgpack::{self, Reader, Token as Item};
use mix_value::{Case, Map, Ref, Token, Value, escjson};
use std::future::Future;

pub use response::whole;

/// The variable with the base address.
const VARIABLE: &str = "remoteDatabaseServer";
/// The function that makes requests.
pub const REQUEST: &str = "$http_do_server";
/// Most ids in the address of a request.
const IDS_AT_ONCE: usize = 100;
/// Most characters of what a server says of an error.
const MOST_SAID: usize = 1000;
/// Records that are fetched side by side.
const SIDE_BY_SIDE: usize = 8;

/// Why a call gave no result, as at the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// One line for people.
    pub message: String,
    /// Further facts, a value in its wire form.
    pub detail: Option<Vec<u8>>,
}

/// What a call is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// One value.
    One(Vec<u8>),
    /// All items of a stream.
    Many(Vec<Vec<u8>>),
}

/// Who makes requests for a run.
pub trait Requests {
    /// The answer of [`REQUEST`] to some arguments, whole.
    fn request(&self, args: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, Failure>>;

    /// The number of the caller's token, if it has one.
    fn token(&self) -> Option<u64>;
}

/// Where the main database of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMain {
    /// `B/app/APP`.
    address: String,
}

impl RemoteMain {
    /// What the variables of a run say of it: JSON objects, of which the last one with the name counts.
    pub fn of<'a>(
        environment: impl DoubleEndedIterator<Item = &'a str>,
        app: &str,
    ) -> Option<RemoteMain> {
        let said = environment
            .rev()
            .filter(|text| text.contains(VARIABLE))
            .find_map(|text| match escjson::parse_plain(text) {
                Ok(Value::Map(map)) => map.get(VARIABLE).cloned(),
                _ => None,
            })?;
        let base = match &said {
            Value::Null => return None,
            Value::String(base) if base.is_empty() => return None,
            Value::String(base) => base.to_string(),
            // It is no address: the request will say so.
            other => escjson::format(other).unwrap_or_default(),
        };
        // Names of apps need no escapes.
        let address = format!("{}/app/{app}", base.trim_end_matches('/'));
        Some(RemoteMain { address })
    }

    /// Whether a call of the record store is about the main database, and one that another server answers.
    pub fn answers(&self, function: &str, args: &[u8]) -> bool {
        concerns(function) && is_main(args)
    }

    /// The answer of the server.
    pub async fn start(
        &self,
        requests: &impl Requests,
        function: &str,
        args: &[u8],
    ) -> Result<Answer, Failure> {
        let call = Call::read(args)?;
        let asking = Asking {
            remote: self,
            requests,
            options: call.options,
            as_of: call.as_of,
        };
        let [first, second] = call.more;
        let value = match function {
            // In one answer, not in parts.
            "$db_fromAST_result>" => {
                return Err(failure("ERR_WAITS", "another server answers".to_owned()));
            }
            "$db_fromAST_result" => {
                let rows = asking.query(first, &flags(&second)).await?;
                let rows: Result<Vec<Vec<u8>>, _> = rows.iter().map(msgpack::encode).collect();
                let rows = rows.map_err(|error| broken(&error.to_string()))?;
                return Ok(Answer::Many(rows));
            }
            "$db_get_one" => asking.read(first).await?,
            "$db_get_a" => Value::Array(asking.read_all(array(first)?).await?),
            "$db_save_one" => one(asking.save("save", "records", vec![first]).await?)?,
            "$db_save_a" => Value::Array(asking.save("save", "ids", array(first)?).await?),
            "$db_save_ar" => Value::Array(asking.save("save", "records", array(first)?).await?),
            "$db_upsert_a" => Value::Array(asking.save("upsert", "ids", array(first)?).await?),
            "$db_upsert_ar" => Value::Array(asking.save("upsert", "records", array(first)?).await?),
            "$db_delete_one" => one(asking.remove(vec![first]).await?)?,
            "$db_delete_a" => Value::Array(asking.remove_ids(array(first)?).await?),
            "$db_delete_ar" => Value::Array(asking.remove(array(first)?).await?),
            // What is answered is durable there.
            "$db_flush" | "db_flush" => Value::Null,
            "$db_getWatermark" | "$db_waitChange" => {
                return Err(refused("a remote database tells of no changes"));
            }
            _ => return Err(refused("a remote database cannot do this")),
        };
        let bytes = msgpack::encode(&value).map_err(|error| broken(&error.to_string()))?;
        Ok(Answer::One(bytes))
    }
}

/// Whether functions of that name are for another server where the main database is there: all but those
/// that read no records, and those of HTTP endpoints.
pub fn concerns(function: &str) -> bool {
    function != "$db_parse" && !function.starts_with("$db_http_")
}

/// Whether a database is the main one.
pub fn is_main_database(database: &Value) -> bool {
    let says =
        |member: &str, text: &str| database.get(member).and_then(Value::as_str) == Some(text);
    matches!(database, Value::Null) || says("type", "rmx") && says("scope", "main")
}

/// Whether the first of some arguments is the main database. Whatever is malformed is left to the store.
fn is_main(args: &[u8]) -> bool {
    let mut reader = Reader::new(args);
    let Ok(Item::ArrayStart(1..)) = reader.next() else {
        return false;
    };
    let members = match reader.next() {
        Ok(Item::Null) => return true,
        Ok(Item::MapStart(members)) => members,
        _ => return false,
    };
    let (mut own, mut main) = (false, false);
    for _ in 0..members {
        match reader.next() {
            Ok(Item::Key("type")) => own = matches!(reader.next(), Ok(Item::Str("rmx"))),
            Ok(Item::Key("scope")) => main = matches!(reader.next(), Ok(Item::Str("main"))),
            Ok(Item::Key(_)) if reader.skip_value().is_ok() => {}
            _ => return false,
        }
    }
    own && main
}

/// The arguments of a call.
struct Call {
    /// Of saving, as the database has them.
    options: Value,
    /// The moment that the database is of.
    as_of: Option<Value>,
    /// What follows the database.
    more: [Value; 2],
}

impl Call {
    fn read(args: &[u8]) -> Result<Call, Failure> {
        let Ok(Value::Array(values)) = msgpack::decode(args) else {
            return Err(broken("arguments that are no array"));
        };
        let mut values = values.into_iter();
        let (mut options, mut as_of) = (Value::Array(Vec::new()), None);
        if let Some(Value::Map(map)) = values.next() {
            for (name, value) in map {
                match &*name {
                    "type" | "scope" => {}
                    "options" => options = value,
                    "asOf" => as_of = Some(value),
                    other => {
                        let shown: String = other.chars().take(60).collect();
                        return Err(refused(&format!("bad_db: unknown member {shown:?}")));
                    }
                }
            }
        }
        let mut next = || values.next().unwrap_or(Value::Null);
        Ok(Call {
            options,
            as_of,
            more: [next(), next()],
        })
    }
}

/// Which rows a query sees.
struct Flags {
    deleted: bool,
    superseded: bool,
}

fn flags(options: &Value) -> Flags {
    let flag = |name: &str| matches!(options.get(name), Some(Value::Bool(true)));
    Flags {
        deleted: flag("includeDeleted"),
        superseded: flag("all") || flag("includeSuperseded"),
    }
}

/// The requests of one call.
struct Asking<'a, R> {
    remote: &'a RemoteMain,
    requests: &'a R,
    options: Value,
    as_of: Option<Value>,
}

impl<R: Requests> Asking<'_, R> {
    /// The answer to a request; none for 404 and 410.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>, Failure> {
        let text = || Case::new("http.textMode", None).map(Value::Case);
        let text = text().map_err(|error| broken(&error.to_string()))?;
        let json = Value::string("application/json");
        let mut request = Map::from([
            ("method".into(), Value::string(method)),
            (
                "url".into(),
                Value::string(format!("{}{path}", self.remote.address)),
            ),
            ("sendFrom".into(), Value::string("server")),
            ("mediaTypes".into(), Value::map([("*", text)])),
            (
                "headers".into(),
                Value::map([("Accept", json.clone()), ("Content-Type", json)]),
            ),
        ]);
        if let Some(number) = self.requests.token() {
            let token = Value::Token(Token::Reference(number));
            request.insert("oauthToken".into(), token);
        }
        if let Some(body) = body {
            let text = escjson::format(&body)
                .map_err(|error| failure("ERR_NOT_SERIALIZABLE", error.to_string()))?;
            request.insert("body".into(), Value::string(text));
        }
        let response = self.exchange(Value::Map(request)).await?;
        if let Some(error) = response.get("error") {
            return Err(refused(error.as_str().unwrap_or("no answer")));
        }
        let status = match response.get("status") {
            Some(Value::Int(status)) => *status,
            _ => return Err(broken("a response without a status")),
        };
        let body = response.get("body").and_then(Value::as_str);
        let body = body.unwrap_or_default();
        match status {
            404 | 410 => Ok(None),
            401 | 403 => Err(said("ERR_PERMISSION", status, body)),
            200..=299 if body.is_empty() => Ok(Some(Value::Null)),
            200..=299 => escjson::parse(body)
                .map(Some)
                .map_err(|error| refused(&format!("the answer is no EscJSON: {error}"))),
            _ => Err(said("ERR_DB", status, body)),
        }
    }

    async fn exchange(&self, request: Value) -> Result<Value, Failure> {
        let args = msgpack::encode(&Value::Array(vec![request]))
            .map_err(|error| broken(&error.to_string()))?;
        let bytes = self.requests.request(args).await?;
        msgpack::decode(&bytes).map_err(|error| broken(&error.to_string()))
    }

    /// The results of a query.
    async fn query(&self, clauses: Value, flags: &Flags) -> Result<Vec<Value>, Failure> {
        let mut question = Map::from([
            ("queryAST".into(), Value::Array(array(clauses)?)),
            ("includeDeleted".into(), Value::Bool(flags.deleted)),
            ("includeHistory".into(), Value::Bool(flags.superseded)),
        ]);
        if let Some(moment) = &self.as_of {
            question.insert("asOf".into(), moment.clone());
        }
        match self
            .ask("POST", "/query", Some(Value::Map(question)))
            .await?
        {
            Some(answer) => array(answer),
            None => Err(no_such_database()),
        }
    }

    /// A record by its id or revision; null without one.
    async fn read(&self, id: Value) -> Result<Value, Failure> {
        let id = id_argument(&id)?;
        if self.as_of.is_none() {
            if !id.is_well_formed() {
                // No record has such an id.
                return Ok(Value::Null);
            }
            let found = self.ask("GET", &format!("/documents/{id}"), None).await?;
            return Ok(found.unwrap_or(Value::Null));
        }
        // Only queries look at the past: by the id, else by the revision.
        for (field, all) in [("_rmx_id", false), ("_rmx_rev", true)] {
            let condition = Value::Array(vec![
                Value::string("comparison"),
                Value::string("=="),
                Value::Array(vec![Value::string("token"), Value::string(field)]),
                Value::Ref(id.clone()),
            ]);
            let flags = Flags {
                deleted: all,
                superseded: all,
            };
            let found = self.query(Value::Array(vec![condition]), &flags).await?;
            if let Some(record) = found.into_iter().next() {
                return Ok(record);
            }
        }
        Ok(Value::Null)
    }

    /// Records position by position.
    async fn read_all(&self, ids: Vec<Value>) -> Result<Vec<Value>, Failure> {
        let reading = ids.into_iter().map(|id| self.read(id));
        stream::iter(reading)
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    fn writable(&self) -> Result<(), Failure> {
        match self.as_of {
            None => Ok(()),
            Some(_) => Err(refused(
                "read_only: a database of the past cannot be written",
            )),
        }
    }

    async fn save(&self, op: &str, want: &str, records: Vec<Value>) -> Result<Vec<Value>, Failure> {
        self.writable()?;
        if let Some(other) = records.iter().find(|one| !matches!(one, Value::Map(_))) {
            let message = format!("a record is a map, not {}", other.kind());
            return Err(failure("ERR_EXPECTED_MAP", message));
        }
        let body = Value::map([
            ("op", Value::string(op)),
            ("want", Value::string(want)),
            ("records", Value::Array(records)),
            ("options", self.options.clone()),
        ]);
        let answer = self.ask("POST", "/save", Some(body)).await?;
        match answer.ok_or_else(no_such_database)?.get(want) {
            Some(saved) => array(saved.clone()),
            None => Err(refused("the answer does not say what was saved")),
        }
    }

    /// Deletes records and tells which were there.
    async fn remove_ids(&self, ids: Vec<Value>) -> Result<Vec<Value>, Failure> {
        self.writable()?;
        let ids: Result<Vec<Value>, _> = ids
            .iter()
            .map(|id| id_argument(id).map(|id| Value::String(id.as_shared().clone())))
            .collect();
        let mut deleted = Vec::new();
        for part in ids?.chunks(IDS_AT_ONCE) {
            let list = escjson::format(&Value::Array(part.to_vec()))
                .map_err(|error| broken(&error.to_string()))?;
            let list = percent::encode(&list, b"");
            let answer = self
                .ask("DELETE", &format!("/documents?ids={list}"), None)
                .await?;
            let answer = answer.ok_or_else(no_such_database)?;
            for id in array(answer.get("deleted").cloned().unwrap_or(Value::Null))? {
                deleted.push(Value::Ref(id_argument(&id)?));
            }
        }
        Ok(deleted)
    }

    /// Deletes records and gives their last versions, `{}` for those that were not there.
    async fn remove(&self, ids: Vec<Value>) -> Result<Vec<Value>, Failure> {
        self.writable()?;
        let before = self.read_all(ids.clone()).await?;
        let deleted = self.remove_ids(ids).await?;
        let was_there =
            |record: &Value| record.get("_rmx_id").is_some_and(|id| deleted.contains(id));
        let last = |record: Value| match was_there(&record) {
            true => record,
            false => Value::Map(Map::new()),
        };
        Ok(before.into_iter().map(last).collect())
    }
}

/// An id as programs give it: a ref, or its text.
fn id_argument(id: &Value) -> Result<Ref, Failure> {
    match id {
        Value::Ref(id) => Some(id.clone()),
        Value::String(id) => Ref::from_shared(id.clone()).ok(),
        _ => None,
    }
    .ok_or_else(|| {
        let message = format!("a ref is expected, not {}", id.kind());
        failure_of("ERR_EXPECTED_REF", "expected_ref", message)
    })
}

fn array(value: Value) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(items) => Ok(items),
        other => {
            let message = format!("an array is expected, not {}", other.kind());
            Err(failure("ERR_EXPECTED_ARRAY", message))
        }
    }
}

fn one(values: Vec<Value>) -> Result<Value, Failure> {
    let first = values.into_iter().next();
    first.ok_or_else(|| refused("the answer has no record"))
}

fn no_such_database() -> Failure {
    failure_of(
        "ERR_DB",
        "no_such_db",
        "no_such_db: the server of the main database has no such database".to_owned(),
    )
}

/// An answer that is an error: what the server says of it, with its own code, else the status alone.
fn said(code: &str, status: i64, body: &str) -> Failure {
    let answer = escjson::parse_plain(body).unwrap_or(Value::Null);
    let error = answer.get("error");
    let member = |name: &str| error.and_then(|error| error.get(name)?.as_str());
    match (member("code"), member("message")) {
        (Some(of), Some(text)) => {
            let text: String = text.chars().take(MOST_SAID).collect();
            failure_of(code, of, format!("{of}: {text} (status {status})"))
        }
        _ => {
            let message = format!("the server of the main database answered with status {status}");
            failure(code, message)
        }
    }
}

/// A failure with the code of the record store, or of the other server, in its detail.
fn failure_of(code: &str, of: &str, message: String) -> Failure {
    let detail = Value::map([("code", Value::from(of))]);
    Failure {
        detail: msgpack::encode(&detail).ok(),
        ..failure(code, message)
    }
}

fn failure(code: &str, message: String) -> Failure {
    Failure {
        code: code.to_owned(),
        message,
        detail: None,
    }
}

/// The failure of a run whose families make no requests.
pub fn no_requests() -> Failure {
    let message = format!("{REQUEST} is missing: no family makes requests");
    failure("ERR_FFI_MISSING", message)
}

fn refused(reason: &str) -> Failure {
    failure("ERR_DB", reason.to_owned())
}

fn broken(reason: &str) -> Failure {
    failure("ERR_INTERNAL", format!("the main database: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_same_app() {
        let of = |text: &str| RemoteMain::of([text].into_iter(), "shop");
        let address = "https://h/v1/ws/w/app/shop".to_owned();
        for base in ["https://h/v1/ws/w", "https://h/v1/ws/w/"] {
            let found = of(&format!(r#"{{"a":1,"remoteDatabaseServer":"{base}"}}"#));
            assert_eq!(found.map(|remote| remote.address), Some(address.clone()));
        }
        for none in [
            "{}",
            "[",
            r#"{"x":"remoteDatabaseServer"}"#,
            r#"{"remoteDatabaseServer":null}"#,
            r#"{"remoteDatabaseServer":""}"#,
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(RemoteMain::of([].into_iter(), "shop"), None);
        // What is no address is not silently the database on this disk.
        assert!(of(r#"{"remoteDatabaseServer":7}"#).is_some());
    }

    #[test]
    fn the_main_database_is_told_from_others() {
        let of = |database: Value| {
            let told = is_main_database(&database);
            let args = Value::Array(vec![database, Value::from("id")]);
            assert_eq!(told, is_main(&msgpack::encode(&args).expect("encodes")));
            told
        };
        let named = |scope: &str, kind: &str| {
            Value::map([("scope", Value::from(scope)), ("type", Value::from(kind))])
        };
        assert!(of(Value::Null));
        assert!(of(named("main", "rmx")));
        let past = [("asOf", Value::Int(3))];
        let main = [("scope", Value::from("main")), ("type", Value::from("rmx"))];
        assert!(of(Value::map(main.into_iter().chain(past))));
        assert!(!of(named("global", "rmx")));
        assert!(!of(named("session", "rmx")));
        assert!(!of(named("main", "minidb")));
        assert!(!of(Value::string("main")));
        for broken in [&[][..], &[0xc1], &[0x91], &[0x91, 0x81, 0xc0], &[0x90]] {
            assert!(!is_main(broken));
        }
    }
}
