//! Tokens as an identity service signs them, and as an attacker would: the fixtures were signed
//! once with throw-away keys, of which only the public halves are kept.

use mix_identity::{
    Caller, Issuers, KeySet, PROCESS_KEY_ID, Refusal, TokenKind, Verifier, process_token,
};
use serde_json::Value;

const FIXTURES: &str = include_str!("tokens/fixtures.json");
const PROCESS_KEY: [u8; 32] = [7; 32];
/// Between `iat` and `exp` of the fixtures.
const NOW: i64 = 1_700_000_100;
const END: i64 = 1_700_003_600;

fn fixtures() -> Value {
    serde_json::from_str(FIXTURES).expect("the fixtures are JSON")
}

fn keys() -> KeySet {
    KeySet::parse(fixtures()["keys"].to_string().as_bytes()).expect("a key set")
}

fn token(name: &str) -> String {
    let fixtures = fixtures();
    let token = fixtures["tokens"][name].as_str();
    token
        .unwrap_or_else(|| panic!("no token {name}"))
        .to_owned()
}

fn verify_with(issuers: &Issuers, now: i64, token: &str) -> Result<Caller, Refusal> {
    let keys = keys();
    let verifier = Verifier {
        keys: Some(&keys),
        process_key: &PROCESS_KEY,
        issuers,
        now,
    };
    verifier.verify(token)
}

fn verify(token: &str) -> Result<Caller, Refusal> {
    verify_with(&Issuers::default(), NOW, token)
}

#[test]
fn every_algorithm_of_a_key_set_is_accepted() {
    for name in ["rsa", "ec", "ed", "jku", "audiences", "no_audience"] {
        let caller = verify(&token(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(caller.name(), "ada@example.com", "{name}");
        assert_eq!(caller.kind, TokenKind::KeySet);
    }
}

#[test]
fn a_token_without_key_id_needs_exactly_one_key_that_fits() {
    assert!(verify(&token("no_kid")).is_ok());
    let mut twice = keys();
    twice.extend(keys());
    let verifier = Verifier {
        keys: Some(&twice),
        process_key: &PROCESS_KEY,
        issuers: &Issuers::default(),
        now: NOW,
    };
    assert_eq!(verifier.verify(&token("no_kid")), Err(Refusal::UnknownKey));
}

#[test]
fn unknown_weak_and_foreign_keys_are_refused() {
    for name in ["weak", "unknown_kid", "wrong_kid"] {
        assert_eq!(verify(&token(name)), Err(Refusal::UnknownKey), "{name}");
    }
    let verifier = Verifier {
        keys: None,
        process_key: &PROCESS_KEY,
        issuers: &Issuers::default(),
        now: NOW,
    };
    assert_eq!(verifier.verify(&token("ed")), Err(Refusal::NoKeys));
}

#[test]
fn times_have_a_leeway_of_a_minute() {
    let at = |now| verify_with(&Issuers::default(), now, &token("ed"));
    assert!(at(END + 59).is_ok());
    assert_eq!(at(END + 60), Err(Refusal::Expired));
    for name in ["future", "issued_later"] {
        assert_eq!(
            verify(&token(name)),
            Err(Refusal::Bad("not valid yet")),
            "{name}"
        );
        assert!(verify_with(&Issuers::default(), 1_700_002_941, &token(name)).is_ok());
    }
    assert_eq!(verify(&token("no_exp")), Err(Refusal::Bad("no exp")));
}

#[test]
fn subjects_are_required_and_emails_must_be_usable() {
    for name in ["no_sub", "empty_sub", "long_sub", "number_sub"] {
        assert_eq!(verify(&token(name)), Err(Refusal::Bad("sub")), "{name}");
    }
    for name in ["unverified", "two_ats"] {
        assert_eq!(verify(&token(name)).expect(name).name(), "sub:42");
    }
}

#[test]
fn issuers_and_audiences_are_checked_when_configured() {
    let issuers = Issuers {
        issuers: vec!["https://id.example.com".to_owned()],
        audiences: vec!["mix".to_owned()],
    };
    for name in ["ed", "audiences"] {
        assert!(verify_with(&issuers, NOW, &token(name)).is_ok(), "{name}");
    }
    for name in ["other_issuer", "other_audience", "no_audience"] {
        assert_eq!(
            verify_with(&issuers, NOW, &token(name)),
            Err(Refusal::Untrusted),
            "{name}"
        );
    }
}

#[test]
fn forged_tokens_are_refused() {
    let good = token("ed");
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let none = encode(r#"{"alg":"none"}"#);
    let hs256 = encode(r#"{"alg":"HS256","kid":"ed"}"#);
    let hs256_proc = encode(&format!(r#"{{"alg":"HS256","kid":"{PROCESS_KEY_ID}"}}"#));
    for forged in [
        String::new(),
        "x".repeat(20_000),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{hs256}.{}.{}", parts[1], parts[2]),
        format!("{hs256_proc}.{}.{}", parts[1], parts[2]),
        format!(
            "{}.{}.{}",
            parts[0],
            encode(r#"{"sub":"root","exp":9e9}"#),
            parts[2]
        ),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        token("crit"),
    ] {
        let refused = verify(&forged);
        assert!(matches!(refused, Err(Refusal::Bad(_))), "{refused:?}");
    }
    // Every single changed byte.
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        // The last character of a part may carry unused bits only; such a spelling is not canonical.
        if changed != good {
            assert!(verify(&changed).is_err(), "byte {at} can be changed");
        }
    }
}

#[test]
fn tokens_of_the_process_are_its_own() {
    let made = process_token("dev@example.com", &PROCESS_KEY, NOW).expect("a token");
    let caller = verify(&made).expect("it is ours");
    assert_eq!(
        (caller.name().as_str(), caller.kind),
        ("dev@example.com", TokenKind::Process)
    );
    let foreign = process_token("dev@example.com", &[8; 32], NOW).expect("a token");
    assert_eq!(verify(&foreign), Err(Refusal::Bad("signature")));
    assert_eq!(
        verify_with(&Issuers::default(), NOW + 48 * 3600 + 60, &made),
        Err(Refusal::Expired)
    );
}

#[test]
fn malformed_key_sets_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":1}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[1,null,{"kty":"RSA"}]}"#,
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(KeySet::parse(&vec![b' '; (512 << 10) + 1]).is_err());
    assert!(keys().has("rsa") && !keys().has("weak") && !keys().has("secret"));
}
