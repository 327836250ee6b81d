//! Calls the functions of a family one after another, as a program does whose VM is composed
//! with it: the short way first, and where that is closed the function itself; streams in parts
//! where there are parts.

wit_bindgen::generate!({
    path: ["../../../wit/ffi", "../../../wit/packed"],
    inline: r"
        package mix:test;

        interface caller {
            use mix:ffi/types@0.1.1.{value};

            /// A function, and its short way if it has one.
            record way {
                function: u32,
                short-way: option<u32>,
            }

            /// The functions that give the items of a stream in parts.
            record parts {
                first: way,
                next: way,
            }

            /// A call of a function, in parts if it has them.
            record one {
                way: way,
                parts: option<parts>,
                args: value,
            }

            /// The calls to make. To hand them over takes time of its own.
            prepare: func(calls: list<one>);

            /// Makes all calls so many times, and reads every stream to its end and the bytes of every answer. Gives
            /// the number of all values that came, or the first failure.
            call-all: async func(times: u32) -> result<u64, string>;
        }

        world calls {
            import mix:packed/family@0.1.0;
            export caller;
        }
    ",
    with: { "mix:packed/types@0.1.0/block": mix_value::packed::Block },
    generate_all,
});

use std::cell::RefCell;
use std::rc::Rc;

use exports::mix::test::caller::{Guest, One, Parts, Way};
use mix::ffi::types::Failure;
use mix::packed::family;
use mix::packed::types::{self, Reply};
use mix_value::packed::{Packed, with_blocks};

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

thread_local! {
    static CALLS: RefCell<Rc<[One]>> = RefCell::default();
}

struct Caller;

impl Guest for Caller {
    fn prepare(calls: Vec<One>) {
        CALLS.set(calls.into());
    }

    async fn call_all(times: u32) -> Result<u64, String> {
        let calls = CALLS.with_borrow(Rc::clone);
        let mut values = 0;
        for _ in 0..times {
            for call in &*calls {
                let answered = answer(call).await;
                values +=
                    answered.map_err(|failure| format!("{}: {}", failure.code, failure.message))?;
            }
        }
        Ok(values)
    }
}

async fn answer(call: &One) -> Result<u64, Failure> {
    if let Some(parts) = &call.parts {
        match in_parts(parts, &call.args).await {
            Err(failure) if failure.code == WAITS => {}
            counted => return counted,
        }
    }
    match reply(&call.way, &call.args).await? {
        Reply::One(value) => {
            read(&whole(value)?);
            Ok(1)
        }
        Reply::Many(mut items) => {
            let mut values = 0;
            loop {
                let (result, items_read) = items.read(Vec::with_capacity(100)).await;
                values += items_read.len() as u64;
                items_read.iter().for_each(|item| read(item));
                if !matches!(result, wit_bindgen::StreamResult::Complete(_)) {
                    return Ok(values);
                }
            }
        }
    }
}

/// How what is used in the place of a function turns back.
const WAITS: &str = "ERR_WAITS";

/// What a function answers, by its short way where that is open.
async fn reply(way: &Way, args: &[u8]) -> Result<Reply, Failure> {
    if let Some(short) = way.short_way {
        match with_blocks(args, |size, blocks| {
            family::call_packed(short, size, blocks)
        }) {
            Err(failure) if failure.code == WAITS => {}
            answer => return answer.map(Reply::One),
        }
    }
    let (size, blocks) = Packed::new(args).into_parts();
    family::start(way.function, types::Packed { size, blocks }).await
}

/// Most items of the second part, and of those behind it.
const WANTED: [&[u8]; 2] = [&[0xcd, 0x03, 0xe8], &[0xcd, 0x07, 0xd0]];

/// The number of all items. The calls are about the main database: their first argument is null.
async fn in_parts(parts: &Parts, args: &[u8]) -> Result<u64, Failure> {
    let (mut items, mut mark) = counted(reply(&parts.first, args).await?)?;
    let mut wanted = WANTED[0];
    while let Some(asked) = mark {
        let args = [&[0x93, 0xc0], &*asked, wanted].concat();
        let (more, then) = counted(reply(&parts.next, &args).await?)?;
        (items, mark, wanted) = (items + more, then, WANTED[1]);
    }
    Ok(items)
}

/// Touches each line of the processor's cache that has bytes of an answer, as whoever uses the answer does.
fn read(bytes: &[u8]) {
    let touched = bytes.iter().step_by(64).fold(0_u8, |sum, byte| sum ^ byte);
    std::hint::black_box(touched);
}

fn whole(value: types::Packed) -> Result<Packed, Failure> {
    Packed::received(value.size, value.blocks).map_err(|_| malformed())
}

fn malformed() -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: "no part of a stream".to_string(),
        detail: None,
    }
}

/// How many items a part has, and its mark, a number, if more follow.
fn counted(part: Reply) -> Result<(u64, Option<Vec<u8>>), Failure> {
    let Reply::One(part) = part else {
        return Err(malformed());
    };
    let part = whole(part)?;
    read(&part);
    let (length, rest) = match *part {
        [head @ 0x90..=0x9f, ref rest @ ..] => (u64::from(head & 0x0f), rest),
        [0xdc, a, b, ref rest @ ..] => (u64::from(u16::from_be_bytes([a, b])), rest),
        _ => return Err(malformed()),
    };
    let mark = match rest.first() {
        Some(0xc0) => return Ok((length - 1, None)),
        Some(0x00..=0x7f) => &rest[..1],
        Some(0xcc) if rest.len() >= 2 => &rest[..2],
        Some(0xcd) if rest.len() >= 3 => &rest[..3],
        _ => return Err(malformed()),
    };
    Ok((length - 1, Some(mark.to_vec())))
}

export!(Caller);
