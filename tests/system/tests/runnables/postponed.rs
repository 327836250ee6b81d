//! Work after the answer, and what becomes of it when its app or the server changes.

use super::*;
use mix_system_tests::{Gate, run_mixer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const APP: &str = "/v1/ws/acme/app/callers";

impl Site {
    /// Begins work that saves a record once the gate is open.
    fn postpone(&self, gate: &Gate, n: u64) {
        let path = format!("{APP}/agent/later/run");
        let params = json!({ "url": gate.url(), "n": n });
        assert_eq!(self.expect(OWNER, "POST", &path, params, 200), "answered");
        gate.wait_for(1);
    }

    /// Waits for what that work saves.
    fn await_saved(&self, n: u64) {
        let query = json!({ "query": "done == $n", "params": { "n": n } });
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.expect(OWNER, "POST", &format!("{APP}/query"), query.clone(), 200);
            if found.as_array().is_some_and(|rows| rows.len() == 1) {
                return;
            }
            assert!(
                Instant::now() < end,
                "the work after the answer is not done"
            );
        }
    }
}

fn start() -> Site {
    let site = Site::start_with(&["--dangerous-http-mode"]);
    site.install("callers");
    site
}

#[test]
fn work_goes_on_beside_a_new_version_and_ends_with_its_app() {
    let site = start();
    let package = site._folder.path().join("callers.remix");
    let program = repository().join("tests/system/programs/callers");
    let [program, package] = [program, package].map(|path| path.display().to_string());
    let built = run_mixer(["build", &program, "-o", &package]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let gate = Gate::start(2);
    site.postpone(&gate, 1);
    let bytes = std::fs::read(package).expect("a package");
    let token = format!("Bearer {}", site.service.token(OWNER));
    let headers = [("authorization", token.as_str())];
    let body = Some(("application/octet-stream", bytes.as_slice()));
    let path = "/v1/ws/acme/install";
    let installed = site.server.send_bytes("POST", path, &headers, body);
    assert_eq!(installed.status, 200, "{}", installed.code());
    assert_eq!(installed.json()["apps"][0]["action"], "updated");
    gate.pass();
    site.await_saved(1);

    let gate = Gate::start(2);
    site.postpone(&gate, 2);
    site.expect(OWNER, "DELETE", APP, Value::Null, 204);
    gate.pass();
    let runs = site.log("run-agent", 2);
    let codes: Vec<&Value> = runs.iter().map(|run| &run["postponed"]["code"]).collect();
    assert_eq!(codes, ["", "canceled"]);
    // Its record did not make an app anew.
    site.expect(OWNER, "GET", APP, Value::Null, 404);
}

/// Asks on a connection that stays: the status and the code of an error.
fn ask(stream: &mut BufReader<TcpStream>, token: &str) -> (String, Value) {
    let request =
        format!("GET /v1/ws HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n");
    stream
        .get_mut()
        .write_all(request.as_bytes())
        .expect("sent");
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("an answer");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    (
        status,
        mix_system_tests::response_json(&body)["error"]["code"].clone(),
    )
}

#[test]
fn a_server_that_stops_ends_what_was_begun_and_begins_nothing() {
    let site = start();
    let gate = Gate::start(2);
    let token = site.service.token(OWNER);
    let address = site.server.base().trim_start_matches("http://");
    let mut kept = BufReader::new(TcpStream::connect(address).expect("the server listens"));
    assert_eq!(ask(&mut kept, &token).0, "200");
    site.postpone(&gate, 1);
    site.server.terminate();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match ask(&mut kept, &token) {
            (status, _) if status == "200" => assert!(Instant::now() < end, "it goes on"),
            refused => {
                assert_eq!(refused, ("503".to_owned(), json!("shutting_down")));
                break;
            }
        }
    }
    gate.pass();
    let Site {
        service,
        server,
        _folder,
    } = site;
    assert_eq!(server.wait(), Some(0));
    let server = Server::mixer(_folder.path(), &["--jwks-url", &service.key_url()]);
    let site = Site {
        service,
        server,
        _folder,
    };
    site.await_saved(1);
}
