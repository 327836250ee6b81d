//! Plugins written by hand, instruction by instruction: they break the contract as no tool of a
//! language would let them. None of them is more than a refused plugin, or a failed call.

use std::path::PathBuf;

use mix_system_tests::{Finished, Server, repository, response_json, run_mixer, run_mixer_with};
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The parts of a plugin that a test writes; the others do what they should.
struct Parts {
    imports: &'static str,
    /// Globals and data.
    more: &'static str,
    memory: &'static str,
    realloc: &'static str,
    describe: &'static str,
    call: &'static str,
    start: &'static str,
    callback: &'static str,
}

/// A list of `$evil_ping`, which never waits, and `$evil_go`, which may.
const LIST: &str = "(i32.const 16)";
/// `ok` with the value null.
const NULL: &str = "(i32.const 200)";
/// Answers with null and is done.
const ANSWER: &str = "(call $return (i32.const 0) (i32.const 0) (i32.const 220) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const FOR_EVER: &str = "(loop $l (br $l)) (unreachable)";

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            imports: "",
            more: "",
            memory: "1",
            realloc: "(i32.const 4096)",
            describe: LIST,
            call: NULL,
            start: ANSWER,
            callback: "(unreachable)",
        }
    }
}

/// The functions of the contract that a plugin may import.
const IMPORTS: &str = r#"
    (import "[export]mix:ffi/family@0.1.1" "[task-return]start"
        (func $return (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "[export]mix:ffi/family@0.1.1" "[stream-new-0]start" (func $stream (result i64)))
    (import "$root" "[waitable-set-new]" (func $set (result i32)))
    (import "$root" "[waitable-set-wait]" (func $wait (param i32 i32) (result i32)))
"#;

/// What stands in the memory: two functions, at 32, of 20 bytes each, their names and docs; the list of them at
/// 16; null at 220 and the result of a call with it at 200.
const DATA: &str = r#"
    (data (i32.const 16) "\20\00\00\00\02\00\00\00")
    (data (i32.const 32) "\00\01\00\00\0a\00\00\00\00\00\00\00\20\01\00\00\02\00\00\00")
    (data (i32.const 52) "\10\01\00\00\08\00\00\00\00\01\00\00\20\01\00\00\02\00\00\00")
    (data (i32.const 200) "\00\00\00\00\dc\00\00\00\01\00\00\00")
    (data (i32.const 220) "\c0")
    (data (i32.const 256) "$evil_ping")
    (data (i32.const 272) "$evil_go")
    (data (i32.const 288) "Me")
"#;

impl Parts {
    /// The core module, with the type of its component.
    fn module(&self) -> Vec<u8> {
        let Parts {
            imports,
            more,
            memory,
            realloc,
            describe,
            call,
            start,
            callback,
        } = self;
        let text = format!(
            r#"(module {IMPORTS} {imports}
                (memory (export "memory") {memory}) {DATA} {more}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "mix:ffi/family@0.1.1#describe") (result i32) {describe})
                (func (export "mix:ffi/family@0.1.1#call") (param i32 i32 i32) (result i32) {call})
                (func (export "[async-lift]mix:ffi/family@0.1.1#start")
                    (param i32 i32 i32) (result i32) {start})
                (func (export "[callback][async-lift]mix:ffi/family@0.1.1#start")
                    (param i32 i32 i32) (result i32) {callback}))"#
        );
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut resolve = Resolve::default();
        let contract = repository().join("wit/ffi");
        let (package, _) = resolve.push_dir(contract).expect("the contract");
        let world = resolve.select_world(&[package], Some("plugin"));
        let world = world.expect("the world of plugins");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("its type");
        module
    }

    fn component(&self) -> Vec<u8> {
        let component = ComponentEncoder::default().module(&self.module());
        let component = component.and_then(|mut encoder| encoder.encode());
        component.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn written(&self) -> Evil {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let plugin = folder.path().join("evil.wasm");
        std::fs::write(&plugin, self.component()).expect("a writable folder");
        Evil { folder, plugin }
    }
}

struct Evil {
    folder: tempfile::TempDir,
    plugin: PathBuf,
}

const PROGRAM: &str = r#"
module evil(p:data)
  foreign def go : null -> data = "$evil_go"
  foreign def ping : null -> data = "$evil_ping"
  var cell m_params = p
  def textOf = ok(_) -> "ok" | error(s) -> s
  def of(what) = if (what == "go") go() else ping()
  cell output = {caught: textOf(try of(m_params.what)), then: textOf(try ping())}
module end
module fine()
  cell output = 1
module end
"#;

impl Evil {
    fn check(&self) -> Finished {
        run_mixer(["plugin", "check", &self.plugin.display().to_string()])
    }

    fn program(&self) -> String {
        let program = self.folder.path().join("program.mix");
        std::fs::write(&program, PROGRAM).expect("a writable folder");
        program.display().to_string()
    }

    fn run(&self, agent: &str, what: &str, more: &[&str]) -> Finished {
        self.run_with(&[], agent, what, more)
    }

    /// The same with variables in its environment.
    fn run_with(
        &self,
        variables: &[(&str, &str)],
        agent: &str,
        what: &str,
        more: &[&str],
    ) -> Finished {
        let (program, plugin) = (self.program(), self.plugin.display().to_string());
        let params = json!({ "what": what }).to_string();
        let first = [
            "run", &program, agent, "--plugin", &plugin, "--params", &params,
        ];
        run_mixer_with(variables, first.into_iter().chain(more.iter().copied()))
    }
}

#[track_caller]
fn assert_refused(done: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    for part in parts {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    // One line for people, with nothing in it that a terminal would take for an order.
    assert!(done.stderr.len() < 2_000, "{}", done.stderr);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!done.stderr.contains(control), "{:?}", done.stderr);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
}

#[test]
fn a_plugin_written_by_hand_works() {
    let evil = Parts::default().written();
    let check = evil.check();
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("2 functions, ok"), "{}", check.stdout);
    let done = evil.run("evil", "go", &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let output = response_json(done.stdout.as_bytes());
    assert_eq!(output, json!({"caught": "ok", "then": "ok"}));
}

#[test]
fn a_plugin_that_begins_with_much_memory_works() {
    // 80 MiB: to describe itself it may add to what it has from the start, to run it may have more.
    let parts = Parts {
        memory: "1280",
        ..Parts::default()
    };
    let evil = parts.written();
    let check = evil.check();
    assert_eq!(check.code, 0, "{}", check.stderr);
    let done = evil.run("evil", "go", &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let output = response_json(done.stdout.as_bytes());
    assert_eq!(output, json!({"caught": "ok", "then": "ok"}));
}

#[test]
fn what_a_plugin_writes_is_in_the_log() {
    // It writes with the functions of WASI 0.1, as a libc does; a component is made of it as in projects of C.
    let parts = Parts {
        imports: r#"(import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))"#,
        // One text at 440, of 19 bytes.
        more: r#"(global $top (mut i32) (i32.const 65536))
            (data (i32.const 400) "\b8\01\00\00\13\00\00\00")
            (data (i32.const 440) "so \1b[2J far\nno line")"#,
        memory: "32",
        realloc: "(global.set $top (i32.add (global.get $top) (i32.const 65536)))
            (i32.sub (global.get $top) (i32.const 65536))",
        call: "(drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 420)))
            (i32.const 200)",
        ..Parts::default()
    };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (module, plugin) = (
        folder.path().join("core.wasm"),
        folder.path().join("evil.wasm"),
    );
    std::fs::write(&module, parts.module()).expect("a writable folder");
    let paths = [&module, &plugin].map(|path| path.display().to_string());
    let made = run_mixer(["plugin", "component", &paths[0], "-o", &paths[1]]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let evil = Evil { folder, plugin };
    let run = |filter: &str, form: &str| {
        let variables = [("RUST_LOG", filter)];
        let done = evil.run_with(&variables, "evil", "ping", &["--log-format", form]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let output = response_json(done.stdout.as_bytes());
        assert_eq!(output, json!({"caught": "ok", "then": "ok"}));
        done.stderr
    };
    let log = run("info", "json");
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said: Vec<Value> = lines
        .filter(|line| line["target"] == "mix-plugin")
        .collect();
    assert_eq!(said.len(), 3, "{log}");
    assert_eq!(said[0]["message"], "so \u{1b}[2J far");
    assert_eq!(said[0]["plugin"], "evil");
    // The last line has no end.
    assert_eq!(said[2]["message"], "no line");
    assert_eq!(run("info,mix-plugin=warn", "json"), "");
    assert!(!run("info", "pretty").contains('\u{1b}'));
}

#[test]
fn a_plugin_that_describes_itself_badly_is_refused() {
    // Each function is described by 20 bytes that begin at 32, its name by the first 8 of them.
    for (parts, told) in [
        (
            Parts {
                describe: FOR_EVER,
                ..Parts::default()
            },
            "within 5 s",
        ),
        (
            Parts {
                more: "(func $begin (loop $l (br $l))) (start $begin)",
                ..Parts::default()
            },
            "within 5 s",
        ),
        (
            Parts {
                describe: "(unreachable)",
                ..Parts::default()
            },
            "unreachable",
        ),
        (
            // One name twice.
            Parts {
                more: r#"(data (i32.const 52) "\00\01\00\00\0a\00\00\00")"#,
                ..Parts::default()
            },
            "$evil_ping twice",
        ),
        (
            // A name that is no text.
            Parts {
                more: r#"(data (i32.const 256) "\ff\fe")"#,
                ..Parts::default()
            },
            "utf-8",
        ),
        (
            // A name with orders for a terminal.
            Parts {
                more: r#"(data (i32.const 261) "\1b[2J")"#,
                ..Parts::default()
            },
            "no name of a function",
        ),
        (
            // A name without an end.
            Parts {
                memory: "20",
                more: r#"(data (i32.const 36) "\00\00\10\00")"#,
                ..Parts::default()
            },
            "no name of a function",
        ),
        (
            // Documentation without an end.
            Parts {
                memory: "20",
                more: r#"(data (i32.const 44) "\00\10\00\00\00\00\10\00")"#,
                ..Parts::default()
            },
            "documentation",
        ),
        (
            // All of them are the same few bytes, and each is another function for the host.
            Parts {
                memory: "400",
                more: r#"(data (i32.const 16) "\20\00\00\00\40\42\0f\00")"#,
                ..Parts::default()
            },
            "functions",
        ),
        (
            // Each is described by the same megabyte: 50 GB for whoever copies it.
            Parts {
                memory: "1000",
                describe: "(local $i i32)
                    (loop $l
                        (i32.store (i32.add (i32.const 65536) (local.get $i)) (i32.const 2097152))
                        (i32.store (i32.add (i32.const 65540) (local.get $i)) (i32.const 1048576))
                        (i32.store (i32.add (i32.const 65548) (local.get $i)) (i32.const 2097152))
                        (i32.store (i32.add (i32.const 65552) (local.get $i)) (i32.const 1048576))
                        (br_if $l (i32.lt_u
                            (local.tee $i (i32.add (local.get $i) (i32.const 20)))
                            (i32.const 1000000))))
                    (i32.store (i32.const 16) (i32.const 65536))
                    (i32.store (i32.const 20) (i32.const 50000))
                    (i32.const 16)",
                ..Parts::default()
            },
            "exhausted",
        ),
        (
            // A list outside of its memory.
            Parts {
                more: r#"(data (i32.const 16) "\00\00\00\f0\02\00\00\00")"#,
                ..Parts::default()
            },
            "out of bounds",
        ),
        (
            // More memory than there is.
            Parts {
                memory: "65536",
                ..Parts::default()
            },
            "memory",
        ),
    ] {
        let evil = parts.written();
        let check = evil.check();
        assert_refused(&check, 1, &[told]);
        assert_refused(&evil.run("fine", "", &[]), 2, &["evil", told]);
    }
}

#[test]
fn a_plugin_with_a_function_of_another_family_is_refused() {
    for (name, bytes) in [
        ("$db_flush", "\\09"),
        ("$core_now", "\\09"),
        ("$http_do", "\\08"),
        ("$mqtt_publish", "\\0d"),
    ] {
        let more = format!(
            r#"(data (i32.const 256) "{name}   ") (data (i32.const 36) "{bytes}\00\00\00")"#
        );
        let evil = Parts {
            more: more.leak(),
            ..Parts::default()
        };
        assert_refused(&evil.written().run("fine", "", &[]), 2, &[name, "evil"]);
    }
}

#[test]
fn a_call_that_breaks_the_contract_fails_alone() {
    let go = |start: &'static str| Parts {
        start,
        ..Parts::default()
    };
    let ping = |call: &'static str| Parts {
        call,
        ..Parts::default()
    };
    for (name, what, parts) in [
        ("answers twice", "go", go(TWICE)),
        ("ends without an answer", "go", go("(i32.const 0)")),
        (
            "goes on in a way that there is none",
            "go",
            go("(i32.const 77)"),
        ),
        (
            "waits for a set that it has not",
            "go",
            go("(i32.const 4098)"),
        ),
        ("answers with a stream that it has not", "go", go(FORGED)),
        (
            "answers with what lies outside of its memory",
            "go",
            go(OUTSIDE),
        ),
        ("answers with a case that there is none of", "go", go(CASE)),
        ("fails with what is no text", "go", go(NO_TEXT)),
        ("makes streams for ever", "go", go(STREAMS)),
        ("makes streams for ever, at once", "ping", ping(STREAMS)),
        ("waits where it must not", "ping", ping(WAITS)),
        (
            "gives what lies outside of its memory",
            "ping",
            ping("(i32.const -4)"),
        ),
        ("gives it at an odd place", "ping", ping("(i32.const 201)")),
    ] {
        let evil = parts.written();
        let done = evil.run("evil", what, &["--timeout", "30s"]);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        let output = response_json(done.stdout.as_bytes());
        let caught = output["caught"].as_str().unwrap_or_default();
        assert!(caught.starts_with("ERR_INTERNAL: "), "{name}: {output}");
        if what == "go" {
            assert_eq!(output["then"], "ok", "{name}: {output}");
        }
    }
}

const TWICE: &str = "(call $return (i32.const 0) (i32.const 0) (i32.const 220) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $return (i32.const 0) (i32.const 0) (i32.const 220) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const FORGED: &str = "(call $return (i32.const 0) (i32.const 1) (i32.const 4711) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const OUTSIDE: &str = "(call $return (i32.const 0) (i32.const 0) (i32.const 220) (i32.const -1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const CASE: &str = "(call $return (i32.const 9) (i32.const 0) (i32.const 220) (i32.const 1)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const NO_TEXT: &str = r"(i32.store (i32.const 600) (i32.const -1))
    (call $return (i32.const 1) (i32.const 600) (i32.const 4) (i32.const 600)
    (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.const 0)";
const STREAMS: &str = "(loop $l (drop (call $stream)) (br $l)) (unreachable)";
const WAITS: &str = "(drop (call $wait (call $set) (i32.const 700))) (i32.const 200)";

#[test]
fn a_plugin_that_breaks_the_contract_again_and_again_holds_up_nobody() {
    let parts = Parts {
        start: STREAMS,
        ..Parts::default()
    };
    let evil = parts.written();
    let ws_dir = evil.folder.path().join("ws");
    let install = [
        "install",
        &evil.program(),
        "--app",
        "evil",
        "--ws-dir",
        &ws_dir.display().to_string(),
    ];
    let done = run_mixer(install);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plugin = evil.plugin.display().to_string();
    let server = Server::mixer(&ws_dir, &["--plugin", &plugin]);
    let run = |agent: &str, body: &str| -> (u16, Value) {
        let path = format!("/v1/ws/local/app/evil/agent/{agent}/run");
        let (status, body) = server.post(&path, body);
        (status, response_json(&body))
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let (status, answer) = run("evil", r#"{"what":"go"}"#);
                    assert_eq!((status, &answer["then"]), (200, &json!("ok")), "{answer}");
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(run("fine", "{}"), (200, json!(1)));
        }
    });
}
