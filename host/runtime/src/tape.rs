//! Recording and replaying what family `http` does, so that a run is repeatable.
//!
//! A tape is a text file with one EscJSON object a line: the request as the program gave it, with
//! credentials blotted out, and the response, or the failure of a request that is none. A replayed run
//! sends nothing. An exchange is found by its request; the same request made several times gets its
//! responses in the order in which it was made, which their numbers tell: what is answered first stands first.

use crate::bindings::Failure;
use crate::instance::{Started, failure};
use crate::remote_main::whole;
use crate::stream::HostReply;
use anyhow::{Context, Result, anyhow, bail};
use mix_value::{Map, Value, escjson, msgpack};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Largest tape.
const LARGEST: u64 = 256 << 20;

/// Members of a request, names of headers and of parameters in addresses that hold credentials: in small
/// letters, with `-` for `_`.
const CREDENTIALS: [&str; 28] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-goog-api-key",
    "basicauth",
    "oauthtoken",
    "clienttls",
    "access-token",
    "refresh-token",
    "id-token",
    "token",
    "api-key",
    "apikey",
    "key",
    "client-secret",
    "secret",
    "password",
    "signature",
    "sig",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-goog-signature",
];

/// Members, and headers in small letters, that are addresses.
const ADDRESSES: [&str; 6] = [
    "url",
    "requested_url",
    "location",
    "content-location",
    "referer",
    "refresh",
];

/// What stands for a credential.
const BLOT: &str = "***";

/// Is a function one of those whose exchanges are on a tape? Whatever stands in the place of family `http` has these names.
pub fn holds(function: &str) -> bool {
    function.starts_with("$http_")
}

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
    Record {
        file: Mutex<File>,
        /// Requests so far.
        begun: AtomicI64,
    },
    Replay(Mutex<HashMap<String, VecDeque<Reply>>>),
}

/// What a request came to: a response, or code and message of a failure.
type Reply = Result<Value, (String, String)>;

/// One line of a tape.
#[derive(Debug, PartialEq)]
struct Exchange {
    /// Place among the requests of the run.
    number: i64,
    function: String,
    request: Value,
    reply: Reply,
}

impl Exchange {
    fn line(&self) -> Result<String, escjson::FormatError> {
        let mut map = Map::from([
            ("number".into(), Value::Int(self.number)),
            ("function".into(), Value::string(self.function.as_str())),
            ("request".into(), self.request.clone()),
        ]);
        match &self.reply {
            Ok(response) => map.insert("response".into(), response.clone()),
            Err((code, message)) => {
                let texts = [code, message].map(|text| Value::string(text.as_str()));
                map.insert("failure".into(), Value::Array(texts.to_vec()))
            }
        };
        escjson::format(&Value::Map(map)).map(|line| line + "\n")
    }

    fn read(line: &str) -> Result<Exchange> {
        let Value::Map(mut map) = escjson::parse(line)? else {
            bail!("it is no object");
        };
        let number = match map.remove("number") {
            // Tapes were without numbers once, and in order.
            None => 0,
            Some(number) => number.as_int().context("its number is none")?,
        };
        let function = map.remove("function");
        let function = function.as_ref().and_then(Value::as_str);
        let reply = match (map.remove("response"), map.remove("failure")) {
            (Some(response), None) => Ok(response),
            (None, Some(Value::Array(texts))) => {
                let mut texts = texts.iter().map(Value::as_str);
                match (texts.next(), texts.next(), texts.next()) {
                    (Some(Some(code)), Some(Some(message)), None) => {
                        Err((code.to_owned(), message.to_owned()))
                    }
                    _ => bail!("its failure is no code and message"),
                }
            }
            _ => bail!("it has neither response nor failure"),
        };
        let exchange = Exchange {
            number,
            function: function.context("it names no function")?.to_owned(),
            request: map.remove("request").context("it has no request")?,
            reply,
        };
        match map.keys().next() {
            Some(other) => bail!("{other:?} is no member of it"),
            None => Ok(exchange),
        }
    }
}

impl Tape {
    /// A new tape; one that is there already is replaced.
    pub fn record(path: &Path) -> Result<Tape> {
        let file =
            File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Tape {
            mode: Mode::Record {
                file: Mutex::new(file),
                begun: AtomicI64::new(0),
            },
        })
    }

    /// A tape that was recorded.
    pub fn replay(path: &Path) -> Result<Tape> {
        let text = mix_input_file::read_text(path, LARGEST)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut replies: BTreeMap<String, Vec<(i64, Reply)>> = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let place = || format!("{}:{number} is no exchange", path.display());
            let exchange = Exchange::read(line).with_context(place)?;
            // Also on tapes written by hand, or before a name was among those of credentials.
            let key = key(&exchange.function, &blotted(&exchange.request))
                .ok_or_else(|| anyhow!("the request has no text form"))
                .with_context(place)?;
            let reply = (exchange.number, exchange.reply);
            replies.entry(key).or_default().push(reply);
        }
        let in_order = |(key, mut replies): (String, Vec<(i64, Reply)>)| {
            replies.sort_by_key(|(number, _)| *number);
            (key, replies.into_iter().map(|(_, reply)| reply).collect())
        };
        Ok(Tape {
            mode: Mode::Replay(Mutex::new(replies.into_iter().map(in_order).collect())),
        })
    }

    /// True if nothing is sent.
    pub fn is_replayed(&self) -> bool {
        matches!(self.mode, Mode::Replay(_))
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
            Mode::Replay(replies) => {
                let key = key(function, &request).ok_or_else(|| broken("a request has no text"))?;
                let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
                let next = replies.get_mut(&key).and_then(VecDeque::pop_front);
                let response = next
                    .ok_or_else(|| missing(&request))?
                    .map_err(|(code, message)| failure(&code, message))?;
                let bytes =
                    msgpack::encode(&response).map_err(|error| broken(&error.to_string()))?;
                Ok(HostReply::One(bytes))
            }
            Mode::Record { file, begun } => {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                let reply = match run(args).await {
                    Ok(HostReply::One(bytes)) => Ok(bytes),
                    Ok(HostReply::Many(parts)) => parts.collect().await.and_then(whole),
                    Err(failure) => Err(failure),
                };
                let kept = match &reply {
                    Ok(bytes) => {
                        let response = msgpack::decode(bytes);
                        Ok(blotted(
                            &response.map_err(|error| broken(&error.to_string()))?,
                        ))
                    }
                    Err(failure) => Err((failure.code.clone(), failure.message.clone())),
                };
                let exchange = Exchange {
                    number,
                    function: function.to_owned(),
                    request,
                    reply: kept,
                };
                keep(file, &exchange)?;
                reply.map(HostReply::One)
            }
        }
    }
}

/// Writes an exchange down.
fn keep(file: &Mutex<File>, exchange: &Exchange) -> Result<(), Failure> {
    let line = exchange
        .line()
        .map_err(|error| broken(&error.to_string()))?;
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
                    let value = match value {
                        Value::Null => Value::Null,
                        _ if is_credential(name) => Value::string(BLOT),
                        value if is_address(name) => blotted_addresses(value),
                        value => blotted(value),
                    };
                    (name.clone(), value)
                })
                .collect::<Map>(),
        ),
        Value::Token(_) => Value::string(BLOT),
        other => other.clone(),
    }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    CREDENTIALS.contains(&name.as_str())
}

fn is_address(name: &str) -> bool {
    ADDRESSES.contains(&name.to_ascii_lowercase().as_str())
}

/// An address, or those of a header that came several times.
fn blotted_addresses(value: &Value) -> Value {
    match value {
        Value::String(url) => Value::string(blotted_address(url)),
        Value::Array(urls) => Value::Array(urls.iter().map(blotted_addresses).collect()),
        other => blotted(other),
    }
}

/// An address without who asks (`https://USER:PASSWORD@…`) and without parameters that are credentials.
fn blotted_address(url: &str) -> String {
    let (address, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let (place, query) = address.split_at(address.find('?').unwrap_or(address.len()));
    let mut text = match place.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match host.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://{BLOT}@{host}{path}"),
                None => place.to_owned(),
            }
        }
        None => place.to_owned(),
    };
    let parameters = query.strip_prefix('?').into_iter();
    for (number, parameter) in parameters.flat_map(|all| all.split('&')).enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if is_credential(name) => {
                text.push_str(name);
                text.push('=');
                text.push_str(BLOT);
            }
            _ => text.push_str(parameter),
        }
    }
    text + fragment
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

    #[tokio::test]
    async fn what_was_asked_first_is_answered_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        let tape = Tape::record(&path).unwrap();
        let ask = |text: &'static str, answered: tokio::sync::oneshot::Receiver<()>| {
            tape.start("$http_do", request("https://a/", ""), async move |_| {
                let _ = answered.await;
                Ok(HostReply::One(answer(text)))
            })
        };
        let ((first, one), (second, two)) = (
            tokio::sync::oneshot::channel(),
            tokio::sync::oneshot::channel(),
        );
        // The first request gets its answer when the second one has its own.
        let late = async {
            let done = ask("two", two).await;
            let _ = first.send(());
            done
        };
        let _ = second.send(());
        let (one, two) = tokio::join!(ask("one", one), late);
        assert!(one.is_ok() && two.is_ok());
        let tape = Tape::replay(&path).unwrap();
        for text in ["one", "two"] {
            let reply = tape.start("$http_do", request("https://a/", ""), never);
            let reply = reply.await;
            assert!(matches!(reply, Ok(HostReply::One(bytes)) if bytes == answer(text)));
        }
    }

    #[tokio::test]
    async fn requests_that_fail_fail_again_and_numbers_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        let tape = Tape::record(&path).unwrap();
        let timeout = Value::map([
            ("timeout", Value::Float(0.1 + 0.2)),
            ("n", Value::Float(1.0)),
        ]);
        let odd = msgpack::encode(&Value::Array(vec![timeout])).unwrap();
        let refused = tape
            .start("$http_do", odd.clone(), async |_| {
                Err(failure("ERR_EXPECTED_STRING", "url\nis none".to_owned()))
            })
            .await;
        assert!(refused.is_err());
        let tape = Tape::replay(&path).unwrap();
        let Err(failure) = tape.start("$http_do", odd, never).await else {
            panic!("it failed before");
        };
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("ERR_EXPECTED_STRING", "url\nis none")
        );
    }

    #[test]
    fn credentials_in_addresses_are_blotted_out() {
        for (url, kept) in [
            ("https://a.example/x?b=1&c#d", "https://a.example/x?b=1&c#d"),
            ("https://ada:hush@a.example", "https://***@a.example"),
            (
                "https://a@b@a.example/u@v?w@x",
                "https://***@a.example/u@v?w@x",
            ),
            (
                "https://a/?access_token=hush&page=2&X-Amz-Signature=hush#e",
                "https://a/?access_token=***&page=2&X-Amz-Signature=***#e",
            ),
            ("https://a/?a=1?b&&=2", "https://a/?a=1?b&&=2"),
            ("https://a/?", "https://a/?"),
            ("/x?key=&keys=1", "/x?key=***&keys=1"),
            ("no address", "no address"),
            ("", ""),
        ] {
            assert_eq!(blotted_address(url), kept);
        }
        let request = Value::map([
            ("params", Value::map([("api_key", Value::string("hush"))])),
            ("url", Value::string("https://a/?password=hush")),
        ]);
        let text = escjson::format(&blotted(&request)).unwrap();
        assert!(!text.contains("hush"), "{text}");
        // Headers of responses lead on, once or several times.
        let to = Value::string("https://ada:hush@a/?token=hush&page=2");
        for (name, value) in [
            ("Location", to.clone()),
            (
                "content-location",
                Value::Array(vec![to.clone(), to.clone()]),
            ),
            ("Referer", to),
            (
                "refresh",
                Value::string("0; url=https://a/?page=2&sig=hush"),
            ),
        ] {
            let headers = Value::map([(name, value)]);
            let text = escjson::format(&blotted(&headers)).unwrap();
            assert!(!text.contains("hush") && text.contains("page=2"), "{text}");
        }
    }

    #[test]
    fn a_tape_without_numbers_is_read() {
        let line = r#"{"function":"$http_do","request":[1],"response":{"status":200}}"#;
        let exchange = Exchange::read(line).unwrap();
        assert_eq!(exchange.number, 0);
        assert_eq!(
            exchange.reply,
            Ok(Value::map([("status", Value::Int(200))]))
        );
        let again = Exchange::read(&exchange.line().unwrap()).unwrap();
        assert_eq!(again, exchange);
    }

    #[tokio::test]
    async fn credentials_on_a_tape_from_elsewhere_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        let line = r#"{"function":"$http_do","request":[{"headers":{"Authorization":"hush"},"method":"GET","url":"https://a/?key=hush"}],"response":{"status":200}}"#;
        std::fs::write(&path, line).unwrap();
        let tape = Tape::replay(&path).unwrap();
        let reply = tape.start("$http_do", request("https://a/?key=mine", "mine"), never);
        assert!(reply.await.is_ok());
    }

    #[test]
    fn a_file_that_is_no_tape_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        for bad in [
            "{",
            "{}",
            r#"{"function":"f","request":[1],"response":1,"more":1}"#,
            r#"{"function":"f","request":[1]}"#,
            r#"{"function":"f","request":[1],"failure":["ERR_X"]}"#,
            r#"{"function":"f","response":1}"#,
            r#"{"function":1,"request":[1],"response":1}"#,
        ] {
            std::fs::write(&path, format!("\n{bad}\n")).unwrap();
            let error = format!("{:#}", Tape::replay(&path).err().unwrap());
            assert!(error.contains(":2"), "{error}");
        }
        assert!(Tape::replay(&folder.path().join("none")).is_err());
    }
}
