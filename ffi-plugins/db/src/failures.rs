//! Failures of the store as programs and hosts see them.

use mix_plugin_sdk::{Failure, Map, Value};
use mix_store::StoreError;

/// The store's error with the code that programs see. The message begins with
/// the store's own code, the detail holds it and what else is known.
pub(crate) fn failure(error: StoreError) -> Failure {
    let detail = Value::Map(error.details());
    Failure::new(error.program_code(), format!("{}: {error}", error.code())).with_detail(detail)
}

/// A failure with a code of the store that is no error of the store itself.
pub(crate) fn coded(program_code: &'static str, code: &'static str, message: &str) -> Failure {
    let detail = Map::from([("code".into(), Value::from(code))]);
    Failure::new(program_code, format!("{code}: {message}")).with_detail(Value::Map(detail))
}

/// Input of the wrong shape.
pub(crate) fn bad_value(message: &str) -> Failure {
    coded("ERR_DB", "bad_value", message)
}
