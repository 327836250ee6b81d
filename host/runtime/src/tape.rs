//! Recording and replaying what family `http` does, so that a run is repeatable.
//!
//! A tape is a text file with one JSON object a line: the request as the program gave it, with
//! credentials blotted out, and the response. A replayed run sends nothing. An exchange is
//! found by its request; the same request made several times gets its responses in the
//! order in which they were recorded.

use crate::bindings::Failure;
use crate::instance::{Started, failure};
use crate::remote_main::whole;
use crate::stream::HostReply;
use anyhow::{Context, Result, bail};
use mix_value::{Map, Value, escjson, msgpack};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The family whose exchanges are recorded.
pub const FAMILY: &str = "http";

/// Members of a request, and names of headers, that hold credentials.
const CREDENTIALS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "basicauth",
    "oauthtoken",
    "clienttls",
];

/// A tape that is written or read.
pub struct Tape {
    mode: Mode,
}

impl std::fmt::Debug for Tape {
    /// Not what is on it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tape(..)")
    }
}

enum Mode {
    Record(Mutex<File>),
    Replay(Mutex<HashMap<String, VecDeque<String>>>),
}

/// One line of a tape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    function: String,
    /// EscJSON.
    request: serde_json::Value,
    /// EscJSON.
    response: serde_json::Value,
}

impl Tape {
    /// A new tape; one that is there already is replaced.
    pub fn record(path: &Path) -> Result<Tape> {
        let file =
            File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Tape {
            mode: Mode::Record(Mutex::new(file)),
        })
    }

    /// A tape that was recorded.
    pub fn replay(path: &Path) -> Result<Tape> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut exchanges: HashMap<String, VecDeque<String>> = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let Exchange {
                function,
                request,
                response,
            } = serde_json::from_str(line)
                .with_context(|| format!("{}:{number} is no exchange", path.display()))?;
            let request = escjson::parse(&request.to_string());
            let Ok(request) = request.map_err(|error| error.to_string()) else {
                bail!("{}:{number}: the request is no EscJSON", path.display());
            };
            let Some(key) = key(&function, &request) else {
                bail!("{}:{number}: the request has no text form", path.display());
            };
            exchanges
                .entry(key)
                .or_default()
                .push_back(response.to_string());
        }
        Ok(Tape {
            mode: Mode::Replay(Mutex::new(exchanges)),
        })
    }

    /// Answers a function from the tape, or lets it run and keeps what it answers.
    pub async fn start(
        &self,
        function: &str,
        args: Vec<u8>,
        run: impl AsyncFnOnce(Vec<u8>) -> Started,
    ) -> Started {
        let arguments = msgpack::decode(&args).map_err(|error| broken(&error.to_string()))?;
        let request = blotted(&arguments);
        match &self.mode {
            Mode::Replay(exchanges) => {
                let key = key(function, &request).ok_or_else(|| broken("a request has no text"))?;
                let mut exchanges = exchanges.lock().unwrap_or_else(PoisonError::into_inner);
                let next = exchanges.get_mut(&key).and_then(VecDeque::pop_front);
                let response = next.ok_or_else(|| missing(&request))?;
                let value =
                    escjson::parse(&response).map_err(|error| broken(&error.to_string()))?;
                let bytes = msgpack::encode(&value).map_err(|error| broken(&error.to_string()))?;
                Ok(HostReply::One(bytes))
            }
            Mode::Record(file) => {
                let bytes = match run(args).await? {
                    HostReply::One(bytes) => bytes,
                    HostReply::Many(parts) => whole(parts.collect().await?)?,
                };
                keep(file, function, &request, &bytes)?;
                Ok(HostReply::One(bytes))
            }
        }
    }
}

/// Writes an exchange down.
fn keep(file: &Mutex<File>, function: &str, request: &Value, reply: &[u8]) -> Result<(), Failure> {
    let json = |value: &Value| -> Result<serde_json::Value, Failure> {
        let text = escjson::format(value).map_err(|error| broken(&error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| broken(&error.to_string()))
    };
    let response = msgpack::decode(reply).map_err(|error| broken(&error.to_string()))?;
    let exchange = Exchange {
        function: function.to_owned(),
        request: json(request)?,
        response: json(&blotted(&response))?,
    };
    let mut line = serde_json::to_string(&exchange).map_err(|error| broken(&error.to_string()))?;
    line.push('\n');
    file.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(line.as_bytes())
        .map_err(|error| {
            failure(
                "ERR_IO",
                format!("the exchange cannot be recorded: {}", error.kind()),
            )
        })
}

/// By what a request is found. Map members are in order, so equal requests have equal texts.
fn key(function: &str, request: &Value) -> Option<String> {
    Some(format!("{function} {}", escjson::format(request).ok()?))
}

/// A value without credentials.
fn blotted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(blotted).collect()),
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(name, value)| {
                    let secret = CREDENTIALS.contains(&name.to_ascii_lowercase().as_str());
                    let value = match value {
                        Value::Null => Value::Null,
                        _ if secret => Value::string("***"),
                        value => blotted(value),
                    };
                    (name.clone(), value)
                })
                .collect::<Map>(),
        ),
        Value::Token(_) => Value::string("***"),
        other => other.clone(),
    }
}

fn missing(request: &Value) -> Failure {
    let member = |name: &str| match request {
        Value::Array(arguments) => arguments
            .first()
            .and_then(|map| map.get(name))
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned(),
        _ => "?".to_owned(),
    };
    failure(
        "ERR_NOT_FOUND",
        format!(
            "the tape has no (further) response to this request: {} {}",
            member("method"),
            member("url")
        ),
    )
}

fn broken(reason: &str) -> Failure {
    failure("ERR_INTERNAL", format!("the tape cannot be used: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, token: &str) -> Vec<u8> {
        let headers = Value::map([("Authorization", Value::string(token))]);
        let map = Value::map([
            ("headers", headers),
            ("method", Value::string("GET")),
            ("url", Value::string(url)),
        ]);
        msgpack::encode(&Value::Array(vec![map])).unwrap()
    }

    fn answer(text: &str) -> Vec<u8> {
        let map = Value::map([
            ("body", Value::binary(text.as_bytes())),
            ("status", Value::Int(200)),
        ]);
        msgpack::encode(&map).unwrap()
    }

    async fn never(_: Vec<u8>) -> Started {
        panic!("a replayed run sends nothing");
    }

    #[tokio::test]
    async fn what_is_recorded_is_replayed_in_order_and_without_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        let tape = Tape::record(&path).unwrap();
        for text in ["one", "two"] {
            let reply = tape
                .start("$http_do", request("https://a/", "hush"), async |_| {
                    Ok(HostReply::One(answer(text)))
                })
                .await;
            assert!(matches!(reply, Ok(HostReply::One(bytes)) if bytes == answer(text)));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains("hush"), "{text}");

        let tape = Tape::replay(&path).unwrap();
        for text in ["one", "two"] {
            // Another token is the same request.
            let reply = tape
                .start("$http_do", request("https://a/", "other"), never)
                .await;
            assert!(matches!(reply, Ok(HostReply::One(bytes)) if bytes == answer(text)));
        }
        for url in ["https://a/", "https://b/"] {
            let Err(failure) = tape.start("$http_do", request(url, "x"), never).await else {
                panic!("there is no response left");
            };
            assert_eq!(failure.code, "ERR_NOT_FOUND");
            assert!(failure.message.contains(url), "{}", failure.message);
        }
    }

    #[test]
    fn a_file_that_is_no_tape_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        for bad in [
            "{",
            "{}",
            r#"{"function":"f","request":{"{tag}x":1},"response":1,"more":1}"#,
        ] {
            std::fs::write(&path, format!("\n{bad}\n")).unwrap();
            let error = format!("{:#}", Tape::replay(&path).err().unwrap());
            assert!(error.contains(":2"), "{error}");
        }
        assert!(Tape::replay(&folder.path().join("none")).is_err());
    }
}
