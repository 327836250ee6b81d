//! Files that are registered first and uploaded by clients, or by agents.

use super::{APP, form, manage, site, ticket};
use mix_system_tests::{Answer, Server, response_json};
use serde_json::json;

fn sent(server: &Server, ticket: &str, content: &[u8]) -> Answer {
    let body = Some(("application/octet-stream", content));
    server.send_bytes("PUT", ticket, &[], body)
}

#[test]
fn a_client_uploads_once_what_it_registered() {
    let (scratch, server) = site(&["--package-limit", "1MiB"]);
    let upload = |ticket: &str, content: &[u8]| sent(&server, ticket, content);
    let registered = form(&server, "/up/a.txt", "%7B%22title%22%3A%22T%22%7D");
    let info = registered.json();
    assert_eq!(
        (&info["kind"], &info["url"], &info["metadata"]["title"]),
        (&json!("client"), &json!("blob:1"), &json!("T"))
    );
    let first = ticket(&server, &registered);
    let listed = server
        .send("GET", &manage("content?path=/up/"), &[], None)
        .json();
    assert_eq!(
        (
            &listed[0]["path"],
            &listed[0]["kind"],
            &listed[0]["metadata"]
        ),
        (
            &json!("/up/a.txt"),
            &json!("client"),
            &json!({"title": "T"})
        )
    );
    let folders = server
        .send("GET", &manage("content?path=/"), &[], None)
        .json();
    assert_eq!(folders[0]["path"], "/up/");
    assert_eq!(server.get(&format!("{APP}/files/up/a.txt")).0, 404);
    // An upload that is too large, or breaks off, leaves the ticket as it is.
    let large = upload(&first, &vec![1; 2 << 20]);
    assert_eq!(
        (large.status, large.code().as_str()),
        (413, "body_too_large")
    );
    // Registered again, the first ticket is worth nothing.
    let second = ticket(&server, &form(&server, "/up/a.txt", "%7B%7D"));
    assert_ne!(first, second);
    assert_eq!(upload(&first, b"x").code(), "expired");
    // What is uploaded survives a restart of the server in between.
    server.kill();
    let server = Server::mixer(scratch.path(), &[]);
    let upload = |ticket: &str, content: &[u8]| sent(&server, ticket, content);
    let done = upload(&second, b"hello");
    assert_eq!(done.status, 201, "{:?}", done.json());
    assert_eq!(
        (&done.json()["kind"], &done.json()["metadata"]["size"]),
        (&json!("persisted"), &json!(5))
    );
    assert_eq!(
        server.get(&format!("{APP}/files/up/a.txt")),
        (200, b"hello".to_vec())
    );
    let again = upload(&second, b"other");
    assert_eq!((again.status, again.code().as_str()), (410, "expired"));
    let taken = form(&server, "/up/a.txt", "%7B%7D");
    assert_eq!((taken.status, taken.code().as_str()), (409, "exists"));
    // What is registered can be taken back.
    let third = ticket(&server, &form(&server, "/up/b.txt", ""));
    assert_eq!(server.delete(&manage("content?path=/up/b.txt")).0, 204);
    assert_eq!(upload(&third, b"x").status, 410);
    for (path, metadata, code) in [
        ("/../x", "", "bad_path"),
        ("/a%2F..%2F..%2Fx", "", "bad_path"),
        ("/a%00", "", "bad_path"),
        ("/a", "%5B1%5D", "bad_param"),
        ("/a", "%7B", "bad_json"),
        ("", "", "bad_param"),
    ] {
        let refused = form(&server, path, metadata);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, code),
            "{path} {metadata}"
        );
    }
    let long = format!("%7B%22a%22%3A%22{}%22%7D", "x".repeat(70 << 10));
    assert_eq!(form(&server, "/a", &long).code(), "bad_param");
    for wrong in ["x".repeat(32), "0".repeat(32)] {
        assert_eq!(upload(&format!("/v1/upload/{wrong}"), b"x").status, 410);
    }
    assert_eq!(upload("/v1/upload/..%2F..%2Fx", b"x").status, 400);
}

#[test]
fn agents_register_files_and_reach_those_of_other_apps() {
    let scratch = tempfile::tempdir().expect("a folder");
    let sources = scratch.path().join("sources");
    std::fs::create_dir_all(&sources).expect("a folder");
    let source = r#"
module make(p:data)
  var cell m_params = p
  var cell output : data = null
  def run : appstate -> data
  def run(appstate) = result.get(file.register(appstate, null, "/up/x.bin", "blob:1", {title: "T"}))
  on m_params do { output = run(appstate) }
module end

module other(p:data)
  cell output = binary.toString(result.get(file.read(some("beta"), "/x.txt")))
module end

module link(p:data)
  var cell m_params = p
  var cell output : data = null
  def run : appstate -> data
  def run(appstate) = db.makeAnonymousLink(appstate, null, "files/up/x.bin")
  on m_params do { output = run(appstate) }
module end
"#;
    std::fs::write(sources.join("app.mix"), source).expect("written");
    let (from, ws) = (
        sources.display().to_string(),
        scratch.path().join("ws").display().to_string(),
    );
    let done = mix_system_tests::run_mixer([
        "install", &from, "--ws-dir", &ws, "--ws", "acme", "--app", "demo",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    assert_eq!(server.post("/v1/ws/acme/app/beta", "{}").0, 201);
    let body = Some(("text/plain", "of beta"));
    let put = server.send(
        "PUT",
        "/v1/ws/acme/app/beta/file-manager/content?path=/x.txt",
        &[],
        body,
    );
    assert_eq!(put.status, 201);
    let run = |agent: &str| {
        let (status, body) = server.get(&format!("{APP}/agent/{agent}/run"));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        response_json(&body)
    };
    assert_eq!(run("other"), "of beta");
    // Nobody is known here, so there is nobody whose rights a link could have.
    let refused = run("link").to_string();
    assert!(refused.contains("ERR_PERMISSION"), "{refused}");
    let made = run("make");
    let url = made["metadata"]["_rmx_upload_url"]
        .as_str()
        .expect("an address")
        .to_owned();
    let path = url.strip_prefix(server.base()).expect("here");
    let done = server.send(
        "PUT",
        path,
        &[],
        Some(("application/octet-stream", "content")),
    );
    assert_eq!(
        (done.status, &done.json()["metadata"]["title"]),
        (201, &json!("T"))
    );
}
