//! Several programs on one record store: servers of a composed component under a stock WASI
//! host, which have no locks, and `mixer` beside them. They take turns; one that is killed or
//! whose client goes away in the middle of a call holds up nobody for long; what was
//! acknowledged is there, once, for everybody.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mix_system_tests::{
    Server, composed, install, repository, response_json, run_mixer, stock_server,
};
use serde_json::{Value, json};

const DOCUMENTS: &str = "/v1/ws/local/app/limits/documents";
const COUNT: &str =
    "/v1/ws/local/app/limits/query?query=exists%20n%20%7C%20orderAsc%28n%29%20%7C%20.n";

/// What became of the records.
#[derive(Default)]
struct Fates {
    /// The ids of acknowledged ones, by their numbers.
    saved: HashMap<i64, String>,
    /// Numbers of which nobody knows whether they are there.
    unknown: Vec<i64>,
}

struct Site {
    folder: tempfile::TempDir,
    component: std::path::PathBuf,
    log: std::fs::File,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let program = repository().join("tests/system/programs/limits");
        let component = composed(&program, folder.path());
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let site = Site {
            folder,
            component,
            log,
        };
        std::fs::create_dir(site.ws_dir()).expect("a folder of workspaces");
        site
    }

    fn ws_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("ws")
    }

    fn app(&self) -> std::path::PathBuf {
        self.ws_dir().join("local/limits")
    }

    fn server(&self) -> Server {
        let open = ["MIXER_OPEN_RECORDS=true"];
        stock_server(&self.component, &self.ws_dir(), &open, &self.log)
    }

    fn db(&self, arguments: &[&str]) -> mix_system_tests::Finished {
        let path = self.app().display().to_string();
        run_mixer([&["db", "--path", &path], arguments].concat())
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }
}

/// Saves a record until it is known to be there, or nobody can know.
fn save(base: &str, n: i64, fates: &Mutex<Fates>, goes_on: &AtomicBool) -> bool {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    loop {
        let sent = agent
            .post(format!("{base}{DOCUMENTS}"))
            .header("content-type", "application/json")
            .send(json!({ "n": n }).to_string());
        let mut fates = fates
            .lock()
            .expect("no writer panics while it notes something");
        let Ok(response) = sent else {
            fates.unknown.push(n);
            return false;
        };
        let status = response.status().as_u16();
        let text = response.into_body().read_to_string().unwrap_or_default();
        match status {
            201 => {
                fates.saved.insert(n, text.trim().to_owned());
                return true;
            }
            // Nothing was saved: somebody else had its turn.
            503 if goes_on.load(Ordering::Relaxed) => {}
            503 => return false,
            _ if text.contains("commit_unknown") => {
                fates.unknown.push(n);
                return true;
            }
            _ => panic!("{status}: {text}"),
        }
    }
}

/// The fence of the newest write log.
fn fence(app: &Path) -> u64 {
    let names = std::fs::read_dir(app.join("v2")).expect("the files");
    let names = names.map(|entry| entry.expect("a name").file_name());
    names
        .filter_map(|name| name.to_str()?.strip_prefix("write.log.")?.parse().ok())
        .max()
        .expect("a write log")
}

#[test]
fn servers_without_locks_take_turns_and_outlive_each_other() {
    let site = Site::new();
    let fates = Mutex::new(Fates::default());
    let goes_on = AtomicBool::new(true);
    let steady = [site.server(), site.server()];
    let (first, second) = (steady[0].base().to_owned(), steady[1].base().to_owned());
    std::thread::scope(|scope| {
        for (writer, base) in [first, second].into_iter().enumerate() {
            let (fates, goes_on) = (&fates, &goes_on);
            scope.spawn(move || {
                let mut n = writer as i64 * 100_000;
                while goes_on.load(Ordering::Relaxed) {
                    n += 1;
                    assert!(save(&base, n, fates, goes_on) || !goes_on.load(Ordering::Relaxed));
                }
            });
        }
        for round in 0..4_i64 {
            // A third one, which is killed in the middle of its work.
            let third = site.server();
            let base = third.base().to_owned();
            let (fates, goes_on) = (&fates, &goes_on);
            let writer = scope.spawn(move || {
                let mut n = (round + 2) * 100_000;
                while save(&base, n + 1, fates, goes_on) {
                    n += 1;
                }
            });
            std::thread::sleep(Duration::from_millis(150 + 70 * round as u64));
            third.kill();
            writer.join().expect("a writer that ends with its server");
            // And a client of another one goes away in the middle of a call.
            let address = steady[0].base().trim_start_matches("http://").to_owned();
            let mut client = TcpStream::connect(&address).expect("a connection");
            let body = json!({ "gone": "x".repeat(200_000) }).to_string();
            let head = format!(
                "POST {DOCUMENTS} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            client
                .write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())
                .expect("sends");
            std::thread::sleep(Duration::from_millis(3 * round as u64));
            drop(client);
        }
        // `mixer` beside them waits for its turn like the others.
        let file = site.folder.path().join("native.json");
        std::fs::write(&file, r#"[{"n":-1},{"n":-2}]"#).expect("writes");
        let done = site.db(&["save", &file.display().to_string(), "--wait", "30s"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let ids: Vec<&str> = done.stdout.split_whitespace().collect();
        assert_eq!(ids.len(), 2, "{}", done.stdout);
        for (n, id) in [-1, -2].into_iter().zip(ids) {
            let mut fates = fates
                .lock()
                .expect("no writer panics while it notes something");
            fates.saved.insert(n, id.to_owned());
        }
        goes_on.store(false, Ordering::Relaxed);
    });
    let fates = fates.into_inner().expect("all writers have ended");
    assert!(fates.saved.len() > 20, "{} records", fates.saved.len());
    for server in &steady {
        let (status, body) = server.get(COUNT);
        let found = response_json(&body);
        assert_eq!(status, 200, "{found}");
        let found: Vec<i64> = found
            .as_array()
            .expect("numbers")
            .iter()
            .filter_map(Value::as_i64)
            .collect();
        assert!(found.is_sorted_by(|a, b| a < b), "each is there once");
        for n in fates.saved.keys() {
            assert!(found.binary_search(n).is_ok(), "{n} was acknowledged");
        }
        let known = |n: &i64| fates.saved.contains_key(n) || fates.unknown.contains(n);
        assert!(found.iter().all(known), "nothing else is there");
        for id in fates.saved.values().take(5) {
            assert_eq!(server.get(&format!("{DOCUMENTS}/{id}")).0, 200);
        }
    }
    drop(steady);
    let done = site.db(&["check"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}

#[test]
fn the_lease_of_a_dead_server_is_taken_over_and_the_repair_is_named() {
    let site = Site::new();
    let server = site.server();
    let (status, body) = server.post(DOCUMENTS, r#"{"n":1}"#);
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    // What an instance leaves that ends while it writes: its lease, and half a commit.
    let before = fence(&site.app());
    let beat = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let lease = json!({
        "owner": "x".repeat(32), "kind": "lease", "beat": beat.as_millis() as u64, "n": 1,
        "program": "mix db", "pid": 0,
    });
    let lease_file = site.app().join(format!("v2/LEASE.{before}"));
    std::fs::write(&lease_file, lease.to_string()).expect("writes");
    let mut log = std::fs::File::options()
        .append(true)
        .open(site.app().join(format!("v2/write.log.{before}")))
        .expect("opens");
    log.write_all(b"MXWF\x01\0\0\0half").expect("writes");
    drop(log);
    // Readers do not wait for writers.
    let (status, body) = server.get(COUNT);
    assert_eq!((status, response_json(&body)), (200, json!([1])));
    let (status, body) = server.post(DOCUMENTS, r#"{"n":2}"#);
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    assert!(fence(&site.app()) > before, "the lease is worth nothing");
    let (status, body) = server.get(COUNT);
    assert_eq!((status, response_json(&body)), (200, json!([1, 2])));
    let logged = site.logged();
    assert!(logged.contains("unfinished commit"), "{logged}");
    server.kill();
    let done = site.db(&["check"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_server_names_what_it_repairs() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let program = repository().join("tests/system/programs/limits");
    install(program, &folder, "local", "limits");
    let server = Server::mixer(folder.path(), &[]);
    assert_eq!(server.post(DOCUMENTS, r#"{"n":1}"#).0, 201);
    server.kill();
    let app = folder.path().join("local/limits");
    let name = app.join(format!("v2/write.log.{}", fence(&app)));
    let mut log = std::fs::File::options()
        .append(true)
        .open(&name)
        .expect("opens");
    log.write_all(b"MXWF\x01\0\0\0half").expect("writes");
    drop(log);
    let (server, log) = Server::mixer_with_log(folder.path(), &[]);
    let (status, body) = server.get(COUNT);
    assert_eq!((status, response_json(&body)), (200, json!([1])));
    server.kill();
    let logged = std::io::read_to_string(log).expect("the log");
    assert!(
        logged.contains("unfinished commit") && logged.contains("limits"),
        "{logged}"
    );
}

#[test]
fn work_on_all_records_of_an_app_is_done_one_at_a_time() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let program = repository().join("tests/system/programs/limits");
    install(program, folder.path(), "local", "limits");
    let server = Server::mixer(folder.path(), &[]);
    let modify = || {
        let body = Some(("application/json", "{\"op\":\"flush\"}"));
        server.send("POST", "/v1/ws/local/app/limits/modify", &[], body)
    };
    assert_eq!(server.post(DOCUMENTS, "{\"n\":1}").0, 201);
    // From here on nobody has the records open.
    assert_eq!(modify().status, 200);
    let lock = std::fs::File::open(folder.path().join("local/limits/LOCK")).expect("a lock");
    lock.lock().expect("nobody holds it");
    let (sender, answers) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (sender, modify) = (sender.clone(), &modify);
            scope.spawn(move || sender.send(modify()));
        }
        // One waits for the lock, so that the other is the first to be answered.
        let refused = answers.recv().expect("an answer");
        assert_eq!((refused.status, refused.code().as_str()), (409, "busy_app"));
        lock.unlock().expect("unlocked");
        assert_eq!(answers.recv().expect("an answer").status, 200);
    });
}

#[test]
fn whoever_is_kept_out_is_told_by_whom() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let program = repository().join("tests/system/programs/limits");
    install(program, folder.path(), "local", "limits");
    let record = folder.path().join("record.json");
    std::fs::write(&record, "{\"n\":1}").expect("writes");
    let app = folder.path().join("local/limits");
    let (app, record) = (app.display().to_string(), record.display().to_string());
    let save = || run_mixer(["db", "--path", &app, "save", &record]);
    // Its own note is an old one as soon as a server has the records.
    assert_eq!(save().code, 0);
    let server = Server::mixer(folder.path(), &[]);
    assert_eq!(server.post(DOCUMENTS, "{\"n\":2}").0, 201);
    let refused = save();
    assert_eq!(refused.code, 5);
    let holder = format!("mixer (pid {}, since ", server.process());
    assert!(refused.stderr.contains(&holder), "{}", refused.stderr);
    server.kill();
    // The other way round.
    let lock = std::fs::File::options()
        .read(true)
        .write(true)
        .open(Path::new(&app).join("LOCK"));
    let mut lock = lock.expect("a lock");
    lock.lock().expect("nobody holds it");
    lock.write_all(b"another (pid 1, since today)\n")
        .expect("writes");
    let server = Server::mixer(folder.path(), &[]);
    let (status, body) = server.post(DOCUMENTS, "{\"n\":3}");
    let error = &response_json(&body)["error"];
    assert_eq!((status, &error["code"]), (503, &json!("db_locked")));
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("another (pid 1, since today)"),
        "{message}"
    );
}
