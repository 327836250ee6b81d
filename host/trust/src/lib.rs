//! Who vouches for the servers that `mixer` asks over TLS: the roots of Mozilla and, beside them, the
//! authorities of the operator (`--ca-file`).
//!
//! A process trusts the same authorities wherever it asks something: requests of agents, sockets, brokers,
//! providers of sign-in, packages, files in a bucket, texts that a compiler fetches. So they are set once for the
//! whole process, and every client begins with [`client_config`]: none can be made that has forgotten them.

use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Largest file of authorities; those of whole systems have a quarter of a megabyte.
const LARGEST: u64 = 8 << 20;

/// How a certificate begins.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// How certificates in Mozilla's and OpenSSL's own form begin, which carry marks of what they are trusted for.
const BEGIN_TRUSTED: &[u8] = b"-----BEGIN TRUSTED CERTIFICATE-----";

static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// Why a file of authorities is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is not there, cannot be read, or is too large: nobody has so many authorities.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// No certificate.
    #[error(
        "there is no certificate in it; it has to be text in the form PEM (-----BEGIN CERTIFICATE-----)"
    )]
    Empty,
    /// A certificate in another form.
    #[error(
        "it is a certificate in the form DER; `openssl x509 -inform der -in FILE` makes PEM of it"
    )]
    Binary,
    /// A certificate with marks of OpenSSL.
    #[error(
        "line {0}: a TRUSTED CERTIFICATE is OpenSSL's own form; `openssl x509 -in FILE` makes an ordinary one of it"
    )]
    Marked(usize),
    /// Text that is cut off, or no PEM.
    #[error("line {line}: the certificate that begins there is no PEM: {reason}")]
    Pem {
        /// Where it begins.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// PEM of something else.
    #[error("line {line}: what begins there is no certificate (X.509): {reason}")]
    Certificate {
        /// Where it begins.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Something was asked before.
    #[error("authorities can be added before the first request only")]
    Late,
}

/// Trusts the authorities of a file as well, from now on and in the whole process; how many they are.
pub fn add_file(path: &Path) -> Result<usize, TrustError> {
    let text = mix_input_file::read(path, LARGEST)?;
    let mut roots = of_mozilla();
    let added = add(&mut roots, &text)?;
    ROOTS.set(Arc::new(roots)).map_err(|_| TrustError::Late)?;
    Ok(added)
}

/// Everybody who is trusted.
pub fn roots() -> Arc<RootCertStore> {
    ROOTS.get_or_init(|| Arc::new(of_mozilla())).clone()
}

/// The beginning of any client of TLS.
pub fn client_config() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    client_config_of(roots())
}

/// The same for those who are trusted by others than this process.
pub fn client_config_of(
    roots: Arc<RootCertStore>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    Ok(config
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots))
}

fn of_mozilla() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// Adds the certificates of a text in the form PEM. What else there is in it, keys or words between them, is let be.
fn add(roots: &mut RootCertStore, text: &[u8]) -> Result<usize, TrustError> {
    // A sequence whose length has two bytes: what every certificate in binary form begins with.
    if text.starts_with(&[0x30, 0x82]) {
        return Err(TrustError::Binary);
    }
    if let Some(line) = lines(text, BEGIN_TRUSTED).next() {
        return Err(TrustError::Marked(line));
    }
    let mut places = lines(text, BEGIN);
    let mut added = 0;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| TrustError::Pem {
            line: places.next().unwrap_or(1),
            reason: reason(&error),
        })?;
        if kind != SectionKind::Certificate {
            continue;
        }
        let line = places.next().unwrap_or(1);
        roots
            .add(CertificateDer::from(der))
            .map_err(|error| TrustError::Certificate {
                line,
                reason: error.to_string(),
            })?;
        added += 1;
    }
    match added {
        0 => Err(TrustError::Empty),
        some => Ok(some),
    }
}

/// The numbers of the lines that begin so.
fn lines<'a>(text: &'a [u8], beginning: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(move |(_, line)| line.starts_with(beginning))
        .map(|(number, _)| number + 1)
}

/// What is wrong with the text.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "its end (-----END CERTIFICATE-----) is missing".to_owned()
        }
        pem::Error::Base64Decode(_) => "it is not Base64".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = include_str!("../../sandbox/src/outbound/testdata/root.pem");
    const SERVER: &str = include_str!("../../sandbox/src/outbound/testdata/server.pem");

    fn added(text: &[u8]) -> Result<usize, String> {
        let mut roots = RootCertStore::empty();
        let added = add(&mut roots, text).map_err(|error| error.to_string())?;
        assert_eq!(roots.len(), added);
        Ok(added)
    }

    #[test]
    fn a_file_has_one_authority_or_several() {
        assert_eq!(added(ROOT.as_bytes()), Ok(1));
        let several = format!("# Ours\n{ROOT}\nand that of the other house\n{ROOT}");
        assert_eq!(added(several.as_bytes()), Ok(2));
        assert_eq!(added(several.replace('\n', "\r\n").as_bytes()), Ok(2));
        // A key beside a certificate is nobody who vouches for anything.
        assert!(SERVER.contains("PRIVATE KEY"));
        assert_eq!(added(SERVER.as_bytes()), Ok(1));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let begin = "-----BEGIN CERTIFICATE-----";
        let cut = &ROOT[..ROOT.len() - 40];
        for (text, said) in [
            (String::new(), "no certificate in it"),
            ("nothing of use\n".to_owned(), "no certificate in it"),
            (
                SERVER[SERVER.find("-----BEGIN PRIV").expect("a key")..].to_owned(),
                "no certificate in it",
            ),
            (
                cut.to_owned(),
                "line 1: the certificate that begins there is no PEM: its end",
            ),
            (
                format!("{ROOT}\n\n{cut}"),
                &format!("line {}: the cert", ROOT.lines().count() + 3),
            ),
            (
                ROOT.replace("MII", "M*I"),
                "line 1: the certificate that begins there is no PEM: it is not Base64",
            ),
            (
                format!("\n{begin}\nAAAA\n-----END CERTIFICATE-----\n"),
                "line 2: what begins there is no certificate (X.509): ",
            ),
            (
                ROOT.replace(" CERT", " TRUSTED CERT"),
                "line 1: a TRUSTED CERTIFICATE",
            ),
            ("0\u{82}".to_owned(), "no certificate in it"),
        ] {
            let found = added(text.as_bytes()).expect_err(said);
            assert!(found.contains(said), "{found}");
        }
        let found = added(&[0x30, 0x82, 1, 2, 3]).expect_err("binary");
        assert!(found.contains("-inform der"), "{found}");
    }

    #[test]
    fn files_are_read_to_a_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("large.pem");
        assert!(matches!(add_file(&path), Err(TrustError::Unreadable(_))));
        assert!(matches!(
            add_file(folder.path()),
            Err(TrustError::Unreadable(_))
        ));
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(LARGEST + 1).expect("its length");
        let error = add_file(&path).expect_err("too large");
        assert!(error.to_string().contains("larger than 8 MiB"), "{error}");
    }
}
