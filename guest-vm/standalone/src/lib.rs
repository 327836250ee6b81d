//! The HTTP front of a composed component.
//!
//! `mixer compose` joins this component with the VM, the families and the programs of an
//! app; the result serves HTTP under any host of WASI 0.3, for instance
//! `wasmtime serve -S cli --dir DIR::/ws app.wasm`. What a request means and which bytes
//! answer it is decided by `mix-http-api`, as in `mixer serve`; here is only the way in
//! and out.
//!
//! * [`app`]: the programs that are built in, and whom everything is bound to;
//! * [`exchange`]: from `wasi:http` to a request head and body, and back;
//! * [`handler`]: a request from plan to response;
//! * [`agent`]: running an agent on the VM; [`records`]: calling the record store;
//! * [`settings`]: the environment variables of `mixer serve`.

mod agent;
mod app;
mod exchange;
mod handler;
mod records;
mod settings;

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/deps/random.wit",
            "../../wit/deps/clocks.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/ffi",
            "../../wit/vm",
            "../../wit/app",
        ],
        inline: r"
            package mix:standalone;
            world standalone {
                include mix:app/front@0.1.0;
                import wasi:http/types@0.3.0;
                import wasi:clocks/monotonic-clock@0.3.0;
            }
        ",
        world: "mix:standalone/standalone",
        generate_all,
    });
}

use bindings::exports::wasi::http::handler::{ErrorCode, Guest, Request, Response};

struct Front;

impl Guest for Front {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        handler::handle(request).await
    }
}

#[allow(unsafe_code)]
mod export {
    use super::{Front, bindings};
    bindings::export!(Front with_types_in bindings);
}
