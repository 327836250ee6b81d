//! Signing in through a provider, and what the tokens of a workspace are good for.

use super::*;
use mix_system_tests::{Provider, loopback};
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
        Site::with_provider_of(kind, |_| json!({}))
    }

    /// `more`: further members of its description.
    pub(super) fn with_provider_of(
        kind: &str,
        more: impl Fn(&str) -> Value,
    ) -> (Site, Provider, String) {
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
        if let Value::Object(more) = more(provider.url().trim_start_matches("http://")) {
            config.as_object_mut().expect("an object").extend(more);
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

    pub(super) fn signed_in(&self, mail: &str) -> String {
        let (state, place, cookie) = self.begin("corp");
        let nonce = param(&place, "nonce");
        let (status, head) = self.come_back(&state, &format!("{mail}/{nonce}"), &cookie);
        assert_eq!(status, 302, "{head}");
        param(header(&head, "location"), "token")
    }

    pub(super) fn with_token(&self, token: &str, method: &str, path: &str) -> Answer {
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
    // The cookie is taken away where it lies.
    let over = header(&head, "set-cookie");
    let name = cookie.split('=').next().expect("a name");
    assert!(
        over.starts_with(&format!("{name}=;"))
            && over.contains("; Path=/v1/ws/acme/auth/corp/callback; Max-Age=0"),
        "{over}"
    );
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
        ("x", "provider_refused"),
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
fn what_a_provider_tells_is_kept_until_its_keys_are_others() {
    let (site, provider, _) = Site::with_provider("oidc");
    for user in ["bob@example.com", "eve@example.com"] {
        site.signed_in(user);
    }
    assert_eq!(provider.descriptions(), 1);
    provider.rotate();
    site.signed_in("bob@example.com");
    assert_eq!(provider.descriptions(), 1);
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
fn a_provider_that_is_away_says_nothing_about_a_token() {
    let (site, _, _) = Site::with_provider("oauth");
    let config = json!({
        "type": "oauth", "name": "away", "client_id": "mixer-client",
        "auth_url": "http://127.0.0.1:1/authorize", "userinfo_url": "http://127.0.0.1:1/userinfo",
    });
    site.expect(OWNER, "POST", CONFIGS, config, 201);
    let path = "/v1/ws/acme/auth/away/token";
    let answer = site.send("", "POST", path, &json!({ "accessToken": "x" }));
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream"));
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

const ORIGINAL: &str = "/v1/ws/acme/auth/corp/originalToken";

pub(super) fn keeping(host: &str) -> Value {
    json!({ "store_token": true, "token_extras": ["instance_url", "scope"], "domain": host })
}

#[test]
fn the_token_of_a_provider_is_kept_and_refreshed_once() {
    let (site, provider, _) = Site::with_provider_of("oidc", keeping);
    let bob = site.signed_in("bob@example.com");
    let shown = site.with_token(&bob, "GET", ORIGINAL);
    assert_eq!(shown.status, 200);
    let shown = shown.json();
    assert_eq!(shown["access_token"], "bob@example.com");
    assert_eq!(shown["instance_url"], provider.url());
    assert!(
        shown["expires"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{shown}"
    );
    assert!(
        shown.get("scope").is_none() && shown.get("refresh_token").is_none(),
        "{shown}"
    );
    let posted = site.with_token(&bob, "POST", "/v1/ws/acme/auth/default/originalToken");
    assert_eq!(posted.json(), shown);
    // It lies sealed: neither the token nor what it is refreshed with is on the disk.
    let mut folders = vec![site._folder.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    let found = bytes.windows(17).any(|part| part == b"bob@example.com~1");
                    assert!(!found, "{}", path.display());
                }
            }
        }
    }
    // One that is due is refreshed, by one of those who ask for it.
    let short = site.signed_in("short@example.com");
    provider.exchanges();
    let shown: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| site.with_token(&short, "GET", ORIGINAL).json()))
            .collect();
        asking
            .into_iter()
            .map(|one| one.join().expect("an answer"))
            .collect()
    });
    for shown in shown {
        assert_eq!(shown["access_token"], "short@example.com~2", "{shown}");
        assert_eq!(shown["instance_url"], provider.url(), "{shown}");
    }
    let exchanges = provider.exchanges();
    assert_eq!(exchanges.len(), 1, "{exchanges:?}");
    for wanted in [
        "grant_type=refresh_token",
        "refresh_token=short%40example.com~1",
        "client_secret=hush",
    ] {
        assert!(exchanges[0].contains(wanted), "{exchanges:?}");
    }
    let gone = site.signed_in("gone@example.com");
    let answer = site.with_token(&gone, "GET", ORIGINAL);
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream"));
    // Whoever has none is told so, and nobody gets that of another.
    for (who, status, code) in [(OWNER, 404, "not_found"), ("", 401, "unauthenticated")] {
        let answer = site.send(who, "GET", ORIGINAL, &Value::Null);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{who}"
        );
    }
    let unknown = site.with_token(&bob, "GET", "/v1/ws/acme/auth/none/originalToken");
    assert_eq!(unknown.status, 404);
    let body = json!({ "who": "ada@example.com" });
    assert_eq!(site.send(OWNER, "POST", ORIGINAL, &body).status, 400);
}

#[test]
fn a_provider_that_keeps_nothing_gives_nothing() {
    let (site, _provider, _) = Site::with_provider("oidc");
    let bob = site.signed_in("bob@example.com");
    assert_eq!(site.with_token(&bob, "GET", ORIGINAL).status, 404);
}

#[test]
fn programs_use_the_token_of_a_provider_without_seeing_it() {
    let (site, provider, _) = Site::with_provider_of("oidc", keeping);
    site.install("callers");
    site.grant("anonymous", "agent/callers/holds");
    let bob = site.signed_in("bob@example.com");
    let bearer = format!("Bearer {bob}");
    let run = |token: &str, params: Value| {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let text = params.to_string();
        let body = Some(("application/json", text.as_str()));
        let answer = site.server.send(
            "POST",
            "/v1/ws/acme/app/callers/agent/holds/run",
            headers,
            body,
        );
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    };
    let bobs = |params: Value| run(&bearer, params);
    let code = |value: &Value| {
        let text = value["error"].as_str().unwrap_or_default();
        text.split(':').next().unwrap_or_default().to_owned()
    };
    let api = format!("{}/api", provider.url());
    let sink = mix_system_tests::Sink::start();
    let told = json!({ "authorization": "Bearer bob@example.com" }).to_string();
    // Named, and by itself at the host that it is for.
    assert_eq!(
        bobs(json!({ "do": "see", "provider": "corp" })),
        json!({ "ok": "token" })
    );
    for asked in [
        json!({ "do": "send", "provider": "corp", "url": api }),
        json!({ "do": "plain", "url": api }),
    ] {
        assert_eq!(bobs(asked.clone())["body"], told, "{asked}");
    }
    let nobody = run("", json!({ "do": "plain", "url": api }));
    assert_eq!(nobody["body"], json!({ "authorization": null }).to_string());
    // Elsewhere it is not sent.
    let refused = bobs(json!({ "do": "send", "provider": "corp", "url": sink.url() }));
    assert_eq!(refused["error"], "ERR_URL_BLOCKED: token");
    // Whoever is asked elsewhere does not decide what is asked with it.
    let to = api.clone();
    let elsewhere = loopback::serve(move |_, stream| {
        loopback::respond(stream, &format!("302 Found\r\nlocation: {to}"), "");
    });
    let redirected = bobs(json!({ "do": "plain", "url": elsewhere }));
    assert_eq!(redirected["body"], nobody["body"], "{redirected}");
    let own = format!("{}/v1/health", site.server.base());
    let refused = bobs(json!({ "do": "send", "provider": "corp", "url": own }));
    assert_eq!(refused["error"], "ERR_URL_BLOCKED: token");
    // What was told beside it.
    let extra = |name: &str| bobs(json!({ "do": "extra", "provider": "corp", "name": name }));
    assert_eq!(extra("instance_url"), json!({ "ok": provider.url() }));
    assert_eq!(code(&extra("scope")), "ERR_NOT_FOUND");
    // It has no text, and no name among the secrets.
    let text = json!({ "do": "text", "provider": "corp" });
    assert_eq!(code(&bobs(text.clone())), "ERR_PERMISSION");
    assert_eq!(code(&bobs(json!({ "do": "own" }))), "ERR_PERMISSION");
    assert_eq!(bobs(json!({ "do": "list" })), json!({ "ok": [] }));
    for name in ["\u{1}token/x", "\u{1}"] {
        assert_eq!(
            code(&bobs(json!({ "do": "steal", "name": name }))),
            "ERR_RANGE"
        );
    }
    let meta = "/v1/ws/acme/appmeta/callers";
    let settings = json!({ "settings": { "tokenText": true } });
    site.expect(OWNER, "PATCH", meta, settings, 200);
    assert_eq!(bobs(text), json!({ "ok": "bob@example.com" }));
    assert_eq!(bobs(json!({ "do": "own" })), json!({ "ok": bob }));
    // Nobody without a token of his own has one, and one that is forgotten is gone.
    let see = json!({ "do": "see", "provider": "corp" });
    assert_eq!(code(&run("", see.clone())), "ERR_PERMISSION");
    let absent = bobs(json!({ "do": "see", "provider": "none" }));
    assert_eq!(code(&absent), "ERR_NOT_FOUND");
    let forget = json!({ "do": "forget", "provider": "corp" });
    assert_eq!(bobs(forget.clone()), json!({ "ok": "corp" }));
    for asked in [see, forget] {
        assert_eq!(code(&bobs(asked)), "ERR_NOT_FOUND");
    }
    assert_eq!(site.with_token(&bob, "GET", ORIGINAL).status, 404);
}

#[test]
fn a_token_of_a_workspace_stands_for_its_user_in_its_organisation_only() {
    let bob = "bob@example.com";
    let (site, _provider, _) = Site::with_provider("oidc");
    site.expect(bob, "POST", "/v1/ws", json!({ "name": "other" }), 201);
    // Whoever owns a workspace may have its provider say anything.
    let token = site.signed_in(bob);
    let server = site.server.base().trim_start_matches("http://");
    let topic =
        |ws: &str, kind: &str| format!("/v1/subscribe/cloud/{server}/ws/{ws}/app/shop/{kind}/news");
    let user = format!("user/{bob}");
    for kind in [user.as_str(), "shared/application", "public/application"] {
        let own = site.with_token(&token, "HEAD", &topic("acme", kind));
        assert_eq!(own.status, 200, "{kind}");
        for ws in ["other", "nowhere"] {
            let answer = site.with_token(&token, "HEAD", &topic(ws, kind));
            assert_eq!(answer.status, 401, "{ws} {kind}");
        }
        let answer = site.send(bob, "HEAD", &topic("other", kind), &Value::Null);
        assert_eq!(answer.status, 200, "{kind}");
    }
    // What the user has made otherwise is not that token's.
    let link = json!({ "endpoint": "agent/fine/run" });
    let made = site.expect(bob, "POST", "/v1/ws/other/app/shop/link", link, 201);
    let link = made["url"].as_str().expect("an address");
    let made = site.expect(bob, "POST", "/v1/signals", Value::Null, 201);
    let signal = format!("/v1/signals/{}", made["id"].as_str().expect("an id"));
    for place in [link, &signal] {
        let answer = site.with_token(&token, "DELETE", place);
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
        site.expect(bob, "DELETE", place, Value::Null, 204);
    }
    // And the other way round.
    let mine = site.with_token(&token, "POST", "/v1/signals").json();
    let mine = format!("/v1/signals/{}", mine["id"].as_str().expect("an id"));
    site.expect(bob, "DELETE", &mine, Value::Null, 403);
    assert_eq!(site.with_token(&token, "DELETE", &mine).status, 204);
}

#[test]
fn a_browser_may_send_its_cookies_in_several_lines() {
    let (site, _provider, _) = Site::with_provider("oidc");
    let (state, place, cookie) = site.begin("corp");
    let code = format!("bob@example.com/{}", param(&place, "nonce"));
    let cookies = format!("theme=dark\r\ncookie: {cookie}");
    let (status, head) = site.come_back(&state, &code, &cookies);
    assert_eq!(status, 302, "{head}");
    param(header(&head, "location"), "token");
    // A state is given once.
    let twice = format!("/v1/ws/acme/auth/corp/callback?state=a&state=b&code={code}");
    assert_eq!(visit(&site, &twice, &cookie).0, 400);
}

#[test]
fn nobody_joins_an_organisation_by_the_name_of_a_workspace() {
    let bob = "bob@example.com";
    let (site, provider, _) = Site::with_provider("oidc");
    site.expect(bob, "POST", "/v1/ws", json!({ "name": "shop" }), 201);
    let org = |org: &str, of: &str| {
        let path = format!("/v1/ws/{of}");
        site.expect(ADMIN, "PATCH", &path, json!({ "org": org }), 200);
    };
    let seen = |token: &str| site.with_token(token, "GET", "/v1/ws/shop").status;
    // The workspace is there when others come to its organisation.
    assert_eq!(seen(&site.signed_in(bob)), 401);
    org("acme", "shop");
    assert_eq!(seen(&site.signed_in(bob)), 200);
    // Another one that gets its name decides, with a provider of its own, whom its tokens speak of.
    site.expect(OWNER, "DELETE", "/v1/ws/acme", Value::Null, 204);
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "acme" }), 201);
    let config = json!({
        "type": "oidc", "name": "corp", "client_id": "mixer-client", "client_secret": "hush",
        "redirects": [BACK], "endpoint": provider.url(),
    });
    site.expect(OWNER, "POST", CONFIGS, config, 201);
    assert_eq!(seen(&site.signed_in(bob)), 401);
    // Nor does it come in with the next one that comes to the organisation, which is not named after it.
    site.expect(bob, "POST", "/v1/ws", json!({ "name": "store" }), 201);
    org("acme", "store");
    assert_eq!(seen(&site.signed_in(bob)), 401);
    org("acme", "acme");
    assert_eq!(seen(&site.signed_in(bob)), 200);
}
