//! From `wasi:http` to the shapes of `mix-http-api`, and back.

use mix_http_api::{Head, Response};
use wit_bindgen::StreamResult;

use crate::bindings::wasi::http::types as wasi;
use crate::bindings::{wit_future, wit_stream};

/// Read from a body at once.
const CHUNK: usize = 64 * 1024;

/// Head of a request.
pub fn head(request: &wasi::Request) -> Head {
    let headers = request.get_headers().copy_all();
    Head {
        method: method(request.get_method()),
        target: request
            .get_path_with_query()
            .unwrap_or_else(|| "/".to_string()),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), text(&value)))
            .collect(),
        authority: request.get_authority(),
    }
}

fn method(method: wasi::Method) -> String {
    use wasi::Method as M;
    match method {
        M::Get => "GET",
        M::Head => "HEAD",
        M::Post => "POST",
        M::Put => "PUT",
        M::Delete => "DELETE",
        M::Connect => "CONNECT",
        M::Options => "OPTIONS",
        M::Trace => "TRACE",
        M::Patch => "PATCH",
        M::Other(name) => return name,
    }
    .to_string()
}

/// UTF-8 if it is, else Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Why there is no body.
pub enum NoBody {
    /// Longer than allowed.
    TooLarge,
    /// The client went away or broke the protocol.
    BrokenOff,
}

/// The body of a request, at most `limit` bytes.
pub async fn body(request: wasi::Request, limit: u64) -> Result<Vec<u8>, NoBody> {
    let (done, outcome) = wit_future::new::<Result<(), wasi::ErrorCode>>(|| Ok(()));
    let (mut stream, trailers) = wasi::Request::consume_body(request, outcome);
    let mut body = Vec::new();
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        let result;
        (result, buffer) = stream.read(buffer).await;
        if (body.len() + buffer.len()) as u64 > limit {
            return Err(NoBody::TooLarge);
        }
        body.append(&mut buffer);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(done);
    // Tells whether the body ended as it should.
    trailers.await.map_err(|_| NoBody::BrokenOff)?;
    Ok(body)
}

/// A response on its way. The body follows in a task of its own.
pub fn respond(response: Response, head_only: bool) -> Result<wasi::Response, wasi::ErrorCode> {
    let mut headers: Vec<(String, Vec<u8>)> = response
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_string(), value.into_bytes()))
        .collect();
    if response.status != 204 && headers.iter().all(|(name, _)| name != "content-length") {
        headers.push((
            "content-length".to_string(),
            response.body.len().to_string().into_bytes(),
        ));
    }
    let malformed =
        |_| wasi::ErrorCode::InternalError(Some("malformed response header".to_string()));
    let headers = wasi::Fields::from_list(&headers).map_err(malformed)?;
    let (trailers, no_trailers) =
        wit_future::new::<Result<Option<wasi::Trailers>, wasi::ErrorCode>>(|| Ok(None));
    let (mut writer, reader) = wit_stream::new();
    let contents = if head_only || response.body.is_empty() {
        None
    } else {
        Some(reader)
    };
    let with_body = contents.is_some();
    let (wire, _sent) = wasi::Response::new(headers, contents, no_trailers);
    wire.set_status_code(response.status)
        .map_err(|()| wasi::ErrorCode::InternalError(Some("malformed status".to_string())))?;
    wit_bindgen::spawn_local(async move {
        if with_body {
            // A client that went away leaves a rest.
            writer.write_all(response.body).await;
        }
        drop(writer);
        // Whoever does not read the trailers does not need them.
        let _ = trailers.write(Ok(None)).await;
    });
    Ok(wire)
}
