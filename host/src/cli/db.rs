//! `mixer db`.

use super::Exit;
use super::runtime;
use super::units;
use crate::assembly::{Assembly, Policy};
use crate::bindings::Failure;
use crate::outbound::Outbound;
use crate::run::{self, RunContext};
use crate::stream::HostReply;
use crate::workspace::Place;
use clap::{Args, Subcommand};
use mix_value::{Map, Value, escjson, msgpack};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Inspects and changes the records of an app.
#[derive(Debug, Args)]
pub struct Db {
    #[command(subcommand)]
    action: Action,
    /// Folder of workspaces.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR", global = true)]
    ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local", global = true)]
    ws: String,
    /// App.
    #[arg(long, value_name = "A", global = true)]
    app: Option<String>,
    /// Time.
    #[arg(long, value_name = "D", default_value = "300s", value_parser = units::duration, global = true)]
    timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Counts and sizes.
    Stat,
    /// Looks for damage.
    Check,
    /// Prints records by their ids.
    Get {
        /// Ids or revisions.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Prints the results of a query.
    Query {
        /// The query as text.
        text: Option<String>,
        /// The query as a tree.
        #[arg(long, value_name = "JSON")]
        ast: Option<String>,
        /// Parameters.
        #[arg(long, value_name = "JSON")]
        params: Option<String>,
        /// Superseded versions too.
        #[arg(long)]
        history: bool,
        /// Deleted ones too.
        #[arg(long)]
        deleted: bool,
        /// As of a watermark or a time.
        #[arg(long, value_name = "X")]
        as_of: Option<String>,
        /// Results left out at the beginning.
        #[arg(long, value_name = "N")]
        skip: Option<i64>,
        /// Most results.
        #[arg(long, value_name = "N")]
        limit: Option<i64>,
        /// How the query is answered.
        #[arg(long)]
        explain: bool,
    },
    /// Prints the tree of a query.
    Parse {
        /// The query as text.
        text: String,
    },
    /// Saves records: a JSON object, an array, or one object per line; `-` is standard input.
    Save {
        /// The file.
        file: PathBuf,
        /// Options, for instance `KeepOriginal`.
        #[arg(long, value_delimiter = ',')]
        options: Vec<String>,
    },
    /// Saves records, keeping members that are not given.
    Upsert {
        /// The file.
        file: PathBuf,
    },
    /// Deletes records.
    Delete {
        /// Ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Prints the watermark.
    Watermark,
    /// Makes everything durable.
    Flush,
}

/// How a result is printed.
enum Print {
    Value,
    /// One line per item of a member.
    Lines(&'static str),
    Nothing,
}

impl Db {
    pub fn execute(self) -> Result<(), Exit> {
        let (Some(ws_dir), Some(app)) = (&self.ws_dir, &self.app) else {
            return Err(Exit::usage("db needs --ws-dir and --app"));
        };
        let place = Place::new(ws_dir, &self.ws, app).map_err(Exit::usage)?;
        if !place.folder().is_dir() {
            return Err(Exit::io(format!(
                "no app {} in workspace {} of {}",
                app,
                self.ws,
                ws_dir.display()
            )));
        }
        let calls = calls(self.action)?;
        let timeout = self.timeout;
        runtime()?.block_on(async {
            let assembly = Arc::new(Assembly::new(&Policy::default(), Outbound::new(false)).await?);
            let who = run::caller(&place, "", "anonymous", Some(timeout));
            let context = RunContext::new(assembly.clone(), place, who, None);
            let work = async {
                for (function, args, print) in calls {
                    let value = call(&assembly, &context, function, args).await?;
                    show(&value, &print)?;
                }
                Ok(())
            };
            let done = tokio::time::timeout(timeout, work).await;
            drop(context);
            assembly.flush().await;
            done.unwrap_or_else(|_| {
                Err(Exit::timed_out(
                    "error query_timeout: the record store did not answer in time",
                ))
            })
        })
    }
}

type Call = (&'static str, Value, Print);

fn calls(action: Action) -> Result<Vec<Call>, Exit> {
    let own = Value::Null;
    let one = |argument: Value| Value::Array(vec![Value::Null, argument]);
    Ok(match action {
        Action::Stat => vec![("$db_stat", Value::Array(vec![own]), Print::Value)],
        Action::Check => vec![("$db_check", Value::Array(vec![own]), Print::Value)],
        Action::Watermark => vec![("$db_getWatermark", Value::Array(vec![own]), Print::Value)],
        Action::Flush => vec![("$db_flush", Value::Array(vec![own]), Print::Nothing)],
        Action::Get { ids } => ids
            .iter()
            .map(|id| ("$db_http_get", one(text(id)), Print::Value))
            .collect(),
        Action::Parse { text: query } => vec![(
            "$db_http_parse",
            one(map([("query", text(&query))])),
            Print::Value,
        )],
        Action::Save { file, options } => {
            let options = options.iter().map(|option| text(option)).collect();
            vec![(
                "$db_http_save",
                one(save_request(records(&file)?, "save", options)),
                Print::Lines("ids"),
            )]
        }
        Action::Upsert { file } => {
            vec![(
                "$db_http_save",
                one(save_request(records(&file)?, "upsert", Vec::new())),
                Print::Lines("ids"),
            )]
        }
        Action::Delete { ids } => {
            let ids = ids.iter().map(|id| text(id)).collect();
            vec![(
                "$db_http_save",
                one(save_request(ids, "delete", Vec::new())),
                Print::Lines("ids"),
            )]
        }
        Action::Query {
            text: query,
            ast,
            params,
            history,
            deleted,
            as_of,
            skip,
            limit,
            explain,
        } => {
            let mut request = Map::new();
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    request.insert(Arc::from(name), value);
                }
            };
            put("query", query.as_deref().map(text));
            put("queryAST", ast.map(|ast| json("--ast", &ast)).transpose()?);
            put(
                "params",
                params.map(|params| json("--params", &params)).transpose()?,
            );
            put("includeSuperseded", history.then_some(Value::Bool(true)));
            put("includeDeleted", deleted.then_some(Value::Bool(true)));
            put("asOf", as_of.as_deref().map(text));
            put("skip", skip.map(Value::Int));
            put("limit", limit.map(Value::Int));
            put("explain", explain.then_some(Value::Bool(true)));
            if request.contains_key("query") == request.contains_key("queryAST") {
                return Err(Exit::usage("give the query as text or as --ast"));
            }
            let print = if explain {
                Print::Value
            } else {
                Print::Lines("rows")
            };
            vec![("$db_http_query", one(Value::Map(request)), print)]
        }
    })
}

fn save_request(records: Vec<Value>, op: &str, options: Vec<Value>) -> Value {
    map([
        ("records", Value::Array(records)),
        ("op", text(op)),
        ("options", Value::Array(options)),
        ("want", text("ids")),
    ])
}

/// Records of a file: an array, one object, or one object per line.
fn records(file: &PathBuf) -> Result<Vec<Value>, Exit> {
    let name = file.display().to_string();
    let content = if name == "-" {
        let mut content = String::new();
        std::io::stdin()
            .read_to_string(&mut content)
            .map(|_| content)
    } else {
        std::fs::read_to_string(file)
    };
    let content = content.map_err(|error| Exit::io(format!("{name}: {error}")))?;
    match escjson::parse(&content) {
        Ok(Value::Array(records)) => Ok(records),
        Ok(record) => Ok(vec![record]),
        Err(whole) => {
            let lines: Vec<&str> = content
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            if lines.len() < 2 {
                return Err(Exit::failed(format!("error bad_json: {name}: {whole}")));
            }
            let mut records = Vec::with_capacity(lines.len());
            for (number, line) in (1..).zip(lines) {
                let record = escjson::parse(line).map_err(|error| {
                    Exit::failed(format!("error bad_json: {name}: record {number}: {error}"))
                })?;
                records.push(record);
            }
            Ok(records)
        }
    }
}

async fn call(
    assembly: &Assembly,
    context: &Arc<RunContext>,
    function: &str,
    args: Value,
) -> Result<Value, Exit> {
    let Some(target) = assembly.find(function) else {
        return Err(Exit::failed(format!(
            "error ERR_UNSUPPORTED: the record store does not offer {function}"
        )));
    };
    let args = msgpack::encode(&args)
        .map_err(|error| Exit::failed(format!("error bad_value: {error}")))?;
    match context.start_target(target, args).await {
        Ok(HostReply::One(bytes)) => msgpack::decode(&bytes)
            .map_err(|error| Exit::failed(format!("error ERR_INTERNAL: {error}"))),
        Ok(HostReply::Many(_)) => Err(Exit::failed(
            "error ERR_INTERNAL: a stream instead of a value",
        )),
        Err(failure) => Err(exit_of(failure)),
    }
}

fn exit_of(failure: Failure) -> Exit {
    let detail = failure
        .detail
        .and_then(|bytes| msgpack::decode(&bytes).ok());
    let code = match &detail {
        Some(Value::Map(map)) => match map.get("code") {
            Some(Value::String(code)) => code.to_string(),
            _ => failure.code,
        },
        _ => failure.code,
    };
    let text = format!("error {code}: {}", failure.message);
    match code.as_str() {
        "db_locked" | "db_busy" | "lease_lost" => Exit::busy(text),
        "forbidden" => Exit::forbidden(text),
        _ => Exit::failed(text),
    }
}

fn show(value: &Value, print: &Print) -> Result<(), Exit> {
    let line = |value: &Value| match escjson::format(value) {
        Ok(text) => {
            println!("{text}");
            Ok(())
        }
        Err(error) => Err(Exit::failed(format!("error ERR_NOT_SERIALIZABLE: {error}"))),
    };
    match (print, value) {
        (Print::Nothing, _) => Ok(()),
        (Print::Lines(member), Value::Map(map)) => match map.get(*member) {
            Some(Value::Array(items)) => items.iter().try_for_each(|item| match item {
                Value::Ref(id) => {
                    println!("{}", id.as_str());
                    Ok(())
                }
                other => line(other),
            }),
            _ => line(value),
        },
        _ => line(value),
    }
}

fn json(flag: &str, value: &str) -> Result<Value, Exit> {
    escjson::parse(value).map_err(|error| Exit::usage(format!("{flag}: {error}")))
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
