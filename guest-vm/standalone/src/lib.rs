//! The front of a composed component.
//!
//! `mixer build` joins this component with the VM, the families and the program of an
//! app; the result serves HTTP under any host of WASI 0.3, for instance
//! `wasmtime serve -S cli --dir DIR::/ws app.wasm`, is a command
//! (`wasmtime run -S http --dir DIR::/ws app.wasm AGENT`), and offers its agents to the program
//! that embeds it. What a request means and which bytes answer it is decided by `mix-http-api`,
//! as in `mixer serve`; here is only the way in and out.
//!
//! * [`app`]: the programs that are built in, and whom everything is bound to;
//! * [`exchange`]: from `wasi:http` to a request head and body, and back;
//! * [`handler`]: a request from plan to response;
//! * [`command`]: the arguments of a command; [`embedded`]: agents and sessions for a program;
//! * [`agent`]: running an agent on the VM; [`records`], [`files`]: calling the families behind these;
//! * [`settings`]: the environment variables of `mixer serve`.

mod agent;
mod app;
mod command;
mod embedded;
mod exchange;
mod files;
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
            "../../wit/packed",
            "../../wit/vm",
            "../../wit/embed",
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

use bindings::exports::mix::embed::agents;
use bindings::exports::wasi::cli::run;
use bindings::exports::wasi::http::handler::{ErrorCode, Guest, Request, Response};
use wit_bindgen::StreamReader;

struct Front;

impl Guest for Front {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        handler::handle(request).await
    }
}

impl run::Guest for Front {
    async fn run() -> Result<(), ()> {
        if command::execute().await {
            Ok(())
        } else {
            Err(())
        }
    }
}

impl agents::Guest for Front {
    fn names() -> Vec<String> {
        app::with(|app| app.agents())
    }

    async fn run(agent: String, params: String) -> Result<String, agents::Failure> {
        embedded::run(&agent, &params).await
    }

    async fn session(messages: StreamReader<String>) -> StreamReader<String> {
        embedded::session(messages)
    }
}

#[allow(unsafe_code)]
mod export {
    use super::{Front, bindings};
    bindings::export!(Front with_types_in bindings);
}
