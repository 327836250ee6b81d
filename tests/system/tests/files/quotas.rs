//! What a workspace may store, and what its agents may send and receive.

use super::{APP, form, manage, site, ticket};
use mix_system_tests::{Server, response_json};
use serde_json::json;

#[test]
fn a_workspace_stores_no_more_than_it_may() {
    let (_scratch, server) = site(&["--ws-disk-limit", "1MiB"]);
    let put = |path: &str, size: usize| {
        let content = vec![b'x'; size];
        let body = Some(("application/octet-stream", content.as_slice()));
        server.send_bytes("PUT", &manage(&format!("content?path={path}")), &[], body)
    };
    assert_eq!(put("/a", 600 << 10).status, 201);
    let full = put("/b", 600 << 10);
    assert_eq!((full.status, full.code().as_str()), (507, "disk_full"));
    assert_eq!(full.header("retry-after"), Some("60"));
    assert_eq!(
        full.json()["error"]["details"],
        json!({ "limit": "workspace", "bytes": 1 << 20 })
    );
    let copy = server.send("POST", &manage("copy?src=/a&path=/c"), &[], None);
    assert_eq!((copy.status, copy.code().as_str()), (507, "disk_full"));
    let upload = ticket(&server, &form(&server, "/up", ""));
    let body = vec![0; 600 << 10];
    let body = Some(("application/octet-stream", body.as_slice()));
    assert_eq!(
        server.send_bytes("PUT", &upload, &[], body).code(),
        "disk_full"
    );
    let save = |size: usize| {
        let record = json!({ "record": { "text": "x".repeat(size) } });
        server.send(
            "POST",
            &format!("{APP}/save"),
            &[],
            Some(("application/json", &record.to_string())),
        )
    };
    let saved = save(10);
    assert_eq!(saved.status, 200, "{:?}", saved.json());
    let full = save(600 << 10);
    assert_eq!((full.status, full.code().as_str()), (507, "db_full"));
    assert_eq!(full.header("retry-after"), Some("60"));
    // An app whose metadata have no room is not made, and its name stays free.
    let metadata = json!({ "text": "x".repeat(600 << 10) }).to_string();
    let app = APP.replace("/app/demo", "/app/large");
    let described = app.replace("/app/", "/appmeta/");
    for (method, path) in [("POST", &app), ("PUT", &described)] {
        let full = server.send(method, path, &[], Some(("application/json", &metadata)));
        assert_eq!((full.status, full.code().as_str()), (507, "db_full"));
        assert_eq!(server.get(&app).0, 404);
    }
    assert_eq!(server.post(&app, "{}").0, 201);
    // Others are not concerned, and whoever deletes has room again.
    assert_eq!(server.post("/v1/ws", r#"{"name":"other"}"#).0, 201);
    assert_eq!(server.post("/v1/ws/other/app/demo", "{}").0, 201);
    let record = json!({ "record": { "text": "x".repeat(600 << 10) } }).to_string();
    assert_eq!(server.post("/v1/ws/other/app/demo/save", &record).0, 200);
    let id = saved.json()["records"][0]["_rmx_id"]["_rmx_value"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(server.delete(&format!("{APP}/documents/{id}")).0, 204);
    assert_eq!(server.delete(&manage("content?path=/a")).0, 204);
    assert_eq!(put("/b", 600 << 10).status, 201);
}

#[test]
fn agents_of_a_workspace_send_and_receive_no_more_than_it_may() {
    let scratch = tempfile::tempdir().expect("a folder");
    let there = Server::mixer(&scratch.path().join("there"), &[]);
    assert_eq!(there.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    assert_eq!(there.post(APP, "{}").0, 201);
    let text = "x".repeat(40 << 10);
    let put = there.send(
        "PUT",
        &manage("content?path=/public/x.txt"),
        &[],
        Some(("text/plain", &text)),
    );
    assert_eq!(put.status, 201);
    let sources = scratch.path().join("sources");
    std::fs::create_dir_all(&sources).expect("a folder");
    let source = "module ask(p:data)\n  cell output = http.get(p.url, null)\nmodule end\n";
    std::fs::write(sources.join("app.mix"), source).expect("written");
    let (from, ws_dir) = (sources.display().to_string(), scratch.path().join("ws"));
    for ws in ["acme", "other"] {
        let done = mix_system_tests::run_mixer([
            "install",
            &from,
            "--ws-dir",
            &ws_dir.display().to_string(),
            "--ws",
            ws,
            "--app",
            "demo",
        ]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let server = Server::mixer(
        &ws_dir,
        &["--dangerous-http-mode", "--ws-egress-limit", "64KiB"],
    );
    let url = format!("{}{APP}/files/public/x.txt", there.base());
    let ask = |ws: &str| {
        let path = format!("/v1/ws/{ws}/app/demo/agent/ask/run");
        let (status, body) = server.post(&path, &json!({ "url": url }).to_string());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        response_json(&body)
    };
    assert_eq!(ask("acme")["status"], 200);
    let broken = ask("acme")["error"].clone();
    assert!(
        broken.as_str().is_some_and(|text| text.starts_with("ERR_")),
        "{broken}"
    );
    let refused = ask("acme")["error"].clone();
    let refused = refused.as_str().expect("an error");
    assert!(
        refused.starts_with("ERR_TOO_LARGE: ") && refused.contains("try again in "),
        "{refused}"
    );
    assert_eq!(ask("other")["status"], 200);
}

/// Bytes of files are measured as what was sent of them.
#[test]
fn what_is_sent_of_files_is_measured() {
    let (_scratch, server) = site(&[]);
    let text = "x".repeat(600);
    let body = Some(("application/octet-stream", text.as_str()));
    let put = server.send("PUT", &manage("content?path=/public/x.txt"), &[], body);
    assert_eq!(put.status, 201);
    let path = format!("{APP}/files/public/x.txt");
    assert_eq!(server.get(&path).1.len(), 600);
    let part = server.send("GET", &path, &[("range", "bytes=0-9")], None);
    assert_eq!(part.body.len(), 10);
    assert_eq!(server.send("HEAD", &path, &[], None).status, 200);
    let metrics = String::from_utf8(server.get("/v1/metrics").1).expect("text");
    for (method, status, bytes) in [("GET", 200, 600), ("GET", 206, 10), ("HEAD", 200, 0)] {
        let line = format!(
            r#"mixer_http_response_bytes_total{{route="/v1/ws/{{ws}}/app/{{app}}/files/{{path..}}",method="{method}",status="{status}"}} {bytes}"#
        );
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
}
