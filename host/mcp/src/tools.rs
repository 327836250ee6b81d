//! Which tools there are, and under which names.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tools on a page.
const PAGE: usize = 100;

/// Most tools of a workspace.
pub const MAX_TOOLS: usize = 10_000;

/// An agent that is offered as a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Name that clients see.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub input_schema: Value,
    /// App of the agent.
    pub app: String,
    /// The agent.
    pub agent: String,
}

/// Makes tools of what apps describe: pairs of the app that describes it and the description.
/// What cannot be a tool is left out, with a warning for the log.
pub fn discover(described: Vec<(String, Value)>) -> (Vec<Tool>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut tools = Vec::new();
    for (app, description) in described.into_iter().take(MAX_TOOLS) {
        match tool(app, &description) {
            Ok(tool) => tools.push(tool),
            Err(warning) => warnings.push(warning),
        }
    }
    let mut uses = BTreeMap::<String, usize>::new();
    for tool in &tools {
        *uses.entry(tool.name.clone()).or_default() += 1;
    }
    for tool in &mut tools {
        if uses[&tool.name] > 1 {
            tool.name = format!("{}__{}", tool.app, tool.name);
        }
    }
    let mut uses = BTreeMap::<String, usize>::new();
    for tool in &tools {
        *uses.entry(tool.name.clone()).or_default() += 1;
    }
    tools.retain(|tool| {
        let good = is_name(&tool.name) && uses[&tool.name] == 1;
        if !good {
            warnings.push(format!(
                "the tool {} of app {} is left out: its name is not its own, or too long",
                tool.name, tool.app
            ));
        }
        good
    });
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    (tools, warnings)
}

fn tool(app: String, description: &Value) -> Result<Tool, String> {
    let text = |member: &str| description[member].as_str().map(str::to_owned);
    let Some(name) = text("name").filter(|name| is_name(name)) else {
        return Err(format!(
            "a tool of app {app} is left out: its name must have 1 to 64 letters, digits, _ and -"
        ));
    };
    let left_out = |why: &str| format!("the tool {name} of app {app} is left out: {why}");
    let Some(agent) = text("agent") else {
        return Err(left_out("it names no agent"));
    };
    let input_schema = match &description["inputSchema"] {
        Value::Null => json!({ "type": "object" }),
        Value::Object(schema) => {
            let mut schema = schema.clone();
            // The protocol wants it said.
            let kind = schema.entry("type").or_insert_with(|| json!("object"));
            if *kind != "object" {
                return Err(left_out("its inputSchema is of no object"));
            }
            Value::Object(schema)
        }
        _ => return Err(left_out("its inputSchema is no object")),
    };
    Ok(Tool {
        description: text("description").unwrap_or_default(),
        input_schema,
        app: text("app").unwrap_or(app),
        agent,
        name,
    })
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(good)
}

/// The result of `tools/list`; `None` for a cursor that is none. A cursor is the name of the last
/// tool of the page before, so that a list which changes in between loses nothing.
pub fn page(tools: &[Tool], cursor: Option<&str>) -> Option<Value> {
    let start = match cursor {
        None => 0,
        Some(last) if is_name(last) => tools.partition_point(|tool| tool.name.as_str() <= last),
        Some(_) => return None,
    };
    let shown: Vec<Value> = tools[start..].iter().take(PAGE).map(listed).collect();
    let mut result = json!({ "tools": shown });
    if tools.len() > start + PAGE {
        result["nextCursor"] = json!(tools[start + PAGE - 1].name);
    }
    Some(result)
}

fn listed(tool: &Tool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(app: &str, name: &str) -> (String, Value) {
        (app.to_owned(), json!({ "name": name, "agent": "a" }))
    }

    #[test]
    fn names_are_told_apart_by_their_app() {
        let (tools, warnings) = discover(vec![
            described("one", "find"),
            described("two", "find"),
            described("two", "save"),
            described("two", "no good"),
            described("three", "twice"),
            described("three", "twice"),
            ("three".to_owned(), json!({ "name": "lost" })),
            (
                "three".to_owned(),
                json!({ "name": "odd", "agent": "a", "inputSchema": { "type": "array" } }),
            ),
        ]);
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["one__find", "save", "two__find"]);
        assert_eq!(warnings.len(), 5, "{warnings:?}");
    }

    #[test]
    fn pages_follow_one_another() {
        let all = (0..250).map(|n| described("app", &format!("t{n:03}")));
        let (tools, _) = discover(all.collect());
        let mut cursor: Option<String> = None;
        let mut seen = Vec::new();
        loop {
            let page = page(&tools, cursor.as_deref()).expect("a page");
            let shown = page["tools"].as_array().expect("tools");
            seen.extend(
                shown
                    .iter()
                    .map(|tool| tool["name"].as_str().expect("a name").to_owned()),
            );
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let names: Vec<String> = tools.into_iter().map(|tool| tool.name).collect();
        assert_eq!(seen, names);
        assert_eq!(page(&[], Some("not a name")), None);
    }
}
