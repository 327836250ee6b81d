//! Variables that a run sees, as the family `core` reads them.

use crate::programs::{ERROR_INFO, Executable};
use crate::workspace::Place;
use mix_value::{Map, Value, escjson};
use std::sync::Arc;

/// Name of the variable with the operator's own variables.
const OPERATOR: &str = "MIXER_ENV";
/// Name of the variable with what the host says about the run.
const RUN: &str = "MIXER_RUN";

/// Variables of a run on the command line.
pub fn of_command(
    place: &Place,
    agent: &str,
    operator: Option<String>,
) -> Vec<(&'static str, String)> {
    let base = format!("mixer:/{}/{}", place.workspace, place.app);
    with_operator(members(place, agent, "command", &base), operator)
}

/// What a run on a server sees of it.
#[derive(Debug, Clone)]
pub struct Hosted<'a> {
    /// Public URL.
    pub base_url: &'a str,
    /// Name of the server.
    pub server_name: &'a str,
    /// Organisation of the workspace.
    pub org: &'a str,
}

/// Variables of a run over HTTP.
pub fn of_request(
    place: &Place,
    run: &mix_http_api::AgentRun,
    caller: &mix_identity::Caller,
    hosted: &Hosted<'_>,
    program: &Executable,
    operator: Option<String>,
) -> Vec<(&'static str, String)> {
    let mut members = of_caller(place, &run.agent, &run.request_id, caller, hosted);
    members.extend(error_info(program));
    members.insert(Arc::from("requestMethod"), text(&run.request_method));
    members.insert(Arc::from("requestHeaders"), run.header_map());
    if let Some(body) = &run.request_body {
        members.insert(
            Arc::from("requestBody"),
            Value::Binary(Arc::from(body.as_slice())),
        );
    }
    with_operator(members, operator)
}

/// Of the variables of a run those that the operator gives to all.
pub fn operators(environment: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let own = environment.iter().filter(|(name, _)| *name == OPERATOR);
    own.cloned().collect()
}

/// Variables of a run that does not ask for them: what the operator says of its surroundings.
pub fn of_operator(operator: Option<String>) -> Vec<(&'static str, String)> {
    operator.map(|text| (OPERATOR, text)).into_iter().collect()
}

/// Variables of an interactive session over HTTP.
pub fn of_session(
    place: &Place,
    module: &str,
    session: &str,
    caller: &mix_identity::Caller,
    hosted: &Hosted<'_>,
    program: &Executable,
    operator: Option<String>,
) -> Vec<(&'static str, String)> {
    let mut members = of_caller(place, module, session, caller, hosted);
    members.extend(error_info(program));
    with_operator(members, operator)
}

/// The debug data of a program that asks for them.
fn error_info(program: &Executable) -> Option<(Arc<str>, Value)> {
    let data = program.debug_data.clone()?;
    Some((Arc::from(ERROR_INFO), data))
}

fn of_caller(
    place: &Place,
    agent: &str,
    session: &str,
    caller: &mix_identity::Caller,
    hosted: &Hosted<'_>,
) -> Map {
    let base = format!("{}/run-agent/{}", hosted.base_url, place.workspace);
    let mut members = members(place, agent, session, &base);
    members.insert(Arc::from("org"), text(hosted.org));
    if let Some(domain) = parent_domain(hosted.server_name) {
        members.insert(Arc::from("cloudAgentDomain"), text(domain));
    }
    if let Some(user) = &caller.user {
        let name = user.name();
        for member in ["user", "userID", "userPseudonym"] {
            members.insert(Arc::from(member), text(&name));
        }
        members.insert(Arc::from("userIsAnonymous"), Value::Bool(false));
        // An address that a token says is not verified does not become a name.
        let verified = matches!(user, mix_identity::User::Email(_));
        members.insert(Arc::from("userIsVerified"), Value::Bool(verified));
    }
    members
}

fn members(place: &Place, agent: &str, session: &str, base: &str) -> Map {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        map.insert(Arc::from(name), value);
    };
    put("hostEnvironment", text("agentServerEnvironment"));
    put("isAgent", Value::Bool(true));
    put("isBuilder", Value::Bool(false));
    put("org", text(&place.workspace));
    put("agent", text(agent));
    put("userID", text(""));
    put("userIsAnonymous", Value::Bool(true));
    put("userIsVerified", Value::Bool(false));
    put("userPseudonym", text("anonymous"));
    for name in ["baseURL", "agentBaseURL", "localAgentBaseURL"] {
        put(name, text(base));
    }
    put("session", text(session));
    put("timezone", text("UTC"));
    put("platformVersion", platform_version());
    map
}

/// Compiler and library are those of the program that runs; the ABI is the format of executables.
fn platform_version() -> Value {
    let version = text(env!("CARGO_PKG_VERSION"));
    let mut map = Map::new();
    for name in ["remix", "compiler", "stdlib", "mixer"] {
        map.insert(Arc::from(name), version.clone());
    }
    let format = i64::from(mix_bytecode::format::VERSION);
    map.insert(Arc::from("abi_major"), Value::Int(format));
    map.insert(Arc::from("abi_minor"), Value::Int(0));
    Value::Map(map)
}

/// The domain above a host, if it has one.
fn parent_domain(host: &str) -> Option<&str> {
    let parent = host.split_once('.')?.1;
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
    (!is_address && !parent.is_empty()).then_some(parent)
}

fn with_operator(members: Map, operator: Option<String>) -> Vec<(&'static str, String)> {
    // Everything in it has a text form.
    let run = escjson::format(&Value::Map(members)).unwrap_or_default();
    let mut variables = vec![(RUN, run)];
    variables.extend(operator.map(|text| (OPERATOR, text)));
    variables
}

fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_of_hosts() {
        for (host, domain) in [
            ("mix.example.com", Some("example.com")),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(parent_domain(host), domain, "{host}");
        }
    }
}
