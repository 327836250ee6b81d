//! Client certificates: `wasi:http` has no place for them, so the family `http` hands them
//! over in a header of the request, which is taken off here and goes nowhere else.

use http::HeaderMap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wasmtime_wasi_http::Error;

/// The header: PEM text of certificates and key, tabs in the place of line ends.
const HEADER: &str = "x-rmx-client-tls";

/// A certificate with those that vouch for it, and its key.
pub struct Identity {
    /// The certificate of the client first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of that certificate.
    pub key: PrivateKeyDer<'static>,
}

/// Takes the identity off the headers of a request, if it has one.
pub fn take(headers: &mut HeaderMap) -> Result<Option<Identity>, Error> {
    let Some(value) = headers.remove(HEADER) else {
        return Ok(None);
    };
    let pem: Vec<u8> = value
        .as_bytes()
        .iter()
        .map(|byte| if *byte == b'\t' { b'\n' } else { *byte })
        .collect();
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| refused("the client certificate is no PEM text"))?;
    if chain.is_empty() {
        return Err(refused("there is no client certificate in the PEM text"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| refused("the key of the client certificate is no PEM text"))?;
    Ok(Some(Identity { chain, key }))
}

/// An error that the family passes on to the program.
pub fn refused(text: &str) -> Error {
    Error::InternalError(Some(format!("ERR_TLS: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pem: &str) -> Result<Option<Identity>, Error> {
        let mut headers = HeaderMap::new();
        let value = pem.replace('\n', "\t").parse().expect("a header value");
        headers.insert(HEADER, value);
        let identity = take(&mut headers);
        assert!(headers.is_empty(), "it must not go further");
        identity
    }

    #[test]
    fn identities_are_taken_off() {
        assert!(take(&mut HeaderMap::new()).expect("none").is_none());
        let pem = include_str!("testdata/client.pem");
        let identity = taken(pem).expect("an identity").expect("one");
        assert_eq!(identity.chain.len(), 1);
        let key = pem.find("-----BEGIN PRIVATE").expect("a key");
        for broken in ["nonsense", &pem[..key], &pem[key..], &pem.replace('M', "*")] {
            assert!(taken(broken).is_err(), "{broken}");
        }
    }
}
