//! A component under a stock host answers as `mixer serve` does, refuses what it refuses, and what is different is known.

use crate::component::built;
use mix_system_tests::{Answer, Server, response_json, run_mixer, stock_server};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;

/// A request of a conversation. `$1` stands for the first id that an answer gave, and so on.
type Asked<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    Option<(&'a str, &'a str)>,
);

/// `mixer serve` and a stock host with the same app, which the callers find at the same paths.
struct Both {
    mixer: Server,
    component: Server,
    _folder: tempfile::TempDir,
}

impl Both {
    fn start() -> Both {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let component = built("limits", folder.path(), "app.wasm", &[]);
        let (left, right) = (folder.path().join("left"), folder.path().join("right"));
        for place in [&left, &right] {
            let done = run_mixer([
                "install",
                &folder.path().join("limits").display().to_string(),
                "--ws-dir",
                &place.display().to_string(),
            ]);
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
        let log = File::create(folder.path().join("log")).expect("a log");
        Both {
            mixer: Server::mixer(&left, &[]),
            component: stock_server(&component, &right, &["MIXER_OPEN_RECORDS=true"], &log),
            _folder: folder,
        }
    }
}

/// What a server answered, with the parts that differ from answer to answer made equal.
fn conversation(server: &Server, asked: &[Asked]) -> Vec<Value> {
    let mut ids: Vec<String> = Vec::new();
    let mut answers = Vec::new();
    for (method, path, headers, body) in asked {
        let put_in = |text: &str| {
            let mut text = text.to_owned();
            for (number, id) in ids.iter().enumerate() {
                text = text.replace(&format!("${}", number + 1), id);
            }
            text
        };
        let body = body.map(|(kind, text)| (kind, put_in(text)));
        let body = body.as_ref().map(|(kind, text)| (*kind, text.as_str()));
        let answer = server.send(method, &put_in(path), headers, body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for found in found_ids(&text) {
            if !ids.contains(&found) {
                ids.push(found);
            }
        }
        answers.push(comparable(&answer, &text, &ids));
    }
    answers
}

/// What looks like the id of a record.
fn found_ids(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|word| word.len() == 32)
        .map(str::to_owned)
        .collect()
}

fn comparable(answer: &Answer, text: &str, ids: &[String]) -> Value {
    let mut text = text.to_owned();
    for (number, id) in ids.iter().enumerate() {
        text = text.replace(id, &format!("${}", number + 1));
    }
    let mut body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    settle(&mut body);
    let headers: HashMap<&str, &str> = [
        "content-type",
        "cache-control",
        "content-range",
        "x-run-timeout",
        "allow",
    ]
    .into_iter()
    .filter_map(|name| Some((name, answer.header(name)?)))
    .collect();
    json!({ "status": answer.status, "headers": headers, "body": body })
}

/// Takes out what no two answers have in common.
fn settle(body: &mut Value) {
    match body {
        Value::Object(members) => {
            members.retain(|name, _| {
                let volatile = ["requestId", "uptime", "watermark"].contains(&name.as_str());
                !volatile && !name.ends_with("_at") && !name.ends_with("At")
            });
            members.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

const JSON: &str = "application/json";
const APP: &str = "/v1/ws/local/app/limits";

#[track_caller]
fn same(both: &Both, asked: &[(&str, &str, Option<&str>)]) -> Vec<Value> {
    let asked: Vec<Asked> = asked
        .iter()
        .map(|(method, path, body)| (*method, *path, &[][..], body.map(|text| (JSON, text))))
        .collect();
    let left = conversation(&both.mixer, &asked);
    let right = conversation(&both.component, &asked);
    for ((asked, left), right) in asked.iter().zip(&left).zip(&right) {
        assert_eq!(left, right, "{} {}", asked.0, asked.1);
    }
    left
}

#[test]
fn a_stock_host_answers_as_the_server_does() {
    let both = Both::start();
    let path = |rest: &str| format!("{APP}/{rest}");
    let (documents, query, save) = (path("documents"), path("query"), path("save"));
    let first = format!("{documents}/$1");
    let agent = path("agent/fine/run");
    let named = format!("{agent}?name=Ada&timeout=3000");
    let fails = path("agent/fails/run");
    let asked = [
        // Agents.
        ("POST", agent.as_str(), Some(r#"{"name":"Ada"}"#)),
        ("GET", &named, None),
        ("POST", &fails, Some("{}")),
        ("POST", &agent, Some("[]")),
        ("DELETE", &agent, None),
        ("GET", "/run-agent/local/limits/fine?name=Bob", None),
        // Records.
        (
            "POST",
            &documents,
            Some(r#"{"kind":"film","n":1,"title":"Vertigo"}"#),
        ),
        (
            "POST",
            &documents,
            Some(r#"[{"kind":"film","n":2},{"kind":"film","n":3}]"#),
        ),
        ("GET", &first, None),
        ("POST", &documents, Some(r#"{"kind":"film""#)),
        ("GET", &format!("{documents}/{}", "x".repeat(32)), None),
        (
            "GET",
            &format!("{query}?query=kind%20%3D%3D%20%22film%22%20%7C%20orderAsc(n)%20%7C%20.n"),
            None,
        ),
        ("GET", &format!("{query}?query=kind%20%3D%3D"), None),
        ("POST", &query, Some(r#"{"query":"n > 1 | count()"}"#)),
        (
            "POST",
            &save,
            Some(r#"{"record":{"_rmx_id":"$1","n":10,"kind":"film"}}"#),
        ),
        ("GET", &first, None),
        ("DELETE", &first, None),
        ("GET", &first, None),
        ("POST", &path("query/parse"), Some(r#"{"query":"n > 1"}"#)),
        // Aliases.
        (
            "POST",
            &documents,
            Some(
                r#"[{"_rmx_type":"agent_alias","name":"hello","aliasTo":"fine","fixedParams":{"name":"Eve"}},
                    {"_rmx_type":"agent_alias","name":"again","aliasTo":"hello"},
                    {"_rmx_type":"agent_alias","name":"fine","aliasTo":"endless"}]"#,
            ),
        ),
        ("POST", &path("agent/hello/run"), Some(r#"{"name":"Ada"}"#)),
        ("GET", &path("agent/hello/run?name=Ada&field=x"), None),
        ("POST", &path("agent/again/run"), Some("{}")),
        ("POST", &agent, Some(r#"{"name":"Ada"}"#)),
        ("GET", &path("agent/nobody/run"), None),
        // What stands behind a name, and registered queries.
        (
            "POST",
            &documents,
            Some(
                r#"{"_rmx_type":"cloud_query","name":"films","description":"Films by number",
                    "ast":[["comparison","==",["token","n"],["param","n"]]],"params":{"n":2}}"#,
            ),
        ),
        ("GET", &path("agent/fine"), None),
        ("GET", &path("agent/hello"), None),
        ("GET", &path("agent/films"), None),
        ("GET", &path("agent/nobody"), None),
        ("POST", &path("agent/films/run"), Some("{}")),
        ("POST", &path("agent/films/run"), Some(r#"{"n":3}"#)),
        ("GET", &path("query/films"), None),
        ("POST", &path("query/films"), Some(r#"{"n":4}"#)),
        ("GET", &path("query/nothing"), None),
        ("GET", &path("agent/films/run?field=result"), None),
        // What is not there.
        ("GET", "/v1/ws/local/app/other/documents/x", None),
        ("GET", "/v1/ws/local/app/limits/no/such/path", None),
        ("PATCH", &documents, Some("{}")),
        // The server itself.
        ("GET", "/v1/health", None),
        ("GET", "/", None),
    ];
    let answers = same(&both, &asked);
    let status: Vec<u64> = answers
        .iter()
        .map(|one| one["status"].as_u64().unwrap_or(0))
        .collect();
    // They are the same answers, and the ones that were meant.
    assert_eq!(
        (status[0], status[6], status[8], status[17]),
        (200, 201, 200, 410),
        "{status:?}"
    );
    assert_eq!(answers[11]["body"], json!([1, 2, 3]));
    assert_eq!(answers[20]["body"], "fine Eve");
    assert_eq!(answers[22]["body"]["error"]["code"], "bad_alias");
}

#[test]
fn a_stock_host_refuses_what_the_server_refuses() {
    let both = Both::start();
    let path = |rest: &str| format!("{APP}/{rest}");
    let (documents, query, save) = (path("documents"), path("query"), path("save"));
    let (first, agent) = (format!("{documents}/$1"), path("agent/fine/run"));
    let (endless, deep) = (
        format!("{}?timeout=1", path("agent/endless/run")),
        path("agent/deep/run"),
    );
    let nested = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!(r#"{{"name":"{}"}}"#, "x".repeat(3 << 20));
    let film = r#"{"kind":"film","n":1,"title":"Vertigo","tags":["a","b"]}"#;
    let form = "application/x-www-form-urlencoded";
    let asked: &[Asked] = &[
        // What runs into its limits.
        ("POST", &endless, &[], Some((JSON, "{}"))),
        ("POST", &deep, &[], Some((JSON, "{}"))),
        ("POST", &agent, &[], Some((JSON, &nested))),
        ("POST", &agent, &[], Some((JSON, &wide))),
        ("POST", &agent, &[], Some((JSON, "\u{0}"))),
        ("POST", &agent, &[], Some(("text/plain", "name"))),
        ("POST", &agent, &[], Some((form, "name=Ada+Lovelace"))),
        (
            "POST",
            &agent,
            &[("content-encoding", "br")],
            Some((JSON, "{}")),
        ),
        ("GET", &format!("{agent}?timeout=never"), &[], None),
        ("GET", &format!("{agent}?name=%ff"), &[], None),
        ("HEAD", &format!("{agent}?name=Ada"), &[], None),
        // Records, read and written under conditions.
        ("POST", &documents, &[], Some((JSON, film))),
        ("GET", &first, &[("accept", "application/json")], None),
        ("HEAD", &first, &[], None),
        ("GET", &format!("{first}?asOf=2001-01-01"), &[], None),
        ("GET", &format!("{documents}/short"), &[], None),
        ("POST", &documents, &[], Some((JSON, "7"))),
        ("POST", &documents, &[], Some((JSON, "[1, 2]"))),
        (
            "POST",
            &documents,
            &[],
            Some((JSON, r#"{"_rmx_id":"no id"}"#)),
        ),
        ("POST", &save, &[], Some((JSON, r#"{"records":[]}"#))),
        ("POST", &save, &[], Some((JSON, "{}"))),
        ("GET", &query, &[], None),
        (
            "GET",
            &format!("{query}?query=n%20%7C%20limit(x)"),
            &[],
            None,
        ),
        ("POST", &query, &[], Some((JSON, r#"{"query":7}"#))),
        (
            "POST",
            &query,
            &[],
            Some((JSON, r#"{"query":"n == ?", "params":[1]}"#)),
        ),
        (
            "POST",
            &query,
            &[],
            Some((JSON, r#"{"query":"tags.* == \"a\" | .title"}"#)),
        ),
        ("GET", &format!("{query}?query=n&timeout=0"), &[], None),
        ("DELETE", &documents, &[], Some((JSON, r#"{"ids":["$1"]}"#))),
        ("GET", &first, &[], None),
        // Paths.
        ("GET", "/v1/ws/local/app/limits/agent/%2e%2e/run", &[], None),
        ("GET", "/v1/ws/local/app/limits/agent/nobody/run", &[], None),
        ("GET", "//v1/health", &[], None),
        ("GET", "/v1/health?x=1", &[], None),
        ("HEAD", "/v1/health", &[], None),
        ("TRACE", "/v1/health", &[], None),
        ("GET", "/v2/health", &[], None),
        ("GET", &path("files/nothing.txt"), &[], None),
        ("GET", &path("file-manager/content?path=/"), &[], None),
    ];
    let left = conversation(&both.mixer, asked);
    let right = conversation(&both.component, asked);
    let differ: Vec<String> = asked
        .iter()
        .zip(left.iter().zip(&right))
        .filter(|(_, (left, right))| left != right)
        .map(|(asked, (left, right))| format!("{} {}\n{left}\n{right}", asked.0, asked.1))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
    let refused = left
        .iter()
        .filter(|one| one["status"].as_u64() >= Some(400));
    assert!(refused.count() > 20, "most of them are refused");
}

#[test]
fn what_a_stock_host_answers_otherwise_is_known() {
    let both = Both::start();
    // Its description names what it offers and nothing else.
    let paths = |server: &Server| {
        let (status, body) = server.get("/v1/_doc/openapi.json");
        assert_eq!(status, 200);
        response_json(&body)["paths"]
            .as_object()
            .expect("paths")
            .clone()
    };
    let (all, some) = (paths(&both.mixer), paths(&both.component));
    for (path, item) in &some {
        for (method, operation) in item.as_object().expect("methods") {
            assert_eq!(&all[path][method], operation, "{method} {path}");
        }
    }
    let document = "/v1/ws/{ws}/app/{app}/documents";
    assert!(some.contains_key(document) && some.contains_key("/v1/ws/{ws}/app/{app}/query"));
    for (server_only, path) in [
        ("/v1/ws", "/v1/ws"),
        ("/v1/metrics", "/v1/metrics"),
        ("/v1/ws/{ws}/permissions", "/v1/ws/local/permissions"),
        ("/v1/ws/{ws}", "/v1/ws/local"),
    ] {
        assert!(all.contains_key(server_only), "{server_only}");
        assert!(!some.contains_key(server_only), "{server_only}");
        assert_eq!(both.component.get(path).0, 404, "{path}");
    }
    // One workspace and one app; programs are part of the component.
    let code = |method: &str, path: &str| {
        let answer = both
            .component
            .send(method, path, &[], Some(("text/plain", "x")));
        (answer.status, answer.code())
    };
    let expected = |status, code: &str| (status, code.to_owned());
    assert_eq!(
        code("GET", "/v1/ws/other/app/limits/query?query=n"),
        expected(404, "no_such_ws")
    );
    assert_eq!(
        code("GET", "/v1/ws/local/app/other/query?query=n"),
        expected(404, "no_such_app")
    );
    let program = format!("{APP}/file-manager/content?path=/code/x.mixexe");
    assert_eq!(code("PUT", &program), expected(403, "forbidden"));
    assert_eq!(
        code("GET", &format!("{APP}/agent/fine/run?async=true")),
        expected(401, "unauthenticated")
    );
    // More than an instance may have: the program is told, as any host does.
    let run = |server: &Server, agent: &str| {
        let path = format!("{APP}/agent/{agent}/run");
        let answer = server.send("POST", &path, &[], Some((JSON, r#"{"name":"x"}"#)));
        (answer.status, answer.code())
    };
    assert_eq!(run(&both.mixer, "hoard"), expected(500, "agent_memory"));
    assert_eq!(run(&both.component, "hoard"), expected(500, "agent_memory"));
    assert_eq!(run(&both.component, "fine").0, 200);
    // How long the head of a request may be is the host's to say.
    let long = format!("{APP}/query?query={}", "n%20%26%26%20".repeat(2_000));
    assert_eq!(both.mixer.get(&format!("{long}n")).0, 431);
    assert_ne!(both.component.get(&format!("{long}n")).0, 431);
    // The host knows whether it is ready, the component does not.
    assert_eq!(both.mixer.get("/v1/health/ready").0, 200);
    assert_eq!(both.component.get("/v1/health/ready").0, 404);
    // Events of a run are not sent as they come.
    let events = both.component.send(
        "GET",
        &format!("{APP}/agent/fine/run"),
        &[("accept", "text/event-stream")],
        None,
    );
    assert_eq!(events.status, 406);
}

/// Saves when it begins and when it ends.
const SLOW: &str = "module slow(p:data)
  var cell m_params = p
  var cell output : data = null
  on m_params do {
    db.saveOneStm(appstate, null, {kind: \"begun\"});

    co.sleep(1);
    db.saveOneStm(appstate, null, {kind: \"ended\"});
    output = true
  }
module end
";

#[test]
fn under_a_stock_host_a_run_goes_on_when_its_caller_has_left() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let source = scratch.path().join("app.mix");
    std::fs::write(&source, SLOW).expect("written");
    let component = scratch.path().join("app.wasm");
    let (source, out) = (
        source.display().to_string(),
        component.display().to_string(),
    );
    let done = run_mixer(["build", &source, "-o", &out]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let log = File::create(scratch.path().join("log")).expect("a log");
    let server = stock_server(
        &component,
        scratch.path(),
        &["MIXER_OPEN_RECORDS=true"],
        &log,
    );
    let wait_for = |kind: &str| {
        let path = format!("/v1/ws/local/app/app/query?query=kind%20==%20%22{kind}%22");
        let start = std::time::Instant::now();
        let is_there = || {
            let (status, rows) = server.get(&path);
            assert_eq!(status, 200, "{}", response_json(&rows));
            rows != b"[]"
        };
        while !is_there() {
            assert!(start.elapsed().as_secs() < 60, "no record of kind {kind}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    let host = server.base().trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).expect("the server");
    let request =
        format!("GET /v1/ws/local/app/app/agent/slow/run HTTP/1.1\r\nhost: {host}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
    wait_for("begun");
    drop(stream);
    wait_for("ended");
}

#[test]
fn records_and_files_are_closed_unless_the_host_opens_them() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let component = built("limits", folder.path(), "app.wasm", &[]);
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let log = File::create(folder.path().join("log")).expect("a log");
    let server = stock_server(&component, &data, &[], &log);
    for path in [
        "documents/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "query?query=n",
        "files/a.txt",
        "file-manager/content?path=/",
    ] {
        let (status, _) = server.get(&format!("{APP}/{path}"));
        assert_eq!(status, 401, "{path}");
    }
    assert_eq!(
        server
            .post(&format!("{APP}/agent/fine/run"), r#"{"name":"x"}"#)
            .0,
        200
    );
}
