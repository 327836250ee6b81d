//! What a plugin cannot reach: files beside its folder, addresses, hosts and variables that it was
//! not given, more memory, time and calls than its limits; and streams that do not end as they should.

use mix_system_tests::{Finished, components, declared, repository, response_json, run_mixer};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "sandbox/composed.rs"]
mod composed;
#[path = "sandbox/streams.rs"]
mod streams;

fn program(name: &str) -> String {
    let folder = repository().join("tests/system/programs/escapes");
    folder.join(name).display().to_string()
}

/// The plugin that tries to get out, as `escapes` with these needs.
struct Escapes {
    folder: tempfile::TempDir,
    plugin: PathBuf,
}

impl Escapes {
    fn needing(needs: &[&str]) -> Escapes {
        Escapes::named("escapes", needs)
    }

    fn named(name: &str, needs: &[&str]) -> Escapes {
        let bytes = std::fs::read(components().join("mix_test_plugin_escapes.wasm"))
            .expect("`make test` built it");
        let manifest = json!({"name": name, "needs": needs}).to_string();
        let folder = tempfile::tempdir().expect("a scratch folder");
        let plugin = folder.path().join("escapes.wasm");
        std::fs::write(&plugin, declared(&bytes, &manifest)).expect("a writable folder");
        Escapes { folder, plugin }
    }

    fn ws_dir(&self) -> PathBuf {
        self.folder.path().join("ws")
    }

    /// Its folder of an app.
    fn data(&self, app: &str) -> PathBuf {
        self.ws_dir()
            .join("local")
            .join(app)
            .join("plugins/escapes")
    }

    /// Runs the program in an app with further arguments.
    fn run(&self, app: &str, tries: &[(&str, &str)], more: &[&str]) -> Finished {
        let params = json!({ "tries": tries }).to_string();
        let (ws_dir, plugin) = (
            self.ws_dir().display().to_string(),
            self.plugin.display().to_string(),
        );
        let first = [
            "run",
            &program("escapes.mix"),
            "tries",
            "--ws-dir",
            &ws_dir,
            "--app",
            app,
            "--plugin",
            &plugin,
            "--params",
            &params,
        ];
        run_mixer(first.into_iter().chain(more.iter().copied()))
    }

    /// What came of each.
    fn tries(&self, app: &str, tries: &[(&str, &str)], more: &[&str]) -> Vec<Value> {
        let done = self.run(app, tries, more);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let output = response_json(done.stdout.as_bytes());
        output.as_array().expect("a list").clone()
    }
}

#[track_caller]
fn assert_refused(outcome: &Value, what: &str) {
    let error = outcome["error"].as_str();
    let refused = error.is_some_and(|text| text.starts_with("ERR_IO: "));
    assert!(refused, "{what}: {outcome}");
}

#[test]
fn a_plugin_stays_in_the_folder_of_its_app() {
    let escapes = Escapes::needing(&["folder"]);
    let granted = ["--grant", "escapes=folder"];
    let own = escapes.tries(
        "shop",
        &[
            ("write", "/data/own.txt"),
            ("read", "/data/own.txt"),
            ("list", "/data"),
        ],
        &granted,
    );
    assert_eq!(
        own,
        [
            json!({"ok": null}),
            json!({"ok": "written"}),
            json!({"ok": ["own.txt"]})
        ]
    );
    assert!(escapes.data("shop").join("own.txt").exists());

    // What somebody put there on the host leads nowhere.
    let outside = escapes.folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::write(outside.join("secret.txt"), "secret").expect("a file");
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, escapes.data("shop").join(name)).expect("a link");
    };
    link(&outside.join("secret.txt"), "to-file");
    link(&outside, "to-folder");
    link(Path::new("../../../../../outside"), "to-relative");
    link(&outside.join("new.txt"), "to-nothing");
    // Other tenants: another app, another workspace, the code and records of its own app.
    std::fs::create_dir_all(escapes.data("other")).expect("a folder");
    std::fs::write(escapes.data("other").join("theirs.txt"), "theirs").expect("a file");

    let tries = [
        ("read", "/data/../own.txt"),
        ("read", "/data/../../../shop/plugins/escapes/own.txt"),
        ("read", "../etc/passwd"),
        ("read", "/etc/passwd"),
        ("read", "/data/../../../../../../../../etc/passwd"),
        ("list", "/"),
        ("list", "/data/.."),
        ("list", ".."),
        ("read", "/data/to-file"),
        ("write", "/data/to-file"),
        ("write", "/data/to-nothing"),
        ("list", "/data/to-folder"),
        ("read", "/data/to-folder/secret.txt"),
        ("write", "/data/to-folder/new.txt"),
        ("read", "/data/to-relative/secret.txt"),
        ("read", "/data/../../../other/plugins/escapes/theirs.txt"),
        ("read", "/data/../../code/escapes.mixexe"),
        ("list", "/app"),
        ("list", "/files"),
        ("list", "/secrets"),
        ("list", "/keys"),
        ("list", "/ws"),
        ("write", "/data/../sneaked.txt"),
        ("write", "/tmp/mix-escaped.txt"),
    ];
    let outcomes = escapes.tries("shop", &tries, &granted);
    for ((what, on), outcome) in tries.iter().zip(&outcomes) {
        assert_refused(outcome, &format!("{what} {on}"));
    }
    let secret = std::fs::read_to_string(outside.join("secret.txt")).expect("it is there");
    assert_eq!(secret, "secret");
    assert!(!outside.join("new.txt").exists());
    assert!(!escapes.data("shop").join("../sneaked.txt").exists());
    assert!(!Path::new("/tmp/mix-escaped.txt").exists());

    // The same plugin in another app has a folder of its own.
    let other = escapes.tries("elsewhere", &[("list", "/data")], &granted);
    assert_eq!(other, [json!({"ok": []})]);
}

#[test]
fn links_and_renames_lead_a_plugin_nowhere() {
    let escapes = Escapes::needing(&["folder"]);
    // Reading as long as it is tried to do takes its time on a busy machine.
    let granted = ["--grant", "escapes=folder,time:1m"];
    let outside = escapes.folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let secret = outside.join("secret.txt");
    std::fs::write(&secret, "secret").expect("a file");
    escapes.tries("shop", &[("write", "/data/own.txt")], &granted);
    let data = escapes.data("shop");
    std::os::unix::fs::symlink(&secret, data.join("to-file")).expect("a link");
    std::os::unix::fs::symlink(&outside, data.join("to-folder")).expect("a link");

    // Links that it makes itself are refused, or lead nowhere.
    let made = [
        ("symlink", format!("{}>/data/made", secret.display())),
        ("symlink", "../../../../../outside>/data/up".to_owned()),
        ("symlink", "/proc/self>/data/self".to_owned()),
        ("symlink", "/data/loop>/data/loop".to_owned()),
    ];
    let tries: Vec<(&str, &str)> = made.iter().map(|(what, on)| (*what, &**on)).collect();
    escapes.tries("shop", &tries, &granted);
    let tries = [
        ("read", "/data/made"),
        ("read", "/data/up/secret.txt"),
        ("list", "/data/up"),
        ("read", "/data/self/environ"),
        ("read", "/data/self/cwd/secret.txt"),
        ("list", "/data/self/fd"),
        ("read", "/data/loop"),
        ("read", "/proc/self/environ"),
        ("list", "/proc/self/fd"),
        ("read", "/dev/fd/0"),
        // Names are those of the system: letters of another size are another name.
        ("read", "/DATA/own.txt"),
        ("read", "/data/OWN.txt"),
        ("read", "//data/../outside/secret.txt"),
        ("read", "/data/./.././../outside/secret.txt"),
        ("read", "/data/own.txt/../../own.txt"),
        ("read", "/data/own.txt\0/../x"),
        // Hard links, to what is outside and from there.
        ("link", "/data/to-file>/data/hard"),
        ("link", "/data/to-folder/secret.txt>/data/hard"),
        ("link", "/data/../own.txt>/data/hard"),
        ("link", "/data/own.txt>/data/../hard"),
        ("link", "/data/own.txt>/data/to-folder/hard"),
        ("link", "/proc/self/exe>/data/hard"),
        // Out of the folder, into it, and over what is there.
        ("rename", "/data/own.txt>/data/../own.txt"),
        ("rename", "/data/own.txt>/data/to-folder/own.txt"),
        ("rename", "/data/to-folder/secret.txt>/data/mine.txt"),
        ("rename", "/data/../escapes>/data/mine"),
        ("rename", "/data>/data/mine"),
    ];
    let outcomes = escapes.tries("shop", &tries, &granted);
    for ((what, on), outcome) in tries.iter().zip(&outcomes) {
        // A hard link to a link is a link too, and leads nowhere.
        if *on == "/data/to-file>/data/hard" {
            continue;
        }
        assert_refused(outcome, &format!("{what} {on}"));
    }
    let hard = &escapes.tries("shop", &[("read", "/data/hard")], &granted)[0];
    assert_refused(hard, "read /data/hard");
    assert_eq!(std::fs::read_to_string(&secret).expect("kept"), "secret");
    let left: Vec<_> = std::fs::read_dir(&outside).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let own = escapes.tries("shop", &[("read", "/data/own.txt")], &granted);
    assert_eq!(own, [json!({"ok": "written"})]);
}

#[test]
fn a_folder_that_becomes_a_link_meanwhile_is_not_followed() {
    let escapes = Escapes::needing(&["folder"]);
    let granted = ["--grant", "escapes=folder,time:1m"];
    let outside = escapes.folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::write(outside.join("file.txt"), "secret").expect("a file");
    escapes.tries("shop", &[("write", "/data/own.txt")], &granted);
    let data = escapes.data("shop");
    std::fs::create_dir(data.join("folder")).expect("a folder");
    std::fs::write(data.join("folder/file.txt"), "own").expect("a file");
    std::os::unix::fs::symlink(&outside, data.join("link")).expect("a link");
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // `at` is the folder and the link in turn.
            let (at, folder, link) = (data.join("at"), data.join("folder"), data.join("link"));
            while !over.load(Ordering::Relaxed) {
                for real in [&folder, &link] {
                    std::fs::rename(real, &at).expect("renamed");
                    std::thread::yield_now();
                    std::fs::rename(&at, real).expect("renamed back");
                }
            }
        });
        for _ in 0..5 {
            let seen = escapes.tries("shop", &[("race", "/data/at/file.txt")], &granted);
            let seen = seen[0]["ok"].as_array().expect("what was read").clone();
            assert!(!seen.contains(&json!("secret")), "{seen:?}");
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_plugin_has_few_handles_of_the_host() {
    let escapes = Escapes::needing(&["folder", "http"]);
    let granted = ["--grant", "escapes=folder,http,time:1m"];
    let tries = [
        ("write", "/data/own.txt"),
        ("hoard", "3000>/data/own.txt"),
        // Another 3,000 in the same instance are too many: it is ended, and what it held is closed.
        ("hoard", "3000>/data/own.txt"),
        ("hoard", "3000>/data/own.txt"),
        ("headers", "more"),
    ];
    let outcomes = escapes.tries("shop", &tries, &granted);
    for number in [1, 3] {
        assert_eq!(outcomes[number], json!({"ok": 3000}), "{outcomes:?}");
    }
    let ended = outcomes[2]["error"].as_str().unwrap_or_default();
    assert!(
        ended.starts_with("ERR_TOO_LARGE: ") && ended.contains("handles of the host"),
        "{outcomes:?}"
    );
    let headers = outcomes[4]["ok"].as_i64();
    assert!(headers.is_some_and(|count| count < 50_000), "{outcomes:?}");
}

#[test]
fn a_plugin_with_nothing_has_no_files_and_no_variables() {
    let escapes = Escapes::needing(&[]);
    let tries = [
        ("list", "/data"),
        ("write", "/data/x"),
        ("list", "."),
        ("list", "/"),
    ];
    for (outcome, (what, on)) in escapes.tries("shop", &tries, &[]).iter().zip(tries) {
        assert_refused(outcome, &format!("{what} {on}"));
    }
    let seen = escapes.tries("shop", &[("variables", "")], &[]);
    assert_eq!(seen, [json!({"ok": {}})]);
}

#[test]
fn a_plugin_sees_the_variables_that_it_was_granted() {
    let escapes = Escapes::needing(&["env:PATH"]);
    let seen = escapes.tries(
        "shop",
        &[("variables", "")],
        &["--grant", "escapes=env:PATH,env:HOME"],
    );
    let path = std::env::var("PATH").expect("a path");
    assert_eq!(seen, [json!({"ok": {"PATH": path}})]);
}

#[test]
fn the_name_of_a_plugin_is_no_path() {
    let escapes = Escapes::named("../../evil", &["folder"]);
    let own = escapes.tries(
        "shop",
        &[("write", "/data/own.txt")],
        &["--grant", "../../evil=folder"],
    );
    assert_eq!(own, [json!({"ok": null})]);
    let plugins = escapes.ws_dir().join("local/shop/plugins");
    let folders: Vec<PathBuf> = std::fs::read_dir(plugins)
        .expect("the folder of plugins")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert!(folders[0].join("own.txt").exists());
}

impl Escapes {
    /// `mixer compose` of the program with the plugin.
    fn compose(&self, component: &Path, more: &[&str]) -> Finished {
        let (plugin, component) = (
            self.plugin.display().to_string(),
            component.display().to_string(),
        );
        let program = program("escapes.mix");
        let first = ["compose", &program, "--plugin", &plugin, "-o", &component];
        run_mixer(first.into_iter().chain(more.iter().copied()))
    }
}

/// Answers whatever comes, and counts connections.
fn listener() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    (port, count)
}

#[test]
fn a_plugin_has_no_sockets() {
    let (port, count) = listener();
    let here = format!("127.0.0.1:{port}");
    let tries = [
        ("connect", here.as_str()),
        ("connect", "10.0.0.1:80"),
        ("connect", "169.254.169.254:80"),
        ("connect", "[::1]:80"),
        ("connect", "example.com:443"),
        ("send", &here),
        ("lookup", "localhost:80"),
        ("lookup", "example.com:443"),
    ];
    for needs in [&[][..], &["http"]] {
        let escapes = Escapes::needing(needs);
        let grant = ["--grant", "escapes=http"];
        for (outcome, (what, on)) in escapes.tries("shop", &tries, &grant).iter().zip(tries) {
            assert_refused(outcome, &format!("{what} {on}"));
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[track_caller]
fn assert_denied(outcome: &Value, reason: &str) {
    let text = outcome["error"].as_str().unwrap_or_default();
    assert!(
        text.starts_with("ERR_NETWORK: ") && text.contains(reason),
        "{outcome}"
    );
}

#[test]
fn requests_go_to_granted_hosts_only() {
    let (port, count) = listener();
    let url = format!("http://127.0.0.1:{port}/");
    let request = [("request", url.as_str())];
    // Not declared: granted or not, nothing is sent.
    let silent = Escapes::needing(&[]);
    let grants = ["--grant", "escapes=http", "--dangerous-http-mode"];
    assert_denied(&silent.tries("shop", &request, &grants)[0], "Denied");
    // Declared and granted: the rules about addresses still hold.
    let escapes = Escapes::needing(&["http"]);
    let outcome = &escapes.tries("shop", &request, &["--grant", "escapes=http"])[0];
    assert_denied(outcome, "Denied");
    let tries = [
        ("request", "https://127.0.0.1/"),
        ("request", "https://[::1]/"),
        ("request", "https://169.254.169.254/latest/meta-data/"),
        ("request", "https://10.1.2.3/"),
        // The same in other spellings.
        ("request", "https://2130706433/"),
        ("request", "https://0x7f.1/"),
        ("request", "https://0177.0.0.1/"),
        ("request", "https://127.1/"),
        ("request", "https://127.0.0.1./"),
        ("request", "https://[::ffff:127.0.0.1]/"),
        ("request", "https://[::ffff:a9fe:a9fe]/"),
        ("request", "https://[64:ff9b::7f00:1]/"),
        ("request", "https://[fe80::1%25lo]/"),
    ];
    for outcome in escapes.tries("shop", &tries, &["--grant", "escapes=http"]) {
        assert_denied(&outcome, "Prohibited");
    }
    let names = [
        ("request", "https://localhost/"),
        ("request", "https://LOCALHOST./"),
        ("request", "https://a.localhost./"),
        ("request", "https://metadata.google.internal./"),
    ];
    for outcome in escapes.tries("shop", &names, &["--grant", "escapes=http"]) {
        assert_denied(&outcome, "Denied");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // The operator says which hosts.
    let here = format!("escapes=http:127.0.0.1:{port}");
    let allowed = ["--dangerous-http-mode", "--grant", &here];
    assert_eq!(
        escapes.tries("shop", &request, &allowed),
        [json!({"ok": 204})]
    );
    for other in [
        "escapes=http:127.0.0.1",
        "escapes=http:localhost:80",
        "escapes=http:*.0.0.1",
    ] {
        let outcome = &escapes.tries(
            "shop",
            &request,
            &["--dangerous-http-mode", "--grant", other],
        )[0];
        assert_denied(outcome, "Denied");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // The plugin says which hosts: a wider grant does not widen that.
    let narrow = Escapes::needing(&["http:api.example.com"]);
    let wide = ["--dangerous-http-mode", "--grant", "escapes=http"];
    assert_denied(&narrow.tries("shop", &request, &wide)[0], "Denied");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_host_that_is_not_granted_is_named() {
    let escapes = Escapes::needing(&["http:api.example.com"]);
    let refused = escapes.run("shop", &[], &["--grant", "escapes=http:example.org"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("--grant escapes=http:api.example.com"),
        "{}",
        refused.stderr
    );
    let inspect = |grant: &str| {
        let plugin = escapes.plugin.display().to_string();
        run_mixer(["plugin", "inspect", &plugin, "--grant", grant]).stdout
    };
    let shown = inspect("escapes=http:*.example.com");
    assert!(
        shown.contains("needs http:api.example.com: granted"),
        "{shown}"
    );
    let shown = inspect("escapes=folder");
    assert!(
        shown.contains("needs http:api.example.com: refused"),
        "{shown}"
    );
}
