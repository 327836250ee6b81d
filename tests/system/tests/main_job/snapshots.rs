//! Runs that begin with their program loaded: they know nothing of each other, of the run that the
//! image was made after, nor of the program that was there before.

use std::path::Path;

use mix_system_tests::{Server, install, repository};
use serde_json::{Value, json};

/// Runs before an image is there at the latest: it is made beside the others.
const PATIENCE: usize = 500;

/// A server whose user is an administrator with secrets of their own.
fn started(ws_dir: &Path) -> Server {
    Server::mixer(ws_dir, &["--dev-token", "ada"])
}

fn token(server: &Server) -> String {
    format!("Bearer {}", server.dev_token().expect("a token"))
}

/// Runs that began with their program loaded.
fn loaded(server: &Server) -> u64 {
    let answer = server.send(
        "GET",
        "/v1/metrics",
        &[("authorization", &token(server))],
        None,
    );
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("mixer_snapshot_runs_total "));
    line.and_then(|number| number.parse().ok())
        .expect("a number of runs")
}

fn run(server: &Server, app: &str, agent: &str, params: &Value) -> Value {
    let path = format!("/v1/ws/local/app/{app}/agent/{agent}/run");
    let headers = [("authorization", &*token(server))];
    let params = params.to_string();
    let answer = server.send("POST", &path, &headers, Some(("application/json", &params)));
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    answer.json()
}

/// Runs until an image is used, and what these runs answered.
fn run_until_loaded(server: &Server, app: &str, agent: &str, params: &Value) -> Vec<Value> {
    let before = loaded(server);
    let mut answers = Vec::new();
    while loaded(server) == before {
        assert!(answers.len() < PATIENCE, "no run finds its program loaded");
        answers.push(run(server, app, agent, params));
    }
    answers
}

#[test]
fn runs_of_a_loaded_program_know_nothing_of_each_other() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let source = repository().join("tests/system/programs/snapshots");
    for app in ["one", "two"] {
        install(&source, &folder, "local", app);
    }
    let server = started(folder.path());
    let get = json!({"do": "get"});
    // The secret is there when the image is made.
    let set = json!({"do": "set", "value": "hush-hush"});
    let mut answers = vec![run(&server, "one", "apart", &set)];
    assert_eq!(
        answers[0]["secret"],
        json!({"ok": "word"}),
        "{}",
        answers[0]
    );
    answers.extend(run_until_loaded(&server, "one", "apart", &get));
    let last = answers.last().expect("a run");
    assert_eq!(last["secret"], json!({"ok": "hush-hush"}));
    run(&server, "one", "apart", &json!({"do": "delete"}));
    let before = loaded(&server);
    // Many at once, of both apps: they have the same program.
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|number| {
                let app = if number % 2 == 0 { "one" } else { "two" };
                let (server, get) = (&server, &get);
                scope.spawn(move || -> Vec<Value> {
                    let answers = (0..8).map(|_| run(server, app, "apart", get));
                    let answers: Vec<Value> = answers.collect();
                    for answer in &answers {
                        assert_eq!(answer["app"], app);
                        assert!(answer["secret"]["error"].is_string(), "{answer}");
                    }
                    answers
                })
            })
            .collect();
        for run in runs {
            answers.extend(run.join().expect("runs"));
        }
    });
    assert!(loaded(&server) >= before + 32, "they began with an image");
    let times = [&answers[0]["now"], &answers[answers.len() - 1]["now"]];
    assert_ne!(times[0], times[1]);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer["count"], 1, "{answer}");
        for drawn in ["drawn", "guessed"] {
            let same = |other: &&Value| other[drawn] == answer[drawn];
            let others = answers[number + 1..].iter();
            assert!(
                !others.clone().any(|other| same(&other)),
                "{drawn}: {answer}"
            );
        }
    }
}

#[test]
fn a_run_after_an_install_is_one_of_the_new_program() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let source = folder.path().join("source");
    std::fs::create_dir(&source).expect("a folder");
    let write = |version: u32| {
        let text = format!(
            "module told(p:data)\n  var cell m_params = p\n  cell output = {version}\nmodule end\n"
        );
        std::fs::write(source.join("told.mix"), text).expect("a source");
    };
    let ws_dir = folder.path().join("ws");
    write(1);
    install(&source, &ws_dir, "local", "app");
    let server = started(&ws_dir);
    for version in 1..4 {
        if version > 1 {
            write(version);
            install(&source, &ws_dir, "local", "app");
        }
        let first = run(&server, "app", "told", &json!({}));
        assert_eq!(first, version, "at once");
        for answer in run_until_loaded(&server, "app", "told", &json!({})) {
            assert_eq!(answer, version);
        }
    }
}

#[test]
fn agents_of_one_program_have_what_each_of_them_asks_for() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mixed = repository().join("tests/system/programs/mixed");
    install(mixed, &folder, "local", "mixed");
    let region = r#"{"region": "north"}"#;
    let server = Server::mixer(folder.path(), &["--dev-token", "ada", "--env", region]);
    let ask =
        |agent: &str, n: usize| run(&server, "mixed", agent, &json!({"n": n, "kind": "city"}));
    assert_eq!(ask("saved", 1), 1);
    assert_eq!(ask("saved", 2), 2);
    // In turn, until each has begun with its program loaded, and some more.
    let before = loaded(&server);
    for n in 0..PATIENCE {
        assert_eq!(ask("nothing", n), json!({"n": n}));
        assert_eq!(ask("records", n), json!([1, 2]));
        assert_eq!(
            ask("surroundings", n),
            json!({"app": "mixed", "agent": "surroundings", "region": "north", "n": n})
        );
        assert_eq!(
            ask("caller", n),
            json!({"app": "mixed", "agent": "caller", "region": "north", "n": n})
        );
        assert_eq!(ask("inside", n), json!({"app": "mixed", "n": n}));
        if loaded(&server) > before + 50 {
            return;
        }
    }
    panic!("no run finds its program loaded");
}
