//! Databases outside of a run's own app: those of other apps of its workspace, if
//! the run may reach them, and those in memory that all apps of a workspace share.
//!
//! The record store has an instance for each app. A call whose database is that of
//! another one goes to the instance of that one, with the same caller.

use crate::bindings::Failure;
use crate::contract;
use crate::home::Home;
use crate::instance::failure_of;
use crate::trace::Trace;
use crate::workspace::{Place, app_name};
use mix_value::Value;
use mix_value::msgpack::{self, Reader, Token};
use std::pin::Pin;
use std::sync::Arc;

/// What a run may do with the records of other apps of its workspace.
pub trait Neighbours: Send + Sync {
    /// Whether it may write them (`writes`), or read them.
    fn may(
        self: Arc<Self>,
        app: String,
        writes: bool,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>>;

    /// The answer to what only a server knows; none where there is no server: the family answers.
    fn answer(self: Arc<Self>, _asked: Asked) -> Option<Answering> {
        None
    }

    /// The server that the run is on, as its requests reach it; none: they do not.
    fn home(self: Arc<Self>) -> Option<Arc<dyn Home>> {
        None
    }

    /// The place of the run in a trace; none: its calls are not recorded.
    fn trace(&self) -> Option<Trace> {
        None
    }

    /// Variables of the families that make requests and know tokens.
    fn variables(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// An answer of a server to a call.
pub type Answering = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

/// Functions of families that a server answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFunction {
    /// `$db_makeAnonymousLink`
    Link,
    /// `$secrets_get_token`
    ProviderToken,
    /// `$secrets_delete_token`
    ForgetToken,
    /// `$secrets_token_extra`
    TokenExtra,
    /// `$token_string`
    TokenText,
}

impl ServerFunction {
    /// The function of that name.
    pub fn of_name(name: &str) -> Option<ServerFunction> {
        Some(match name {
            "$db_makeAnonymousLink" => ServerFunction::Link,
            "$secrets_get_token" => ServerFunction::ProviderToken,
            "$secrets_delete_token" => ServerFunction::ForgetToken,
            "$secrets_token_extra" => ServerFunction::TokenExtra,
            "$token_string" => ServerFunction::TokenText,
            _ => return None,
        })
    }
}

/// What a run asks of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The address of a link that runs an endpoint of an app with the rights of the run's user.
    Link {
        /// The app.
        app: String,
        /// Path of the endpoint below it.
        endpoint: String,
    },
    /// The token that a provider has given for the user.
    ProviderToken(String),
    /// That the token of a provider is forgotten.
    ForgetToken(String),
    /// A member of what the provider of a token has told with it.
    TokenExtra {
        /// The member.
        name: String,
        /// Number of the token.
        token: u64,
    },
    /// The text of a token.
    TokenText(u64),
}

impl Asked {
    /// What a call of an app asks; none if its arguments are not those of the function, or mean
    /// something that the family knows best.
    pub fn read(function: ServerFunction, own: &str, args: &[u8]) -> Option<Asked> {
        let Ok(Value::Array(values)) = msgpack::decode(args) else {
            return None;
        };
        let text = |at: usize| values.get(at)?.as_str().map(str::to_owned);
        let token = |at: usize| match values.get(at)? {
            Value::Token(mix_value::Token::Reference(number)) => Some(*number),
            _ => None,
        };
        Some(match function {
            ServerFunction::Link => Asked::Link {
                endpoint: text(1)?,
                app: match outside(own, args) {
                    None => own.to_owned(),
                    Some(Outside::App(app)) => app,
                    Some(Outside::Memory) => return None,
                },
            },
            ServerFunction::ProviderToken => Asked::ProviderToken(text(0)?),
            ServerFunction::ForgetToken => Asked::ForgetToken(text(0)?),
            ServerFunction::TokenExtra => Asked::TokenExtra {
                name: text(0)?,
                token: token(1)?,
            },
            ServerFunction::TokenText => Asked::TokenText(token(0)?),
        })
    }
}

/// For whoever owns the folder of workspaces: everything.
pub struct All;

impl Neighbours for All {
    fn may(self: Arc<Self>, _: String, _: bool) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(std::future::ready(true))
    }
}

/// The place of a database outside of the run's own app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outside {
    /// That of another app of the workspace.
    App(String),
    /// In memory, of all apps of the workspace.
    Memory,
}

/// Functions that change nothing.
const READING: [&str; 10] = [
    "$db_get_one",
    "$db_get_a",
    "$db_fromAST_result",
    "$db_parse",
    "$db_getWatermark",
    "$db_waitChange",
    "$db_http_get",
    "$db_http_query",
    "$db_http_parse",
    "$db_stat",
];

/// Whether a function of the record store may change something.
pub fn writes(function: &str) -> bool {
    !READING.contains(&contract::plain(function))
}

/// Where the database of a call is, if it is not the app's own or that of the
/// run. Whatever is malformed is left to the store to complain about.
pub fn outside(own: &str, args: &[u8]) -> Option<Outside> {
    let mut reader = Reader::new(args);
    let Ok(Token::ArrayStart(1..)) = reader.next() else {
        return None;
    };
    let Ok(Token::MapStart(members)) = reader.next() else {
        return None;
    };
    let (mut is_global, mut app, mut in_memory) = (false, None, false);
    for _ in 0..members {
        let Ok(Token::Key(key)) = reader.next() else {
            return None;
        };
        match key {
            "scope" => match reader.next() {
                Ok(Token::Str(scope)) => is_global = scope == "global",
                _ => return None,
            },
            "db" => match reader.next() {
                Ok(Token::Str(name)) => app = Some(name),
                _ => return None,
            },
            "inmem" => match reader.next() {
                Ok(Token::Bool(flag)) => in_memory = flag,
                _ => return None,
            },
            _ => reader.skip_value().ok()?,
        }
    }
    match app.filter(|_| is_global)? {
        _ if in_memory => Some(Outside::Memory),
        app if app == own => None,
        app => Some(Outside::App(app.to_owned())),
    }
}

impl Outside {
    /// The place beside `own`; `no_such_db` if there is no such app.
    pub fn place(&self, own: &Place) -> Result<Place, Failure> {
        let app = match self {
            Outside::Memory => return Ok(own.shared_memory()),
            Outside::App(app) => app,
        };
        let shown: String = app.chars().take(60).collect();
        let absent = || {
            let message = format!("no_such_db: there is no app {shown:?} in this workspace");
            failure_of("ERR_DB", "no_such_db", message)
        };
        let place = Place::new(&own.ws_dir, &own.workspace, app).map_err(|_| absent())?;
        // What the server keeps for itself is nobody's database.
        let is_visible = !app.starts_with("_rmx_")
            && place
                .folder()
                .file_name()
                .and_then(|name| app_name(name.to_str()?))
                .is_some();
        if is_visible && place.folder().is_dir() {
            Ok(place)
        } else {
            Err(absent())
        }
    }
}

/// What a run gets that may not do that.
pub fn forbidden(app: &str, writes: bool) -> Failure {
    let what = if writes { "write" } else { "read" };
    let message = format!("forbidden: neither the caller nor this agent may {what} db/{app}");
    failure_of("ERR_PERMISSION", "forbidden", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(database: Value) -> Option<Outside> {
        let args = Value::Array(vec![database, Value::from("id")]);
        outside("own", &msgpack::encode(&args).expect("encodes"))
    }

    fn global(name: &str, more: &[(&'static str, Value)]) -> Value {
        let mut members = vec![
            ("type", Value::from("rmx")),
            ("scope", Value::from("global")),
            ("db", Value::from(name)),
        ];
        members.extend(more.iter().cloned());
        Value::map(members)
    }

    #[test]
    fn databases_outside_are_told_from_the_own_ones() {
        assert_eq!(of(Value::Null), None);
        assert_eq!(of(global("own", &[])), None);
        assert_eq!(of(Value::map([("scope", Value::from("main"))])), None);
        assert_eq!(
            of(global("other", &[("asOf", Value::Int(3))])),
            Some(Outside::App("other".to_owned()))
        );
        assert_eq!(
            of(global("own", &[("inmem", Value::Bool(true))])),
            Some(Outside::Memory)
        );
        let session = Value::map([
            ("scope", Value::from("session")),
            ("db", Value::from("other")),
        ]);
        assert_eq!(of(session), None);
        for broken in [&[][..], &[0xc1], &[0x91], &[0x91, 0x81, 0xc0], &[0x90]] {
            assert_eq!(outside("own", broken), None);
        }
    }

    #[test]
    fn internal_and_absent_apps_are_no_databases() {
        let scratch = tempfile::tempdir().expect("scratch");
        let own = Place::new(scratch.path(), "local", "own").expect("names");
        for name in ["_rmx_admin", "_rmx_secrets", "_rmx_logging", "other"] {
            std::fs::create_dir_all(own.workspace_folder().join(name)).expect("creates");
        }
        let place = |app: &str| Outside::App(app.to_owned()).place(&own);
        assert!(place("other").is_ok());
        for app in [
            "_rmx_admin",
            "_rmx_secrets",
            "_rmx_logging",
            "none",
            "..",
            "",
            "../own",
        ] {
            let failure = place(app).expect_err(app);
            assert_eq!(failure.code, "ERR_DB", "{app}");
        }
    }
}
