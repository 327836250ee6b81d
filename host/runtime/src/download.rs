//! What the host itself fetches: key sets that the operator names, source texts that a module
//! names. `https` anywhere, `http` to this machine only; one answer, no redirects, bounded in
//! length and time.

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mix_address_rules::is_this_machine;
use std::time::Duration;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Not an address at all.
    #[error("{0:?} is no address")]
    NoAddress(String),
    /// An address that is not fetched from.
    #[error("{0} does not begin with https:// (http:// is for this machine only)")]
    Scheme(String),
    /// No connection, or it broke off.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(Uri, String),
    /// Neither the text nor a redirect.
    #[error("{0} answers {1}")]
    Status(Uri, u16),
    /// Redirects are not followed: whoever named the address meant it.
    #[error("{0} answers {1}, a redirect")]
    Redirect(Uri, u16),
    /// Too long, or broken off.
    #[error("the text at {0} cannot be read: {1}")]
    Text(Uri, String),
    /// Too slow.
    #[error("no answer from {0} within {1} s")]
    Time(Uri, u64),
}

/// A client of the host itself, for `https` and `http`.
pub type Client<Body> = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// A client that trusts whom the process trusts.
pub fn client<Body>() -> Result<Client<Body>, rustls::Error>
where
    Body: http_body::Body + Send + 'static,
    Body::Data: Send,
{
    let tls = mix_trust::client_config()?.with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector))
}

/// Fetches texts.
pub struct Downloads {
    client: Client<Empty<bytes::Bytes>>,
}

impl Downloads {
    /// Nothing is fetched yet.
    pub fn new() -> Result<Downloads, rustls::Error> {
        Ok(Downloads { client: client()? })
    }

    /// The bytes at an address that [`address`] has accepted, at most `max_bytes`.
    pub async fn get(
        &self,
        address: &Uri,
        max_bytes: usize,
        within: Duration,
    ) -> Result<Vec<u8>, DownloadError> {
        match tokio::time::timeout(within, self.answer(address, max_bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(DownloadError::Time(address.clone(), within.as_secs())),
        }
    }

    async fn answer(&self, address: &Uri, max_bytes: usize) -> Result<Vec<u8>, DownloadError> {
        let at = || address.clone();
        let answer = self.client.get(at()).await;
        let answer = answer.map_err(|error| DownloadError::Unreachable(at(), root(&error)))?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(DownloadError::Redirect(at(), status.as_u16()));
        }
        if status != http::StatusCode::OK {
            return Err(DownloadError::Status(at(), status.as_u16()));
        }
        let body = Limited::new(answer.into_body(), max_bytes).collect().await;
        let body = body.map_err(|error| DownloadError::Text(at(), error.to_string()))?;
        Ok(body.to_bytes().to_vec())
    }
}

/// An address that is fetched from: https, or http on this machine.
pub fn address(text: &str) -> Result<Uri, DownloadError> {
    let uri: Uri = text
        .parse()
        .map_err(|_| DownloadError::NoAddress(text.to_owned()))?;
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(uri),
        Some("http") if is_this_machine(host) => Ok(uri),
        _ => Err(DownloadError::Scheme(text.to_owned())),
    }
}

/// The innermost cause, which says what happened.
pub fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_or_on_this_machine() {
        for fine in [
            "https://id.example.com/jwks.json",
            "http://127.0.0.1:9/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(address(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "http://id.example.com/",
            "ftp://localhost/",
            "keys.json",
            "",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
