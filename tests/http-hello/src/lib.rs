//! The smallest HTTP component: it answers every request with `{"ok":true}`, as the agent does that
//! `make bench-serve` measures beside it.

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
            package mix:hello;
            world hello {
                import wasi:http/types@0.3.0;
                export wasi:http/handler@0.3.0;
            }
        ",
        world: "mix:hello/hello",
        generate_all,
    });
}

use bindings::exports::wasi::http::handler::{ErrorCode, Guest, Request, Response};
use bindings::wasi::http::types::Fields;
use bindings::{wit_future, wit_stream};

const BODY: &[u8] = b"{\"ok\":true}";

struct Hello;

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = [
            ("content-type".to_owned(), b"application/json".to_vec()),
            (
                "content-length".to_owned(),
                BODY.len().to_string().into_bytes(),
            ),
        ];
        let headers = Fields::from_list(&headers)
            .map_err(|_| ErrorCode::InternalError(Some("headers".to_owned())))?;
        let (mut writer, body) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(body), no_trailers);
        wit_bindgen::spawn_local(async move {
            // Whoever has left does not read it.
            writer.write_all(BODY.to_vec()).await;
            drop(writer);
            let _ = trailers.write(Ok(None)).await;
        });
        Ok(response)
    }
}

bindings::export!(Hello with_types_in bindings);
