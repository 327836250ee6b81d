//! The environment variables that a run sees.
//!
//! | source | holds | wins over |
//! |---|---|---|
//! | fixed | what is the same for every run of an agent server | |
//! | `MIXER_ENV` | JSON object of the operator's extra variables | fixed |
//! | `bind` | workspace, app, agent, user | `MIXER_ENV` |
//! | `MIXER_RUN` | EscJSON object: what only the host knows of this run | all |
//! | `MIXER_RUN_TOKEN` | number of the caller's token, which the host keeps | |
//!
//! Both variables are those of the WASI environment. One that is no object is ignored
//! with a log line: an agent must not fail for an operator's slip.

use mix_plugin_sdk::mix_value::{Token, escjson};
use mix_plugin_sdk::{Caller, Map, Value, caller};

/// The variables now.
pub fn current() -> Map {
    let mut map = initial();
    if let Some(number) = token() {
        map.insert("token".into(), Value::Token(Token::Reference(number)));
    }
    map
}

/// The variables the run began with, without its token: those of a run never change.
pub fn initial() -> Map {
    let variable = |name: &str| std::env::var(name).ok();
    variables(
        &caller(),
        variable("MIXER_ENV").as_deref(),
        variable("MIXER_RUN").as_deref(),
    )
}

/// The token of the caller, if there is one.
fn token() -> Option<u64> {
    std::env::var("MIXER_RUN_TOKEN").ok()?.parse().ok()
}

fn variables(who: &Caller, extra: Option<&str>, run: Option<&str>) -> Map {
    let mut map = fixed();
    if let Some(extra) = extra {
        map.extend(object(
            "MIXER_ENV",
            escjson::parse_plain(extra).map_err(|e| e.to_string()),
        ));
    }
    let anonymous = who.user == "anonymous" || who.user.is_empty();
    let user = if anonymous { "" } else { who.user.as_str() };
    for (name, text) in [
        ("workspace", who.workspace.as_str()),
        ("app", &who.app),
        ("agent", &who.agent),
        ("user", user),
        ("userID", user),
        ("userPseudonym", if anonymous { "anonymous" } else { user }),
    ] {
        map.insert(name.into(), Value::string(text));
    }
    map.insert("userIsAnonymous".into(), Value::Bool(anonymous));
    map.insert("userIsVerified".into(), Value::Bool(!anonymous));
    if let Some(run) = run {
        map.extend(object(
            "MIXER_RUN",
            escjson::parse(run).map_err(|e| e.to_string()),
        ));
    }
    map
}

fn fixed() -> Map {
    [
        ("hostEnvironment", Value::string("agentServerEnvironment")),
        ("isAgent", Value::Bool(true)),
        ("isBuilder", Value::Bool(false)),
        ("timezone", Value::string("UTC")),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect()
}

fn object(name: &str, parsed: Result<Value, String>) -> Map {
    let reason = match parsed {
        Ok(Value::Map(map)) => return map,
        Ok(other) => format!("it is {}", other.kind()),
        Err(reason) => reason,
    };
    crate::log::log(
        "warning".into(),
        format!("{name} is ignored, it must be a JSON object: {reason}"),
    );
    Map::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Caller {
        Caller {
            app: "shop".into(),
            user: "ada@example.com".into(),
            ..Caller::default()
        }
    }

    #[test]
    fn the_host_wins() {
        let map = variables(
            &ada(),
            Some(r#"{"app":"x","region":"eu"}"#),
            Some(r#"{"user":"b","n":1}"#),
        );
        assert_eq!(map["app"], Value::string("shop"));
        assert_eq!(map["region"], Value::string("eu"));
        assert_eq!(map["user"], Value::string("b"));
        assert_eq!(map["userIsAnonymous"], Value::Bool(false));
        assert_eq!(map["n"], Value::Int(1));
    }

    #[test]
    fn nobody_is_anonymous() {
        let map = variables(&Caller::default(), None, None);
        assert_eq!(map["user"], Value::string(""));
        assert_eq!(map["userPseudonym"], Value::string("anonymous"));
        assert_eq!(map["userIsAnonymous"], Value::Bool(true));
    }

    #[test]
    fn malformed_variables_are_ignored() {
        assert_eq!(
            variables(&ada(), Some("{"), Some("[1]")),
            variables(&ada(), None, None)
        );
    }
}
