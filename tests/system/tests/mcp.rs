//! Agents as tools: the Model Context Protocol over HTTP and over standard input and output.

use mix_system_tests::{Answer, IdentityService, Server, mixer, run_mixer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const OWNER: &str = "ada@example.com";
const RUNNER: &str = "bob@example.com";

const SHOP: &str = r#"module price(p:data)
  var cell m_params = p
  cell output = {item: m_params.item, price: 2 * m_params.count, who: env.user}
module end
module picture(p:data)
  var cell m_params = p
  cell output = {_rmx_mcp_content: [{type: "text", text: "a picture"}], size: 3}
module end
module broken(p:data)
  var cell m_params = p
  cell output = fail("no stock")
module end
/// Names what is measured.
module measured(p:{width:number, name:string})
  cell output = p.name
module end
module endless(p:data)
  var cell m_params = p
  def turn : number -> number
  def turn(n) = if (n < 0) n else turn(n + 1)
  cell output = turn(0)
module end
"#;

/// Installs the shop, and describes its agents as tools.
fn furnish(folder: &Path, ws: &str) {
    let source = folder.join("shop.mix");
    std::fs::write(&source, SHOP).expect("a source");
    let root = folder.join("ws").display().to_string();
    let at = ["--ws-dir", &root, "--ws", ws, "--app", "shop"];
    let source = source.display().to_string();
    let done = run_mixer(["install", &source].into_iter().chain(at));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let schema = json!({
        "type": "object",
        "properties": { "item": { "type": "string" }, "count": { "type": "integer", "minimum": 1 } },
        "required": ["item", "count"],
    });
    let tools = json!([
        { "_rmx_type": "mcp_tool", "name": "price_of", "description": "What it costs", "agent": "price", "inputSchema": schema },
        { "_rmx_type": "mcp_tool", "name": "show", "agent": "picture" },
        { "_rmx_type": "mcp_tool", "name": "measure", "agent": "measured" },
        { "_rmx_type": "mcp_tool", "name": "fails", "agent": "broken" },
        { "_rmx_type": "mcp_tool", "name": "never", "agent": "endless" },
        { "_rmx_type": "mcp_tool", "name": "not a name", "agent": "price" },
    ]);
    let file = folder.join("tools.json");
    std::fs::write(&file, tools.to_string()).expect("records");
    let file = file.display().to_string();
    let done = run_mixer(["db", "save", &file].into_iter().chain(at));
    assert_eq!(done.code, 0, "{}", done.stderr);
}

struct Client<'a> {
    server: &'a Server,
    token: String,
    session: Option<String>,
}

impl Client<'_> {
    fn post(&self, headers: &[(&str, &str)], message: &str) -> Answer {
        let mut all = vec![("authorization", self.token.as_str())];
        all.extend(self.session.as_deref().map(|id| ("mcp-session-id", id)));
        all.extend(headers);
        let body = Some(("application/json", message));
        self.server.send("POST", "/v1/ws/acme/mcp", &all, body)
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answer = self.post(&[], &message.to_string());
        assert_eq!(answer.status, 200, "{method}");
        let answer = answer.json();
        assert_eq!(answer["id"], 7);
        answer
    }

    fn call(&self, name: &str, arguments: Value) -> Value {
        self.ask(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        )
    }

    fn names(&self) -> Vec<String> {
        let answer = self.ask("tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().expect("tools").iter();
        tools
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    }

    fn begin(&mut self) {
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-03-26" } });
        let answer = self.post(&[], &hello.to_string());
        assert_eq!(answer.json()["result"]["protocolVersion"], "2025-03-26");
        self.session = answer.header("mcp-session-id").map(str::to_owned);
        assert!(self.session.is_some());
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(&[], &ready.to_string()).status, 202);
    }
}

#[test]
fn agents_are_tools_over_http_for_those_who_may_run_them() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let service = IdentityService::start();
    let flags = [
        "--jwks-url",
        &service.key_url(),
        "--workspace-creator",
        "domain/example.com",
    ];
    let root = folder.path().join("ws");
    let server = Server::mixer(&root, &flags);
    let token = |user: &str| format!("Bearer {}", service.token(user));
    let mut owner = Client {
        server: &server,
        token: token(OWNER),
        session: None,
    };
    let send = |path: &str, body: Value| {
        let header = [("authorization", owner.token.as_str())];
        let body = body.to_string();
        let answer = server.send("POST", path, &header, Some(("application/json", &body)));
        assert_eq!(answer.status, 201, "{path}");
    };
    send("/v1/ws", json!({ "name": "acme" }));
    furnish(folder.path(), "acme");
    let grant = json!({ "subject": format!("user/{RUNNER}"), "role": "runner", "resource": "agent/shop/price" });
    send("/v1/ws/acme/permissions", grant);

    let early = owner.ask("tools/list", json!({}));
    assert_eq!(early["error"]["code"], -32002);
    owner.begin();
    assert_eq!(
        owner.names(),
        ["fails", "measure", "never", "price_of", "show"]
    );
    let priced = owner.call("price_of", json!({ "item": "tea", "count": 4 }));
    let output = json!({ "item": "tea", "price": 8, "who": OWNER });
    assert_eq!(priced["result"]["structuredContent"], output);
    let text = priced["result"]["content"][0]["text"]
        .as_str()
        .expect("a text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), output);
    let shown = owner.call("show", json!({}));
    assert_eq!(shown["result"]["content"][0]["text"], "a picture");
    let failed = owner.call("fails", json!({}));
    assert_eq!(failed["result"]["isError"], true);
    assert_eq!(failed["result"]["content"][0]["text"], "RT_FAIL: no stock");
    // A tool that does not say what it takes or does takes and does what its agent says.
    let listed = owner.ask("tools/list", json!({}));
    let listed = listed["result"]["tools"].as_array().expect("tools");
    let measure = listed.iter().find(|tool| tool["name"] == "measure");
    assert_eq!(
        measure.expect("a tool")["inputSchema"],
        json!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "width": { "type": "number" } },
            "required": ["name", "width"],
        })
    );
    assert_eq!(
        measure.expect("a tool")["description"],
        "Names what is measured."
    );
    let measured = owner.call("measure", json!({ "name": "table", "width": 2 }));
    assert_eq!(measured["result"]["content"][0]["text"], "\"table\"");
    for (name, arguments) in [
        ("measure", json!({ "name": "table" })),
        ("measure", json!({ "name": 5, "width": 2 })),
        ("price_of", json!({ "item": "tea" })),
        ("price_of", json!({ "item": "tea", "count": 0 })),
        ("absent", json!({})),
    ] {
        assert_eq!(
            owner.call(name, arguments)["error"]["code"],
            -32602,
            "{name}"
        );
    }
    assert_eq!(
        owner.ask("resources/list", json!({}))["error"]["code"],
        -32601
    );
    let batch = owner.post(&[], "[]").json();
    assert_eq!(batch["error"]["code"], -32600);
    assert_eq!(owner.post(&[], "{").json()["error"]["code"], -32700);

    // Pages of other sites do not speak for anybody; pages of this machine do.
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    assert_eq!(
        owner
            .post(&[("origin", "https://evil.example")], &ping)
            .status,
        403
    );
    assert_eq!(
        owner
            .post(&[("origin", "http://localhost:3000")], &ping)
            .status,
        200
    );
    // A version that nobody has agreed on; without the header it is the one before.
    for (version, status) in [
        ("2025-06-18", 200),
        ("2024-11-05", 200),
        ("1999-01-01", 400),
        ("", 400),
    ] {
        let answer = owner.post(&[("mcp-protocol-version", version)], &ping);
        assert_eq!(answer.status, status, "{version}");
        if status == 400 {
            let error = answer.json();
            assert_eq!(error["error"]["code"], "bad_param", "{error}");
            assert!(
                error.to_string().contains("2025-06-18, 2025-03-26"),
                "{error}"
            );
        }
    }
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "1999-01-01" } });
    let answer = owner.post(
        &[("mcp-protocol-version", "1999-01-01")],
        &hello.to_string(),
    );
    assert_eq!(answer.json()["result"]["protocolVersion"], "2025-06-18");
    for method in ["GET", "DELETE"] {
        let header = [("authorization", owner.token.as_str())];
        assert_eq!(
            server.send(method, "/v1/ws/acme/mcp", &header, None).status,
            405
        );
    }

    let mut runner = Client {
        server: &server,
        token: token(RUNNER),
        // Of somebody else.
        session: owner.session.clone(),
    };
    assert_eq!(runner.post(&[], &ping).status, 404);
    runner.session = None;
    runner.begin();
    assert_eq!(runner.names(), ["price_of"]);
    let refused = runner.call("show", json!({}));
    assert_eq!(refused["result"]["isError"], true);
    let why = refused["result"]["content"][0]["text"]
        .as_str()
        .expect("a text");
    assert!(why.starts_with("forbidden: "), "{why}");

    let mut stranger = Client {
        server: &server,
        token: token("eve@elsewhere.org"),
        session: None,
    };
    assert_eq!(stranger.post(&[], &ping).status, 403);
    stranger.token = "Bearer x".to_owned();
    assert_eq!(stranger.post(&[], &ping).status, 401);
}

struct Program {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Program {
        let mut child = Command::new(mixer())
            .arg("mcp")
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("mixer starts");
        let out = child.stdout.take().expect("it is piped");
        Program {
            child,
            lines: BufReader::new(out).lines(),
        }
    }

    fn send(&mut self, message: Value) {
        let input = self.child.stdin.as_mut().expect("it is open");
        writeln!(input, "{message}").expect("mixer reads");
    }

    fn answer(&mut self) -> Value {
        let line = self.lines.next().expect("an answer").expect("it is text");
        serde_json::from_str(&line).expect("it is JSON")
    }
}

fn converse(arguments: &[&str]) {
    let mut program = Program::start(arguments);
    let request = |id: u32, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    program.send(request(
        1,
        "initialize",
        json!({ "protocolVersion": "2025-06-18" }),
    ));
    assert_eq!(program.answer()["result"]["serverInfo"]["name"], "mixer");
    program.send(request(2, "tools/list", json!({})));
    let tools = program.answer();
    assert_eq!(
        tools["result"]["tools"].as_array().map(Vec::len),
        Some(5),
        "{tools}"
    );
    // An endless call does not keep others from being answered, and is taken back.
    program.send(request(3, "tools/call", json!({ "name": "never" })));
    program.send(request(
        4,
        "tools/call",
        json!({ "name": "price_of", "arguments": { "item": "tea", "count": 1 } }),
    ));
    let priced = program.answer();
    assert_eq!(priced["id"], 4);
    assert_eq!(priced["result"]["structuredContent"]["price"], 2);
    // Its id is taken as long as it runs, and it goes on.
    program.send(request(
        3,
        "tools/call",
        json!({ "name": "price_of", "arguments": { "item": "tea", "count": 1 } }),
    ));
    let twice = program.answer();
    assert_eq!(
        (&twice["id"], &twice["error"]["code"]),
        (&json!(3), &json!(-32600)),
        "{twice}"
    );
    program.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 3 } }));
    program.send(request(5, "ping", json!({})));
    assert_eq!(program.answer()["id"], 5);
    drop(program.child.stdin.take());
    assert!(program.child.wait().expect("it ends").success());
    assert!(
        program.lines.next().is_none(),
        "an answer to what was taken back"
    );
}

#[test]
fn a_program_that_starts_mixer_has_the_tools_of_a_folder() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    furnish(folder.path(), "local");
    let root = folder.path().join("ws").display().to_string();
    converse(&["--ws-dir", &root]);
    let absent = run_mixer(["mcp", "--ws-dir", &root, "--ws", "absent"]);
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains("no_such_ws"), "{}", absent.stderr);
}

#[test]
fn a_program_that_starts_mixer_has_the_tools_of_a_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    furnish(folder.path(), "local");
    let server = Server::mixer(&folder.path().join("ws"), &[]);
    converse(&["--server", server.base(), "--app", "shop"]);
}
