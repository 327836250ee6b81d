//! Families of foreign functions for the native runs: hashes, a database in
//! memory, files in memory, a fixed environment and no network. The real
//! families are tested as components; these let programs that need one be
//! tested in milliseconds.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hmac::{Hmac, Mac};
use md5::Md5;
use mix_core_functions::{Refusal, xml, zone};
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, Record, SaveOptions};
use mix_value::packed::Received;
use mix_value::{Case, Map, Value, msgpack};
use mix_vm::{ForeignCall, FunctionTable, Host, HostFailure, Linked, Pending, Reply};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Name, number of arguments, whether it waits.
const FUNCTIONS: &[(&str, u8, bool)] = &[
    ("$crypto_md5", 1, false),
    ("$crypto_sha1", 1, false),
    ("$crypto_sha256", 1, false),
    ("$crypto_hmac_sha256", 2, false),
    ("$core_env_current", 0, false),
    ("$core_log", 2, false),
    ("$core_now", 0, false),
    ("$core_monotonic", 0, false),
    ("$core_sleep", 1, true),
    ("$core_env_initial", 0, false),
    ("$core_tz_at_utc", 2, false),
    ("$core_tz_at_wall", 2, false),
    ("$xml_parse", 2, false),
    ("$xml_format", 1, false),
    ("$xml_html_entities", 0, false),
    ("$db_parse", 3, false),
    ("$db_get_one", 2, true),
    ("$db_get_a", 2, true),
    ("$db_save_one", 2, true),
    ("$db_save_a", 2, true),
    ("$db_save_ar", 2, true),
    ("$db_upsert_a", 2, true),
    ("$db_upsert_ar", 2, true),
    ("$db_delete_a", 2, true),
    ("$db_delete_one", 2, true),
    ("$db_delete_ar", 2, true),
    ("$db_fromAST_result", 3, true),
    ("$db_getWatermark", 1, true),
    ("$db_waitChange", 3, true),
    ("$file_read", 2, true),
    ("$file_create", 3, true),
    ("$http_do", 1, true),
    ("$http_do_server", 1, true),
];

/// Whether the native runs have a foreign function.
pub(crate) fn has(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

/// The families of one run.
pub struct Families {
    databases: HashMap<String, Database>,
    /// Files of the app by path, each with a leading slash.
    pub files: BTreeMap<String, Vec<u8>>,
    streams: HashMap<u64, VecDeque<Vec<u8>>>,
    next_stream: u64,
    /// The pipelines that were run, in order.
    pub pipelines: Vec<Value>,
    /// Rows that queries delivered.
    pub rows: usize,
    /// Readings of the clock that never goes back.
    ticks: f64,
    /// Who sleeps until when, on a clock that moves only when everybody waits.
    sleepers: Vec<(f64, u64)>,
    /// The time on that clock.
    time: f64,
}

type Answer = Result<Value, HostFailure>;

fn failure(code: &str, message: impl ToString) -> HostFailure {
    HostFailure {
        code: code.to_owned(),
        message: message.to_string(),
        detail: None,
    }
}

fn bytes_of(value: &Value) -> Result<&[u8], HostFailure> {
    value
        .as_binary()
        .ok_or_else(|| failure("ERR_EXPECTED_BINARY", "expected a binary"))
}

fn array_of(value: &Value) -> Result<&[Value], HostFailure> {
    value
        .as_array()
        .ok_or_else(|| failure("ERR_EXPECTED_ARRAY", "expected an array"))
}

fn text_of(value: &Value) -> Result<&str, HostFailure> {
    value
        .as_str()
        .ok_or_else(|| failure("ERR_EXPECTED_STRING", "expected a string"))
}

fn number_of(value: &Value) -> Result<f64, HostFailure> {
    value
        .as_float()
        .or_else(|| value.as_int().map(|int| int as f64))
        .ok_or_else(|| failure("ERR_EXPECTED_NUMBER", "expected a number"))
}

fn computed(answer: Result<Value, Refusal>) -> Answer {
    answer.map_err(|refusal| failure(refusal.code(), refusal))
}

fn environment() -> Value {
    map(&[
        ("app", Value::string("test")),
        ("hostEnvironment", Value::string("agentServerEnvironment")),
        ("isAgent", Value::Bool(true)),
        ("limits", map(&[("width", Value::string("80"))])),
    ])
}

fn digest<D: Digest>(value: &Value) -> Answer {
    Ok(Value::binary(D::digest(bytes_of(value)?).to_vec()))
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::map(pairs.iter().map(|(key, value)| (*key, value.clone())))
}

impl Families {
    /// Empty families but for the session database `examples`, which holds
    /// what the worked examples of the library ask for.
    pub fn new() -> anyhow::Result<Families> {
        let mut families = Families {
            databases: HashMap::new(),
            files: BTreeMap::new(),
            streams: HashMap::new(),
            next_stream: 1,
            pipelines: Vec::new(),
            rows: 0,
            ticks: 0.0,
            sleepers: Vec::new(),
            time: 0.0,
        };
        let records = vec![
            map(&[
                ("kind", Value::string("t")),
                ("n", Value::string("a")),
                ("v", Value::Int(1)),
            ]),
            map(&[("kind", Value::string("t")), ("n", Value::string("b"))]),
            map(&[
                ("kind", Value::string("u")),
                ("n", Value::string("c")),
                ("v", Value::Int(3)),
            ]),
        ];
        let examples = map(&[("db", Value::string("examples"))]);
        families
            .database(&examples)
            .and_then(|database| saved(database, records, &SaveOptions::default()))
            .map_err(|failure| anyhow::anyhow!("{}: {}", failure.code, failure.message))?;
        Ok(families)
    }

    /// Everybody waits: the clock moves on to the first who is to wake up.
    pub fn wake(&mut self) -> Option<(u64, Reply)> {
        // Of several the one that began to sleep first.
        let times = self.sleepers.iter().enumerate();
        let (first, _) = times.min_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
        let (time, call) = self.sleepers.remove(first);
        self.time = time;
        Some((call, encoded(&Value::Null).map_or_else(Reply::Failed, one)))
    }

    /// Nobody waits for these answers any longer.
    pub fn forget(&mut self, calls: &[u64]) {
        self.sleepers.retain(|(_, call)| !calls.contains(call));
    }

    /// Answers a request of a session; `None` for one that waits for a change or the clock.
    pub fn answer(&mut self, pending: Pending) -> Option<(u64, Reply)> {
        Some(match pending {
            Pending::Start {
                call,
                function,
                args,
            } if FUNCTIONS[function as usize].0 == "$core_sleep" => {
                let seconds = decoded(&args)
                    .ok()
                    .and_then(|args| number_of(array_of(&args).ok()?.first()?).ok());
                self.sleepers
                    .push((self.time + seconds.unwrap_or(0.0), call));
                return None;
            }
            Pending::Start { function, .. }
                if FUNCTIONS[function as usize].0 == "$db_waitChange" =>
            {
                return None;
            }
            Pending::Start {
                call,
                function,
                args,
            } => (
                call,
                self.start(function, &args).unwrap_or_else(Reply::Failed),
            ),
            Pending::Pull {
                call,
                stream,
                at_most,
            } => {
                let rows = self.streams.entry(stream).or_default();
                let count = rows.len().min(at_most as usize);
                let items = rows.drain(..count).collect();
                (
                    call,
                    Reply::Batch {
                        items,
                        end: rows.is_empty(),
                    },
                )
            }
        })
    }

    fn start(&mut self, function: u32, args: &[u8]) -> Result<Reply, HostFailure> {
        let name = FUNCTIONS[function as usize].0;
        let args = decoded(args)?;
        let args = array_of(&args)?;
        if name == "$db_fromAST_result" {
            return self.query(args);
        }
        let answer = match name {
            "$http_do" | "$http_do_server" => map(&[(
                "error",
                Value::string("ERR_NETWORK: there is no network here"),
            )]),
            "$file_read" => {
                let path = absolute(text_of(&args[1])?);
                let content = self.files.get(&path);
                Value::binary(
                    content
                        .ok_or_else(|| failure("ERR_NOT_FOUND", format!("no file {path}")))?
                        .clone(),
                )
            }
            "$file_create" => {
                let path = absolute(text_of(&args[1])?);
                let content = bytes_of(&args[2])?.to_vec();
                let metadata = map(&[("size", Value::Int(content.len() as i64))]);
                self.files.insert(path.clone(), content);
                map(&[
                    ("app", Value::string("test")),
                    ("kind", Value::string("persisted")),
                    ("metadata", metadata),
                    ("path", Value::string(path)),
                    ("url", Value::string("")),
                ])
            }
            "$db_getWatermark" => Value::string(self.database(&args[0])?.watermark()),
            name => records(self.database(&args[0])?, name, &args[1])?,
        };
        encoded(&answer).map(one)
    }

    fn query(&mut self, args: &[Value]) -> Result<Reply, HostFailure> {
        let bad = |error: mix_store::query::QueryError| failure("ERR_QUERY", error);
        let pipeline = Pipeline::from_value(&args[1]).map_err(bad)?;
        self.pipelines.push(args[1].clone());
        let options = args[2].as_map().cloned().unwrap_or_default();
        let options = QueryOptions::from_map(&options).map_err(bad)?;
        let database = self.database(&args[0])?;
        let found = database
            .query(&pipeline, &options)
            .and_then(mix_store::query::Execution::collect_values)
            .map_err(|error| failure("ERR_DB", error))?;
        let rows: Result<VecDeque<Vec<u8>>, HostFailure> = found.iter().map(encoded).collect();
        self.rows += found.len();
        let stream = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(stream, rows?);
        Ok(Reply::Many(stream))
    }

    /// The database of a descriptor, made empty when it is first named.
    pub fn database(&mut self, descriptor: &Value) -> Result<&Database, HostFailure> {
        let name = descriptor
            .get("db")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        if !self.databases.contains_key(&name) {
            let database = Database::in_memory(OpenOptions::default())
                .map_err(|error| failure("ERR_DB", error))?;
            self.databases.insert(name.clone(), database);
        }
        Ok(&self.databases[&name])
    }
}

fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

fn decoded(bytes: &[u8]) -> Answer {
    msgpack::decode(bytes).map_err(|error| failure("ERR_INTERNAL", error))
}

fn encoded(value: &Value) -> Result<Vec<u8>, HostFailure> {
    msgpack::encode(value).map_err(|error| failure("ERR_INTERNAL", error))
}

fn saved(
    database: &Database,
    input: Vec<Value>,
    options: &SaveOptions,
) -> Result<Vec<Record>, HostFailure> {
    database
        .save(input, options)
        .map_err(|error| failure("ERR_DB", error))
}

fn refs(records: &[Record]) -> Answer {
    let ids: Result<Vec<Value>, _> = records.iter().map(|r| r.id().map(Value::Ref)).collect();
    ids.map(Value::Array)
        .map_err(|error| failure("ERR_DB", error))
}

fn values(records: &[Record]) -> Result<Vec<Value>, HostFailure> {
    let values: Result<Vec<Value>, _> = records.iter().map(Record::value).collect();
    values.map_err(|error| failure("ERR_DB", error))
}

/// Reading and writing records by id.
fn records(database: &Database, name: &str, argument: &Value) -> Answer {
    let id_of = |value: &Value| match value {
        Value::Ref(id) => Ok(id.clone()),
        value => mix_value::Ref::new(text_of(value)?).map_err(|error| failure("ERR_DB", error)),
    };
    let read = |value: &Value| -> Answer {
        let found = database.get_one(id_of(value)?.as_str());
        match found.map_err(|error| failure("ERR_DB", error))? {
            Some(record) => record.value().map_err(|error| failure("ERR_DB", error)),
            None => Ok(Value::Null),
        }
    };
    let plain = SaveOptions::default();
    let upsert = SaveOptions {
        upsert: true,
        ..SaveOptions::default()
    };
    match name {
        "$db_get_one" => read(argument),
        "$db_get_a" => Ok(Value::Array(
            array_of(argument)?
                .iter()
                .map(read)
                .collect::<Result<_, _>>()?,
        )),
        "$db_save_one" => {
            let mut stored = values(&saved(database, vec![argument.clone()], &plain)?)?;
            Ok(stored.pop().unwrap_or_default())
        }
        "$db_save_a" => refs(&saved(database, array_of(argument)?.to_vec(), &plain)?),
        "$db_save_ar" => Ok(Value::Array(values(&saved(
            database,
            array_of(argument)?.to_vec(),
            &plain,
        )?)?)),
        "$db_upsert_a" => refs(&saved(database, array_of(argument)?.to_vec(), &upsert)?),
        "$db_upsert_ar" => Ok(Value::Array(values(&saved(
            database,
            array_of(argument)?.to_vec(),
            &upsert,
        )?)?)),
        "$db_delete_one" => {
            let deleted = database
                .delete(&[id_of(argument)?], "")
                .map_err(|error| failure("ERR_DB", error))?;
            last_versions(deleted).map(|mut found| found.pop().unwrap_or_default())
        }
        "$db_delete_ar" => {
            let ids: Result<Vec<_>, _> = array_of(argument)?.iter().map(id_of).collect();
            let deleted = database
                .delete(&ids?, "")
                .map_err(|error| failure("ERR_DB", error))?;
            last_versions(deleted).map(Value::Array)
        }
        "$db_delete_a" => {
            let ids: Result<Vec<_>, _> = array_of(argument)?.iter().map(id_of).collect();
            let deleted = database
                .delete(&ids?, "")
                .map_err(|error| failure("ERR_DB", error))?;
            refs(&deleted.into_iter().flatten().collect::<Vec<_>>())
        }
        other => Err(failure("ERR_UNSUPPORTED", other)),
    }
}

/// What was deleted, an empty map where there was nothing.
fn last_versions(deleted: Vec<Option<Record>>) -> Result<Vec<Value>, HostFailure> {
    let one = |record: Option<Record>| match record {
        Some(record) => record.value().map_err(|error| failure("ERR_DB", error)),
        None => Ok(Value::map::<&str>([])),
    };
    deleted.into_iter().map(one).collect()
}

fn one(value: Vec<u8>) -> Reply {
    Reply::One(value.into())
}

impl Host for Families {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        call.answer = self.answer_at_once(call.function, call.args)?;
        Ok(())
    }
}

impl Families {
    fn answer_at_once(&mut self, function: u32, args: &[u8]) -> Result<Received, HostFailure> {
        let args = decoded(args)?;
        let args = array_of(&args)?;
        let answer = match FUNCTIONS[function as usize].0 {
            "$crypto_md5" => digest::<Md5>(&args[0])?,
            "$crypto_sha1" => digest::<Sha1>(&args[0])?,
            "$crypto_sha256" => digest::<Sha256>(&args[0])?,
            "$crypto_hmac_sha256" => {
                let mut mac = Hmac::<Sha256>::new_from_slice(bytes_of(&args[0])?)
                    .map_err(|error| failure("ERR_CRYPTO", error))?;
                mac.update(bytes_of(&args[1])?);
                Value::binary(mac.finalize().into_bytes().to_vec())
            }
            "$core_env_current" => environment(),
            "$core_log" => Value::Null,
            // 2024-02-29T13:05:09.25Z
            "$core_now" => Value::Float(1_709_211_909.25),
            "$core_monotonic" => {
                self.ticks += 1.0;
                Value::Float(self.ticks)
            }
            "$core_env_initial" => environment(),
            "$core_tz_at_utc" => {
                computed(zone::at_utc(text_of(&args[0])?, number_of(&args[1])?).map(Value::Int))?
            }
            "$core_tz_at_wall" => {
                computed(zone::at_wall(text_of(&args[0])?, number_of(&args[1])?).map(Value::Int))?
            }
            "$xml_parse" => {
                let namespaces = args[0].as_map().cloned().unwrap_or_default();
                computed(xml::parse(&namespaces, text_of(&args[1])?))?
            }
            "$xml_format" => computed(xml::format(&args[0]).map(Value::string))?,
            "$xml_html_entities" => xml::html_entities(),
            "$db_parse" => {
                let pipeline = Pipeline::parse(text_of(&args[1])?)
                    .map_err(|error| failure("ERR_QUERY", error))?
                    .to_value();
                match (args[2].as_bool(), pipeline) {
                    (Some(true), Value::Array(mut clauses)) if clauses.len() == 1 => {
                        clauses.pop().unwrap_or_default()
                    }
                    (_, pipeline) => pipeline,
                }
            }
            other => return Err(failure("ERR_UNSUPPORTED", other)),
        };
        encoded(&answer).map(Received::from)
    }
}

/// The table of the functions that [`Families`] has.
pub struct Table;

impl FunctionTable for Table {
    fn find(&self, name: &str) -> Option<Linked> {
        let index = FUNCTIONS.iter().position(|(known, _, _)| *known == name)?;
        let (_, params, waits) = FUNCTIONS[index];
        Some(Linked {
            index: u32::try_from(index).ok()?,
            params,
            waits,
            family: 0,
        })
    }
}

/// `ok(value)`.
pub fn ok(value: Value) -> anyhow::Result<Value> {
    Ok(Value::Case(Case::new("ok", Some(value))?))
}

/// A map without entries.
#[must_use]
pub fn no_params() -> Value {
    Value::Map(Map::new())
}
