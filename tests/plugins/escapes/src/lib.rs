//! A family that tries to reach what it was not given: files beside its folder, sockets, hosts and
//! variables, more handles than are good for others. The system tests link it and check what comes back.
//!
//! It is built for the first release of the contract, so that it also shows that such a plugin links.

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/random.wit",
        "../../../wit/deps/clocks.wit",
        "../../../wit/deps/filesystem.wit",
        "../../../wit/deps/sockets.wit",
        "../../../wit/deps/cli.wit",
        "../../../wit/deps/http.wit",
        "../../../wit/released/0.1.0/ffi.wit",
    ],
    inline: r"
        package mix:test-escapes;
        world component {
            import wasi:http/types@0.3.0;
            import wasi:http/client@0.3.0;
            export mix:ffi/family@0.1.0;
        }
    ",
    world: "mix:test-escapes/component",
    generate_all,
});

use exports::mix::ffi::family::Guest;
use mix::ffi::types::{Failure, Function, Reply};
use mix_value::{Map, Value, msgpack};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use wasi::http::client;
use wasi::http::types::{ErrorCode, Fields, Request, Scheme, Trailers};

struct Escapes;

/// Name, waits. All but the one for variables take a text, those with two paths one with `>` between.
const FUNCTIONS: [(&str, bool); 14] = [
    ("$escapes_read", false),
    ("$escapes_write", false),
    ("$escapes_list", false),
    ("$escapes_connect", false),
    ("$escapes_send", false),
    ("$escapes_lookup", false),
    ("$escapes_request", true),
    ("$escapes_variables", false),
    ("$escapes_link", false),
    ("$escapes_symlink", false),
    ("$escapes_rename", false),
    ("$escapes_race", false),
    ("$escapes_hoard", false),
    ("$escapes_headers", false),
];

fn failure(code: &str, message: impl ToString) -> Failure {
    Failure {
        code: code.to_owned(),
        message: message.to_string(),
        detail: None,
    }
}

fn refused(error: std::io::Error) -> Failure {
    failure("ERR_IO", error)
}

fn text_of(args: &[u8]) -> Result<String, Failure> {
    let given = msgpack::decode(args).map_err(|error| failure("ERR_INTERNAL", error))?;
    let text = given.as_array().and_then(|args| args.first()?.as_str());
    text.map(str::to_owned)
        .ok_or_else(|| failure("ERR_EXPECTED_STRING", "a text is expected"))
}

fn encoded(value: &Value) -> Result<Vec<u8>, Failure> {
    msgpack::encode(value).map_err(|error| failure("ERR_INTERNAL", error))
}

fn variables() -> Value {
    let pairs = std::env::vars().map(|(name, value)| (name.into(), Value::string(value)));
    Value::Map(pairs.collect::<Map>())
}

fn list(folder: &str) -> std::io::Result<Value> {
    let names = std::fs::read_dir(folder)?.map(|entry| {
        let name = entry?.file_name();
        Ok(Value::string(name.to_string_lossy().into_owned()))
    });
    Ok(Value::Array(names.collect::<std::io::Result<_>>()?))
}

/// The C library has them all; the standard library of this target does not.
mod libc {
    use std::ffi::{c_char, c_int};
    unsafe extern "C" {
        pub fn symlink(target: *const c_char, path: *const c_char) -> c_int;
    }
}

fn symlink(target: &str, path: &str) -> std::io::Result<()> {
    let (target, path) = (CString::new(target)?, CString::new(path)?);
    // Both end with a zero byte and live until the call is over.
    match unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Both sides of `>`.
fn two(text: &str) -> (&str, &str) {
    text.split_once('>').unwrap_or((text, ""))
}

/// Reads a file again and again: what was read, each content once.
fn race(path: &str) -> Value {
    let mut seen = BTreeSet::new();
    for _ in 0..3_000 {
        seen.extend(std::fs::read_to_string(path));
    }
    Value::Array(seen.into_iter().map(Value::string).collect())
}

/// Opens a file so many times and closes it never.
fn hoard(times: &str, path: &str) -> std::io::Result<Value> {
    let times = times.parse().map_err(std::io::Error::other)?;
    for _ in 0..times {
        std::mem::forget(std::fs::File::open(path)?);
    }
    Ok(Value::Int(times))
}

/// Adds headers to a list of them as long as possible.
fn headers(value: &str) -> Value {
    let fields = Fields::new();
    let mut count = 0;
    while count < 1_000_000 && fields.append("x-more", value.as_bytes()).is_ok() {
        count += 1;
    }
    Value::Int(count)
}

/// The status of a GET.
async fn request(url: &str) -> Result<Value, Failure> {
    let bad = || failure("ERR_URL", url);
    let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (_, no_trailers) = wit_future::new::<Result<Option<Trailers>, ErrorCode>>(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, no_trailers, None);
    let scheme = match scheme {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(&path)))
        .map_err(|()| bad())?;
    match client::send(request).await {
        Ok(response) => Ok(Value::Int(response.get_status_code().into())),
        Err(error) => Err(failure("ERR_NETWORK", format!("{error:?}"))),
    }
}

impl Guest for Escapes {
    fn describe() -> Vec<Function> {
        let described = FUNCTIONS.iter().map(|&(name, waits)| Function {
            name: name.to_owned(),
            params: u8::from(name != "$escapes_variables"),
            waits,
            doc: "Tries what its name says.".to_owned(),
        });
        described.collect()
    }

    fn call(function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let value = match function {
            0 => std::fs::read_to_string(text_of(&args)?)
                .map(Value::string)
                .map_err(refused)?,
            1 => std::fs::write(text_of(&args)?, "written")
                .map(|()| Value::Null)
                .map_err(refused)?,
            2 => list(&text_of(&args)?).map_err(refused)?,
            3 => TcpStream::connect(text_of(&args)?)
                .map(|_| Value::string("connected"))
                .map_err(refused)?,
            4 => UdpSocket::bind("0.0.0.0:0")
                .and_then(|socket| socket.send_to(b"x", text_of_address(&args)))
                .map(|_| Value::string("sent"))
                .map_err(refused)?,
            5 => text_of(&args)?
                .to_socket_addrs()
                .map(|found| Value::Int(found.count() as i64))
                .map_err(refused)?,
            7 => variables(),
            8 | 10 => {
                let text = text_of(&args)?;
                let (from, to) = two(&text);
                let done = match function {
                    8 => std::fs::hard_link(from, to),
                    _ => std::fs::rename(from, to),
                };
                done.map(|()| Value::Null).map_err(refused)?
            }
            9 => {
                let text = text_of(&args)?;
                let (target, path) = two(&text);
                symlink(target, path)
                    .map(|()| Value::Null)
                    .map_err(refused)?
            }
            11 => race(&text_of(&args)?),
            12 => {
                let text = text_of(&args)?;
                let (times, path) = two(&text);
                hoard(times, path).map_err(refused)?
            }
            13 => headers(&text_of(&args)?),
            _ => return Err(failure("ERR_INTERNAL", format!("no function {function}"))),
        };
        encoded(&value)
    }

    async fn start(function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
        match function {
            6 => Ok(Reply::One(encoded(&request(&text_of(&args)?).await?)?)),
            _ => Err(failure("ERR_INTERNAL", format!("no function {function}"))),
        }
    }
}

fn text_of_address(args: &[u8]) -> String {
    text_of(args).unwrap_or_default()
}

export!(Escapes);
