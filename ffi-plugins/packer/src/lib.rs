//! The packer: stands before a family that takes its values as bytes only, for a VM that hands
//! them over in blocks (`wit/packed`). Numbers and streams are passed on untouched.

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/packed"],
        inline: r"
            package mix:packer;
            world packer {
                import mix:ffi/family@0.1.1;
                export mix:packed/family@0.1.0;
            }
        ",
        with: { "mix:packed/types@0.1.0/block": mix_value::packed::Block },
        generate_all,
    });
}

use bindings::exports::mix::packed::family::Guest;
use bindings::mix::ffi::family;
use bindings::mix::ffi::types::{self, Failure, Function};
use bindings::mix::packed::types::{Packed, Reply};
use mix_value::packed::{self, Block};

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

struct Packer;

impl Guest for Packer {
    fn describe() -> Vec<Function> {
        family::describe()
    }

    fn call(function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        family::call(function, &args)
    }

    fn call_packed(function: u32, size: u32, args: Vec<Block>) -> Result<Packed, Failure> {
        family::call(function, &received(size, args)?).map(|value| packed(&value))
    }

    async fn start(function: u32, args: Packed) -> Result<Reply, Failure> {
        let args = received(args.size, args.blocks)?.to_vec();
        Ok(match family::start(function, args).await? {
            types::Reply::One(value) => Reply::One(packed(&value)),
            types::Reply::Many(items) => Reply::Many(items),
        })
    }
}

fn received(size: u32, blocks: Vec<Block>) -> Result<packed::Packed, Failure> {
    packed::Packed::received(size, blocks).map_err(|error| Failure {
        code: "ERR_INTERNAL".to_string(),
        message: error.to_string(),
        detail: None,
    })
}

fn packed(value: &[u8]) -> Packed {
    let (size, blocks) = packed::Packed::new(value).into_parts();
    Packed { size, blocks }
}

#[allow(unsafe_code)]
mod export {
    use super::{Packer, bindings};
    bindings::export!(Packer with_types_in bindings);
}
