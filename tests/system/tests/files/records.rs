//! Work on the records of an app as a whole, and the bounds of queries.

use super::{APP, site};
use mix_system_tests::{response_json, run_mixer};
use serde_json::{Value, json};

#[test]
fn records_are_maintained_as_a_whole() {
    let (_scratch, server) = site(&[]);
    let save = |text: &str| {
        let answer = server.post(&format!("{APP}/save"), text);
        assert_eq!(answer.0, 200);
        response_json(&answer.1)
    };
    let id = save(r#"{"record":{"n":1}}"#)["records"][0]["_rmx_id"].clone();
    save(&json!({ "record": { "_rmx_id": id, "n": 2 } }).to_string());
    let modify = |body: Value| {
        let (status, answer) = server.post(&format!("{APP}/modify"), &body.to_string());
        (status, response_json(&answer))
    };
    let history = || {
        let (status, rows) = server.get(&format!(
            "{APP}/query?query=n%20%3E%200&includeSuperseded=true"
        ));
        assert_eq!(status, 200);
        response_json(&rows).as_array().map(Vec::len)
    };
    assert_eq!(history(), Some(2));
    let (status, report) = modify(json!({ "op": "prune", "cutoff": "2020-01-31" }));
    assert_eq!(status, 200, "{report}");
    assert_eq!(history(), Some(2));
    let (status, report) = modify(json!({ "op": "compact" }));
    assert_eq!(status, 200, "{report}");
    assert!(report["rowsAfter"].as_u64() < report["rowsBefore"].as_u64());
    assert_eq!(history(), Some(1));
    assert_eq!(modify(json!({ "op": "reindex" })).0, 200);
    assert_eq!(modify(json!({ "op": "flush" })).0, 200);
    // A slip of the pen removes nothing, and nothing is written for it.
    let none = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";
    let watermark = || modify(json!({ "op": "flush" })).1["watermark"].clone();
    let before = watermark();
    let (status, answer) = modify(json!({ "op": "purge", "ids": [id, none] }));
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (404, Some("not_found"))
    );
    let (status, report) = modify(json!({ "op": "purge", "ids": [] }));
    assert_eq!((status, &report["watermark"]), (200, &before), "{report}");
    assert_eq!((history(), watermark()), (Some(1), before));
    assert_eq!(modify(json!({ "op": "purge", "ids": [id] })).0, 200);
    assert_eq!(history(), Some(0));
    for (body, code) in [
        (json!({ "op": "explode" }), "bad_param"),
        (json!({ "op": "purge", "ids": ["x"] }), "bad_id"),
        (json!({ "op": "flush", "more": 1 }), "bad_param"),
        (
            json!({ "op": "setFlags", "rows": [-1], "deleted": true }),
            "bad_param",
        ),
        (json!({ "op": "setFlags", "rows": [0] }), "bad_param"),
        (json!({ "op": "prune", "cutoff": "soon" }), "bad_value"),
    ] {
        let (status, answer) = modify(body);
        assert_eq!(
            (status, answer["error"]["code"].as_str()),
            (400, Some(code))
        );
    }
    // Two names of one option may say the same.
    for (more, status) in [("true", 200), ("false", 400)] {
        let path = format!("{APP}/query?query=&includeSuperseded=true&includeHistory={more}");
        assert_eq!(server.get(&path).0, status);
    }
    let at = |moment: &str| {
        let (status, rows) = server.get(&format!("{APP}/query?query=&asOf={moment}"));
        (status, response_json(&rows).as_array().map(Vec::len))
    };
    assert_eq!(at("2020-01-31"), (200, Some(0)));
    assert_eq!(at("2020-01-32").0, 400);
}

#[test]
fn large_answers_are_compressed_for_those_who_take_it() {
    let (_scratch, server) = site(&[]);
    let text = "word ".repeat(2_000);
    assert_eq!(
        server
            .post(
                &format!("{APP}/save"),
                &json!({ "record": { "text": text } }).to_string()
            )
            .0,
        200
    );
    let path = format!("{APP}/query?query=text");
    let plain = server.send("GET", &path, &[], None);
    let packed = server.send("GET", &path, &[("accept-encoding", "gzip")], None);
    assert_eq!(
        (
            plain.header("content-encoding"),
            packed.header("content-encoding")
        ),
        (None, Some("gzip"))
    );
    assert!(packed.body.len() * 5 < plain.body.len());
    let tag = packed.header("etag").expect("a tag").to_owned();
    assert_ne!(plain.header("etag"), Some(tag.as_str()));
    let same = server.send(
        "GET",
        &path,
        &[("accept-encoding", "gzip"), ("if-none-match", &tag)],
        None,
    );
    assert_eq!(same.status, 304);
    let metrics = String::from_utf8(server.get("/v1/metrics").1).expect("text");
    assert!(metrics.contains("mixer_http_request_duration_seconds_count{route=\"/v1/ws/{ws}/app/{app}/query\",method=\"GET\",status=\"200\"} 2"), "{metrics}");
}

#[test]
fn queries_look_at_a_moment_of_the_past() {
    let (_scratch, server) = site(&["--db-sync", "off"]);
    let query = |more: &str| {
        let path = format!("{APP}/query?query=.n&{more}");
        server.send("GET", &path, &[], None)
    };
    let save = |number: u64| {
        let record = json!({ "record": { "n": number } }).to_string();
        assert_eq!(server.post(&format!("{APP}/save"), &record).0, 200);
        let answer = query("");
        let mark = answer.header("x-watermark").expect("a watermark");
        mark.to_owned()
    };
    let marks = [save(1), save(2), save(3)];
    for (count, mark) in (1..).zip(&marks) {
        let expected: Vec<u64> = (1..=count).collect();
        let (_, rows) = mark.split_once('.').expect("a watermark");
        for moment in [mark, rows] {
            let answer = query(&format!("asOf={moment}"));
            assert_eq!(answer.status, 200, "{moment}: {:?}", answer.json());
            assert_eq!(answer.json(), json!(expected), "{moment}");
        }
        let rows: u64 = rows.parse().expect("a number of rows");
        let posted = json!({ "query": ".n", "asOf": rows }).to_string();
        let (status, body) = server.post(&format!("{APP}/query"), &posted);
        assert_eq!((status, response_json(&body)), (200, json!(expected)));
    }
    assert_eq!(query("asOf=2001-02-03T04:05:06.000Z").json(), json!([]));
    for wrong in ["-1", "99999999999", "soon"] {
        let answer = query(&format!("asOf={wrong}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "query_type"));
    }
}

#[test]
fn records_are_nested_as_deep_as_may_be() {
    let (scratch, server) = site(&["--db-sync", "off"]);
    let record = |levels: usize| {
        let (open, close) = (r#"{"a":"#.repeat(levels - 1), "}".repeat(levels - 1));
        format!("{open}{{}}{close}")
    };
    let save = |levels: usize| {
        let body = record(levels);
        let path = format!("{APP}/documents");
        server.send("POST", &path, &[], Some(("application/json", &body)))
    };
    for levels in [120, 127, 128] {
        assert_eq!(save(levels).status, 201, "{levels}");
    }
    let answer = save(129);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_json"));
    assert_eq!(server.get(&format!("{APP}/query?query=true")).0, 200);
    server.kill();
    // Programs read and write them too, many at a time.
    let program = scratch.path().join("deep.mix");
    let source = r#"module deep()
  var cell output : data = null
  initializer {
    var deepest : data = [];
    for (let i in array.initialize(126, i -> i)) { deepest = [deepest] };
    let ids = db.saveArrayGetIDs(appstate, null, [{n: 1, a: deepest}, {n: 2, a: deepest}]);
    output = {
      all: db.query(null, "exists a") |> db.toArray |> array.length,
      got: db.getArray(null, ids) |> array.map(.n),
      one: db.upsertOne(appstate, null, {_rmx_id: ids[0], b: deepest}).a == deepest,
      gone: db.deleteArray(appstate, null, ids) |> array.map(.n)
    }
  }
module end
"#;
    std::fs::write(&program, source).expect("writes");
    let [program, folder] = [&program, scratch.path()].map(|path| path.display().to_string());
    let place = ["--ws-dir", &folder, "--ws", "acme", "--app", "demo"];
    let done = run_mixer(["run", &program, "deep"].into_iter().chain(place));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        done.stdout.trim(),
        r#"{"all":5,"gone":[1,2],"got":[1,2],"one":true}"#
    );
    // One level more is refused.
    let source = source.replace("initialize(126", "initialize(127");
    std::fs::write(&program, source).expect("writes");
    let done = run_mixer(["run", &program, "deep"].into_iter().chain(place));
    assert_eq!(done.code, 1);
    let said = "ERR_DB: too_deep: record 0: nested deeper than 128 levels";
    assert!(done.stderr.contains(said), "{}", done.stderr);
}

#[test]
fn a_query_takes_no_more_than_the_operator_says() {
    let (_scratch, server) = site(&["--query-max-bytes", "4096", "--db-sync", "off"]);
    let save = |text: &str| {
        let record = json!({ "record": { "text": text } }).to_string();
        server.post(&format!("{APP}/save"), &record).0
    };
    assert_eq!(save("short"), 200);
    assert_eq!(server.get(&format!("{APP}/query?query=text")).0, 200);
    assert_eq!(save(&"long ".repeat(2_000)), 200);
    let answer = server.send("GET", &format!("{APP}/query?query=text"), &[], None);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "result_too_large")
    );
    let one = server.get(&format!("{APP}/query?query=text%20%3D%3D%20%22short%22"));
    assert_eq!(one.0, 200);
}
