//! Agents that call agents: as whom, how deep, and what they may ask of their own server.

use super::*;
use mix_system_tests::{Sink, now};

const CALLERS: &str = "/v1/ws/acme/app/callers";
const BOB: &str = "bob@elsewhere.org";

impl Site {
    fn callers(more: &[&str]) -> Site {
        let site = Site::start_with(more);
        site.install("callers");
        let program = repository().join("tests/system/programs/callers");
        install(program, &site._folder, "acme", "back");
        site
    }

    fn run(&self, user: &str, agent: &str, params: Value) -> Value {
        let path = format!("{CALLERS}/agent/{agent}/run");
        self.expect(user, "POST", &path, params, 200)
    }

    /// What an agent of the app finds who asks one of another app.
    fn asked(&self, user: &str) -> Value {
        self.run(user, "asks", json!({ "app": "back", "agent": "whoami" }))
    }

    fn subject(&self, agent: &str) -> String {
        format!("agent/127.0.0.1:acme.callers.{agent}")
    }
}

#[test]
fn an_agent_asks_for_its_caller_and_with_its_own_rights() {
    let site = Site::callers(&[]);
    site.grant("anonymous", "agent/callers/asks");
    let user = |name: &str| json!({ "user": name, "anonymous": false, "token": "token" });
    let nobody = json!({ "user": "", "anonymous": true, "token": "token" });
    // The owner may.
    assert_eq!(site.asked(OWNER), user(OWNER));
    // Neither Bob nor the agent may.
    for who in [BOB, ""] {
        let refused = site.asked(who);
        let text = refused.as_str().expect("a text");
        assert!(text.starts_with("ERR_PERMISSION: "), "{text}");
    }
    // In its own app an agent may everything.
    let own = json!({ "app": "callers", "agent": "whoami" });
    assert_eq!(site.run(BOB, "asks", own.clone()), user(BOB));
    assert_eq!(site.run("", "asks", own), nobody);
    // A right of the agent is one for everybody who may run it.
    site.grant(&site.subject("asks"), "agent/back/whoami");
    assert_eq!(site.asked(BOB), user(BOB));
    assert_eq!(site.asked(""), nobody);
    // The right is that of this agent alone.
    site.grant("anonymous", "agent/callers/fetches");
    let url = format!("{}/run-agent/acme/back/whoami", site.server.base());
    let fetched = site.run(BOB, "fetches", json!({ "url": url }));
    assert_eq!(fetched["status"], 401, "{fetched}");
    let fetched = site.run(BOB, "fetches", json!({ "url": url, "token": true }));
    assert_eq!(fetched["status"], 403, "{fetched}");
    let fetched = site.run(OWNER, "fetches", json!({ "url": url, "token": true }));
    assert_eq!(fetched["status"], 200, "{fetched}");
    // Its app is open to it, with or without a caller; the workspace is not.
    for (path, status) in [
        ("/v1/ws/acme/app/callers/query?query=true", 200),
        ("/v1/ws/acme/app/back/query?query=true", 401),
        ("/v1/ws/acme/permissions", 401),
        ("/v1/ws/none", 401),
        ("/v1/health", 200),
        ("/v1/ws/acme/app/callers/documents/..%2f", 400),
    ] {
        let url = format!("{}{path}", site.server.base());
        let fetched = site.run("", "fetches", json!({ "url": url }));
        assert_eq!(fetched["status"], status, "{path}: {fetched}");
    }
    // The log tells who asked, and how.
    let query = json!({ "query": "_rmx_type == \"activity\" && via == \"agent\" && agent == \"whoami\" && app == \"back\" && status == 200" });
    let count = json!({ "activity": "run-agent" });
    site.expect(OWNER, "POST", "/v1/ws/acme/activities/count", count, 200);
    let log = "/v1/ws/acme/app/_rmx_logging/query";
    let found = site.expect(OWNER, "POST", log, query, 200);
    assert_eq!(found.as_array().map(Vec::len), Some(4), "{found}");
}

#[test]
fn an_agent_calls_agents_of_the_other_programs_of_its_app() {
    let site = Site::callers(&[]);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("second.mix");
    let program = "module second(p:data)
  def told = ok(value) -> value | error(text) -> array.first(string.splitSep(\":\", text))
  def call(a) = told(agent.call(a, null, {n: 32}))
  cell output = [
    call(agent.localAgent(\"whoami\")), call(agent.localAgent(\"nobody\")),
    call(agent.localPersistentAgent(\"whoami\")),
    told(agent.call(agent.localAgent(\"whoami\"), {onceKey: some(\"k\"), timeout: 20}, {})).user,
    agent.call(agent.localAgent(\"lacks\"), null, {}) |> (error(text) -> text | _ -> null)
  ]
module end
module lacks(p:data)
  cell output : data = result.get(error(\"ERR_NOT_FOUND: no stock\"))
module end
";
    std::fs::write(&file, program).expect("a writable folder");
    site.install_as(&file, "callers");
    let whoami = json!({ "user": OWNER, "anonymous": false, "token": "token" });
    let told = site.run(OWNER, "second", Value::Null);
    let lacks = "ERR_AGENT: ERR_NOT_FOUND: no stock";
    let expected = json!([whoami, "ERR_NOT_FOUND", whoami, OWNER, lacks]);
    assert_eq!(told, expected);
    // An agent of this program that did not find something has run, and is not asked for again.
    let count = json!({ "activity": "run-agent" });
    site.expect(OWNER, "POST", "/v1/ws/acme/activities/count", count, 200);
    for (agent, times) in [("whoami", 3), ("lacks", 0)] {
        let query = json!({ "query": format!("_rmx_type == \"activity\" && via == \"agent\" && agent == \"{agent}\"") });
        let log = "/v1/ws/acme/app/_rmx_logging/query";
        let found = site.expect(OWNER, "POST", log, query, 200);
        assert_eq!(
            found.as_array().map(Vec::len),
            Some(times),
            "{agent}: {found}"
        );
    }
}

#[test]
fn an_agent_makes_a_link_that_has_the_rights_of_its_caller() {
    let site = Site::callers(&[]);
    let link =
        |user: &str, endpoint: &str| site.run(user, "links", json!({ "endpoint": endpoint }));
    let made = link(OWNER, "agent/whoami/run");
    let url = made["ok"].as_str().unwrap_or_else(|| panic!("{made}"));
    let path = url.strip_prefix(site.server.base()).expect(url);
    assert!(path.starts_with("/v1/link/"), "{path}");
    // Whoever has it runs that agent as its maker, and nothing else.
    let told = site.expect("", "GET", path, Value::Null, 200);
    assert_eq!(told["user"], OWNER, "{told}");
    let told = site.expect(STRANGER, "POST", path, json!({}), 200);
    assert_eq!(told["user"], OWNER, "{told}");
    // Of a caller who may not run it either, the link leads nowhere.
    site.grant("user/bob@elsewhere.org", "agent/callers/links");
    let made = link(BOB, "agent/whoami/run");
    let url = made["ok"].as_str().unwrap_or_else(|| panic!("{made}"));
    let path = url.strip_prefix(site.server.base()).expect(url);
    assert_eq!(site.send("", "GET", path, &Value::Null).status, 403);
    for endpoint in [
        "permissions",
        "../back/agent/whoami",
        "file-manager/content",
        "",
    ] {
        let refused = link(OWNER, endpoint);
        let text = refused["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{refused}"));
        assert!(text.starts_with("ERR_NOT_FOUND: "), "{endpoint}: {text}");
    }
    // Nobody has no rights that a link could have.
    site.grant("anonymous", "agent/callers/links");
    let refused = link("", "agent/whoami/run");
    let text = refused["error"]
        .as_str()
        .unwrap_or_else(|| panic!("{refused}"));
    assert!(text.starts_with("ERR_PERMISSION: "), "{text}");
}

#[test]
fn calls_nest_on_one_slot_to_a_depth() {
    let site = Site::callers(&["--max-runs", "1"]);
    let deepest = site.run(OWNER, "nests", json!({ "n": 0 }));
    assert_eq!(deepest["n"], 32, "{deepest}");
    let text = deepest["e"].as_str().expect("a text");
    assert!(
        text.starts_with("ERR_AGENT: ") && text.contains("32 deep"),
        "{text}"
    );
    // The slot is free again.
    assert_eq!(site.asked(OWNER)["user"], OWNER);
}

#[test]
fn a_token_goes_to_servers_that_are_trusted_and_to_no_other() {
    let trusted = Sink::start();
    let origin = trusted.url().replace("/inbox", "");
    let site = Site::callers(&["--dangerous-http-mode", "--trusted-server", &origin]);
    let other = Sink::start();
    let fetched = site.run(
        OWNER,
        "fetches",
        json!({ "url": other.url(), "token": true }),
    );
    assert_eq!(fetched["error"], "ERR_URL_BLOCKED: token");
    assert!(other.is_empty());
    site.run(OWNER, "fetches", json!({ "url": other.url() }));
    let seen = other.next();
    assert!(
        seen.headers
            .iter()
            .all(|(name, _)| !name.starts_with("x-rmx-") && name != "authorization")
    );
    site.run(
        OWNER,
        "fetches",
        json!({ "url": trusted.url(), "token": true }),
    );
    let seen = trusted.next();
    let header = |name: &str| {
        let found = seen.headers.iter().find(|(own, _)| own == name);
        found
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let token = header("authorization");
    let token = token
        .strip_prefix("Bearer ")
        .expect("the token of the caller");
    let path = "/v1/ws/acme/app/callers/query?query=true";
    let bearer = format!("Bearer {token}");
    let answer = site
        .server
        .send("GET", path, &[("authorization", &bearer)], None);
    assert_eq!(answer.status, 200);
    // The server vouches for its agent, with a key that it shows.
    let parts: Vec<String> = header("x-rmx-origin")
        .split('.')
        .map(str::to_owned)
        .collect();
    let decoded = |part: &str| -> Value {
        use base64::Engine;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        serde_json::from_slice(&engine.decode(part).expect("base64")).expect("JSON")
    };
    let (head, claims) = (decoded(&parts[0]), decoded(&parts[1]));
    assert_eq!(claims["iss"], site.server.base());
    assert_eq!(claims["aud"], origin.as_str());
    assert_eq!(claims["sub"], site.subject("fetches"));
    assert!(claims["exp"].as_u64().is_some_and(|end| end <= now() + 60));
    let keys = site.server.send("GET", "/v1/auth/jwks.json", &[], None);
    assert_eq!(keys.status, 200);
    let key = keys.json()["keys"][0].clone();
    assert_eq!((&key["kid"], &key["alg"]), (&head["kid"], &head["alg"]));
    assert!(key["d"].is_null());
}

#[test]
fn a_trusted_server_names_the_agent_that_asks() {
    // The service plays the other server: it shows its keys under any path.
    let there = mix_system_tests::IdentityService::start();
    let url = there.key_url().replace("/keys", "");
    let site = Site::callers(&["--trusted-server", &url]);
    site.grant("agent/127.0.0.1:far.shop.buys", "agent/back/whoami");
    let path = "/v1/ws/acme/app/back/agent/whoami/run";
    let claims = |issuer: &str, subject: &str, audience: &str, end: u64| json!({ "iss": issuer, "sub": subject, "aud": audience, "exp": end });
    let (own, soon) = (site.server.base().to_owned(), now() + 50);
    let subject = "agent/127.0.0.1:far.shop.buys";
    let ask = |token: &str| {
        site.server
            .send("POST", path, &[("x-rmx-origin", token)], None)
            .status
    };
    assert_eq!(
        ask(&there.token_with(claims(&url, subject, &own, soon))),
        200
    );
    for (claims, why) in [
        (
            claims(&url, "agent/127.0.0.1:far.shop.other", &own, soon),
            "another agent",
        ),
        (
            claims(&url, "agent/elsewhere:far.shop.buys", &own, soon),
            "of another server",
        ),
        (
            claims(&url, subject, "http://127.0.0.1:1", soon),
            "for another server",
        ),
        (claims(&url, subject, &own, now() - 100), "too old"),
        (claims(&url, subject, &own, now() + 3600), "too long"),
        (
            claims("http://127.0.0.1:1", subject, &own, soon),
            "not trusted",
        ),
    ] {
        assert_eq!(ask(&there.token_with(claims)), 401, "{why}");
    }
    // Signed by somebody else.
    site.service.rotate();
    let forged = site.service.token_with(claims(&url, subject, &own, soon));
    assert_eq!(ask(&forged), 401);
    assert_eq!(ask("x.y.z"), 401);
    assert_eq!(ask(""), 401);
}
