//! What goes wrong ends its own call with a stable code, a line that says what and
//! where, and nothing else: the server goes on serving.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mix_system_tests::{
    Finished, Server, components, composed, install, mixer, repository, response_json, run_mixer,
    stock_server_with,
};
use serde_json::{Value, json};

fn program(name: &str) -> String {
    repository()
        .join("tests/system/programs")
        .join(name)
        .display()
        .to_string()
}

fn hostile_plugin() -> String {
    components()
        .join("mix_test_plugin_hostile.wasm")
        .display()
        .to_string()
}

fn run(arguments: &[&str]) -> Finished {
    run_mixer(arguments)
}

#[track_caller]
fn assert_fails(finished: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(
        finished.code, code,
        "stdout: {}\nstderr: {}",
        finished.stdout, finished.stderr
    );
    for part in parts {
        assert!(
            finished.stderr.contains(part),
            "{part} is missing in: {}",
            finished.stderr
        );
    }
    assert!(
        !finished.stderr.contains("panicked"),
        "a panic reached the user: {}",
        finished.stderr
    );
}

/// As in `mixer db query … | head`.
#[test]
fn a_command_whose_output_nobody_reads_any_longer_ends_quietly() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let records = folder.path().join("records.jsonl");
    // More than a pipe holds.
    let lines: String = (0..4000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    std::fs::write(&records, lines).expect("records");
    let app = folder.path().join("app").display().to_string();
    let saved = run(&[
        "db",
        "--path",
        &app,
        "import",
        &records.display().to_string(),
    ]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    let mut commands = vec![vec!["export"], vec!["export", "--format", "csv"]];
    for output in ["table", "json", "jsonl", "csv"] {
        commands.push(vec!["query", "", "--output", output]);
    }
    for command in commands {
        let mut child = Command::new(mixer())
            .args(["db", "--path", &app])
            .args(&command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mixer starts");
        let mut out = child.stdout.take().expect("its output");
        out.read_exact(&mut [0; 8]).expect("a beginning");
        drop(out);
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(
            (done.status.code(), &*String::from_utf8_lossy(&done.stderr)),
            (Some(0), ""),
            "{command:?}"
        );
    }
    // Nor does it end badly if nobody reads what is wrong.
    let mut child = Command::new(mixer())
        .args(["db", "--path", "/nowhere", "stat"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("mixer starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn a_plugin_on_the_command_line_is_linked_like_a_built_in_one() {
    let done = run(&[
        "run",
        &program("hostile"),
        "echo",
        "--plugin",
        &hostile_plugin(),
        "--params",
        r#"{"a":[1,2.5,null]}"#,
    ]);
    assert_eq!(
        (done.code, done.stdout.trim()),
        (0, r#"{"a":[1,2.5,null]}"#),
        "{}",
        done.stderr
    );
}

/// What the agent says of a call that a plugin may take so much time for.
fn survivor(what: &str, time: &str) -> Value {
    let parameters = json!({ "what": what }).to_string();
    let grant = format!("mix_test_plugin_hostile=time:{time}");
    let done = run(&[
        "run",
        &program("hostile"),
        "survives",
        "--plugin",
        &hostile_plugin(),
        "--params",
        &parameters,
        "--grant",
        &grant,
    ]);
    assert_eq!(done.code, 0, "{what}: {}", done.stderr);
    response_json(done.stdout.as_bytes())
}

#[test]
fn a_reply_that_is_no_value_is_told_with_what_is_wrong() {
    for (what, reply, wrong) in [
        ("garbage", "$hostile_garbage", "invalid marker at byte 0"),
        ("delve", "$hostile_delve", "nested too deeply at byte 132"),
    ] {
        let caught = survivor(what, "1m")["caught"].clone();
        let caught = caught.as_str().unwrap_or_default();
        let said = format!("the reply of {reply} (plugin mix_test_plugin_hostile) is no Mix value");
        assert!(
            caught.contains(&said) && caught.ends_with(wrong),
            "{caught}"
        );
    }
}

#[test]
fn the_end_of_a_plugin_is_told_by_its_cause() {
    for (what, cause) in [
        ("trap", "trapped in $hostile_trap"),
        ("sink", "ran out of stack in $hostile_sink"),
        ("leave", "ended itself in $hostile_leave"),
    ] {
        let output = survivor(what, "1m");
        let said = format!("ERR_INTERNAL: plugin mix_test_plugin_hostile {cause}");
        assert_eq!(output["caught"], said.as_str());
        assert_eq!(output["then"], "still here", "{what}");
    }
}

#[test]
fn a_misbehaving_plugin_ends_its_call_only() {
    // What fills memory has the time for it, on a slow machine too.
    for (what, time, code) in [
        ("trap", "1s", "ERR_INTERNAL: "),
        ("trapWaiting", "1s", "ERR_INTERNAL: "),
        ("hang", "1s", "ERR_TIMEOUT: "),
        ("memory", "1m", "ERR_TOO_LARGE: "),
        ("garbage", "1s", "ERR_INTERNAL: "),
        ("flood", "1m", "ERR_TOO_LARGE: "),
        ("forge", "1s", "ERR_INTERNAL: "),
        ("rave", "1m", "ERR_INTERNAL: "),
        ("delve", "1m", "ERR_INTERNAL: "),
    ] {
        let output = survivor(what, time);
        let caught = output["caught"].as_str().unwrap_or_default();
        assert!(caught.starts_with(code), "{what}: {caught}");
        assert!(
            caught.len() < 20_000 && !caught.contains('\u{1b}'),
            "{what}"
        );
        assert_eq!(output["then"], "still here", "{what}");
    }
}

#[test]
fn an_endless_stream_is_read_as_far_as_wanted() {
    let done = run(&[
        "run",
        &program("hostile"),
        "babbles",
        "--plugin",
        &hostile_plugin(),
    ]);
    assert_eq!(
        (done.code, done.stdout.trim()),
        (0, "[1,1,1]"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_plugin_that_never_answers_ends_with_the_run() {
    let done = run(&[
        "run",
        &program("hostile"),
        "waits",
        "--plugin",
        &hostile_plugin(),
        "--timeout",
        "1s",
    ]);
    assert_fails(&done, 124, &["RT_TIMEOUT"]);
}

#[test]
fn a_missing_function_is_found_before_the_run() {
    let done = run(&["run", &program("missing.mix"), "missing"]);
    assert_fails(
        &done,
        1,
        &["ERR_FFI_MISSING", "$nobody_has_this", "missing"],
    );
    let done = run(&["run", &program("hostile"), "echo"]);
    assert_fails(&done, 1, &["ERR_FFI_MISSING", "$hostile_echo"]);
}

#[test]
fn a_plugin_that_is_no_plugin_is_refused_at_start() {
    let done = run(&[
        "run",
        &program("limits"),
        "fine",
        "--plugin",
        &program("missing.mix"),
    ]);
    assert_fails(&done, 2, &["missing.mix"]);
    let done = run(&[
        "run",
        &program("limits"),
        "fine",
        "--plugin",
        "/nowhere/x.wasm",
    ]);
    assert_fails(&done, 2, &["/nowhere/x.wasm"]);
    let vm = components()
        .join("mix_vm_component.wasm")
        .display()
        .to_string();
    let done = run(&["run", &program("limits"), "fine", "--plugin", &vm]);
    assert_fails(&done, 2, &["mix:ffi/family"]);
}

#[test]
fn two_plugins_with_one_function_are_refused_naming_both() {
    let done = run(&[
        "run",
        &program("limits"),
        "fine",
        "--plugin",
        &hostile_plugin(),
        "--plugin",
        &hostile_plugin(),
    ]);
    assert_fails(&done, 2, &["$hostile_echo"]);
}

#[test]
fn runs_are_bounded_in_time_memory_and_depth() {
    let done = run(&["run", &program("limits"), "endless", "--timeout", "500ms"]);
    assert_fails(&done, 124, &["RT_TIMEOUT"]);
    let done = run(&["run", &program("limits"), "hoard"]);
    assert_fails(&done, 1, &["RT_MEMORY"]);
    let done = run(&["run", &program("limits"), "deep"]);
    assert_fails(&done, 1, &["RT_STACK", "limits.mix"]);
}

#[test]
fn a_runtime_error_carries_the_mix_stack() {
    let done = run(&["run", &program("limits"), "fails"]);
    assert_fails(
        &done,
        1,
        &[
            "error RT_FAIL: no luck",
            "at fails.inner:31",
            "at fails.cell output:32",
        ],
    );
}

#[test]
fn a_wrong_agent_name_and_bad_parameters_are_named() {
    let done = run(&["run", &program("limits"), "nobody"]);
    assert_fails(&done, 1, &["nobody"]);
    let done = run(&["run", &program("limits"), "fine", "--params", "{\"a\":"]);
    assert_fails(&done, 2, &["--params"]);
    let done = run(&["run", "/nowhere/app", "fine"]);
    assert_fails(&done, 3, &["/nowhere/app"]);
}

/// Builds the limits program into a file of its own.
fn executable(folder: &Path) -> PathBuf {
    let path = folder.join("limits.mixexe");
    let done = run(&[
        "build",
        &program("limits"),
        "-o",
        &path.display().to_string(),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    path
}

#[test]
fn a_corrupt_executable_is_refused_whatever_was_changed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = executable(folder.path());
    let good = std::fs::read(&path).expect("the executable is there");
    let file = path.display().to_string();
    let done = run(&["run", &file, "fine", "--params", r#"{"name":"x"}"#]);
    assert_eq!(
        (done.code, done.stdout.trim()),
        (0, r#""fine x""#),
        "{}",
        done.stderr
    );
    for at in [0, 4, 9, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(&path, &bad).expect("the scratch folder is writable");
        assert_fails(&run(&["run", &file, "fine"]), 1, &["limits.mixexe"]);
    }
    for length in [0, 3, 20, good.len() - 1] {
        std::fs::write(&path, &good[..length]).expect("the scratch folder is writable");
        assert_fails(&run(&["run", &file, "fine"]), 1, &["limits.mixexe"]);
    }
}

/// A server with the agents of both programs and the hostile plugin, of which a call may take `time`.
fn server_with_hostile_agents(ws_dir: &Path, time: &str, timeout: &str) -> Server {
    for app in ["limits", "hostile"] {
        install(program(app), ws_dir, "local", app);
    }
    let grant = format!("mix_test_plugin_hostile=time:{time}");
    let plugin = hostile_plugin();
    let arguments = [
        "--plugin",
        &plugin,
        "--grant",
        &grant,
        "--agent-timeout",
        timeout,
    ];
    Server::mixer(ws_dir, &arguments)
}

#[test]
fn the_server_keeps_serving_whatever_its_agents_do() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    // Of processor time: well below that of a run, even where others use the processors too.
    let server = server_with_hostile_agents(folder.path(), "200ms", "4s");
    let run = |app: &str, agent: &str, body: &str| {
        let (status, body) =
            server.post(&format!("/v1/ws/local/app/{app}/agent/{agent}/run"), body);
        (status, response_json(&body))
    };
    let fine = || {
        assert_eq!(
            run("limits", "fine", r#"{"name":"x"}"#),
            (200, json!("fine x"))
        )
    };
    fine();
    for (app, agent, body, status, code) in [
        ("limits", "endless", "{}", 504, "agent_timeout"),
        ("limits", "hoard", "{}", 500, "agent_memory"),
        ("limits", "deep", "{}", 500, "agent_error"),
        ("limits", "fails", "{}", 500, "agent_error"),
        ("limits", "nobody", "{}", 404, "no_such_agent"),
        ("nothing", "fine", "{}", 404, "no_such_app"),
        ("limits", "fine", "{\"a\":", 400, "bad_json"),
        ("limits", "fine", "[1]", 400, "bad_param"),
        ("limits", "fine", "{\"a\":1,\"a\":2}", 400, "bad_json"),
        (
            "limits",
            "fine",
            r#"{"a":{"_rmx_type":"{tag}nonsense"}}"#,
            400,
            "bad_value",
        ),
        ("hostile", "waits", "{}", 504, "agent_timeout"),
    ] {
        let (got, answer) = run(app, agent, body);
        assert_eq!(
            (got, answer["error"]["code"].as_str()),
            (status, Some(code)),
            "{app}/{agent}: {answer}"
        );
        fine();
    }
    let (status, answer) = run("limits", "fails", "{}");
    assert_eq!(
        (status, &answer["error"]["details"]["code"]),
        (500, &json!("RT_FAIL")),
        "{answer}"
    );
    for what in ["trap", "trapWaiting", "hang", "memory", "garbage", "flood"] {
        let (status, answer) = run("hostile", "survives", &json!({ "what": what }).to_string());
        assert_eq!(
            (status, &answer["then"]),
            (200, &json!("still here")),
            "{what}: {answer}"
        );
        fine();
    }
}

#[test]
fn a_slow_run_does_not_hold_up_others() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ws_dir = folder.path().display().to_string();
    run(&[
        "install",
        &program("limits"),
        "--ws-dir",
        &ws_dir,
        "--ws",
        "local",
        "--app",
        "limits",
    ]);
    let server = Server::mixer(folder.path(), &["--agent-timeout", "3s"]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            server
                .post("/v1/ws/local/app/limits/agent/endless/run", "{}")
                .0
        });
        for _ in 0..20 {
            let (status, _) =
                server.post("/v1/ws/local/app/limits/agent/fine/run", r#"{"name":"y"}"#);
            assert_eq!(status, 200);
        }
        assert!(!slow.is_finished(), "quick runs waited for the slow one");
        assert_eq!(slow.join().ok(), Some(504));
    });
}

#[test]
fn a_plugin_that_hangs_in_place_does_not_hold_up_others() {
    /// More than there are threads to run them on a small machine.
    const HANGING: usize = 4;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = server_with_hostile_agents(folder.path(), "2s", "60s");
    std::thread::scope(|scope| {
        let hanging: Vec<_> = (0..HANGING)
            .map(|_| {
                scope.spawn(|| {
                    let path = "/v1/ws/local/app/hostile/agent/hangsInPlace/run";
                    server.post(path, "{}")
                })
            })
            .collect();
        let mut answered_meanwhile = 0;
        while !hanging.iter().any(|run| run.is_finished()) {
            let (status, _) =
                server.post("/v1/ws/local/app/limits/agent/fine/run", r#"{"name":"y"}"#);
            assert_eq!(status, 200);
            answered_meanwhile += 1;
        }
        assert!(
            answered_meanwhile >= 10,
            "others waited for plugins that hang: only {answered_meanwhile} runs were answered"
        );
        for run in hanging {
            let (status, body) = run.join().expect("the request is answered");
            let answer = response_json(&body);
            assert_eq!(
                (status, &answer["then"]),
                (200, &json!("still here")),
                "{answer}"
            );
            let caught = answer["caught"].as_str().unwrap_or_default();
            assert!(caught.starts_with("ERR_TIMEOUT: "), "{answer}");
        }
    });
}

#[test]
fn agents_see_who_runs_them_and_the_variables_of_the_operator() {
    let parameters = ["--env", r#"{"stage":"test"}"#];
    let done = run(&[&["run", &program("limits"), "seen"][..], &parameters[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let seen = response_json(done.stdout.as_bytes());
    assert_eq!(
        seen,
        json!({"host": "agentServerEnvironment", "app": "limits", "agent": "seen", "user": "", "stage": "test"})
    );
    let done = run(&[
        "run",
        &program("limits"),
        "seen",
        "--env",
        r#"{"user":"root"}"#,
    ]);
    assert_fails(&done, 2, &["--env", "user"]);
    let twice = r#"{"stage":"test","stage":"other"}"#;
    let done = run(&["run", &program("limits"), "seen", "--env", twice]);
    assert_fails(&done, 2, &["--env", "stage"]);
}

#[test]
fn a_record_store_that_died_is_replaced_and_has_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ws_dir = folder.path().display().to_string();
    install(program("limits"), &ws_dir, "local", "limits");
    let server = Server::mixer(folder.path(), &["--db-memory", "32MiB"]);
    let documents = "/v1/ws/local/app/limits/documents";
    let save = |n: i64| {
        let (status, body) = server.post(documents, &json!({ "n": n }).to_string());
        let text = String::from_utf8_lossy(&body).trim().to_string();
        assert_eq!(status, 201, "{text}");
        text
    };
    let mut ids = vec![save(0)];
    for round in 1..=2 {
        // More than the store may have in memory: it ends in the middle of the call.
        let large: Vec<_> = (0..24)
            .map(|n| json!({ "large": n, "text": "x".repeat(1 << 20) }))
            .collect();
        let (status, body) = server.post(documents, &json!(large).to_string());
        let answer = response_json(&body);
        assert_eq!(status, 413, "{answer}");
        assert_eq!(answer["error"]["code"], "too_large", "{answer}");
        ids.push(save(round));
    }
    for (n, id) in ids.iter().enumerate() {
        let (status, body) = server.get(&format!("{documents}/{id}"));
        assert_eq!((status, &response_json(&body)["n"]), (200, &json!(n)));
    }
    let (status, body) =
        server.get("/v1/ws/local/app/limits/query?query=large%20%3E%3D%200%20%7C%20count()");
    assert_eq!((status, response_json(&body)), (200, json!([0])));
}

#[test]
fn what_is_too_large_for_memory_does_not_end_a_composed_component() {
    let scratch = tempfile::tempdir().expect("a folder");
    let source = scratch.path().join("grows");
    std::fs::create_dir(&source).expect("a folder");
    let text = r#"module grows(p: data)
  var cell m_params = p
  private def arrayOfAll() = do { var a = [1]; while (true) { a = a + a } return array.length(a) }
  private def textOfAll() = do { var t = "ab"; while (true) { t = t + t } return string.length(t) }
  private def itemsOfAll() = do { var a = []; while (true) { a = a + [1] } return array.length(a) }
  private def streamOfAll() = array.length(stream.toArray(stream.initUnbound(k -> k)))
  private def numbersOfAll() = array.length(array.enumerate(100000000))
  private def chain : number -> data -> data
  private def chain(n, rest) = if (n == 0) rest else chain(n - 1, {next: rest})
  private def lists() = do { var l = [] : data; while (true) { l = [l, 1] } return datacase(l) }
  private def closures() = do { var f = x -> x; while (true) { let g = f; f = x -> g(x + 1) } return f(1) }
  cell output = if (m_params.what == "chain") datacase(chain(-1, null)) else if (m_params.what == "lists") lists() else if (m_params.what == "closures") closures() else if (m_params.what == "array") arrayOfAll() else if (m_params.what == "text") textOfAll() else if (m_params.what == "items") itemsOfAll() else if (m_params.what == "stream") streamOfAll() else numbersOfAll()
module end
"#;
    std::fs::write(source.join("grows.mix"), text).expect("a file");
    let component = composed(&source, scratch.path());
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let log = std::fs::File::create(scratch.path().join("log")).expect("a log");
    let limit = ["-W", "max-memory-size=134217728"];
    let server = stock_server_with(&limit, &component, &data, &[], &log);
    // The last ones fill it by many small steps; then there is room again.
    for what in [
        "array", "text", "items", "stream", "numbers", "chain", "lists", "closures", "chain",
        "array",
    ] {
        let params = json!({ "what": what }).to_string();
        let (status, body) = server.post("/v1/ws/local/app/grows/agent/grows/run", &params);
        let answer = String::from_utf8_lossy(&body).into_owned();
        assert!(
            status == 500 && answer.contains("agent_memory"),
            "{what}: {answer}"
        );
    }
    let said = std::fs::read_to_string(scratch.path().join("log")).expect("a log");
    assert!(
        !said.contains("panicked") && !said.contains("memory allocation"),
        "{said}"
    );
}
