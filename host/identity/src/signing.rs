//! Keys that tokens are issued with: Ed25519, one for each workspace and one for the server.

use crate::token::encode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

/// A private key with the id under which its public half is known.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    id: String,
}

/// What tokens are verified with that this server has issued.
pub struct OwnKey {
    pub(crate) id: String,
    pub(crate) issuer: String,
    pub(crate) key: DecodingKey,
}

impl SigningKey {
    /// The key made of 32 random bytes; `prefix` says whose key it is, at the begin of its id.
    pub fn of_seed(seed: &[u8; 32], prefix: &str) -> SigningKey {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        SigningKey {
            id: format!("{prefix}.{}", &public[..16]),
            key,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A set of its public half alone (RFC 7517).
    pub fn public_set(&self) -> Value {
        json!({ "keys": [{
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
            "kid": self.id,
            "alg": "EdDSA",
            "use": "sig",
        }] })
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id });
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// What verifies the tokens that it has signed for an issuer.
    ///
    /// `None` if the library does not take the public half, which it always does.
    pub fn verifier(&self, issuer: &str) -> Option<OwnKey> {
        let public = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        Some(OwnKey {
            id: self.id.clone(),
            issuer: issuer.to_owned(),
            key: DecodingKey::from_ed_components(&public).ok()?,
        })
    }
}
