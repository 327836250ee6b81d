//! What operators and authors look at: the pages of the interface, limits of a workspace, the
//! places of a reported error.

use super::*;
use std::process::{Command, Stdio};

#[test]
fn the_pages_of_the_interface_come_from_the_server_itself() {
    let site = Site::start_with(&[]);
    let page = site.server.send("GET", "/v1/swagger/", &[], None);
    assert_eq!(page.status, 200);
    let kind = page.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/html"), "{kind}");
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!text.contains("http"), "nothing is fetched from elsewhere");
    let named: Vec<&str> = text
        .split(['"'])
        .filter(|part| {
            [".css", ".js", ".png"]
                .iter()
                .any(|end| part.ends_with(end))
        })
        .collect();
    assert!(named.len() >= 4, "{named:?}");
    for file in named {
        let path = format!("/v1/swagger/{file}");
        let answer = site.server.send("GET", &path, &[], None);
        assert_eq!(
            (answer.status, answer.body.is_empty()),
            (200, false),
            "{file}"
        );
    }
    let answer = site.server.send("GET", "/v1/swagger/none.js", &[], None);
    assert_eq!(answer.status, 404);
    let hidden = Site::start_with(&["--docs", "off"]);
    let answer = hidden.server.send("GET", "/v1/swagger/", &[], None);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "no_such_route")
    );
}

#[test]
fn a_workspace_has_a_rate_of_its_own() {
    let site = Site::start_with(&["--ws-rate-limit", "30"]);
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "other" }), 201);
    let ask = |ws: &str| site.send(OWNER, "GET", &format!("/v1/ws/{ws}"), &Value::Null);
    let refused = (0..40)
        .map(|_| ask("acme"))
        .find(|answer| answer.status != 200)
        .expect("one is too many");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "rate_limited")
    );
    assert_eq!(refused.json()["error"]["details"]["limit"], "workspace");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(ask("other").status, 200);
}

/// What `mixer error-decode` prints for this input.
fn decode(input: &[u8], arguments: &[&str]) -> (i32, String) {
    let mut child = Command::new(mix_system_tests::mixer())
        .arg("error-decode")
        .args(arguments)
        .current_dir(repository().join("tests/system/programs/limits"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("mixer starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, input).expect("mixer reads");
    drop(stdin);
    let output = child.wait_with_output().expect("mixer ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_reported_error_leads_to_the_lines_of_its_sources() {
    let site = Site::start();
    let path = "/v1/ws/acme/app/limits/agent/fails/run";
    let failed = site.send(OWNER, "POST", path, &Value::Null);
    assert_eq!(failed.status, 500);
    let ws_dir = site._folder.path().display().to_string();
    let selection = ["--ws-dir", &ws_dir, "--ws", "acme", "--app", "limits"];
    let (code, text) = decode(&failed.body, &selection);
    assert_eq!(code, 0, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "RT_FAIL: no luck");
    assert!(lines[1].starts_with("  at fails.inner ("), "{text}");
    assert!(lines[1].contains("limits.mix:31:"), "{text}");
    assert!(lines[2].contains("fail(\"no \" + x)"), "{text}");
    // The stack alone, as JSON; and what is no stack at all.
    let stack = failed.json()["error"]["details"]["mixStack"].to_string();
    let mut as_json = selection.to_vec();
    as_json.push("--json");
    let (code, text) = decode(stack.as_bytes(), &as_json);
    let decoded: Value = serde_json::from_str(&text).expect("it is JSON");
    let file = decoded["frames"][0]["file"].as_str().unwrap_or_default();
    assert!(code == 0 && file.ends_with("limits.mix"), "{text}");
    let (code, text) = decode(stack.as_bytes(), &[]);
    assert_eq!(code, 0);
    assert!(text.contains("at fails.inner (line "), "{text}");
    assert_eq!(decode(b"{\"error\":{}}", &[]).0, 1);
    assert_eq!(decode(b"no JSON", &[]).0, 1);
}
