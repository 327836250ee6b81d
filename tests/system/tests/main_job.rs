//! The main job: the films are saved, asked for, grouped, sorted, written, signed and
//! posted, in `mixer` and in the composed component under a stock WASI host.
//!
//! What the report must say is computed here from the source file by plain loops.

use std::path::Path;
use std::process::Command;

#[path = "main_job/component.rs"]
mod component;
#[path = "main_job/snapshots.rs"]
mod snapshots;
#[path = "main_job/stock_host.rs"]
mod stock_host;

use mix_system_tests::{Server, Sink, install, repository, response_json, run_mixer};
use serde_json::{Value, json};

fn install_movies(ws_dir: &Path) {
    install(
        repository().join("examples/movies"),
        ws_dir,
        "local",
        "movies",
    );
}

fn run_report(ws_dir: &Path, parameters: &Value, more: &[&str]) -> Value {
    let ws_dir = ws_dir.display().to_string();
    let parameters = parameters.to_string();
    let mut arguments = vec![
        "run",
        "report",
        "--ws-dir",
        &ws_dir,
        "--ws",
        "local",
        "--app",
        "movies",
        "--params",
        &parameters,
    ];
    arguments.extend(more);
    let done = run_mixer(&arguments);
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
}

/// The rows of the source file.
fn films() -> Vec<Value> {
    let path = repository().join("examples/movies/files/data/movies.json");
    let text = std::fs::read(path).expect("the films are there");
    serde_json::from_slice(&text).expect("the films are JSON")
}

/// The counts of the report, by plain loops over the source.
fn expected_counts(films: &[Value]) -> Value {
    let count = |keep: &dyn Fn(&Value) -> bool| films.iter().filter(|film| keep(film)).count();
    let text = |film: &Value, field: &str| film[field].as_str().map(str::to_string);
    let number = |film: &Value, field: &str| film[field].as_f64();
    let title = |film: &Value| match &film["Title"] {
        Value::String(title) => title.clone(),
        Value::Number(title) => title.to_string(),
        _ => "(untitled)".to_string(),
    };
    // The source writes years before 1950 as years to come.
    let year = |film: &Value| {
        let date = text(film, "Release Date").expect("every film has a date");
        let written: i64 = date
            .rsplit(' ')
            .next()
            .and_then(|year| year.parse().ok())
            .expect("a year ends the date");
        if written > 2010 {
            written - 100
        } else {
            written
        }
    };
    json!({
        "all": films.len(),
        "dramas": count(&|f| f["Major Genre"] == "Drama"),
        "westernsByClause": count(&|f| f["Major Genre"] == "Western"),
        "acclaimed": count(&|f| number(f, "IMDB Rating").is_some_and(|rating| rating >= 8.5)),
        "nineties": count(&|f| (1990..2000).contains(&year(f))),
        "weakOrUnrated": count(&|f| number(f, "IMDB Rating").is_none_or(|rating| rating < 4.0)),
        "weak": count(&|f| number(f, "IMDB Rating").is_some_and(|rating| rating < 4.0)),
        "familyOrMusical": count(&|f| f["MPAA Rating"] == "G" || f["MPAA Rating"] == "PG" || f["Major Genre"] == "Musical"),
        "notForChildren": count(&|f| f["MPAA Rating"] != "G" && number(f, "IMDB Votes").is_some_and(|votes| votes > 200_000.0)),
        "godfathers": count(&|f| title(f).contains("Godfather")),
        "genreNull": count(&|f| f["Major Genre"].is_null()),
        "directorMissing": count(&|f| f["Director"].is_null()),
        "notBySpielberg": count(&|f| !f["Director"].is_null() && f["Director"] != "Steven Spielberg"),
        "longTitles": count(&|f| title(f).chars().count() > 40),
    })
}

fn assert_is_the_report(report: &Value, films: &[Value]) {
    assert_eq!(report["counts"], expected_counts(films));
    let best = report["best"].as_array().expect("a list of films");
    let mut ranked: Vec<&Value> = films
        .iter()
        .filter(|film| {
            film["IMDB Votes"]
                .as_f64()
                .is_some_and(|votes| votes >= 50_000.0)
                && film["IMDB Rating"].is_number()
        })
        .collect();
    ranked.sort_by(|a, b| {
        let key = |film: &Value| (film["IMDB Rating"].as_f64(), film["IMDB Votes"].as_f64());
        key(b).partial_cmp(&key(a)).expect("numbers")
    });
    let titles: Vec<&Value> = best.iter().map(|film| &film["title"]).collect();
    let expected: Vec<&Value> = ranked
        .iter()
        .take(best.len())
        .map(|film| &film["Title"])
        .collect();
    assert_eq!(titles, expected);
    assert_eq!(report["verified"], true);
    assert_eq!(report["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn the_agent_reports_what_is_in_the_data_and_a_second_run_adds_nothing() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    install_movies(folder.path());
    let films = films();
    let first = run_report(folder.path(), &json!({}), &[]);
    assert_is_the_report(&first, &films);
    assert_eq!(
        (&first["imported"], &first["posted"]),
        (&json!(3201), &Value::Null)
    );
    assert!(
        first["note"]
            .as_str()
            .is_some_and(|note| note.contains("not sent")),
        "{}",
        first["note"]
    );
    let second = run_report(folder.path(), &json!({}), &[]);
    assert_eq!(second["imported"], 0);
    assert_eq!(
        (&second["counts"], &second["sha256"], &second["hmac"]),
        (&first["counts"], &first["sha256"], &first["hmac"])
    );
    // The written report is the signed one.
    let written = folder.path().join("local/movies/files/reports/movies.json");
    let sum = Command::new("sha256sum")
        .arg(&written)
        .output()
        .expect("coreutils");
    let sum = String::from_utf8_lossy(&sum.stdout).into_owned();
    assert!(
        sum.starts_with(first["sha256"].as_str().expect("text")),
        "{sum}"
    );
}

#[test]
fn the_report_is_posted_with_its_signature() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    install_movies(folder.path());
    let sink = Sink::start();
    let parameters = json!({ "url": sink.url(), "key": "k" });
    let report = run_report(folder.path(), &parameters, &["--dangerous-http-mode"]);
    assert_eq!(report["posted"]["status"], 200, "{}", report["note"]);
    let received = sink.next();
    assert_eq!(received.request_line, "POST /inbox HTTP/1.1");
    let signature = received
        .headers
        .iter()
        .find(|(name, _)| name == "x-signature")
        .map(|(_, value)| value.as_str());
    assert_eq!(signature, report["hmac"].as_str());
    assert_eq!(response_json(&received.body)["counts"], report["counts"]);
    // Loopback is refused unless the operator lifts the guard.
    let report = run_report(folder.path(), &parameters, &[]);
    assert_eq!(report["posted"], Value::Null);
    assert!(
        report["note"]
            .as_str()
            .is_some_and(|note| note.starts_with("ERR_URL_BLOCKED: ")),
        "{}",
        report["note"]
    );
    assert!(sink.is_empty());
}

/// `mixer build` and a stock WASI host on its output.
fn stock_host(folder: &Path) -> Server {
    let text = |path: &Path| path.display().to_string();
    let component = folder.join("movies.wasm");
    let source = text(&repository().join("examples/movies"));
    let done = run_mixer(["build", &source, "-o", &text(&component)]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let port = Server::free_port();
    let mut command = Command::new(mix_system_tests::mixer().with_file_name("stock-wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &format!("127.0.0.1:{port}")]);
    command
        .arg("--dir")
        .arg(format!("{}::/ws", text(folder)))
        .arg(&component);
    Server::command(command, port)
}

#[test]
fn both_assemblies_answer_with_the_same_bytes() {
    let path = "/v1/ws/local/app/movies/agent/report/run";
    let in_mixer = tempfile::tempdir().expect("a scratch folder");
    install_movies(in_mixer.path());
    let mixer = Server::mixer(in_mixer.path(), &[]);
    let in_component = tempfile::tempdir().expect("a scratch folder");
    install_movies(in_component.path());
    let component = stock_host(in_component.path());
    for (name, got) in [
        (
            "first POST",
            (mixer.post(path, "{}"), component.post(path, "{}")),
        ),
        (
            "GET with parameters",
            (
                mixer.get(&format!("{path}?key=other")),
                component.get(&format!("{path}?key=other")),
            ),
        ),
        (
            "v0 path",
            (
                mixer.get("/run-agent/local/movies/report"),
                component.get("/run-agent/local/movies/report"),
            ),
        ),
        (
            "missing agent",
            (
                mixer.get("/v1/ws/local/app/movies/agent/nobody/run"),
                component.get("/v1/ws/local/app/movies/agent/nobody/run"),
            ),
        ),
        (
            "malformed JSON",
            (mixer.post(path, "{"), component.post(path, "{")),
        ),
    ] {
        let ((status, left), (other, right)) = got;
        let (mut left, mut right) = (response_json(&left), response_json(&right));
        for answer in [&mut left, &mut right] {
            // The one member that differs between any two requests.
            if let Some(error) = answer.get_mut("error").and_then(Value::as_object_mut) {
                error.remove("requestId");
            }
        }
        assert_eq!(
            (status, left.to_string()),
            (other, right.to_string()),
            "{name}"
        );
    }
    assert_is_the_report(&response_json(&mixer.post(path, "{}").1), &films());
}

#[test]
fn saved_records_survive_a_killed_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    install_movies(folder.path());
    let documents = "/v1/ws/local/app/movies/documents";
    let mut ids = Vec::new();
    for round in 0..3 {
        let server = Server::mixer(folder.path(), &[]);
        for n in 0..20 {
            let (status, body) = server.post(
                documents,
                &json!({ "kind": "note", "round": round, "n": n }).to_string(),
            );
            assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
            ids.push(String::from_utf8_lossy(&body).trim().to_string());
        }
        server.kill();
    }
    let server = Server::mixer(folder.path(), &[]);
    let (status, body) = server
        .get("/v1/ws/local/app/movies/query?query=kind%20%3D%3D%20%22note%22%20%7C%20count()");
    assert_eq!((status, response_json(&body)), (200, json!([60])));
    for id in &ids {
        assert_eq!(server.get(&format!("{documents}/{id}")).0, 200);
    }
    let (status, _) = server.delete(&format!("{documents}/{}", ids[0]));
    assert_eq!(status, 204);
    assert_eq!(server.get(&format!("{documents}/{}", ids[0])).0, 410);
}
