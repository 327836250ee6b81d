//! Bearer tokens: JSON Web Tokens (RFC 7519) under the rules of the server.
//!
//! Only the signature is left to a library; which algorithms, keys and claims
//! count is decided here, in the order of the rules, so that nothing of a token is used before its signature holds.

use crate::caller::{Caller, TokenKind, User};
use crate::keys::KeySet;
use crate::signing::OwnKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde::Deserialize;
use serde_json::{Value, json};

/// Key id of tokens that this process made.
pub const PROCESS_KEY_ID: &str = "proc";

/// Longest token in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;

/// Longest `sub`.
const MAX_SUB: usize = 256;

/// Life of a process token in seconds.
const PROCESS_LIFE: i64 = 48 * 3600;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Malformed, badly signed, not yet valid.
    #[error("the token is not valid: {0}")]
    Bad(&'static str),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Of an issuer or for an audience that this server does not accept.
    #[error("the token comes from an issuer, or is for an audience, that is not accepted here")]
    Untrusted,
    /// Key sets are configured, and none could be fetched yet.
    #[error("the keys of the identity service are not there yet")]
    NoKeys,
    /// Signed with a key that is not in the set (it may be new).
    #[error("the token is not valid: unknown key")]
    UnknownKey,
}

/// Issuers and audiences that are accepted; empty: any.
#[derive(Debug, Clone, Default)]
pub struct Issuers {
    /// Accepted `iss`.
    pub issuers: Vec<String>,
    /// Accepted `aud`.
    pub audiences: Vec<String>,
}

/// What tokens are verified with.
pub struct Verifier<'a> {
    /// Keys of identity services; `None`: configured but never fetched.
    pub keys: Option<&'a KeySet>,
    /// Secret of this process.
    pub process_key: &'a [u8; 32],
    /// Accepted issuers and audiences of key-set tokens.
    pub issuers: &'a Issuers,
    /// The key that the token names, if this server issues tokens with it.
    pub own: Option<&'a OwnKey>,
    /// Seconds since 1970.
    pub now: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    iss: Option<String>,
    aud: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
}

impl Verifier<'_> {
    /// The caller behind a token.
    pub fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Bad("too long"));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(Refusal::Bad("not three parts"));
        };
        let (signed, _) = token
            .rsplit_once('.')
            .ok_or(Refusal::Bad("not three parts"))?;
        let header: Header = decode(header).ok_or(Refusal::Bad("malformed header"))?;
        if header.crit.is_some() {
            return Err(Refusal::Bad("crit"));
        }
        let own = self
            .own
            .filter(|own| header.kid.as_deref() == Some(own.id.as_str()));
        let (kind, algorithm) = match header.alg.as_str() {
            "EdDSA" if own.is_some() => (TokenKind::Workspace, Algorithm::EdDSA),
            "HS256" => (TokenKind::Process, Algorithm::HS256),
            "RS256" => (TokenKind::KeySet, Algorithm::RS256),
            "ES256" => (TokenKind::KeySet, Algorithm::ES256),
            "EdDSA" => (TokenKind::KeySet, Algorithm::EdDSA),
            _ => return Err(Refusal::Bad("algorithm")),
        };
        let process_key;
        let keys = if kind == TokenKind::Process {
            if header.kid.as_deref() != Some(PROCESS_KEY_ID) {
                return Err(Refusal::Bad("unknown key"));
            }
            process_key = DecodingKey::from_secret(self.process_key);
            vec![&process_key]
        } else if let Some(own) = own {
            vec![&own.key]
        } else {
            let keys = self.keys.ok_or(Refusal::NoKeys)?;
            keys.find(header.kid.as_deref(), algorithm)
        };
        check_signature(signature, signed, &keys, algorithm)?;
        self.judge(claims, kind)
    }

    fn judge(&self, claims: &str, kind: TokenKind) -> Result<Caller, Refusal> {
        let claims: Claims = decode(claims).ok_or(Refusal::Bad("malformed claims"))?;
        let now = self.now as f64;
        let leeway = LEEWAY as f64;
        let end = claims.exp.ok_or(Refusal::Bad("no exp"))?;
        if !end.is_finite() {
            return Err(Refusal::Bad("exp"));
        }
        if end + leeway <= now {
            return Err(Refusal::Expired);
        }
        let later = |time: Option<f64>| time.is_some_and(|time| time - leeway > now);
        if later(claims.nbf) || later(claims.iat) {
            return Err(Refusal::Bad("not valid yet"));
        }
        let is_trusted = match kind {
            TokenKind::KeySet => self.is_trusted(&claims),
            TokenKind::Workspace => self
                .own
                .is_some_and(|own| claims.iss.as_deref() == Some(own.issuer.as_str())),
            TokenKind::Process | TokenKind::Anonymous => true,
        };
        if !is_trusted {
            return Err(Refusal::Untrusted);
        }
        let Some(Value::String(sub)) = &claims.sub else {
            return Err(Refusal::Bad("sub"));
        };
        if sub.is_empty() || sub.len() > MAX_SUB {
            return Err(Refusal::Bad("sub"));
        }
        let email = match &claims.email {
            Some(Value::String(email)) => Some(email.as_str()),
            _ => None,
        };
        // Some services write the flag as a string; what is unclear counts as unverified.
        let verified = claims.email_verified.map(|flag| match flag {
            Value::Bool(flag) => flag,
            Value::String(text) => text == "true",
            _ => false,
        });
        Ok(Caller {
            user: Some(User::of_claims(sub, email, verified)),
            kind,
            agent: None,
        })
    }

    fn is_trusted(&self, claims: &Claims) -> bool {
        let issuer_fits = self.issuers.issuers.is_empty()
            || claims
                .iss
                .as_ref()
                .is_some_and(|issuer| self.issuers.issuers.contains(issuer));
        let accepted = |audience: &Value| {
            audience
                .as_str()
                .is_some_and(|text| self.issuers.audiences.iter().any(|mine| mine == text))
        };
        let audience_fits = self.issuers.audiences.is_empty()
            || match &claims.aud {
                Some(Value::Array(all)) => all.iter().any(accepted),
                Some(one) => accepted(one),
                None => false,
            };
        issuer_fits && audience_fits
    }
}

/// The key id that a token names, not verified.
pub fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    decode::<Header>(token.split('.').next()?)?.kid
}

/// The issuer of a token that was verified.
pub fn issuer(token: &str) -> Option<String> {
    decode::<Claims>(token.split('.').nth(1)?)?.iss
}

/// The second from which a token that was verified does not count any more.
pub fn valid_until(token: &str) -> Option<i64> {
    let end = decode::<Claims>(token.split('.').nth(1)?)?.exp?;
    // Saturates.
    Some((end.ceil() as i64).saturating_add(LEEWAY))
}

/// The claims of a token that was verified.
pub fn claims(token: &str) -> Option<Value> {
    decode(token.split('.').nth(1)?)
}

/// The claims of a token that one of the keys has signed, by EdDSA; still encoded.
pub(crate) fn verified<'a>(token: &'a str, keys: &KeySet) -> Result<&'a str, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::Bad("too long"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(Refusal::Bad("not three parts"));
    };
    let signed = &token[..header.len() + 1 + claims.len()];
    let header: Header = decode(header).ok_or(Refusal::Bad("malformed header"))?;
    if header.crit.is_some() || header.alg != "EdDSA" {
        return Err(Refusal::Bad("algorithm"));
    }
    let keys = keys.find(header.kid.as_deref(), Algorithm::EdDSA);
    check_signature(signature, signed, &keys, Algorithm::EdDSA)?;
    Ok(claims)
}

/// One of the keys must have signed.
fn check_signature(
    signature: &str,
    signed: &str,
    keys: &[&DecodingKey],
    algorithm: Algorithm,
) -> Result<(), Refusal> {
    let is_signer =
        |key: &&DecodingKey| crypto::verify(signature, signed.as_bytes(), key, algorithm);
    match keys {
        [] => Err(Refusal::UnknownKey),
        keys if keys.iter().any(|key| is_signer(key).unwrap_or(false)) => Ok(()),
        _ => Err(Refusal::Bad("signature")),
    }
}

/// JSON as base64url without padding.
pub(crate) fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// JSON in base64url without padding.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A token of this process for a user: an e-mail, or anything else as `sub`.
///
/// `None` if the process key cannot sign, which a key of 32 bytes always can.
pub fn process_token(user: &str, process_key: &[u8; 32], now: i64) -> Option<String> {
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": PROCESS_KEY_ID });
    let mut claims = json!({ "sub": user, "iat": now, "exp": now + PROCESS_LIFE });
    if user.contains('@') {
        claims["email"] = json!(user);
    }
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let key = EncodingKey::from_secret(process_key);
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).ok()?;
    Some(format!("{signed}.{signature}"))
}
