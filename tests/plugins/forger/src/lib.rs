//! A family that sends values in blocks (`wit/packed`) whose sizes are not true. Tests compose it with
//! the VM, put it behind the host, and check that each lie ends its own call.

wit_bindgen::generate!({
    path: ["../../../wit/ffi", "../../../wit/packed"],
    inline: r"
        package mix:test-forger;
        world forger {
            export mix:ffi/family@0.1.1;
            export mix:packed/family@0.1.0;
            export mix:packed/short@0.1.0;
        }
    ",
    world: "mix:test-forger/forger",
    generate_all,
});

use exports::mix::ffi::family;
use exports::mix::packed::family as packed_family;
use exports::mix::packed::short::{self, Answer, ShortValue};
use mix::ffi::types;
use mix::ffi::types::{Failure, Function};
use mix::packed::types::{Block, Packed, Reply};

struct Forger;

/// Name and whether it waits.
const FUNCTIONS: [(&str, bool); 4] = [
    ("$forger_claims", false),
    ("$forger_claims_waiting", true),
    ("$forger_claims_all", false),
    ("$forger_pads", false),
];

/// `true` in its wire form, and what nobody may read behind it.
const TRUE: Block = Block {
    a: 0xffff_ffc3,
    b: u64::MAX,
    c: 0,
    d: 0xc1,
};

/// Sizes and blocks of the functions.
fn answer(function: u32) -> Packed {
    match function {
        // One byte more than there is.
        0 | 1 => Packed {
            size: 33,
            blocks: vec![TRUE],
        },
        2 => Packed {
            size: u32::MAX,
            blocks: Vec::new(),
        },
        // More blocks than the size needs.
        _ => Packed {
            size: 1,
            blocks: vec![TRUE; 100],
        },
    }
}

fn unused() -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: "called with bytes".to_string(),
        detail: None,
    }
}

fn describe() -> Vec<Function> {
    FUNCTIONS
        .iter()
        .map(|&(name, waits)| Function {
            name: name.to_string(),
            params: 0,
            waits,
            doc: "Answers `true` with a size of its own.".to_string(),
        })
        .collect()
}

impl packed_family::Guest for Forger {
    fn describe() -> Vec<Function> {
        describe()
    }

    fn call(_function: u32, _args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        // More than a short answer has, so that the next call asks for blocks.
        Ok([&[0xc4, 100][..], &[0; 100]].concat())
    }

    fn call_packed(function: u32, _size: u32, _args: Vec<Block>) -> Result<Packed, Failure> {
        Ok(answer(function))
    }

    async fn start(function: u32, _args: Packed) -> Result<Reply, Failure> {
        Ok(Reply::One(answer(function)))
    }
}

impl short::Guest for Forger {
    fn call(function: u32, _args: ShortValue) -> Answer {
        match answer(function) {
            // A size alone: the block is there in any case.
            Packed { size, .. } if function != 2 => Answer::Value(ShortValue { size, bytes: TRUE }),
            // Nothing is kept.
            _ => Answer::Kept,
        }
    }

    fn take() -> Result<Vec<u8>, Failure> {
        Err(unused())
    }
}

impl family::Guest for Forger {
    fn describe() -> Vec<Function> {
        describe()
    }

    fn call(_function: u32, _args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Err(unused())
    }

    async fn start(_function: u32, _args: Vec<u8>) -> Result<types::Reply, Failure> {
        Err(unused())
    }
}

export!(Forger);
