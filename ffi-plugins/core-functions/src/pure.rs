//! Functions of their arguments alone, as programs call them.

use mix_plugin_sdk::{Failure, Map, Value};

use crate::{Refusal, xml, zone};

fn failure(refusal: Refusal) -> Failure {
    Failure::new(refusal.code(), refusal.to_string())
}

/// Seconds east of UTC at an instant.
pub fn tz_at_utc(zone: String, seconds: f64) -> Result<i64, Failure> {
    zone::at_utc(&zone, seconds).map_err(failure)
}

/// Seconds east of UTC at a wall time.
pub fn tz_at_wall(zone: String, seconds: f64) -> Result<i64, Failure> {
    zone::at_wall(&zone, seconds).map_err(failure)
}

/// The root element; the map gives preferred prefixes of namespaces.
pub fn xml_parse(namespaces: Map, text: String) -> Result<Value, Failure> {
    xml::parse(&namespaces, &text).map_err(failure)
}

/// The text of a node.
pub fn xml_format(node: Value) -> Result<String, Failure> {
    xml::format(&node).map_err(failure)
}

/// Name to text.
pub fn xml_html_entities() -> Result<Value, Failure> {
    Ok(xml::html_entities())
}
