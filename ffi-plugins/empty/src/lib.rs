//! The family without functions. One instance of it plugs every free slot of a VM or a
//! switchboard, and the binding of every family that has none of its own.

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/packed"],
        inline: r"
            package mix:empty;
            world empty {
                export mix:ffi/family@0.1.1;
                export mix:ffi/binding@0.1.1;
                export mix:packed/family@0.1.0;
                export mix:packed/short@0.1.0;
            }
        ",
        generate_all,
    });
}

use bindings::exports::mix::ffi::{binding, family};
use bindings::exports::mix::packed::family as packed_family;
use bindings::exports::mix::packed::short;
use bindings::mix::ffi::types::{Caller, Failure, Function, Reply};
use bindings::mix::packed::types as packed;

struct Empty;

fn unknown(function: u32) -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("the empty family has no function {function}"),
        detail: None,
    }
}

impl family::Guest for Empty {
    fn describe() -> Vec<Function> {
        Vec::new()
    }

    fn call(function: u32, _args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Err(unknown(function))
    }

    async fn start(function: u32, _args: Vec<u8>) -> Result<Reply, Failure> {
        Err(unknown(function))
    }
}

impl packed_family::Guest for Empty {
    fn describe() -> Vec<Function> {
        Vec::new()
    }

    fn call(function: u32, _: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Err(unknown(function))
    }

    fn call_packed(
        function: u32,
        _: u32,
        _: Vec<packed::Block>,
    ) -> Result<packed::Packed, Failure> {
        Err(unknown(function))
    }

    async fn start(function: u32, _: packed::Packed) -> Result<packed::Reply, Failure> {
        Err(unknown(function))
    }
}

impl short::Guest for Empty {
    // A VM may have it beside a family that does not take short values.
    fn call(_: u32, _: short::ShortValue) -> short::Answer {
        short::Answer::Declined
    }

    fn take() -> Result<Vec<u8>, Failure> {
        Err(unknown(0))
    }
}

impl binding::Guest for Empty {
    fn bind(_who: Caller) {}
}

#[allow(unsafe_code)]
mod export {
    use super::{Empty, bindings};
    bindings::export!(Empty with_types_in bindings);
}
