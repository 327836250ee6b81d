//! Variables that a run sees, as the family `core` reads them.

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

/// Variables of a run over HTTP.
pub fn of_request(
    place: &Place,
    run: &mix_http_api::AgentRun,
    caller: &mix_identity::Caller,
    base_url: &str,
    operator: Option<String>,
) -> Vec<(&'static str, String)> {
    let mut members = of_caller(place, &run.agent, &run.request_id, caller, base_url);
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

/// Variables of an interactive session over HTTP.
pub fn of_session(
    place: &Place,
    module: &str,
    session: &str,
    caller: &mix_identity::Caller,
    base_url: &str,
    operator: Option<String>,
) -> Vec<(&'static str, String)> {
    with_operator(
        of_caller(place, module, session, caller, base_url),
        operator,
    )
}

fn of_caller(
    place: &Place,
    agent: &str,
    session: &str,
    caller: &mix_identity::Caller,
    base_url: &str,
) -> Map {
    let base = format!("{base_url}/run-agent/{}", place.workspace);
    let mut members = members(place, agent, session, &base);
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
    map
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
