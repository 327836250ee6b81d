//! Source texts behind addresses (`module M _source_ {url: "…"}`), fetched when a command compiles.
//!
//! `https` anywhere, `http` to this machine only; one answer, no redirects.

use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mix_compiler::{CompileOptions, SourceFile, source_addresses};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest text.
const MAX_TEXT: usize = 4 << 20;

/// Most texts of one compilation.
const MAX_TEXTS: usize = 100;

/// Time for one text.
const LIMIT: Duration = Duration::from_secs(20);

type Texts = BTreeMap<String, Result<Vec<u8>, String>>;

/// Fetches what the sources name, also in the texts that come.
pub fn fetch(files: &[SourceFile], options: &mut CompileOptions) -> std::io::Result<()> {
    let mut texts = Texts::new();
    loop {
        let wanted = source_addresses(files, &texts);
        if wanted.is_empty() {
            break;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for address in wanted {
            let text = if texts.len() >= MAX_TEXTS {
                Err(format!("more than {MAX_TEXTS} texts are named"))
            } else {
                runtime.block_on(text(&address))
            };
            texts.insert(address, text);
        }
    }
    options.texts = texts;
    Ok(())
}

async fn text(address: &str) -> Result<Vec<u8>, String> {
    match tokio::time::timeout(LIMIT, get(address)).await {
        Ok(text) => text,
        Err(_) => Err(format!(
            "no answer from {address} within {} s",
            LIMIT.as_secs()
        )),
    }
}

async fn get(address: &str) -> Result<Vec<u8>, String> {
    let uri: http::Uri = address
        .parse()
        .map_err(|_| format!("{address:?} is no address"))?;
    let host = uri.host().unwrap_or_default();
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if local => {}
        _ => return Err(format!("{address} does not begin with https://")),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_webpki_roots()
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<bytes::Bytes>> =
        Client::builder(TokioExecutor::new()).build(connector);
    let answer = client
        .get(uri)
        .await
        .map_err(|error| format!("{address} cannot be reached: {}", root(&error)))?;
    if answer.status() != http::StatusCode::OK {
        let status = answer.status();
        let what = if status.is_redirection() {
            ", a redirect"
        } else {
            ""
        };
        return Err(format!("{address} answers {}{what}", status.as_u16()));
    }
    let body = Limited::new(answer.into_body(), MAX_TEXT).collect().await;
    let body = body.map_err(|error| format!("the text at {address} cannot be read: {error}"))?;
    Ok(body.to_bytes().to_vec())
}

/// The innermost cause, which says what happened.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
