//! The OpenAPI 3.1 document, from the table that dispatches.

mod about;

use crate::plan::{Settings, is_offered};
use crate::response::MSGPACK;
use crate::route::{Action, Resource, TABLE, TABLE_V0};
use about::{Answer, Body, about};
use serde_json::{Map, Value, json};

/// The document as JSON text.
pub(crate) fn document(settings: &Settings) -> String {
    let mut paths = Map::new();
    let offers = |resource: &Resource| {
        let mut methods = resource.methods.iter();
        methods.any(|(_, action)| is_offered(settings, *action))
    };
    for resource in TABLE.iter().filter(|resource| offers(resource)) {
        let item = path_item(settings, resource, "", false);
        paths.insert(template(resource.pattern), item);
    }
    for resource in TABLE_V0.iter().filter(|resource| offers(resource)) {
        for prefix in ["", "/v0"] {
            let path = format!("{prefix}{}", template(resource.pattern));
            paths.insert(path, path_item(settings, resource, prefix, true));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "mixer", "version": settings.version },
        "paths": paths,
        "security": [{}, { "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "schemas": { "Error": error_schema() },
            "responses": { "Error": {
                "description": "A failure with its stable code.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            } },
        },
    })
    .to_string()
}

/// The path as OpenAPI writes it.
fn template(pattern: &str) -> String {
    pattern.replace("..}", "}")
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "status", "message", "requestId"],
            "properties": {
                "code": { "type": "string" },
                "status": { "type": "integer" },
                "message": { "type": "string" },
                "requestId": { "type": "string" },
                "details": { "type": "object" },
            },
        } },
    })
}

fn path_item(settings: &Settings, resource: &Resource, prefix: &str, deprecated: bool) -> Value {
    let mut item = Map::new();
    let names: Vec<Value> = resource
        .pattern
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_end_matches('.'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "pattern": name_pattern(name) } })
        })
        .collect();
    if !names.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(names));
    }
    for (method, action) in resource.methods {
        if !is_offered(settings, *action) {
            continue;
        }
        let mut operation = operation(*action, method);
        operation["operationId"] = json!(operation_id(method, prefix, resource.pattern));
        if deprecated {
            operation["deprecated"] = json!(true);
        }
        item.insert(method.to_ascii_lowercase(), operation);
    }
    Value::Object(item)
}

/// The method and the words of the path.
fn operation_id(method: &str, prefix: &str, pattern: &str) -> String {
    let words = format!("{prefix}{pattern}");
    let words: Vec<&str> = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut id = method.to_ascii_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn name_pattern(name: &str) -> &'static str {
    match name {
        "ws" => "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$",
        "app" => "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-]$",
        "id" => "^[0-9A-Za-z]{32}$",
        "path" => "^.+$",
        _ => "^[A-Za-z_][A-Za-z0-9_.-]{0,127}$",
    }
}

fn operation(action: Action, method: &str) -> Value {
    let about = about(action);
    let mut responses = Map::new();
    for (status, answer) in about.success {
        responses.insert(status.to_string(), response(*answer));
    }
    responses.insert(
        "default".to_owned(),
        json!({ "$ref": "#/components/responses/Error" }),
    );
    let mut operation = json!({
        "tags": [about.tag],
        "summary": about.summary,
        "responses": responses,
    });
    if !about.query.is_empty() {
        let parameters = about
            .query
            .iter()
            .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind } }));
        operation["parameters"] = Value::Array(parameters.collect());
    }
    if method != "GET"
        && let Some(schema) = body_schema(about.body)
    {
        let media_type = match about.body {
            Body::Bytes | Body::BytesOr(_) => "application/octet-stream",
            _ => "application/json",
        };
        let content = json!({ "schema": schema });
        operation["requestBody"] = json!({ "content": { media_type: content } });
        // Messages of MCP are JSON.
        let packs = matches!(about.body, Body::Object(_) | Body::Any);
        if packs && action != Action::Mcp {
            operation["requestBody"]["content"][MSGPACK] = content;
        }
        if let Body::BytesOr(members) = about.body {
            operation["requestBody"]["content"]["application/json"] =
                json!({ "schema": body_schema(Body::Object(members)) });
        }
    }
    operation
}

fn body_schema(body: Body) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Any => Some(json!({})),
        Body::Bytes | Body::BytesOr(_) => Some(json!({ "type": "string", "format": "binary" })),
        Body::Object(members) => {
            let properties: Map<String, Value> = members
                .iter()
                .map(|(name, kind, _)| ((*name).to_owned(), type_schema(kind)))
                .collect();
            let required: Vec<&str> = members
                .iter()
                .filter(|(.., required)| *required)
                .map(|(name, ..)| *name)
                .collect();
            Some(json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            }))
        }
    }
}

fn type_schema(kind: &str) -> Value {
    match kind {
        "any" => json!({}),
        // Null counts as absent.
        kind => match kind.strip_suffix('?') {
            Some(kind) => json!({ "type": [kind, "null"] }),
            None => json!({ "type": kind }),
        },
    }
}

fn response(answer: Answer) -> Value {
    let content = |media_type: &str, schema: Value| json!({ "description": "Done.", "content": { media_type: { "schema": schema } } });
    match answer {
        Answer::Empty => json!({ "description": "Done." }),
        Answer::Text => content("text/plain", json!({ "type": "string" })),
        Answer::Bytes => content("application/octet-stream", json!({})),
        Answer::Value => content("application/json", json!({})),
        Answer::Page => json!({ "description": "Done.", "content": {
            "text/html": { "schema": { "type": "string" } },
            "text/css": { "schema": { "type": "string" } },
            "text/javascript": { "schema": { "type": "string" } },
            "image/png": { "schema": {} },
        } }),
        Answer::Run => json!({ "description": "Done.", "content": {
            "application/json": { "schema": {} },
            MSGPACK: { "schema": {} },
            "text/event-stream": { "schema": { "type": "string" } },
            "text/plain": { "schema": { "type": "string" } },
            "text/html": { "schema": { "type": "string" } },
            "text/javascript": { "schema": { "type": "string" } },
            "application/octet-stream": { "schema": {} },
        } }),
        Answer::Packed(kind) => json!({ "description": "Done.", "content": {
            "application/json": { "schema": type_schema(kind) },
            MSGPACK: { "schema": {} },
        } }),
        Answer::File => content("*/*", json!({})),
        Answer::Content => {
            json!({ "description": "The file; of a folder what is in it.", "content": {
            "*/*": { "schema": {} },
            "application/json": { "schema": {} },
        } })
        }
        Answer::Events => content("text/event-stream", json!({ "type": "string" })),
        Answer::Object => content("application/json", json!({ "type": "object" })),
        Answer::Array => content("application/json", json!({ "type": "array" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn answers_have_the_media_types_that_are_served() {
        let document: Value =
            serde_json::from_str(&document(&Settings::default())).expect("it is JSON");
        let app = "/v1/ws/{ws}/app/{app}";
        for (path, method, types) in [
            ("/query", "get", &["application/json", MSGPACK][..]),
            ("/documents/{id}", "get", &["application/json", MSGPACK]),
            ("/save", "post", &["application/json", MSGPACK]),
            ("/files/{path}", "get", &["*/*"]),
            ("/file-manager/content", "get", &["*/*", "application/json"]),
        ] {
            let operation = &document["paths"][format!("{app}{path}")][method];
            let content = operation["responses"]["200"]["content"].as_object();
            let found: Vec<&str> = content
                .expect("content")
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(found, types, "{method} {path}");
        }
        let query = &document["paths"][format!("{app}/query/{{name}}")]["get"];
        let schema = &query["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(schema["type"], Value::Null, "`field` takes one member");
        let body = |path: &str| &document["paths"][path]["post"]["requestBody"]["content"];
        assert!(body(&format!("{app}/query"))[MSGPACK].is_object());
        assert!(body("/v1/ws/{ws}/mcp")[MSGPACK].is_null());
    }

    #[test]
    fn every_route_is_in_the_document_once() {
        let document: Value =
            serde_json::from_str(&document(&Settings::default())).expect("it is JSON");
        let mut ids = HashSet::new();
        let all = TABLE
            .iter()
            .map(|resource| (resource, vec![""]))
            .chain(TABLE_V0.iter().map(|resource| (resource, vec!["", "/v0"])));
        for (resource, prefixes) in all {
            for (prefix, (method, _)) in prefixes
                .iter()
                .flat_map(|prefix| resource.methods.iter().map(move |one| (prefix, one)))
            {
                let path = format!("{prefix}{}", template(resource.pattern));
                let operation = &document["paths"][&path][method.to_ascii_lowercase()];
                let id = operation["operationId"].as_str();
                assert!(
                    id.is_some_and(|id| ids.insert(id.to_owned())),
                    "{method} {path}"
                );
                assert!(
                    operation["responses"]["default"].is_object(),
                    "{method} {path}"
                );
            }
        }
    }
}
