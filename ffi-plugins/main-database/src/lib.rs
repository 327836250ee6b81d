//! Stands before the record store where it is composed with a VM.
//!
//! ```text
//! VM ── start ──▶ here ── no server is named, or another database ──▶ record store
//!                  └──── the main database, on another server ──▶ family `http`
//! ```
//!
//! Variable `MIXER_ENV` may name a server for the main database (`remoteDatabaseServer`,
//! [`mix_remote_database`]). This family has the functions of the store that such a server answers. Bytes and streams of all other
//! calls are passed on untouched. Short ways, which never wait, can be linked to the store itself: it turns them back by
//! the same variable, so they cost nothing more.

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/ffi",
        inline: r"
            package mix:main-database;
            world front {
                import store: interface {
                    use mix:ffi/types@0.1.1.{value, function, failure, reply};
                    describe: func() -> list<function>;
                    call: func(function: u32, args: value) -> result<value, failure>;
                    start: async func(function: u32, args: value) -> result<reply, failure>;
                }
                import requests: interface {
                    use mix:ffi/types@0.1.1.{value, function, failure, reply};
                    describe: func() -> list<function>;
                    start: async func(function: u32, args: value) -> result<reply, failure>;
                }
                export mix:ffi/family@0.1.1;
                export mix:ffi/binding@0.1.1;
            }
        ",
        world: "mix:main-database/front",
        generate_all,
    });
}

use std::cell::{OnceCell, RefCell};

use bindings::exports::mix::ffi::{binding, family};
use bindings::mix::ffi::types::{Caller, Failure, Function, Reply};
use bindings::{requests, store, wit_stream};
use mix_remote_database::{Answer, REQUEST, RemoteMain, Requests, concerns, no_requests, whole};
use wit_bindgen::{StreamReader, StreamResult};

/// Items of a stream that are read at once.
const BATCH: usize = 64;

/// A function of the store.
struct Passed {
    /// Its number there.
    number: u32,
    name: String,
}

thread_local! {
    /// The functions of this family, by their numbers.
    static FUNCTIONS: OnceCell<Vec<Passed>> = const { OnceCell::new() };
    /// The number of the function that makes requests.
    static MAKES_REQUESTS: OnceCell<Option<u32>> = const { OnceCell::new() };
    /// Where the main database is, once it is known for whom.
    static REMOTE: RefCell<Option<RemoteMain>> = const { RefCell::new(None) };
}

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

/// The number of a function in the store, and the other server if the call is for that.
fn route(function: u32, args: &[u8]) -> Result<(u32, Option<(RemoteMain, String)>), Failure> {
    FUNCTIONS.with(|functions| {
        let functions = functions.get_or_init(|| {
            let described = (0..).zip(store::describe());
            described
                .filter(|(_, function)| concerns(&function.name))
                .map(|(number, Function { name, .. })| Passed { number, name })
                .collect()
        });
        let passed = functions.get(function as usize).ok_or_else(|| Failure {
            code: "ERR_INTERNAL".to_string(),
            message: format!("the record store has no function {function}"),
            detail: None,
        })?;
        let remote = REMOTE.with_borrow(|remote| {
            let remote = remote.as_ref();
            let remote = remote.filter(|remote| remote.answers(&passed.name, args));
            remote.map(|remote| (remote.clone(), passed.name.clone()))
        });
        Ok((passed.number, remote))
    })
}

struct Front;

impl family::Guest for Front {
    fn describe() -> Vec<Function> {
        let functions = store::describe().into_iter();
        functions
            .filter(|function| concerns(&function.name))
            .collect()
    }

    fn call(function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match route(function, &args)? {
            (number, None) => store::call(number, &args),
            // What never waits is a short way here.
            (_, Some(_)) => Err(Failure {
                code: "ERR_WAITS".to_string(),
                message: "another server answers".to_string(),
                detail: None,
            }),
        }
    }

    async fn start(function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
        let (number, remote) = route(function, &args)?;
        let Some((remote, name)) = remote else {
            return store::start(number, args).await;
        };
        match remote.start(&Http, &name, &args).await {
            Ok(Answer::One(value)) => Ok(Reply::One(value)),
            Ok(Answer::Many(items)) => Ok(Reply::Many(stream_of(items))),
            Err(failure) => Err(Failure {
                code: failure.code,
                message: failure.message,
                detail: failure.detail,
            }),
        }
    }
}

impl binding::Guest for Front {
    fn bind(who: Caller) {
        let variables = std::env::var("MIXER_ENV").unwrap_or_default();
        let remote = RemoteMain::of([variables.as_str()].into_iter(), &who.app);
        REMOTE.set(remote);
    }
}

fn stream_of(items: Vec<Vec<u8>>) -> StreamReader<Vec<u8>> {
    let (mut writer, reader) = wit_stream::new();
    wit_bindgen::spawn_local(async move {
        // Who does not read them all needs no more.
        writer.write_all(items).await;
    });
    reader
}

/// The family `http` beside.
struct Http;

impl Requests for Http {
    async fn request(&self, args: Vec<u8>) -> Result<Vec<u8>, mix_remote_database::Failure> {
        let number = MAKES_REQUESTS.with(|number| {
            *number.get_or_init(|| {
                let described = requests::describe();
                let mut numbers = (0..).zip(described);
                let found = numbers.find(|(_, function)| function.name == REQUEST);
                found.map(|(number, _)| number)
            })
        });
        let number = number.ok_or_else(no_requests)?;
        match requests::start(number, args).await {
            Ok(Reply::One(value)) => Ok(value),
            Ok(Reply::Many(parts)) => whole(collect(parts).await),
            Err(failure) => Err(mix_remote_database::Failure {
                code: failure.code,
                message: failure.message,
                detail: failure.detail,
            }),
        }
    }

    /// Nobody is known in a composed component.
    fn token(&self) -> Option<u64> {
        None
    }
}

async fn collect(mut parts: StreamReader<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (result, batch) = parts.read(Vec::with_capacity(BATCH)).await;
        all.extend(batch);
        if !matches!(result, StreamResult::Complete(_)) {
            return all;
        }
    }
}

#[allow(unsafe_code)]
mod export {
    use super::{Front, bindings};
    bindings::export!(Front with_types_in bindings);
}
