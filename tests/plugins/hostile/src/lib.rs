//! A family that does everything a plugin must not do. The system tests link it
//! with `--plugin` and check that each function ends its own call and nothing else.
//!
//! Written against the bare contract, as a plugin without the SDK would be.

wit_bindgen::generate!({ path: "../../../wit/ffi", world: "plugin" });

use exports::mix::ffi::family::Guest;
use mix::ffi::types::{Failure, Function, Reply};

struct Hostile;

/// Name, number of parameters, waits.
const FUNCTIONS: [(&str, u8, bool); 18] = [
    ("$hostile_echo", 1, false),
    ("$hostile_trap", 0, false),
    ("$hostile_hang", 0, false),
    ("$hostile_memory", 0, false),
    ("$hostile_garbage", 0, false),
    ("$hostile_flood", 0, false),
    ("$hostile_trap_waiting", 0, true),
    ("$hostile_hang_waiting", 0, true),
    ("$hostile_babble", 0, true),
    ("$hostile_trap_streaming", 0, true),
    ("$hostile_garbage_streaming", 0, true),
    ("$hostile_flood_streaming", 0, true),
    ("$hostile_spins_on", 0, true),
    ("$hostile_forge", 0, false),
    ("$hostile_rave", 0, false),
    ("$hostile_delve", 0, false),
    ("$hostile_sink", 0, false),
    ("$hostile_leave", 0, false),
];

impl Guest for Hostile {
    fn describe() -> Vec<Function> {
        FUNCTIONS
            .iter()
            .map(|&(name, params, waits)| Function {
                name: name.to_string(),
                params,
                waits,
                doc: "Misbehaves as its name says.".to_string(),
            })
            .collect()
    }

    fn call(function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match function {
            // `args` is an array of one element: 0x91 and the value.
            0 => Ok(args[1..].to_vec()),
            1 => std::process::abort(),
            2 => loop {
                std::hint::black_box(function);
            },
            3 => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    // Reserved, not written: to fill it all would take longer than a function may.
                    hoard.push(std::hint::black_box(Vec::with_capacity(1 << 20)));
                }
            }
            // 0xc1 is the one byte that MessagePack never uses.
            4 => Ok(vec![0xc1]),
            5 => Ok(flood()),
            // Programs cannot catch it, if it is the language's own.
            13 => Err(Failure {
                code: "RT_TIMEOUT".to_string(),
                message: "time is over".to_string(),
                detail: None,
            }),
            // What clears a terminal, and facts that are no value.
            14 => Err(Failure {
                code: "ERR\u{1b}[2J\nerror".to_string(),
                message: "\u{1b}[2J".repeat(1 << 20),
                detail: Some(vec![0xc1]),
            }),
            // Arrays in arrays, a million deep.
            15 => Ok([vec![0x91; 1 << 20], vec![0xc0]].concat()),
            16 => Ok(sink(0).to_be_bytes().to_vec()),
            17 => std::process::exit(3),
            _ => Err(Failure {
                code: "ERR_INTERNAL".to_string(),
                message: format!("no function {function}"),
                detail: None,
            }),
        }
    }

    async fn start(function: u32, _args: Vec<u8>) -> Result<Reply, Failure> {
        match function {
            6 => std::process::abort(),
            7 => {
                // Waits for a stream that nobody will ever write to.
                let (_writer, mut reader) = wit_stream::new::<Vec<u8>>();
                let _ = reader.next().await;
                Ok(Reply::Many(reader))
            }
            8..=12 => {
                let (mut writer, reader) = wit_stream::new::<Vec<u8>>();
                wit_bindgen::spawn_local(async move {
                    match function {
                        9 => {
                            writer.write_one(vec![0x01]).await;
                            std::process::abort();
                        }
                        10 => {
                            writer.write_one(vec![0x01]).await;
                            // An array of one element without the element.
                            writer.write_one(vec![0x91]).await;
                        }
                        11 => {
                            writer.write_one(vec![0x01]).await;
                            writer.write_one(flood()).await;
                        }
                        // Endless: ends only when the reader is dropped.
                        _ => while writer.write_one(vec![0x01]).await.is_none() {},
                    }
                    // Works on for nobody.
                    if function == 12 {
                        loop {
                            std::hint::black_box(function);
                        }
                    }
                });
                Ok(Reply::Many(reader))
            }
            _ => Err(Failure {
                code: "ERR_INTERNAL".to_string(),
                message: format!("no function {function}"),
                detail: None,
            }),
        }
    }
}

/// Calls itself without end.
fn sink(depth: u64) -> u64 {
    match std::hint::black_box(depth) {
        u64::MAX => 0,
        depth => sink(depth + 1) ^ depth,
    }
}

/// A well-formed binary of 65 MiB, more than one reply may hold.
fn flood() -> Vec<u8> {
    let length: u32 = 65 << 20;
    let head = [&[0xc6][..], &length.to_be_bytes()].concat();
    let mut value = vec![0; head.len() + length as usize];
    value[..head.len()].copy_from_slice(&head);
    value
}

export!(Hostile);
