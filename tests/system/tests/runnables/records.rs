//! Records over HTTP: what is undefined in them and in queries, and what is not there.

use super::*;

const NOTES: &str = "/v1/ws/acme/app/notes";

fn undefined() -> Value {
    json!({ "_rmx_type": "{tag}undefined" })
}

fn reference(id: &str) -> Value {
    json!({ "_rmx_type": "{tag}ref", "_rmx_value": id })
}

/// A server that asks nobody who they are, with an app.
fn notes() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::mixer(folder.path(), &[]);
    assert_eq!(server.post("/v1/ws", "{\"name\":\"acme\"}").0, 201);
    assert_eq!(server.post(NOTES, "{}").0, 201);
    (folder, server)
}

fn post(server: &Server, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let body = Some(("application/json", body.as_str()));
    server.send("POST", &format!("{NOTES}/{path}"), &[], body)
}

#[test]
fn an_undefined_member_is_removed_by_an_upsert() {
    let (_folder, server) = notes();
    let made = post(&server, "documents", &json!({ "a": 1, "b": 2, "c": 3 }));
    let id = String::from_utf8(made.body.clone()).expect("an id");
    let members = json!(["object", [["cloneMembers"], ["removeMember", "_rmx_id"]]]);
    let own = |record: &Value| {
        let mut own = record.as_object().expect("a record").clone();
        own.retain(|name, _| !name.starts_with("_rmx_"));
        Value::Object(own)
    };
    let change = json!({
        "record": { "_rmx_id": reference(&id), "a": undefined(), "d": { "e": undefined(), "f": 1 } },
        "op": "upsert",
        "projection": members,
        "want": undefined(),
    });
    let changed = post(&server, "save", &change).json();
    let expected = json!({ "b": 2, "c": 3, "d": { "f": 1 } });
    assert_eq!(own(&changed["records"][0]), expected);
    let change = json!([{ "_rmx_id": reference(&id), "b": undefined() }]);
    let changed = post(&server, "documents?options=Upsert", &change);
    assert_eq!(
        (changed.status, changed.body.as_slice()),
        (201, id.as_bytes())
    );
    let record: Value = {
        let (status, body) = server.get(&format!("{NOTES}/documents/{id}"));
        assert_eq!(status, 200);
        serde_json::from_slice(&body).expect("JSON")
    };
    assert_eq!(own(&record), json!({ "c": 3, "d": { "f": 1 } }));
    // A whole record has no such member, and an array none such element.
    let saved = post(
        &server,
        "save",
        &json!({ "record": { "g": undefined(), "h": 1 } }),
    );
    assert_eq!(own(&saved.json()["records"][0]), json!({ "h": 1 }));
    for wrong in [
        json!({ "record": { "a": [undefined()] } }),
        json!({ "records": [undefined()] }),
    ] {
        let refused = post(&server, "save", &wrong);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "bad_value")
        );
    }
    let refused = post(&server, "save", &json!({ "record": undefined() }));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "bad_param")
    );
}

#[test]
fn a_query_may_name_undefined() {
    let (_folder, server) = notes();
    let records = json!([{ "n": 1, "a": 1 }, { "n": 2, "a": 2 }, { "n": 3 }]);
    assert_eq!(post(&server, "documents", &records).status, 201);
    for text in [
        "a == undefined",
        "a in [1,undefined] | .n",
        "exists n | { x: a ?? undefined, n }",
        "n > 1 | { x: undefined ?? 7 }",
    ] {
        let parsed = post(&server, "query/parse", &json!({ "query": text }));
        assert_eq!(parsed.status, 200, "{text}: {:?}", parsed.json());
        let tree = parsed.json()["ast"].clone();
        assert!(tree.to_string().contains("{tag}undefined"), "{tree}");
        let again = post(&server, "query/parse", &json!({ "queryAST": tree }));
        assert_eq!(again.json(), parsed.json());
        let found = post(&server, "query", &json!({ "query": text }));
        let same = post(&server, "query", &json!({ "queryAST": tree }));
        assert_eq!((found.status, same.status), (200, 200), "{text}");
        assert_eq!(found.json(), same.json(), "{text}");
        let plan = json!({ "query": text, "explain": true });
        let plan = post(&server, "query", &plan);
        assert_eq!(plan.json()["ast"], tree, "{text}");
    }
    // Trees that differ have tags that differ.
    let tag = |list: Value| {
        let tree = json!([["comparison", "in", ["token", "a"], list]]);
        let found = post(&server, "query", &json!({ "queryAST": tree }));
        assert_eq!(found.status, 200);
        found.header("etag").expect("a tag").to_owned()
    };
    assert_ne!(tag(json!([1, undefined()])), tag(json!([2, undefined()])));
    // A parameter that is undefined is none.
    let query = |params: Value| {
        let request = json!({ "query": "a == $p", "params": params });
        post(&server, "query", &request).code()
    };
    assert_eq!(query(json!({ "p": undefined() })), "missing_param");
    assert_eq!(query(json!({ "p": [undefined()] })), "bad_value");
}

#[test]
fn what_is_not_there_is_deleted_by_nobody() {
    let (_folder, server) = notes();
    let made = post(&server, "documents", &json!([{ "n": 1 }, { "n": 2 }]));
    let ids = String::from_utf8(made.body.clone()).expect("ids");
    let [first, second] = ids.lines().collect::<Vec<_>>()[..] else {
        panic!("{ids}")
    };
    let unknown = "0".repeat(32);
    let request = |want: &str| {
        json!({
            "records": [unknown, first, "t", first],
            "op": "delete",
            "want": want,
        })
    };
    let deleted = post(&server, "save", &request("records")).json();
    let records = deleted["records"].as_array().expect("records");
    let numbers: Vec<&Value> = records.iter().map(|record| &record["n"]).collect();
    assert_eq!(
        numbers,
        [&Value::Null, &json!(1), &Value::Null, &Value::Null]
    );
    assert_eq!(records[0], json!({}));
    // Nothing is written for it.
    let again = post(&server, "save", &request("ids")).json();
    assert_eq!(again["ids"], json!([]));
    assert_eq!(again["watermark"], deleted["watermark"]);
    let wrong = json!({ "record": second, "op": "delete", "options": ["Fast"] });
    let refused = post(&server, "save", &wrong);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "bad_option")
    );
    assert_eq!(server.get(&format!("{NOTES}/documents/{second}")).0, 200);
    assert_eq!(server.get(&format!("{NOTES}/documents/{first}")).0, 410);
}
