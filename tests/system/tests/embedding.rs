//! Components of the embedding world that were not made from Mix, as agents of an app.

use std::path::Path;

use mix_system_tests::{Finished, Server, components, output, response_json, run_mixer};
use serde_json::json;

fn stranger() -> String {
    components()
        .join("mix_test_stranger.wasm")
        .display()
        .to_string()
}

fn run(agent: &str, more: &[&str]) -> Finished {
    let stranger = stranger();
    let first = ["run", &stranger, agent];
    run_mixer(first.into_iter().chain(more.iter().copied()))
}

#[test]
fn its_agents_run_like_any_others() {
    let done = run(
        "echo",
        &["--params", r#"{"n":1,"of":{"_rmx_type":"{tag}undefined"}}"#],
    );
    let expected = json!({"agent": "echo", "params": {"n": 1}});
    assert_eq!(output(&done)["params"]["n"], expected["params"]["n"]);
    assert_eq!(
        output(&run("echo", &[])),
        json!({"agent": "echo", "params": {}})
    );
    // The records are those of its app, which is named after the file.
    let ws = tempfile::tempdir().expect("a scratch folder");
    let place = ws.path().display().to_string();
    for visits in 1..=2 {
        let done = run("records", &["--ws-dir", &place, "--app", "guest"]);
        assert_eq!(output(&done), json!({"visits": visits}));
    }
    assert!(ws.path().join("local/guest/v2").is_dir());
    // It is installed by that, and found without its file.
    let again = ["run", "records", "--ws-dir", &place, "--app", "guest"];
    assert_eq!(output(&run_mixer(again)), json!({"visits": 3}));
}

#[test]
fn it_has_nothing_but_what_a_run_has() {
    // Variables of this process are not its own.
    let seen = output(&run("peek", &[]));
    assert_eq!(
        (&seen["folders"], &seen["connected"]),
        (&json!(0), &json!(false)),
        "{seen}"
    );
    let variables = seen["variables"].as_str().expect("names");
    assert_eq!(variables, "");
    let seen = output(&run("peek", &["--env", r#"{"region":"north"}"#]));
    assert_eq!(seen["variables"], "MIXER_ENV");
    for (agent, more, code, part) in [
        (
            "fail",
            &[][..],
            1,
            "error ERR_NOT_FOUND: nothing of that kind (at Stranger.run:1)",
        ),
        ("spin", &["--timeout", "1s"], 124, "RT_TIMEOUT"),
        ("hungry", &["--agent-memory", "64MiB"], 1, "RT_MEMORY"),
        ("trap", &[], 1, "RT_INTERNAL"),
        ("babble", &[], 1, "ERR_NOT_SERIALIZABLE"),
        ("nobody", &[], 1, "no_such_agent"),
    ] {
        let done = run(agent, more);
        assert_eq!(done.code, code, "{agent}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{agent}: {}", done.stderr);
    }
}

fn installed(ws_dir: &Path, name: &str, component: &[u8]) {
    let code = ws_dir.join("local/guest/files/code");
    std::fs::create_dir_all(&code).expect("a writable folder");
    std::fs::write(code.join(name), component).expect("a writable folder");
}

#[test]
fn a_server_runs_it() {
    let ws = tempfile::tempdir().expect("a scratch folder");
    let done = run_mixer([
        "install",
        &stranger(),
        "--app",
        "guest",
        "--ws-dir",
        &ws.path().display().to_string(),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let server = Server::mixer(
        ws.path(),
        &["--agent-timeout", "2s", "--agent-memory", "64MiB"],
    );
    let app = "/v1/ws/local/app/guest";
    let run = |agent: &str, params: &str| {
        let path = format!("{app}/agent/{agent}/run");
        let answer = server.send("POST", &path, &[], Some(("application/json", params)));
        (answer.status, response_json(&answer.body))
    };
    assert_eq!(
        run("echo", r#"{"n":[1]}"#),
        (200, json!({"agent": "echo", "params": {"n": [1]}}))
    );
    let (status, told) = server.get(app);
    let told = response_json(&told);
    assert_eq!(status, 200);
    assert!(
        told["agents"].to_string().contains(r#"{"name":"echo"}"#),
        "{told}"
    );
    let (status, told) = server.get(&format!("{app}/agent/echo"));
    assert_eq!(
        (status, &response_json(&told)["kind"]),
        (200, &json!("agent"))
    );
    for (agent, status, code) in [
        ("fail", 500, "agent_error"),
        ("spin", 504, "agent_timeout"),
        ("hungry", 500, "agent_memory"),
        ("trap", 500, "internal"),
        ("nobody", 404, "no_such_agent"),
    ] {
        let (found, body) = run(agent, "{}");
        assert_eq!(
            (found, &body["error"]["code"]),
            (status, &json!(code)),
            "{agent}: {body}"
        );
    }
    assert_eq!(run("records", "{}"), (200, json!({"visits": 1})));
    // The next run has an instance of its own, whatever became of the last one.
    assert_eq!(run("echo", "{}").0, 200);
}

#[test]
fn what_is_no_such_component_is_said() {
    let ws = tempfile::tempdir().expect("a scratch folder");
    let bytes = std::fs::read(stranger()).expect("the component");
    // Of another version of the contract.
    let (known, other) = (b"mix:embed/agents@0.1.0", b"mix:embed/agents@0.9.0");
    let mut later = bytes.clone();
    for place in 0..later.len() - known.len() {
        if later[place..].starts_with(known) {
            later[place..place + other.len()].copy_from_slice(other);
        }
    }
    let run = |ws: &Path| {
        let place = ws.display().to_string();
        run_mixer(["run", "echo", "--ws-dir", &place, "--app", "guest"])
    };
    for (component, part) in [
        (
            &later[..],
            "guest.wasm cannot be used: it exports mix:embed/agents@0.9.0",
        ),
        (&bytes[..bytes.len() - 1], "guest.wasm cannot be used: "),
        // A module is somebody else's.
        (b"\0asm\x01\0\0\0", "no_such_agent"),
    ] {
        installed(ws.path(), "guest.wasm", component);
        let done = run(ws.path());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    // What it offers can be looked at.
    let done = run_mixer(["inspect", &stranger()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in [
        "a component with agents, not made by mixer",
        "  echo\n",
        "  functions of the embedding program: mix:ffi/family@",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    let done = run_mixer(["inspect", "--json", &stranger()]);
    assert_eq!(output(&done)["agents"][0], json!({"name": "echo"}));
    // It is one component already.
    let done = run_mixer(["compose", &stranger(), "-o", "/nowhere.wasm"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("it carries no program of this VM"),
        "{}",
        done.stderr
    );
}
