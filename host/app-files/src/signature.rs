//! Signed addresses of files: whoever has one reads that file for a while.

use crate::error::Result;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use mix_file_path::FilePath;
use mix_object_store::signing::encode;
use sha2::Sha256;
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an address is good for, in seconds.
const LIFE: u64 = 3600;
/// Bytes of the key of a workspace.
const KEY: usize = 32;

/// Signs with the key of a workspace.
pub struct Signer {
    key: [u8; KEY],
}

impl Signer {
    /// The key of a workspace, in the folder of its keys; made at first use.
    pub fn of(keys: &Path) -> Result<Signer> {
        let path = keys.join("files.key");
        let found = std::fs::read(&path);
        if let Ok(Ok(key)) = found.map(<[u8; KEY]>::try_from) {
            return Ok(Signer { key });
        }
        Ok(Signer { key: make(&path)? })
    }

    /// The address of a file of a workspace and app, with a signature if it needs one.
    pub fn url(&self, base: &str, place: (&str, &str), path: &FilePath) -> String {
        let mut url = format!("{base}/v1/ws/{}/app/{}/files", place.0, place.1);
        url.push_str(&encode(&path.text(), true));
        if !path.is_public() {
            let expiry = (now() + LIFE).to_string();
            let signature = self.sign(place, &path.text(), &expiry);
            url.push_str(&format!("?_rmx_exp={expiry}&_rmx_sig={signature}"));
        }
        url
    }

    /// Whether a signature is good for reading the path of a workspace and app now.
    pub fn is_valid(&self, place: (&str, &str), path: &str, expiry: &str, signature: &str) -> bool {
        let in_time = expiry.parse::<u64>().is_ok_and(|expiry| expiry >= now());
        let given: Option<Vec<u8>> = (0..signature.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok())
            .collect();
        let mac = self.mac(place, path, expiry);
        in_time && given.is_some_and(|given| mac.verify_slice(&given).is_ok())
    }

    fn sign(&self, place: (&str, &str), path: &str, expiry: &str) -> String {
        let bytes = self.mac(place, path, expiry).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn mac(&self, place: (&str, &str), path: &str, expiry: &str) -> Hmac<Sha256> {
        // A key shorter than a block is one with zeros behind it.
        let mut padded = [0; 64];
        padded[..KEY].copy_from_slice(&self.key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&padded.into());
        for part in ["GET", place.0, place.1, path, expiry] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// Makes the key; of two who do so at once, one is too late and takes the other's.
fn make(path: &Path) -> Result<[u8; KEY]> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(|error| Error::other(error.to_string()))?;
    let folder = path.parent().unwrap_or(path);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            let found = std::fs::read(path)?;
            let damaged = |_| Error::new(ErrorKind::InvalidData, "the key of addresses is damaged");
            Ok(found.try_into().map_err(damaged)?)
        }
        Err(error) => Err(error.error.into()),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
