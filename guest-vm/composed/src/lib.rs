//! The Mix VM for compositions (`mix:vm/slotted-vm` in `wit/vm`).
//!
//! The driver is that of `mix-vm-component`, module for module. What differs is where foreign
//! functions are reached: beside the one imported family this VM has slots, each of which is
//! linked to a family that is composed with it. A call to such a family is one crossing, with no
//! switchboard in between ([`families`]).

#[path = "../../component/src/failure.rs"]
mod failure;
mod families;
#[path = "../../component/src/imported.rs"]
mod imported;
#[path = "../../component/src/program.rs"]
mod program;
#[path = "../../component/src/requests.rs"]
mod requests;
#[path = "../../component/src/session.rs"]
mod session;
#[path = "../../component/src/wire.rs"]
mod wire;

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/deps/clocks.wit", "../../wit/ffi", "../../wit/packed", "../../wit/vm"],
        inline: r"
            package mix:vm-composed;
            world component {
                include mix:vm/slotted-vm@0.1.0;
                import wasi:clocks/monotonic-clock@0.3.0;
            }
        ",
        world: "mix:vm-composed/component",
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
