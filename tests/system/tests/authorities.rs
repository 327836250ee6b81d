//! Authorities of the operator (`--ca-file`): everything that `mixer` asks over TLS trusts them, and nobody else
//! without them.

use mix_system_tests::{Finished, Server, repository, run_agent, run_mixer};
use serde_json::json;
use std::path::{Path, PathBuf};

const AGENT: &str = r#"module asks(p: data)
  var cell m_params = p
  private def said = ok(_) -> "connected" | error(text) -> text
  private def told = ok(answer) -> string.formatJSON(answer) | error(text) -> text
  cell output = if (m_params.socket?) said(try websocket.create({url: m_params.socket, timeout: 20})) else told(try http.get(m_params.url, null))
module end
"#;

fn testdata(name: &str) -> PathBuf {
    repository()
        .join("host/sandbox/src/outbound/testdata")
        .join(name)
}

/// A server with TLS, whose certificate for `localhost` the root of the tests vouches for, and a file; its port.
fn secure(folder: &Path) -> (Server, u16) {
    let site = folder.join("site");
    std::fs::create_dir_all(&site).expect("a folder");
    let module = "module far()\n  def double(x) = x * 2\nmodule end\n";
    std::fs::write(site.join("far.mix"), module).expect("a file");
    std::fs::write(site.join("keys.json"), "{\"keys\":[]}").expect("a file");
    let ws_dir = folder.join("ws");
    std::fs::create_dir_all(&ws_dir).expect("a folder");
    let certificate = testdata("server.pem").display().to_string();
    let site = site.display().to_string();
    let server = Server::mixer(
        &ws_dir,
        &[
            "--tls-certs",
            &certificate,
            "--tls-key",
            &certificate,
            "--serve-files-from",
            &site,
        ],
    );
    let port = server
        .base()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    (server, port.expect("a port"))
}

fn outcome(done: &Finished) -> String {
    format!(
        "{} {} {}",
        done.code,
        done.stdout.trim(),
        done.stderr.trim()
    )
}

#[test]
fn an_authority_of_the_operator_is_trusted_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, port) = secure(folder.path());
    let app = folder.path().join("asks.mix");
    std::fs::write(&app, AGENT).expect("a file");
    let app = app.display().to_string();
    let root = testdata("root.pem").display().to_string();
    let other = testdata("client.pem").display().to_string();
    // Between the authorities of others.
    let bundle = folder.path().join("bundle.pem");
    let text = |path: &str| std::fs::read_to_string(path).expect("a file");
    std::fs::write(&bundle, format!("Ours\n{}\n{}", text(&other), text(&root))).expect("a file");
    let bundle = bundle.display().to_string();
    let live = json!({ "url": format!("https://localhost:{port}/v1/health") });
    let ask = |more: &[&str]| {
        let more = [&["--dangerous-http-mode"][..], more].concat();
        outcome(&run_agent(&app, "asks", &live, &more))
    };
    for flags in [&["--ca-file", &root][..], &["--ca-file", &bundle]] {
        let done = ask(flags);
        assert!(done.contains("\\\"status\\\":200"), "{flags:?}: {done}");
    }
    for flags in [&[][..], &["--ca-file", &other]] {
        let done = ask(flags);
        assert!(done.contains("ERR_TLS: "), "{flags:?}: {done}");
    }
    // The name counts all the same.
    let elsewhere = json!({ "url": format!("https://127.0.0.1:{port}/v1/health") });
    let flags = ["--dangerous-http-mode", "--ca-file", &root];
    let done = outcome(&run_agent(&app, "asks", &elsewhere, &flags));
    assert!(done.contains("ERR_TLS: "), "{done}");
    // A connection that is none of HTTP: the server knows no such path, so TLS was spoken.
    let socket = json!({ "socket": format!("wss://localhost:{port}/v1/none") });
    let with = outcome(&run_agent(&app, "asks", &socket, &flags));
    let without = outcome(&run_agent(&app, "asks", &socket, &flags[..1]));
    assert!(with.contains("404"), "{with}");
    assert!(without.contains("ERR_TLS"), "{without}");
}

#[test]
fn what_the_host_itself_asks_trusts_them_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, port) = secure(folder.path());
    let root = testdata("root.pem").display().to_string();
    // Sources.
    let source = folder.path().join("near");
    std::fs::create_dir(&source).expect("a folder");
    let near = "module near(p: data)\n  import far\n  cell output = far.double(21)\nmodule end\n";
    std::fs::write(source.join("near.mix"), near).expect("a file");
    let far = format!("module far _source_ {{url: \"https://localhost:{port}/far.mix\"}}\n");
    std::fs::write(source.join("far.mix"), far).expect("a file");
    let source = source.display().to_string();
    let done = run_mixer(["check", &source, "--ca-file", &root]);
    assert_eq!(done.code, 0, "{}", outcome(&done));
    let done = run_mixer(["check", &source]);
    assert_eq!(done.code, 1, "{}", outcome(&done));
    assert!(
        done.stdout.contains("UnknownIssuer") || done.stderr.contains("UnknownIssuer"),
        "{}",
        outcome(&done)
    );
    // Tools of another server.
    let url = format!("https://localhost:{port}");
    let tools = |more: &[&str]| {
        let fixed = ["mcp", "--server", &url, "--ws", "local"];
        run_mixer(fixed.iter().chain(more))
    };
    assert!(!outcome(&tools(&["--ca-file", &root])).contains("UnknownIssuer"));
    // Key sets, whose server is told by a configuration file.
    let ws_dir = folder.path().join("asking");
    std::fs::create_dir_all(&ws_dir).expect("a folder");
    let ready = |configuration: serde_json::Value| {
        let file = folder.path().join("server.json");
        std::fs::write(&file, configuration.to_string()).expect("a file");
        let server = Server::mixer(&ws_dir, &["--config", &file.display().to_string()]);
        let answer = server.send("GET", "/v1/health/ready", &[], None);
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    let keys = format!("{url}/keys.json");
    let trusting = ready(json!({"jwks-url": [keys], "ca-file": root}));
    let not = ready(json!({"jwks-url": [keys]}));
    assert!(trusting.contains("\"no_keys\""), "{trusting}");
    assert!(not.contains("\"unavailable\""), "{not}");
}

#[test]
fn a_file_of_no_use_ends_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let file = path.display().to_string();
    let evaluated = || run_mixer(["eval", "1", "--ca-file", &file]);
    assert_eq!(evaluated().code, 3);
    let root = std::fs::read_to_string(testdata("root.pem")).expect("a file");
    for (text, said) in [
        (String::new(), "there is no certificate in it"),
        (
            format!("# Ours\n{}", root.replace("MII", "M*I")),
            "line 2: the certificate that begins there is no PEM",
        ),
        (
            root[..root.len() / 2].to_owned(),
            "line 1: the certificate that begins there is no PEM: its end",
        ),
    ] {
        std::fs::write(&path, text).expect("a file");
        let done = evaluated();
        assert_eq!(done.code, 2, "{}", outcome(&done));
        let said = format!("--ca-file {file}: {said}");
        assert!(done.stderr.contains(&said), "{}", outcome(&done));
        assert_eq!(done.stderr.lines().count(), 1, "{}", outcome(&done));
    }
    std::fs::write(&path, root).expect("a file");
    assert_eq!(evaluated().code, 0);
    // The variable, for a command that asks nobody.
    let with =
        |value: &str| mix_system_tests::run_mixer_with(&[("MIXER_CA_FILE", value)], ["eval", "1"]);
    assert_eq!(with(&file).code, 0);
    assert_eq!(with("/nowhere/ca.pem").code, 3);
}
