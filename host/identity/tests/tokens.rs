//! Tokens as an identity service signs them, and as an attacker would: the fixtures were signed
//! once with throw-away keys, of which only the public halves are kept.

use mix_identity::{
    Caller, Issuers, KeySet, PROCESS_KEY_ID, Refusal, RunningAgent, SigningKey, TokenKind,
    Verifier, issuer, key_id, origin_claims, process_token, verify_origin,
};
use serde_json::{Value, json};

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
        own: None,
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
        own: None,
        issuers: &Issuers::default(),
        now: NOW,
    };
    assert_eq!(verifier.verify(&token("no_kid")), Err(Refusal::UnknownKey));
}

#[test]
fn services_may_have_the_id_of_a_key_in_common() {
    let id = key_id(&token("ed"));
    let mut other = signing(1).public_set();
    other["keys"][0]["kid"] = json!(id);
    let other = KeySet::parse(other.to_string().as_bytes()).expect("a key set");
    for mut sets in [[keys(), other.clone()], [other.clone(), keys()]] {
        let [all, more] = &mut sets;
        all.extend(more.clone());
        let verifier = Verifier {
            keys: Some(all),
            process_key: &PROCESS_KEY,
            own: None,
            issuers: &Issuers::default(),
            now: NOW,
        };
        assert!(verifier.verify(&token("ed")).is_ok());
    }
    let verifier = Verifier {
        keys: Some(&other),
        process_key: &PROCESS_KEY,
        own: None,
        issuers: &Issuers::default(),
        now: NOW,
    };
    assert_eq!(
        verifier.verify(&token("ed")),
        Err(Refusal::Bad("signature"))
    );
}

#[test]
fn unknown_weak_and_foreign_keys_are_refused() {
    for name in ["weak", "unknown_kid", "wrong_kid"] {
        assert_eq!(verify(&token(name)), Err(Refusal::UnknownKey), "{name}");
    }
    let verifier = Verifier {
        keys: None,
        process_key: &PROCESS_KEY,
        own: None,
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
        r#"{"keys":[1,null,{"kty":"RSA"}]}"#,
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    // Whoever takes back the last key has none.
    let none = KeySet::parse(br#"{"keys":[]}"#).expect("a key set");
    assert!(none.is_empty() && !keys().is_empty());
    assert!(KeySet::parse(&vec![b' '; (512 << 10) + 1]).is_err());
    assert!(keys().has("rsa") && !keys().has("weak") && !keys().has("secret"));
}

const ISSUER: &str = "https://mix.example.com/v1/ws/acme";

fn signing(seed: u8) -> SigningKey {
    SigningKey::of_seed(&[seed; 32], "ws.acme")
}

fn verify_own(key: &SigningKey, token: &str) -> Result<Caller, Refusal> {
    let keys = keys();
    let own = key.verifier(ISSUER).expect("its public half");
    let verifier = Verifier {
        keys: Some(&keys),
        process_key: &PROCESS_KEY,
        own: Some(&own),
        issuers: &Issuers::default(),
        now: NOW,
    };
    verifier.verify(token)
}

fn own_claims() -> Value {
    json!({ "iss": ISSUER, "sub": "1", "email": "Ada@example.com", "exp": END })
}

#[test]
fn tokens_of_a_workspace_are_signed_with_its_key_and_name_it_as_issuer() {
    let key = signing(1);
    let token = key.sign(&own_claims());
    assert_eq!(key_id(&token).as_deref(), Some(key.id()));
    assert_eq!(issuer(&token).as_deref(), Some(ISSUER));
    let caller = verify_own(&key, &token).expect("its own token");
    assert_eq!(
        (caller.name().as_str(), caller.kind),
        ("ada@example.com", TokenKind::Workspace)
    );
    // The public half verifies elsewhere, too.
    let set = KeySet::parse(key.public_set().to_string().as_bytes()).expect("a key set");
    let verifier = Verifier {
        keys: Some(&set),
        process_key: &PROCESS_KEY,
        own: None,
        issuers: &Issuers::default(),
        now: NOW,
    };
    assert!(verifier.verify(&token).is_ok());
    // Another key under the same id, another issuer, too old.
    let other = signing(2).sign(&own_claims());
    assert!(matches!(verify_own(&key, &other), Err(Refusal::UnknownKey)));
    let forged = format!(
        "{}.{}",
        token.rsplit_once('.').expect("three parts").0,
        other.rsplit_once('.').expect("three parts").1
    );
    assert_eq!(verify_own(&key, &forged), Err(Refusal::Bad("signature")));
    let mut claims = own_claims();
    claims["iss"] = json!("https://mix.example.com/v1/ws/other");
    assert_eq!(
        verify_own(&key, &key.sign(&claims)),
        Err(Refusal::Untrusted)
    );
    let mut claims = own_claims();
    claims["exp"] = json!(NOW - 100);
    assert_eq!(verify_own(&key, &key.sign(&claims)), Err(Refusal::Expired));
    // The public half as the secret of another algorithm.
    let header = json!({ "alg": "HS256", "kid": key.id() });
    assert!(verify_own(&key, &replace_header(&token, &header)).is_err());
    let header = json!({ "alg": "none", "kid": key.id() });
    assert!(verify_own(&key, &replace_header(&token, &header)).is_err());
}

fn replace_header(token: &str, header: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (_, rest) = token.split_once('.').expect("three parts");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn a_trusted_server_vouches_for_its_own_agents_for_a_minute() {
    const THERE: &str = "https://there.example.com";
    const HERE: &str = "https://here.example.com";
    let key = SigningKey::of_seed(&[3; 32], "srv");
    let keys = KeySet::parse(key.public_set().to_string().as_bytes()).expect("a key set");
    let agent = |server: &str| RunningAgent {
        servers: [server.to_owned()].into(),
        workspace: "acme".to_owned(),
        app: "my.app".to_owned(),
        agent: "asks".to_owned(),
        here: true,
    };
    let token =
        |server, issuer, target| key.sign(&origin_claims(issuer, &agent(server), target, NOW));
    let verify = |token: &str, now| verify_origin(token, &keys, (THERE, HERE), now);
    let good = token("there.example.com", THERE, HERE);
    let found = verify(&good, NOW).expect("it vouches");
    assert_eq!(
        found,
        RunningAgent {
            here: false,
            ..agent("there.example.com")
        }
    );
    assert_eq!(verify(&good, NOW + 121), Err(Refusal::Expired));
    assert_eq!(verify(&good, NOW - 61), Err(Refusal::Bad("exp")));
    for (server, issuer, target) in [
        ("elsewhere.example.com", THERE, HERE),
        ("there.example.com", "https://other.example.com", HERE),
        ("there.example.com", THERE, "https://other.example.com"),
    ] {
        let token = token(server, issuer, target);
        assert_eq!(verify(&token, NOW), Err(Refusal::Untrusted), "{token}");
    }
    let other = SigningKey::of_seed(&[4; 32], "srv");
    let forged = other.sign(&origin_claims(
        THERE,
        &agent("there.example.com"),
        HERE,
        NOW,
    ));
    assert_eq!(verify(&forged, NOW), Err(Refusal::UnknownKey));
    let header = json!({ "alg": "none" });
    assert!(verify(&replace_header(&good, &header), NOW).is_err());
}
