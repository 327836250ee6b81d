//! Public keys of identity services: JSON Web Key Sets (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Largest key set in bytes.
const MAX_BYTES: usize = 512 << 10;

/// Most keys of a set that are kept.
const MAX_KEYS: usize = 256;

/// Most keys of one id that a token is tried with.
const MAX_SAME_ID: usize = 8;

/// Smallest RSA modulus in bytes (2048 bits).
const MIN_MODULUS: usize = 256;

/// Keys that may have signed a token.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// Too long.
    #[error("the key set is larger than 512 KiB")]
    TooLarge,
    /// Not JSON of the right shape.
    #[error("the key set is malformed: {0}")]
    Malformed(String),
    /// Keys, and none that can be used.
    #[error("the key set has no RSA (2048 bits or more), P-256 or Ed25519 signing key")]
    NoUsableKey,
}

#[derive(Deserialize)]
struct SetText {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct KeyText {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set; keys of other kinds, weak ones and encryption keys are left out. One that is empty
    /// verifies nothing: a service that takes back its last key has none.
    pub fn parse(bytes: &[u8]) -> Result<KeySet, BadKeySet> {
        if bytes.len() > MAX_BYTES {
            return Err(BadKeySet::TooLarge);
        }
        let set: SetText = serde_json::from_slice(bytes)
            .map_err(|error| BadKeySet::Malformed(error.to_string()))?;
        let is_empty = set.keys.is_empty();
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok().and_then(usable))
            .take(MAX_KEYS)
            .collect();
        if keys.is_empty() && !is_empty {
            return Err(BadKeySet::NoUsableKey);
        }
        Ok(KeySet { keys })
    }

    /// True if no token can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds the keys of another set.
    pub fn extend(&mut self, other: KeySet) {
        self.keys.extend(other.keys);
        self.keys.truncate(MAX_KEYS);
    }

    /// True if a key has that id.
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that may have signed a token: those of its id, which services may have in common, or
    /// the only one that fits the algorithm.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let mut found: Vec<_> = fitting.map(|key| &key.key).take(MAX_SAME_ID).collect();
        // Two keys that fit leave open which one was meant.
        if id.is_none() && found.len() > 1 {
            found.clear();
        }
        found
    }
}

fn usable(text: KeyText) -> Option<Key> {
    if text.usage.as_deref() == Some("enc") {
        return None;
    }
    let (algorithm, name, key) = match (text.kty.as_str(), text.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (text.n?, text.e?);
            let modulus = URL_SAFE_NO_PAD.decode(&n).ok()?;
            let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
            if bytes < MIN_MODULUS {
                return None;
            }
            let key = DecodingKey::from_rsa_components(&n, &e).ok()?;
            (Algorithm::RS256, "RS256", key)
        }
        ("EC", Some("P-256")) => {
            let key = DecodingKey::from_ec_components(&text.x?, &text.y?).ok()?;
            (Algorithm::ES256, "ES256", key)
        }
        ("OKP", Some("Ed25519")) => {
            let key = DecodingKey::from_ed_components(&text.x?).ok()?;
            (Algorithm::EdDSA, "EdDSA", key)
        }
        _ => return None,
    };
    if text.alg.is_some_and(|stated| stated != name) {
        return None;
    }
    Some(Key {
        id: text.kid,
        algorithm,
        key,
    })
}
