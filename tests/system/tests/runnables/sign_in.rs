//! Signing in through a provider, and what the tokens of a workspace are good for.

use super::*;
use mix_system_tests::Provider;
use std::io::{Read, Write};

const CONFIGS: &str = "/v1/ws/acme/auth-configs";
const BACK: &str = "https://app.example.com/in";

/// A GET without following where it leads: status and head.
fn visit(site: &Site, path: &str, cookie: &str) -> (u16, String) {
    let host = site.server.base().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&host).expect("the server");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    (status.expect("a status"), text)
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name}: {head}"))
}

fn param(url: &str, name: &str) -> String {
    let found = url.split(['?', '&', '#']).find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("no {name}: {url}"))
}

impl Site {
    fn with_provider(kind: &str) -> (Site, Provider, String) {
        let provider = Provider::start("mixer-client");
        let site = Site::start_with(&["--dangerous-http-mode"]);
        let mut config = json!({
            "type": kind, "name": "corp", "client_id": "mixer-client", "client_secret": "hush",
            "redirects": [BACK],
        });
        if kind == "oidc" {
            config["endpoint"] = json!(provider.url());
        } else {
            config["auth_url"] = json!(format!("{}/authorize", provider.url()));
            config["token_url"] = json!(format!("{}/token", provider.url()));
            config["userinfo_url"] = json!(format!("{}/userinfo", provider.url()));
        }
        let made = site.expect(OWNER, "POST", CONFIGS, config, 201);
        let id = made["id"].as_str().expect("an id").to_owned();
        (site, provider, id)
    }

    /// Goes to the provider: where it was sent, its state and its cookie.
    fn begin(&self, name: &str) -> (String, String, String) {
        let path = format!("/v1/ws/acme/auth/{name}/login?redirect={BACK}/done");
        let (status, head) = visit(self, &path, "");
        assert_eq!(status, 302, "{head}");
        let place = header(&head, "location").to_owned();
        let cookie = header(&head, "set-cookie").to_owned();
        for wanted in ["HttpOnly", "Secure", "SameSite=Lax"] {
            assert!(cookie.contains(wanted), "{cookie}");
        }
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        (param(&place, "state"), place, cookie)
    }

    fn come_back(&self, state: &str, code: &str, cookie: &str) -> (u16, String) {
        let path = format!("/v1/ws/acme/auth/corp/callback?state={state}&code={code}");
        visit(self, &path, cookie)
    }

    fn signed_in(&self, mail: &str) -> String {
        let (state, place, cookie) = self.begin("corp");
        let nonce = param(&place, "nonce");
        let (status, head) = self.come_back(&state, &format!("{mail}/{nonce}"), &cookie);
        assert_eq!(status, 302, "{head}");
        param(header(&head, "location"), "token")
    }

    fn with_token(&self, token: &str, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.server
            .send(method, path, &[("authorization", &bearer)], None)
    }
}

#[test]
fn a_browser_comes_back_with_a_token_of_the_workspace() {
    let (site, provider, _) = Site::with_provider("oidc");
    site.install("limits");
    let (state, place, cookie) = site.begin("default");
    assert!(
        place.starts_with(&format!("{}/authorize?tenant=1&", provider.url())),
        "{place}"
    );
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "mixer-client"),
        ("code_challenge_method", "S256"),
        ("scope", "openid%20email"),
    ] {
        assert_eq!(param(&place, name), value);
    }
    let nonce = param(&place, "nonce");
    let code = format!("Bob@example.com/{nonce}");
    // Another browser, then the right one; each way counts once.
    assert_eq!(site.come_back(&"x".repeat(32), &code, &cookie).0, 400);
    let (status, head) = site.come_back(&state, &code, &cookie);
    assert_eq!(status, 302, "{head}");
    let back = header(&head, "location").to_owned();
    assert!(back.starts_with(&format!("{BACK}/done#token=")), "{back}");
    assert_eq!(param(&back, "ws"), "acme");
    assert_eq!(site.come_back(&state, &code, &cookie).0, 400);
    let form = provider.exchanged();
    for wanted in [
        "grant_type=authorization_code",
        "client_secret=hush",
        "code_verifier=",
    ] {
        assert!(form.contains(wanted), "{form}");
    }
    let (state, place, _) = site.begin("corp");
    let code = format!("bob@example.com/{}", param(&place, "nonce"));
    assert_eq!(site.come_back(&state, &code, "rmx_signin_x=y").0, 400);

    // The token is that of the user, in this workspace.
    let token = param(&back, "token");
    let app = site.with_token(&token, "GET", "/v1/ws/acme");
    assert_eq!(app.status, 403);
    site.grant("user/bob@example.com", "workspace");
    let run = format!("{APP}/agent/fine/run?name=x");
    assert_eq!(site.with_token(&token, "GET", &run).status, 200);
    // Its key is shown, and is the workspace's alone.
    let keys = site
        .server
        .send("GET", "/v1/ws/acme/auth/jwks.json", &[], None);
    assert_eq!(keys.json()["keys"][0]["crv"], "Ed25519");
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "other" }), 201);
    let grant = json!({ "subject": "user/bob@example.com", "role": "runner" });
    site.expect(OWNER, "POST", "/v1/ws/other/permissions", grant, 201);
    let answer = site.with_token(&token, "GET", "/v1/ws/other");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "untrusted_issuer")
    );
    let seen = site.with_token(&token, "GET", "/v1/ws").json();
    assert_eq!(seen, json!({ "workspaces": [{ "name": "acme" }] }));
    // It makes nobody a creator of workspaces, nor more of himself.
    assert_eq!(site.with_token(&token, "POST", "/v1/ws").status, 403);
    let forged = format!("{}x", &token[..token.len() - 1]);
    let answer = site.with_token(&forged, "GET", "/v1/ws/acme");
    assert_eq!((answer.status, answer.code().as_str()), (401, "bad_token"));
    // What went wrong is told to the page.
    for (code, error) in [
        ("x", "provider"),
        ("bob@example.com/other-nonce", "bad_nonce"),
        ("bob/NONCE", "no_email"),
    ] {
        let (state, place, cookie) = site.begin("corp");
        let code = code.replace("NONCE", &param(&place, "nonce"));
        let (status, head) = site.come_back(&state, &code, &cookie);
        let back = header(&head, "location");
        assert_eq!(
            (status, back),
            (302, format!("{BACK}/done#error={error}").as_str())
        );
    }
    // A page that is not named gets no token.
    for wrong in [
        "https://evil.example.com/in",
        "https://app.example.com/inside",
        "",
    ] {
        let path = format!("/v1/ws/acme/auth/corp/login?redirect={wrong}");
        assert_eq!(visit(&site, &path, "").0, 400, "{wrong}");
    }
    assert_eq!(
        visit(&site, "/v1/ws/acme/auth/none/login?redirect=x", "").0,
        404
    );
}

#[test]
fn a_token_of_the_provider_is_exchanged() {
    let (site, _provider, _) = Site::with_provider("oauth");
    let token = "/v1/ws/acme/auth/corp/token";
    let given = site.expect(
        "",
        "POST",
        token,
        json!({ "accessToken": "bob@example.com" }),
        200,
    );
    let own = given["token"].as_str().expect("a token");
    assert!(
        given["expires"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert_eq!(site.with_token(own, "POST", "/v1/signals").status, 201);
    site.expect(
        "",
        "GET",
        &format!("{token}?accessToken=bob@example.com"),
        Value::Null,
        200,
    );
    for wrong in [json!({}), json!({ "idToken": 7 }), json!({ "other": "x" })] {
        site.expect("", "POST", token, wrong, 400);
    }
    // There are no keys to verify an identity token with.
    let answer = site.send("", "POST", token, &json!({ "idToken": "a.b.c" }));
    assert_eq!((answer.status, answer.code().as_str()), (401, "bad_token"));
    let answer = site.send("", "POST", token, &json!({ "accessToken": "no-address" }));
    assert_eq!((answer.status, answer.code().as_str()), (401, "bad_token"));
    // A provider for another client: what it vouches for is not for this workspace.
    let elsewhere = Provider::start("other-client");
    let config = json!({
        "type": "oauth", "name": "loose", "client_id": "mixer-client",
        "auth_url": elsewhere.url(), "userinfo_url": format!("{}/userinfo", elsewhere.url()),
    });
    site.expect(OWNER, "POST", CONFIGS, config, 201);
    let path = "/v1/ws/acme/auth/loose/token";
    let answer = site.send(
        "",
        "POST",
        path,
        &json!({ "accessToken": "bob@example.com" }),
    );
    assert_eq!((answer.status, answer.code().as_str()), (401, "bad_token"));
}

#[test]
fn providers_are_described_by_administrators() {
    let (site, provider, id) = Site::with_provider("oidc");
    site.grant("user/eve@elsewhere.org", "workspace");
    let path = format!("{CONFIGS}/{id}");
    let shown = site.expect(OWNER, "GET", &path, Value::Null, 200);
    assert_eq!(
        (&shown["client_secret"], &shown["name"]),
        (&json!("***"), &json!("corp"))
    );
    let less = site.expect(STRANGER, "GET", &path, Value::Null, 200);
    assert_eq!(less, json!({ "id": id, "type": "oidc", "name": "corp" }));
    let listed = site.expect(STRANGER, "GET", CONFIGS, Value::Null, 200);
    assert_eq!(listed, json!([less]));
    let named = site.expect(
        STRANGER,
        "GET",
        &format!("{CONFIGS}?name=corp"),
        Value::Null,
        200,
    );
    assert_eq!(named, less);
    site.expect(
        OWNER,
        "GET",
        &format!("{CONFIGS}?name=none"),
        Value::Null,
        404,
    );
    let config = |name: &str| json!({ "type": "oidc", "name": name, "client_id": "c" });
    site.expect(OWNER, "POST", CONFIGS, config("corp"), 409);
    site.expect(OWNER, "POST", CONFIGS, config("default"), 400);
    let mut other = config("other");
    other["default"] = json!(true);
    let second = site.expect(OWNER, "POST", CONFIGS, other, 201);
    // One that says `***` keeps its secret; another name is refused.
    let patch = json!({ "client_secret": "***", "default": true, "redirects": null });
    let patched = site.expect(OWNER, "PATCH", &path, patch, 200);
    assert!(
        patched["redirects"].is_null() && patched["default"] == true,
        "{patched}"
    );
    let second = format!("{CONFIGS}/{}", second["id"].as_str().expect("an id"));
    let now = site.expect(OWNER, "GET", &second, Value::Null, 200);
    assert_eq!(now["default"], false);
    site.expect(OWNER, "PATCH", &path, json!({ "name": "new" }), 409);
    site.expect(OWNER, "PUT", &path, json!({ "type": "oidc" }), 400);
    let mut whole = config("corp");
    whole["client_id"] = json!("mixer-client");
    whole["client_secret"] = json!("***");
    whole["endpoint"] = json!(provider.url());
    whole["redirects"] = json!([BACK]);
    site.expect(OWNER, "PUT", &path, whole, 200);
    site.signed_in("bob@example.com");
    assert!(provider.exchanged().contains("client_secret=hush"));
    // Only administrators change them, and nobody sees those of a workspace that is not his.
    for (method, path, body) in [
        ("POST", CONFIGS, config("new")),
        ("PUT", path.as_str(), config("corp")),
        ("PATCH", path.as_str(), json!({ "default": true })),
        ("DELETE", path.as_str(), Value::Null),
    ] {
        assert_eq!(
            site.send(STRANGER, method, path, &body).status,
            403,
            "{method}"
        );
        assert_eq!(site.send("", method, path, &body).status, 401, "{method}");
    }
    for who in ["mallory@elsewhere.org", ""] {
        let status = site.send(who, "GET", CONFIGS, &Value::Null).status;
        assert_eq!(status, if who.is_empty() { 401 } else { 403 });
    }
    site.expect(OWNER, "DELETE", &second, Value::Null, 204);
    site.expect(OWNER, "DELETE", &second, Value::Null, 404);
    // Where outbound requests are guarded, providers are, too.
    let guarded = Site::start_with(&[]);
    let mut inside = config("inside");
    inside["token_url"] = json!("http://169.254.169.254/token");
    let answer = guarded.send(OWNER, "POST", CONFIGS, &inside);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "url_blocked")
    );
}
