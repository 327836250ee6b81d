//! The family `http`: requests to the world, over `wasi:http`.
//!
//! The module `http` of the library makes one map of method, URL, body and configuration;
//! the answer is the response map, or a map with `error` alone if there was no complete
//! exchange.
//!
//! * [`request`]: the map of the program, checked;
//! * [`guard`]: which targets are allowed;
//! * [`exchange`]: one request with its redirects, within its time;
//! * [`transport`]: one request and its response over `wasi:http`;
//! * [`response`]: the map of the response; [`media`]: text or binary;
//! * [`delivery`]: the body, whole or in pieces;
//! * [`limits`]: what the operator allows, from the environment.
//!
//! The guard here judges what stands in the URL. What a name resolves to is judged where
//! the connection is made, by the host.

mod delivery;
mod exchange;
mod guard;
mod limits;
mod media;
mod refusal;
mod request;
mod response;
mod transport;

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
        ],
        inline: r"
            package mix:plugin-http;
            world client {
                import wasi:http/types@0.3.0;
                import wasi:http/client@0.3.0;
            }
        ",
        generate_all,
    });
}

use mix_plugin_sdk::{Answer, Failure, Map, family};

async fn perform(request: Map) -> Result<Answer, Failure> {
    exchange::perform(&request).await
}

family! {
    bound;
    /// Performs a request; `sendFrom` "client" is not available on a server.
    start "$http_do" = perform(Map);
    /// Performs a request from the server.
    start "$http_do_server" = perform(Map);
}
