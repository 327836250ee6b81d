//! TLS of the server: certificates from files, read again on SIGHUP.

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// Largest file of certificates or of a key.
const LARGEST: u64 = 8 << 20;

/// Files with the certificates, the server's own first, and its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM.
    pub certificates: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// What connections are accepted with.
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    pub fn new(files: TlsFiles) -> Result<Tls> {
        Ok(Tls {
            config: RwLock::new(read(&files)?),
            files,
        })
    }

    /// For one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(config.clone())
    }

    /// Reads the files again; bad ones leave everything as it is.
    pub fn reload(&self) {
        match read(&self.files) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the certificates were read again");
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "the new certificates cannot be used");
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>> {
    let place = || files.certificates.display().to_string();
    let certificates = mix_input_file::read(&files.certificates, LARGEST).with_context(place)?;
    let certificates = CertificateDer::pem_slice_iter(&certificates)
        .collect::<Result<Vec<_>, _>>()
        .with_context(place)?;
    anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate", place());
    let place = || files.key.display().to_string();
    let key = mix_input_file::read(&files.key, LARGEST).with_context(place)?;
    let key = PrivateKeyDer::from_pem_slice(&key);
    if matches!(key, Err(pem::Error::NoItemsFound)) {
        anyhow::bail!("{} holds no private key", place());
    }
    let key = key.with_context(place)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("certificate and key do not fit together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
