//! Who a caller is: tokens, the keys that they are verified with, and servers that know nobody.

use super::*;

#[test]
fn a_token_that_fails_a_check_is_never_anonymous() {
    let site = Site::start(&[
        "--jwks-issuer",
        "https://id.example.com",
        "--jwks-audience",
        "mixer",
    ]);
    let claims = |change: Value| {
        let mut claims = json!({
            "sub": "1", "email": ADMIN, "exp": now() + 3600,
            "iss": "https://id.example.com", "aud": ["x", "mixer"],
        });
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims
    };
    let try_token = |token: &str| {
        let authorization = format!("Bearer {token}");
        let answer = site.server.send(
            "GET",
            "/v1/health",
            &[("authorization", &authorization)],
            None,
        );
        (answer.status, answer.code())
    };
    let good = site.service.token_with(claims(json!({})));
    assert_eq!(try_token(&good).0, 200);
    assert_eq!(site.server.get(&format!("/v1/ws?token={good}")).0, 200);
    for (change, code) in [
        (json!({ "exp": now() - 3600 }), "token_expired"),
        (json!({ "exp": null }), "bad_token"),
        (json!({ "nbf": now() + 3600 }), "bad_token"),
        (
            json!({ "iss": "https://evil.example.com" }),
            "untrusted_issuer",
        ),
        (json!({ "aud": "another" }), "untrusted_issuer"),
        (json!({ "sub": "" }), "bad_token"),
    ] {
        let token = site.service.token_with(claims(change.clone()));
        assert_eq!(try_token(&token), (401, code.to_string()), "{change}");
    }
    let mut parts: Vec<&str> = good.split('.').collect();
    // {"alg":"none"}
    parts[0] = "eyJhbGciOiJub25lIn0";
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    for token in [
        parts.join("."),
        unsigned,
        "x".into(),
        format!("{good}x"),
        "x".repeat(17 << 10),
    ] {
        assert_eq!(
            try_token(&token),
            (401, "bad_token".to_string()),
            "{token:.60}"
        );
    }
    for header in ["Basic YTpi", "Bearer"] {
        let answer = site
            .server
            .send("GET", "/", &[("authorization", header)], None);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "bad_token"),
            "{header}"
        );
    }
    // An address that is not verified is no name: no administrator.
    let unverified = site
        .service
        .token_with(claims(json!({ "email_verified": false })));
    assert_eq!(
        site.server
            .get(&format!("/v1/ws/none?token={unverified}"))
            .0,
        403
    );
}

#[test]
fn a_new_key_of_the_service_is_fetched_when_a_token_names_it() {
    let site = Site::start(&[]);
    let old = site.service.token(ADMIN);
    assert_eq!(site.server.get(&format!("/v1/ws?token={old}")).0, 200);
    site.service.rotate();
    let new = site.service.token(ADMIN);
    assert_eq!(site.server.get(&format!("/v1/ws?token={new}")).0, 200);
    assert_eq!(site.server.get(&format!("/v1/ws?token={old}")).0, 401);
    // One fetch in five minutes: the next change is not seen yet.
    site.service.rotate();
    let newer = site.service.token(ADMIN);
    assert_eq!(site.server.get(&format!("/v1/ws?token={newer}")).0, 401);
}

#[test]
fn keys_come_late_stay_while_they_cannot_be_fetched_and_are_taken_back() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let service = IdentityService::start();
    service.say(Some("<html>back in a minute</html>"));
    let url = service.key_url();
    let server = Server::mixer(&folder.path().join("first"), &["--jwks-url", &url]);
    let status = |token: &str| server.get(&format!("/v1/ws?token={token}")).0;
    let ready = || server.send("GET", "/v1/health/ready", &[], None);
    assert_eq!(ready().json()["checks"]["jwks"], "unavailable");
    // The first token that needs them is a reason to ask again.
    service.say(None);
    let old = service.token(OWNER);
    assert_eq!(status(&old), 200);
    assert_eq!(ready().status, 200);

    let server = Server::mixer(&folder.path().join("second"), &["--jwks-url", &url]);
    let status = |token: &str| server.get(&format!("/v1/ws?token={token}")).0;
    assert_eq!(status(&old), 200);
    service.rotate();
    service.say(Some(
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
    ));
    assert_eq!(status(&service.token(OWNER)), 401);
    assert_eq!(status(&old), 200, "what was fetched last counts");

    service.say(None);
    let server = Server::mixer(&folder.path().join("third"), &["--jwks-url", &url]);
    let status = |token: &str| server.get(&format!("/v1/ws?token={token}")).0;
    let last = service.token(OWNER);
    assert_eq!(status(&last), 200);
    // A service that takes back its last key has none.
    service.rotate();
    service.say(Some("{\"keys\":[]}"));
    assert_eq!(status(&service.token(OWNER)), 401);
    assert_eq!(status(&last), 401);
    let ready = server.send("GET", "/v1/health/ready", &[], None);
    assert_eq!(ready.json()["checks"]["jwks"], "no_keys");
}

#[test]
fn without_any_flag_of_identity_a_loopback_server_is_open() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::mixer(folder.path(), &[]);
    assert_eq!(server.post("/v1/ws", "{\"name\":\"mine\"}").0, 201);
    assert_eq!(server.post("/v1/ws/mine/app/notes", "{}").0, 201);
    assert_eq!(
        server
            .post("/v1/ws/mine/app/notes/documents", "{\"a\":1}")
            .0,
        201
    );
    assert_eq!(server.get("/v1/ws?token=x").0, 401);
    // A page of another site is no program of the machine's user.
    let foreign = [("origin", "https://evil.example.com")];
    let answer = server.send("POST", "/v1/ws/mine/flush", &foreign, None);
    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
    assert_eq!(server.delete("/v1/ws/mine").0, 204);
    assert_eq!(server.get("/v1/ws").1, b"{\"workspaces\":[]}");
}

#[test]
fn a_dev_token_makes_its_user_administrator_on_loopback_only() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::mixer(folder.path(), &["--dev-token", "dev"]);
    let token = server.dev_token().expect("a token was printed").to_string();
    assert_eq!(server.get("/v1/ws/none").0, 401);
    assert_eq!(server.get(&format!("/v1/ws/none?token={token}")).0, 404);
    let folder = folder.path().join("other").display().to_string();
    let done = run_mixer([
        "serve",
        "--ws-dir",
        &folder,
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--dev-token",
        "dev",
    ]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("loopback"), "{}", done.stderr);
}
