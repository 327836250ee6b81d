//! The examples of the library that need a server, a user or somebody to talk to, each run by an
//! agent of a real server.

use super::*;
use mix_conformance::example::{self, Place};
use mix_system_tests::{broker, peer};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

const LIBRARY: &str = "/v1/ws/acme/app/library";

/// One expression of an example with its result.
struct Step {
    of: String,
    expression: String,
    result: String,
}

fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for example in example::all() {
        let place = example::place(&example.text).expect("an example that can be read");
        if place == Place::Server {
            let found = example::steps(&example.text).into_iter();
            steps.extend(found.map(|(expression, result)| Step {
                of: example.of.clone(),
                expression,
                result: result.to_owned(),
            }));
        }
    }
    steps
}

/// A listener whose connections are served by threads of their own; its address.
fn listener(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers a request with its method, path and body.
fn tell(stream: TcpStream) {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(length) if length > 0 => {}
            _ => return,
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.parse().ok())?
    });
    let mut body = String::new();
    let mut content = reader.take(length.unwrap_or(0));
    content.read_to_string(&mut body).expect("a text");
    let asked = head.split(" HTTP/").next().unwrap_or_default();
    let text = format!("{asked} {body}").trim_end().to_owned();
    let shown = if asked.starts_with("HEAD") { "" } else { &text };
    let _ = write!(
        &stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{shown}",
        text.len()
    );
}

/// Sends back what it gets.
fn echo(mut stream: TcpStream) {
    if peer::accept(&mut stream).is_none() {
        return;
    }
    while let Some((first, payload)) = peer::frame(&mut stream) {
        peer::send(&mut stream, first, &payload);
    }
}

/// `list` answers with its arguments.
const LIST: &str = r#"(module
    (memory (export "memory") 1)
    (data (i32.const 8) "{\"ok\":")
    (func (export "mix_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "list") (param $at i32) (param $size i32) (result i64)
        (memory.copy (i32.const 14) (local.get $at) (local.get $size))
        (i32.store8 (i32.add (i32.const 14) (local.get $size)) (i32.const 125))
        (i64.or (i64.shl (i64.const 8) (i64.const 32))
            (i64.add (i64.const 7) (i64.extend_i32_u (local.get $size))))))"#;

/// Prints what it reads.
const PRINT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A file of a module as a Mix expression.
fn binary(module: &str) -> String {
    let bytes = wat::parse_str(module).expect("a module");
    let digits = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("binary.ofHex(\"{digits}\")")
}

/// What stands for the addresses and the parameters of the examples.
struct Surroundings {
    http: String,
    socket: String,
    broker: String,
    workspace: String,
}

impl Surroundings {
    fn parameter(&self, name: &str) -> String {
        match name {
            "d" => format!("db.remoteDB(\"{}\", \"library\")", self.workspace),
            "client" => format!("websocket.create({{url: \"{}\"}})", self.socket),
            "moduleBytes" => binary(LIST),
            "library" => format!("wasm.load({})", binary(LIST)),
            "programBytes" => binary(PRINT),
            "program" => format!("wasm.wasiLoad({})", binary(PRINT)),
            name => name.to_owned(),
        }
    }

    /// The agent of a step.
    fn agent(&self, number: usize, step: &Step) -> String {
        let given = example::parameters(&step.expression);
        let arguments: Vec<String> = given.iter().map(|name| self.parameter(name)).collect();
        let call = match arguments.is_empty() {
            true => step.expression.clone(),
            false => format!("({})({})", step.expression, arguments.join(", ")),
        };
        let call = call
            .replace("wss://example.org/mqtt", &self.broker)
            .replace("wss://example.org/socket", &self.socket)
            .replace("https://example.org", &self.http);
        format!(
            "// {of}\nmodule example{number}(p:data)\n  var cell m_params = p\n  var cell output : data = null\n  \
             def told(value) = if (value?) {{ok: value}} else {{undefined: true}}\n  def run : appstate -> data\n  def run(appstate) = (try told(({call}))) |> (ok(answer) -> answer | error(text) -> {{error: text}})\n  \
             on m_params do {{ output = run(appstate) }}\nmodule end\n\n",
            of = step.of,
        )
    }
}

/// What differs; nothing if the answer is what the example says.
fn difference(step: &Step, answer: &Value) -> Option<String> {
    let right = match step.result.strip_prefix('!') {
        Some(code) => {
            let text = answer["error"].as_str().unwrap_or_default();
            text.split(':').next() == Some(code)
        }
        None if step.result == "U" => answer["undefined"] == true,
        None => serde_json::from_str(&step.result).is_ok_and(|wanted: Value| {
            answer
                .as_object()
                .is_some_and(|answer| answer.get("ok") == Some(&wanted))
        }),
    };
    (!right).then(|| {
        format!(
            "{}: {}\n  {} expected, not {answer}\n",
            step.of, step.expression, step.result
        )
    })
}

#[test]
fn examples_of_the_library_do_what_they_say_on_a_server() {
    let (site, _provider, _) = Site::with_provider_of("oidc", sign_in::keeping);
    let surroundings = Surroundings {
        http: format!("http://{}", listener(tell)),
        socket: format!("ws://{}/", listener(echo)),
        broker: broker::start(),
        workspace: format!("{}/v1/ws/acme", site.server.base()),
    };
    let steps = steps();
    let mut program =
        String::from("module report(p:data)\n  cell output = \"done\"\nmodule end\n\n");
    for (number, step) in steps.iter().enumerate() {
        program.push_str(&surroundings.agent(number, step));
    }
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("library.mix");
    std::fs::write(&file, program).expect("a writable folder");
    site.install_as(&file, "library");
    let mut user = site.signed_in(OWNER);
    let mut differences = String::new();
    for (number, step) in steps.iter().enumerate() {
        // Another example may have removed the token of the provider.
        if step.expression.contains("\"corp\"") {
            user = site.signed_in(OWNER);
        }
        let path = format!("{LIBRARY}/agent/example{number}/run");
        let answer = site.with_token(&user, "POST", &path);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
        differences.extend(difference(step, &answer));
    }
    assert!(
        differences.is_empty(),
        "{} examples, but:\n{differences}",
        steps.len()
    );
    assert!(steps.len() > 80, "only {} examples", steps.len());
}
