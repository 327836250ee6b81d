//! An identity service on loopback: one signing key at a time, its key set over HTTP, tokens on request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The service; its thread ends with the test process.
pub struct IdentityService {
    port: u16,
    generation: Arc<AtomicU8>,
    instead: Arc<Mutex<Option<&'static str>>>,
}

impl IdentityService {
    /// Starts to serve `/keys`.
    pub fn start() -> IdentityService {
        let listener = TcpListener::bind("127.0.0.1:0")
            .unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let generation = Arc::new(AtomicU8::new(1));
        let served = generation.clone();
        let instead: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let said = instead.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Ok(reading) = stream.try_clone() else {
                    continue;
                };
                let lines = BufReader::new(reading).lines().map_while(Result::ok);
                let _head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let said = *said.lock().unwrap_or_else(PoisonError::into_inner);
                let text = match said {
                    Some(text) => text.to_owned(),
                    None => key_set(served.load(Ordering::SeqCst)).to_string(),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        IdentityService {
            port,
            generation,
            instead,
        }
    }

    /// From now on it answers with this instead of its keys; `None`: with its keys again.
    pub fn say(&self, instead: Option<&'static str>) {
        *self.instead.lock().unwrap_or_else(PoisonError::into_inner) = instead;
    }

    /// Where the keys are.
    pub fn key_url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }

    /// Replaces the key by a new one.
    pub fn rotate(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// A token of a user with this e-mail address, good for an hour.
    pub fn token(&self, email: &str) -> String {
        self.token_with(json!({ "sub": email, "email": email, "exp": now() + 3600 }))
    }

    /// A token with these claims.
    pub fn token_with(&self, claims: Value) -> String {
        let generation = self.generation.load(Ordering::SeqCst);
        let header = json!({ "alg": "EdDSA", "kid": key_id(generation) });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = key(generation).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// Flags of a server that knows its callers by the keys at this address: root@example.com may do everything, and whoever is of
/// example.com may make workspaces.
pub fn identity_flags(key_url: &str) -> Vec<&str> {
    let [admin, creators] = ["user/root@example.com", "domain/example.com"];
    vec![
        "--jwks-url",
        key_url,
        "--server-admin",
        admin,
        "--workspace-creator",
        creators,
    ]
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

fn key(generation: u8) -> SigningKey {
    SigningKey::from_bytes(&[generation; 32])
}

fn key_id(generation: u8) -> String {
    format!("key-{generation}")
}

fn key_set(generation: u8) -> Value {
    let public = key(generation).verifying_key();
    json!({ "keys": [{
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": key_id(generation),
        "x": URL_SAFE_NO_PAD.encode(public.to_bytes()),
    }] })
}
