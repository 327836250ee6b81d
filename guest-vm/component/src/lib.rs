//! The Mix VM as a component (`mix:vm/vm` in `wit/vm`).
//!
//! The machine of `mix-vm` neither blocks nor does input and output. This crate is its
//! driver: it links a program against the imported family ([`program`], [`families`]), and for each
//! session takes actions from one stream, steps the machine, starts and awaits the foreign
//! functions it asks for, and puts events into another stream ([`session`], [`requests`]).
//! [`wire`] turns the shapes of the machine into those of the contract.
//!
//! One instance may run several sessions at the same time; they share nothing but the
//! program. Time, memory and fuel of the instance are the host's to limit.

mod failure;
mod families;
mod imported;
mod program;
mod requests;
mod session;
mod wire;

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/deps/clocks.wit", "../../wit/ffi", "../../wit/packed", "../../wit/vm"],
        inline: r"
            package mix:vm-component;
            world component {
                include mix:vm/linked-vm@0.1.0;
                import wasi:clocks/monotonic-clock@0.3.0;
            }
        ",
        world: "mix:vm-component/component",
        with: { "mix:packed/types@0.1.0/block": mix_value::packed::Block },
        generate_all,
    });
}

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::with_reserve();

struct Component;

#[allow(unsafe_code)]
mod export {
    use super::{Component, bindings};
    bindings::export!(Component with_types_in bindings);
}
