//! An app that was not made from Mix: it implements `mix:embed/agents` by itself, and asks for the
//! functions of its host.

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/ffi", "../../../wit/embed"],
        world: "mix:embed/embedded-with-family",
        generate_all,
    });
}

use bindings::exports::mix::embed::agents::{Failure, Guest};
use bindings::mix::ffi::family;
use bindings::mix::ffi::types::Reply;
use wit_bindgen::StreamReader;

struct Stranger;

impl Guest for Stranger {
    fn names() -> Vec<String> {
        let names = [
            "echo", "fail", "spin", "hungry", "trap", "peek", "records", "babble",
        ];
        names.map(str::to_owned).to_vec()
    }

    async fn run(agent: String, params: String) -> Result<String, Failure> {
        match agent.as_str() {
            "echo" => Ok(format!(
                r#"{{"agent":"echo","params":{}}}"#,
                object(&params)
            )),
            "fail" => Err(failure("ERR_NOT_FOUND", "nothing of that kind")),
            "spin" => loop {
                std::hint::black_box(&params);
            },
            "hungry" => {
                let mut held = Vec::new();
                loop {
                    held.push(vec![1u8; 1 << 20]);
                }
            }
            "trap" => panic!("on purpose"),
            "peek" => Ok(peek()),
            "records" => records().await,
            "babble" => Ok("{".to_owned()),
            other => Err(failure("no_such_agent", other)),
        }
    }

    async fn session(messages: StreamReader<String>) -> StreamReader<String> {
        messages
    }
}

fn object(params: &str) -> &str {
    if params.is_empty() { "{}" } else { params }
}

fn failure(code: &str, message: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.to_owned(),
        stack: vec!["Stranger.run:1".to_owned()],
    }
}

/// What it sees of the machine.
fn peek() -> String {
    let folders = ["/", "/ws", "/app", "."];
    let seen = folders
        .iter()
        .filter(|folder| std::fs::read_dir(folder).is_ok());
    let connected = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
    let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    names.sort();
    format!(
        r#"{{"folders":{},"connected":{connected},"variables":"{}"}}"#,
        seen.count(),
        names.join(" ")
    )
}

/// Saves a record of its app by the host's record store, and tells how many there are.
async fn records() -> Result<String, Failure> {
    // [null, {"kind": "visit"}]
    let mut record = vec![0x92, 0xc0, 0x81, 0xa4];
    record.extend(b"kind\xa5visit");
    call("$db_save_one", record).await?;
    // [null, [["comparison", "==", ["token", "kind"], "visit"]], {}]
    let mut query = vec![0x93, 0xc0, 0x91, 0x94, 0xaa];
    query.extend(b"comparison\xa2==\x92\xa5token\xa4kind\xa5visit");
    query.push(0x80);
    match call("$db_fromAST_result", query).await? {
        Reply::One(_) => Err(failure("ERR_INTERNAL", "a value instead of a stream")),
        Reply::Many(mut rows) => {
            let mut count = 0;
            while rows.next().await.is_some() {
                count += 1;
            }
            Ok(format!(r#"{{"visits":{count}}}"#))
        }
    }
}

async fn call(name: &str, args: Vec<u8>) -> Result<Reply, Failure> {
    let functions = family::describe();
    let number = functions.iter().position(|function| function.name == name);
    let number = number.ok_or_else(|| failure("ERR_FFI_MISSING", name))?;
    let done = family::start(number as u32, args).await;
    done.map_err(|error| failure(&error.code, &error.message))
}

mod export {
    use super::{Stranger, bindings};
    bindings::export!(Stranger with_types_in bindings);
}
