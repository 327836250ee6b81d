//! What a run gave, as the result of `tools/call`.

use serde_json::{Value, json};

/// Member of an output that holds content items.
const CONTENT: &str = "_rmx_mcp_content";

/// The output of an agent, given as EscJSON.
pub fn output(text: String) -> Value {
    let Ok(Value::Object(mut members)) = serde_json::from_str(&text) else {
        return json!({ "content": [{ "type": "text", "text": text }] });
    };
    match members.remove(CONTENT) {
        Some(Value::Array(items)) => {
            json!({ "content": items, "structuredContent": members })
        }
        Some(other) => {
            members.insert(CONTENT.to_owned(), other);
            json!({ "content": [{ "type": "text", "text": text }], "structuredContent": members })
        }
        // Other values than maps are objects in EscJSON too; they say so with a tag.
        None if members.contains_key("_rmx_type") && is_tagged(&members["_rmx_type"]) => {
            json!({ "content": [{ "type": "text", "text": text }] })
        }
        None => {
            json!({ "content": [{ "type": "text", "text": text }], "structuredContent": members })
        }
    }
}

fn is_tagged(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| kind.starts_with("{tag}"))
}

/// A failure of the agent: the model that called it can read why.
pub fn failure(code: &str, message: &str) -> Value {
    json!({
        "content": [{ "type": "text", "text": format!("{code}: {message}") }],
        "isError": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_structured_and_content_can_be_chosen() {
        assert_eq!(
            output("[1]".to_owned()),
            json!({ "content": [{ "type": "text", "text": "[1]" }] })
        );
        assert_eq!(
            output(r#"{"a":1}"#.to_owned())["structuredContent"],
            json!({ "a": 1 })
        );
        let date = r#"{"_rmx_type":"{tag}datetime","_rmx_value":"2020-01-01T00:00:00.000Z"}"#;
        assert!(output(date.to_owned()).get("structuredContent").is_none());
        let chosen =
            output(r#"{"_rmx_mcp_content":[{"type":"text","text":"hi"}],"n":2}"#.to_owned());
        assert_eq!(chosen["content"][0]["text"], "hi");
        assert_eq!(chosen["structuredContent"], json!({ "n": 2 }));
    }
}
