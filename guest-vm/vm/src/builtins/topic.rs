//! Where topics lie on a message broker (modules `co` and `messaging`).

use super::Builtin;
use super::args;
use super::url::escape;
use crate::failure::Failure;
use crate::heap::{Map, Text, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#topic_path" => path,
        "#topic_key" => |_, args| {
            check(args::text(&args[0])?)?;
            Ok(args[0].take())
        },
        _ => return None,
    })
}

/// A key: not empty, no empty parts, no wildcards.
fn check(key: &Text) -> Result<(), Failure> {
    if key.as_str().split('/').any(str::is_empty) || key.as_str().contains(['+', '#']) {
        return Err(Failure::range(format!(
            "{:?} is no topic: parts between / are not empty, + and # are not allowed",
            key.as_str()
        )));
    }
    Ok(())
}

/// The path on the broker of `$kind/key`, in the environment of a session.
fn path(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let topic = args::text(&args[0])?;
    check(topic)?;
    let environment = args::map(&args[1])?;
    let Some((kind, key)) = topic.as_str().split_once('/') else {
        return Err(unknown(topic));
    };
    let of = |name: &str| variable(environment, name);
    let (org, workspace, app) = (of("org"), of("workspace"), of("app"));
    let in_workspace = format!("/org/{org}/ws/{workspace}");
    let in_app = format!("{in_workspace}/app/{app}");
    let in_cloud = || format!("/cloud/{}/ws/{workspace}/app/{app}", host(&of("baseURL")));
    Ok(Value::text(match kind {
        "$workspace" => format!("{in_workspace}/shared/{key}"),
        "$wsUser" => format!("{in_workspace}/user/{}/{key}", user(environment)?),
        "$app" => format!("{in_app}/shared/{key}"),
        "$user" => format!("{in_app}/user/{}/{key}", user(environment)?),
        "$session" => format!("{in_app}/session/{}/{key}", of("session")),
        "$cloudAppUser" => format!("{}/user/{}/{key}", in_cloud(), user(environment)?),
        "$cloudAppShared" => format!("{}/shared/application/{key}", in_cloud()),
        "$cloudAppPublic" => format!("{}/public/application/{key}", in_cloud()),
        _ => return Err(unknown(topic)),
    }))
}

fn unknown(topic: &Text) -> Failure {
    Failure::range(format!(
        "{:?} does not begin with $workspace/, $wsUser/, $app/, $user/, $session/, $cloudAppUser/, $cloudAppShared/ or $cloudAppPublic/",
        topic.as_str()
    ))
}

fn variable(environment: &Map, name: &str) -> String {
    match environment.get(name) {
        Some(Value::Text(text)) => text.as_str().to_owned(),
        _ => String::new(),
    }
}

/// The user, percent-escaped.
fn user(environment: &Map) -> Result<String, Failure> {
    let name = variable(environment, "user");
    if name.is_empty() {
        return Err(Failure::new(
            "ERR_PERMISSION",
            "topics of users need a user who is signed in",
        ));
    }
    let mut escaped = String::new();
    escape(&mut escaped, &name);
    Ok(escaped)
}

/// The host in a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}
