//! Calls the functions of a family one after another, as a program does whose VM is composed
//! with it: the short way first, and where that is closed the function itself.

wit_bindgen::generate!({
    path: "../../../wit/ffi",
    inline: r"
        package mix:test;

        interface caller {
            use mix:ffi/types@0.1.1.{value};

            /// A short way, and whether it gives the items of a stream.
            record short-way {
                function: u32,
                is-stream: bool,
            }

            /// A call: the number of the function and, if there is one, that of its short way.
            record one {
                function: u32,
                short-way: option<short-way>,
                args: value,
            }

            /// Makes all calls so many times, and reads every stream to its end. Gives the number of
            /// all values that came, or the first failure.
            call-all: async func(calls: list<one>, times: u32) -> result<u64, string>;
        }

        world calls {
            import mix:ffi/family@0.1.1;
            export caller;
        }
    ",
    generate_all,
});

use exports::mix::test::caller::{Guest, One};
use mix::ffi::family;
use mix::ffi::types::{Failure, Reply};

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

struct Caller;

impl Guest for Caller {
    async fn call_all(calls: Vec<One>, times: u32) -> Result<u64, String> {
        let mut values = 0;
        for _ in 0..times {
            for call in &calls {
                let answered = answer(call).await;
                values +=
                    answered.map_err(|failure| format!("{}: {}", failure.code, failure.message))?;
            }
        }
        Ok(values)
    }
}

async fn answer(call: &One) -> Result<u64, Failure> {
    if let Some(short) = &call.short_way {
        match family::call(short.function, &call.args) {
            Ok(items) if short.is_stream => return Ok(length(&items)),
            Ok(_) => return Ok(1),
            Err(failure) if failure.code == "ERR_WAITS" => {}
            Err(failure) => return Err(failure),
        }
    }
    match family::start(call.function, call.args.clone()).await? {
        Reply::One(_) => Ok(1),
        Reply::Many(mut items) => {
            let mut values = 0;
            loop {
                let (result, read) = items.read(Vec::with_capacity(100)).await;
                values += read.len() as u64;
                if !matches!(result, wit_bindgen::StreamResult::Complete(_)) {
                    return Ok(values);
                }
            }
        }
    }
}

/// The length of an array in MessagePack.
fn length(array: &[u8]) -> u64 {
    match *array {
        [head @ 0x90..=0x9f, ..] => u64::from(head & 0x0f),
        [0xdc, a, b, ..] => u64::from(u16::from_be_bytes([a, b])),
        [0xdd, a, b, c, d, ..] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => 0,
    }
}

export!(Caller);
