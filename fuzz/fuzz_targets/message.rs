//! Messages of conversations, tokens and sets of keys: whatever text somebody sends in their place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_http_api::dialog;
use mix_identity::{Grant, Issuers, KeySet, Verifier, claims, issuer, key_id, valid_until};
use mix_mcp::message;

/// No token made up from nothing is anybody's.
fn refuse(text: &str, keys: Option<&KeySet>) {
    let verifier = Verifier {
        keys,
        process_key: &[7; 32],
        issuers: &Issuers::default(),
        own: None,
        now: 1_700_000_000,
    };
    assert!(verifier.verify(text).is_err());
    let _ = key_id(text);
    let _ = issuer(text);
    let _ = valid_until(text);
    let _ = claims(text);
}

fuzz_target!(|bytes: &[u8]| {
    if let Err(answer) = message::parse(bytes) {
        serde_json::from_str::<serde_json::Value>(&answer).expect("JSON");
    }
    let keys = KeySet::parse(bytes).ok();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = dialog::asked(text);
    refuse(text, keys.as_ref());
    let mut parts = text.splitn(3, ' ');
    if let (Some(subject), Some(role), Some(resource)) = (parts.next(), parts.next(), parts.next())
    {
        let _ = Grant::parse(subject, role, resource);
    }
});
