//! The families `files`, `http` and `db` at their boundary: real folders, real connections.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use mix_component_tests::{Answer, Encoded, Family, Surroundings, guest};
use mix_sandbox::state::GuestState;
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Value, msgpack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

fn one(answer: std::result::Result<Answer, mix_component_tests::contract::Failure>) -> Value {
    match answer {
        Ok(Answer::One(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn files_are_written_listed_and_deleted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/files")],
        ..Surroundings::default()
    };
    let mut files = Family::new(&guest("mix_plugin_files"), &surroundings).await?;
    files.bind("shop", "ada").await?;
    let path = Value::string("reports/ü.json");
    let content = Value::binary(b"{}".as_slice());
    let file = one(files
        .start(
            "$file_create",
            &[Value::Null, path.clone(), content.clone()],
            0,
        )
        .await?);
    assert_eq!(file.get("path"), Some(&Value::string("/reports/ü.json")));
    assert_eq!(file.get("app"), Some(&Value::string("shop")));
    assert_eq!(
        std::fs::read(folder.path().join("reports/%C3%BC.json"))?,
        b"{}"
    );
    assert_eq!(
        one(files
            .start("$file_read", &[Value::Null, path.clone()], 0)
            .await?),
        content
    );
    let list = one(files
        .start("$file_list", &[Value::Null, Value::string("")], 0)
        .await?);
    assert_eq!(list.as_array().map(<[Value]>::len), Some(1));
    assert_eq!(
        one(files
            .start("$file_delete", &[Value::Null, path.clone()], 0)
            .await?),
        Value::Null
    );
    let gone = files
        .start("$file_read", &[Value::Null, path], 0)
        .await?
        .unwrap_err();
    assert_eq!(gone.code, "ERR_NOT_FOUND");
    for bad in ["../x", "/etc/../../passwd", "a\\b", ""] {
        let failure = files
            .start("$file_read", &[Value::Null, Value::string(bad)], 0)
            .await?
            .unwrap_err();
        assert_eq!(failure.code, "ERR_RANGE", "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn files_without_a_folder_are_unsupported() -> Result<()> {
    let mut files = Family::new(&guest("mix_plugin_files"), &Surroundings::default()).await?;
    let failure = files
        .start("$file_read", &[Value::Null, Value::string("x")], 0)
        .await?
        .unwrap_err();
    assert_eq!(failure.code, "ERR_UNSUPPORTED");
    Ok(())
}

/// Answers every request on a loopback port by what stands in its path.
async fn server() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let Ok(count) = socket.read(&mut buffer).await else {
                        return;
                    };
                    request.extend_from_slice(&buffer[..count]);
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let Some(head) = text.find("\r\n\r\n") else {
                        continue;
                    };
                    let length = text
                        .split("content-length: ")
                        .nth(1)
                        .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok())
                        .unwrap_or(0);
                    if request.len() >= head + 4 + length || count == 0 {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let path = text.split(' ').nth(1).unwrap_or("/").to_string();
                let response = match path.split('?').next().unwrap_or("/") {
                    "/hang" => {
                        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                        return;
                    }
                    "/break" => return,
                    "/redirect" => {
                        b"HTTP/1.1 302 Found\r\nlocation: /echo?again\r\ncontent-length: 0\r\n\r\n"
                            .to_vec()
                    }
                    "/circle" => {
                        b"HTTP/1.1 302 Found\r\nlocation: /circle\r\ncontent-length: 0\r\n\r\n"
                            .to_vec()
                    }
                    "/gzip" => {
                        let mut packed = vec![
                            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0,
                            0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0,
                        ];
                        let mut response = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                            packed.len()
                        )
                        .into_bytes();
                        response.append(&mut packed);
                        response
                    }
                    "/headers" => {
                        let mut response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_vec();
                        for number in 0..70 {
                            let value = "x".repeat(1024);
                            let _ = write!(response, "x-{number}: {value}\r\n");
                        }
                        response.extend_from_slice(b"\r\n");
                        response
                    }
                    "/large" => {
                        let mut response =
                            b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
                        response.resize(response.len() + 100_000, b'x');
                        response
                    }
                    _ => {
                        let mut response = Vec::new();
                        let head = "HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\nset-cookie: a\r\nset-cookie: b\r\n";
                        let _ = write!(
                            response,
                            "{head}content-length: {}\r\n\r\n{text}",
                            text.len()
                        );
                        response
                    }
                };
                let _ = socket.write_all(&response).await;
            });
        }
    });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_store_reads_and_waits_without_a_host_function_that_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/app")],
        own_thread: true,
        ..Surroundings::default()
    };
    let mut db = Family::in_place(&guest("mix_plugin_db"), &surroundings).await?;
    db.bind("shop", "ada").await?;
    let record = Value::map([("title", Value::string("The Kid"))]);
    let saved = one(db.start("$db_save_one", &[Value::Null, record], 0).await?);
    let id = saved.get("_rmx_id").expect("an id").clone();
    // By the short way: called like any function of Rust, on this thread.
    let args = msgpack::encode(&Value::Array(vec![Value::Null, id]))?;
    let calls = vec![(db.number("$db_get_one")?, args)];
    let mut answers = Vec::new();
    let visit = |answer| {
        answers.push(answer);
        Ok(())
    };
    db.start_in_turn(calls, visit).await?;
    let Some(Encoded::One(bytes)) = answers.pop() else {
        panic!("no record");
    };
    let found = msgpack::decode(&bytes)?;
    assert_eq!(found.get("title"), Some(&Value::string("The Kid")));

    // A commit of another program is seen when the clock says that it is time to look.
    let watermark = one(db.start("$db_getWatermark", &[Value::Null], 0).await?);
    let path = folder.path().to_owned();
    let writer = std::thread::spawn(move || -> Result<()> {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let database = Database::open(&path, OpenOptions::default())?;
        let record = Value::map([("title", Value::string("City Lights"))]);
        database.save(vec![record], &SaveOptions::default())?;
        Ok(())
    });
    let args = [Value::Null, watermark.clone(), Value::Bool(false)];
    let newer = one(db.start("$db_waitChange", &args, 0).await?);
    assert_ne!(newer, watermark);
    writer.join().expect("the writer ends")?;
    Ok(())
}

async fn http(environment: &[(&str, &str)]) -> Result<Family> {
    let surroundings = Surroundings {
        environment,
        ..Surroundings::default()
    };
    Family::new(&guest("mix_plugin_http"), &surroundings).await
}

const OPEN: (&str, &str) = ("MIXER_DANGEROUS_HTTP_MODE", "true");

async fn perform(http: &mut Family, members: Vec<(&str, Value)>) -> Result<Value> {
    Ok(one(http
        .start("$http_do", &[Value::map(members)], 0)
        .await?))
}

fn error(response: &Value) -> String {
    response
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{response:?}"))
        .to_string()
}

#[tokio::test]
async fn requests_reach_the_server_and_responses_come_back() -> Result<()> {
    let url = format!("http://127.0.0.1:{}", server().await?);
    let mut http = http(&[OPEN]).await?;
    let response = perform(
        &mut http,
        vec![
            ("url", Value::string(format!("{url}/echo"))),
            ("method", Value::string("put")),
            ("body", Value::string("söme text")),
            ("params", Value::map([("a", Value::string("b c"))])),
            ("headers", Value::map([("X-Test", Value::string("yes"))])),
        ],
    )
    .await?;
    assert_eq!(
        response.get("status"),
        Some(&Value::Int(201)),
        "{response:?}"
    );
    let echo = response.get("body").and_then(Value::as_str).expect("text");
    assert!(echo.starts_with("PUT /echo?a=b%20c HTTP/1.1\r\n"), "{echo}");
    assert!(echo.ends_with("\r\n\r\nsöme text"), "{echo}");
    let lower = echo.to_ascii_lowercase();
    for header in [
        "x-test: yes",
        "accept: */*",
        "accept-encoding: gzip",
        "content-type: text/plain; charset=utf-8",
    ] {
        assert!(lower.contains(header), "{header} in {echo}");
    }
    assert_eq!(
        response
            .get("headers")
            .and_then(|headers| headers.get("Set-Cookie")),
        Some(&Value::string("a\nb"))
    );
    assert_eq!(
        response.get("requested_url"),
        Some(&Value::string(format!("{url}/echo?a=b%20c")))
    );

    let response = perform(
        &mut http,
        vec![("url", Value::string(format!("{url}/gzip")))],
    )
    .await?;
    assert_eq!(response.get("body"), Some(&Value::string("hello")));
    let response = perform(
        &mut http,
        vec![("url", Value::string(format!("{url}/redirect")))],
    )
    .await?;
    let echo = response.get("body").and_then(Value::as_str).expect("text");
    assert!(echo.starts_with("GET /echo?again "), "{echo}");
    Ok(())
}

#[tokio::test]
async fn exchanges_that_fail_say_why() -> Result<()> {
    let port = server().await?;
    let mut http = http(&[OPEN, ("MIXER_HTTP_RESPONSE_LIMIT", "10KiB")]).await?;
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    for (url, code) in [
        (format!("http://127.0.0.1:{closed}/"), "ERR_NETWORK"),
        (format!("http://127.0.0.1:{port}/break"), "ERR_NETWORK"),
        (format!("http://127.0.0.1:{port}/hang"), "ERR_TIMEOUT"),
        (format!("http://127.0.0.1:{port}/large"), "ERR_TOO_LARGE"),
        (format!("http://127.0.0.1:{port}/headers"), "ERR_TOO_LARGE"),
        (
            format!("http://127.0.0.1:{port}/circle"),
            "ERR_URL_BLOCKED: redirects",
        ),
        ("nowhere".to_string(), "ERR_URL"),
    ] {
        let members = vec![
            ("url", Value::string(url.as_str())),
            ("timeout", Value::Float(1.0)),
        ];
        let response = perform(&mut http, members).await?;
        assert!(error(&response).starts_with(code), "{url}: {response:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_guard_is_closed_by_default() -> Result<()> {
    let port = server().await?;
    let mut http = http(&[]).await?;
    for (url, reason) in [
        (
            format!("http://127.0.0.1:{port}/"),
            "ERR_URL_BLOCKED: scheme",
        ),
        (
            format!("https://127.0.0.1:{port}/"),
            "ERR_URL_BLOCKED: address",
        ),
        ("https://localhost/".to_string(), "ERR_URL_BLOCKED: host"),
    ] {
        let response = perform(&mut http, vec![("url", Value::string(url))]).await?;
        assert_eq!(error(&response), reason);
    }
    Ok(())
}

#[tokio::test]
async fn slow_exchanges_do_not_block_others() -> Result<()> {
    let port = server().await?;
    let mut http = http(&[OPEN]).await?;
    let request = |path: &str, timeout| {
        let url = Value::string(format!("http://127.0.0.1:{port}/{path}"));
        [Value::map([
            ("url", url),
            ("timeout", Value::Float(timeout)),
        ])]
    };
    let (slow, quick) = (request("hang", 2.0), request("echo", 2.0));
    let calls: Vec<(&str, &[Value])> = (0..10)
        .map(|number| {
            (
                "$http_do",
                if number % 2 == 0 {
                    &slow[..]
                } else {
                    &quick[..]
                },
            )
        })
        .collect();
    let begin = std::time::Instant::now();
    let answers = http.start_all(&calls, 0).await?;
    assert!(begin.elapsed().as_secs_f64() < 8.0);
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(one(answer).get("error").is_some(), number % 2 == 0);
    }
    Ok(())
}

/// The record store in a new folder, and a count of what the host does as `define` says.
async fn counted_by(
    define: impl FnOnce(&mut LinkerInstance<'_, GuestState>, Arc<AtomicUsize>) -> wasmtime::Result<()>,
) -> Result<(Family, Arc<AtomicUsize>, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/app")],
        ..Surroundings::default()
    };
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let bytes = guest("mix_plugin_db");
    let db = Family::with_host(&bytes, &surroundings, |linker| {
        let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
        define(&mut types, counted)?;
        Ok(())
    });
    let db = db.await?;
    Ok((db, count, folder))
}

/// The record store in a new folder under a host whose folders answer so when they are synced;
/// counts how often that was.
async fn synced_by(
    answer: Result<(), ErrorCode>,
) -> Result<(Family, Arc<AtomicUsize>, tempfile::TempDir)> {
    counted_by(|types, count| {
        types.func_wrap_async(
            "[method]descriptor.sync",
            move |mut store, (descriptor,): (Resource<Descriptor>,)| {
                let is_folder = matches!(
                    store.data_mut().ctx().table.get(&descriptor),
                    Ok(Descriptor::Dir(_))
                );
                count.fetch_add(usize::from(is_folder), Ordering::SeqCst);
                let answer = if is_folder { answer } else { Ok(()) };
                Box::new(async move { Ok((answer,)) })
            },
        )
    })
    .await
}

/// The record store in a new folder under a host whose files answer so when their data are synced;
/// counts how often that was.
async fn data_synced_by(
    answer: Result<(), ErrorCode>,
) -> Result<(Family, Arc<AtomicUsize>, tempfile::TempDir)> {
    counted_by(|types, count| {
        types.func_wrap_async(
            "[method]descriptor.sync-data",
            move |_, (_,): (Resource<Descriptor>,)| {
                count.fetch_add(1, Ordering::SeqCst);
                Box::new(async move { Ok((answer,)) })
            },
        )
    })
    .await
}

#[tokio::test]
async fn the_record_store_syncs_each_commit() -> Result<()> {
    let record = [Value::Null, Value::map([("n", Value::Int(1))])];
    let (mut db, count, _folder) = data_synced_by(Ok(())).await?;
    for _ in 0..3 {
        let before = count.load(Ordering::SeqCst);
        one(db.start("$db_save_one", &record, 0).await?);
        assert!(
            count.load(Ordering::SeqCst) > before,
            "a commit was acknowledged that may not be on the disk"
        );
    }
    for cannot in [ErrorCode::Io, ErrorCode::InsufficientSpace] {
        let (mut db, _, _folder) = data_synced_by(Err(cannot)).await?;
        let failed = db.start("$db_save_one", &record, 0).await?;
        assert_eq!(failed.expect_err("an error of the disk").code, "ERR_IO");
    }
    Ok(())
}

#[tokio::test]
async fn the_record_store_syncs_its_folder() -> Result<()> {
    let record = [Value::Null, Value::map([("n", Value::Int(1))])];
    let (mut db, count, _folder) = synced_by(Ok(())).await?;
    one(db.start("$db_save_one", &record, 0).await?);
    let first = count.load(Ordering::SeqCst);
    assert!(first > 0, "the names of new files are not made durable");
    one(db.start("$db_flush", &[Value::Null], 0).await?);
    assert!(
        count.load(Ordering::SeqCst) > first,
        "the names that a checkpoint makes are not made durable"
    );
    // A host that has no such thing is no reason to refuse work; one that fails is.
    for cannot in [ErrorCode::Unsupported, ErrorCode::NotPermitted] {
        let (mut db, count, _folder) = synced_by(Err(cannot)).await?;
        one(db.start("$db_save_one", &record, 0).await?);
        assert!(count.load(Ordering::SeqCst) > 0);
    }
    let (mut db, _, _folder) = synced_by(Err(ErrorCode::Io)).await?;
    let failed = db.start("$db_save_one", &record, 0).await?;
    assert_eq!(failed.expect_err("an error of the disk").code, "ERR_IO");
    Ok(())
}

/// Makes and removes files in a folder, as fast as it can, until it is dropped.
struct Churn {
    ends: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Churn {
    fn new(folder: std::path::PathBuf, prefix: &'static str) -> Churn {
        let ends = Arc::new(AtomicUsize::new(0));
        let over = ends.clone();
        let work = move || {
            for round in 0.. {
                if over.load(Ordering::Relaxed) > 0 {
                    return;
                }
                for number in 0..50 {
                    let path = folder.join(format!("{prefix}{round}-{number}"));
                    // A folder that is gone ends it all the same.
                    let _ = std::fs::write(&path, "").and_then(|()| std::fs::remove_file(&path));
                }
            }
        };
        Churn {
            ends,
            thread: Some(std::thread::spawn(work)),
        }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.ends.store(1, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_listed_while_names_in_it_come_and_go() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/files")],
        ..Surroundings::default()
    };
    let mut files = Family::new(&guest("mix_plugin_files"), &surroundings).await?;
    files.bind("shop", "ada").await?;
    let file = [
        Value::Null,
        Value::string("a"),
        Value::binary(b"x".as_slice()),
    ];
    one(files.start("$file_create", &file, 0).await?);
    // What others write of the files of an app, for a moment.
    let churn = Churn::new(folder.path().to_owned(), "%tmp-");
    for _ in 0..300 {
        let args = [Value::Null, Value::string("")];
        let list = one(files.start("$file_list", &args, 0).await?);
        assert_eq!(list.as_array().map(<[Value]>::len), Some(1));
    }
    drop(churn);

    let folder = tempfile::tempdir()?;
    let keys = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/secrets"), (keys.path(), "/keys")],
        ..Surroundings::default()
    };
    let mut secrets = Family::new(&guest("mix_plugin_secrets"), &surroundings).await?;
    secrets.bind("shop", "ada").await?;
    let secret = [Value::string("a"), Value::string("hush")];
    one(secrets.start("$secrets_set", &secret, 0).await?);
    let of_user = std::fs::read_dir(folder.path())?.next().expect("a user")?;
    let churn = Churn::new(of_user.path(), ".new-");
    for _ in 0..300 {
        let list = one(secrets.start("$secrets_list", &[], 0).await?);
        assert_eq!(list, Value::Array(vec![Value::string("a")]));
    }
    drop(churn);
    Ok(())
}

#[tokio::test]
async fn reading_makes_no_database() -> Result<()> {
    let pipeline = mix_store::query::Pipeline::parse("exists a | .a")?;
    for (place, database) in [("/app", "v2"), ("/ws", "local/shop/v2")] {
        let folder = tempfile::tempdir()?;
        let surroundings = Surroundings {
            folders: &[(folder.path(), place)],
            ..Surroundings::default()
        };
        let mut db = Family::new(&guest("mix_plugin_db"), &surroundings).await?;
        db.bind("shop", "ada").await?;
        let query = [
            Value::Null,
            pipeline.to_value(),
            Value::Map(mix_value::Map::new()),
        ];
        let id = Value::string("x".repeat(32));
        let get = [Value::Null, id.clone()];
        let get_all = [Value::Null, Value::Array(vec![id.clone()])];
        for _ in 0..2 {
            assert_eq!(one(db.start("$db_get_one", &get, 0).await?), Value::Null);
            let all = one(db.start("$db_get_a", &get_all, 0).await?);
            assert_eq!(all, Value::Array(vec![Value::Null]));
            let part = one(db.start("$db_fromAST_result>", &query, 0).await?);
            assert_eq!(part, Value::Array(vec![Value::Null]));
            let stream = db.start("$db_fromAST_result", &query, 9).await?;
            assert!(matches!(stream, Ok(Answer::Many(rows)) if rows.is_empty()));
            let got = [Value::Null, id.clone()];
            let absent = db.start("$db_http_get", &got, 0).await?;
            assert_eq!(absent.expect_err("is absent").code, "ERR_NOT_FOUND");
            let left = std::fs::read_dir(folder.path())?.count();
            assert_eq!(left, 0, "{place}");
        }
        // Whoever writes makes it, and then it is read.
        let record = Value::map([("a", Value::Int(7))]);
        one(db.start("$db_save_one", &[Value::Null, record], 0).await?);
        assert!(folder.path().join(database).is_dir(), "{place}");
        let part = one(db.start("$db_fromAST_result>", &query, 0).await?);
        assert_eq!(part, Value::Array(vec![Value::Null, Value::Int(7)]));
    }
    Ok(())
}
