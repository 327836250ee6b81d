//! The agents of an app as a component for hosts without async (`mix:embed/embedded-sync`).
//!
//! The machine of `mix-vm` neither blocks nor does input and output, so a host that can only call
//! and be called drives it to the end of a run in one call. The families `core` and `crypto` are
//! linked in (`mix-core-functions`, `mix-crypto-functions`), but for what waits; every other foreign
//! function is one of the embedding program (`mix:embed/functions`). It imports nothing of WASI 0.3.
//!
//! * [`program`]: loading, before the component is written;
//! * [`functions`]: foreign functions, own ones and the host's;
//! * [`drive`]: a session until nothing is left to do;
//! * [`agents`]: what the embedding program calls.

mod agents;
mod drive;
mod functions;
mod program;

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/embed"],
        world: "mix:embed/embedded-sync@0.1.0",
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
