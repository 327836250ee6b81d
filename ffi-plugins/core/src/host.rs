//! What needs more of a host than this family is given. The functions exist, so that programs
//! that mention them link and can handle the failure.

use mix_plugin_sdk::{Failure, Map, Value};

/// Programs of the host run only with a grant, and a component cannot be given one.
pub async fn execute(program: String, _: Vec<Value>, _: Map, _: Map) -> Result<Value, Failure> {
    Err(Failure::new(
        "ERR_PERMISSION",
        format!("running {program:?} needs a grant of the host, and there is none"),
    ))
}

/// A run cannot start another one by itself.
pub async fn agent_call(agent: Map, _: Map, _: Value) -> Result<Value, Failure> {
    let name = agent.get("name").and_then(Value::as_str).unwrap_or("");
    Err(Failure::unsupported(format!(
        "agent {name:?} of this app cannot be called from inside a run here; call it over HTTP with remoteAgent"
    )))
}

/// A session sends its cells by itself.
pub fn output_with_version(cell: String, _: f64, _: Value) -> Result<(), Failure> {
    Err(Failure::unsupported(format!(
        "cell {cell} cannot be sent from here: the session sends its cells by itself"
    )))
}
