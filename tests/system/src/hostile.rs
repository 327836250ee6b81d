//! The plugin that does everything a plugin must not do, and a program that goes on after it.

use crate::{components, repository, response_json, run_mixer};
use serde_json::{Value, json};

/// Its component.
pub fn hostile() -> String {
    let plugin = components().join("mix_test_plugin_hostile.wasm");
    plugin.display().to_string()
}

/// What a program sees that lets it do something, with limits: `caught`, and `then` what comes after.
pub fn what_survives(what: &str, limits: &str) -> Value {
    let program = repository().join("tests/system/programs/hostile");
    let done = run_mixer([
        "run",
        &program.display().to_string(),
        "survives",
        "--plugin",
        &hostile(),
        "--params",
        &json!({ "what": what }).to_string(),
        "--grant",
        &format!("mix_test_plugin_hostile={limits}"),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
}
