//! Instances of agents that a run keeps on a server: of other programs of its app on its own, and of
//! apps of another server.

use super::*;
use mix_system_tests::Socket;
use std::time::{Duration, Instant};

const ASKS: &str = "/v1/ws/acme/app/front/agent/asks/run";

impl Site {
    fn keeps(more: &[&str]) -> Site {
        let mut arguments = vec!["--dangerous-http-mode"];
        arguments.extend(more);
        let site = Site::start_with(&arguments);
        for (app, module) in [("front", "asks"), ("back", "tally"), ("front", "tally")] {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let file = folder.path().join(format!("{module}.mix"));
            std::fs::write(&file, program(module)).expect("a writable folder");
            site.install_as(&file, app);
        }
        site
    }

    fn base(&self) -> String {
        format!("{}/run-agent/acme", self.server.base())
    }

    fn calls(&self, user: &str, calls: Value) -> Value {
        self.expect(user, "POST", ASKS, json!({ "calls": calls }), 200)
    }
}

/// The modules of the program that begin with that one: `asks` is a program of its own.
fn program(module: &str) -> String {
    let path = repository().join("tests/system/programs/keeps.mix");
    let text = std::fs::read_to_string(path).expect("a program");
    let at = text.find("module asks").expect("the module");
    let (others, asks) = text.split_at(at);
    if module == "asks" { asks } else { others }.to_owned()
}

fn call(agent: &str, params: Value) -> Value {
    json!({ "agent": agent, "params": params })
}

/// A call of an agent of app `back` of a server.
fn there(site: &Site, agent: &str, params: Value) -> Value {
    let mut one = call(agent, params);
    one["base"] = site.base().into();
    one["app"] = "back".into();
    one
}

fn counts(told: &Value) -> Vec<&Value> {
    let told = told.as_array().expect("an array").iter();
    told.map(|one| one.get("count").unwrap_or(one)).collect()
}

#[test]
fn an_instance_of_another_program_of_the_app_keeps_its_cells_until_the_run_ends() {
    let site = Site::keeps(&["--max-runs", "1"]);
    let echo = json!({ "echo": { "_rmx_type": "{tag}case:db.ref", "_rmx_value": "r1" } });
    for _ in 0..2 {
        let told = site.calls(
            OWNER,
            json!([
                call("tally", json!({})),
                call("tally", echo.clone()),
                call("once", json!({})),
                call("tally", json!({ "fails": true })),
                call("tally", json!({ "index": 3 })),
                call("tally", json!({})),
                call("once", json!({})),
                call("nobody", json!({})),
            ]),
        );
        let list = told.as_array().expect("an array");
        let user = |count: u32, echo: Value| json!({ "count": count, "user": OWNER, "echo": echo });
        assert_eq!(list[0], user(1, Value::Null));
        assert_eq!(list[1], user(2, echo["echo"].clone()));
        assert_eq!(list[2], "once");
        // What fails is undone, and the instance goes on.
        assert_eq!(list[3], "ERR_AGENT: not today");
        let text = list[4].as_str().expect("a text");
        assert!(text.starts_with("ERR_AGENT: RT_INDEX: "), "{text}");
        assert_eq!(list[5], user(3, Value::Null));
        let text = list[6].as_str().expect("a text");
        assert!(text.starts_with("ERR_AGENT: RT_NO_CELL: "), "{text}");
        let text = list[7].as_str().expect("a text");
        assert!(text.starts_with("ERR_NOT_FOUND: "), "{text}");
    }
}

#[test]
fn an_instance_on_another_server_keeps_its_cells_until_the_run_ends() {
    let (near, far) = (
        Site::keeps(&[]),
        Site::keeps(&["--server-admin", "user/ada@example.com"]),
    );
    let refused = near.calls(OWNER, json!([there(&far, "tally", json!({}))]));
    let text = refused[0].as_str().expect("a text");
    assert!(text.starts_with("ERR_URL_BLOCKED: token"), "{text}");
    far.grant("anonymous", "agent/back/tally");
    far.grant("anonymous", "agent/back/once");
    near.grant("anonymous", "agent/front/asks");
    for _ in 0..2 {
        let told = near.calls(
            "",
            json!([
                there(&far, "tally", json!({})),
                there(&far, "once", json!({})),
                there(&far, "tally", json!({ "fails": true })),
                there(&far, "tally", json!({})),
                there(&far, "nobody", json!({})),
            ]),
        );
        let expected = json!([1, "once", "ERR_AGENT: not today", 2]);
        assert_eq!(
            counts(&told)[..4],
            expected
                .as_array()
                .expect("four")
                .iter()
                .collect::<Vec<_>>()
        );
        // Whoever may not run it is not told whether it is there.
        let text = told[4].as_str().expect("a text");
        assert!(text.starts_with("ERR_PERMISSION: "), "{text}");
    }
    // A token that is a text says who calls.
    let mut mine = there(&far, "tally", json!({}));
    mine["token"] = far.service.token(OWNER).into();
    let told = near.calls("", json!([mine, there(&far, "tally", json!({})), mine]));
    assert_eq!(counts(&told), [&json!(1), &json!(1), &json!(2)]);
    assert_eq!(
        (&told[0]["user"], &told[1]["user"]),
        (&json!(OWNER), &json!(""))
    );
    // Nothing is left over there when the runs are over.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = far.expect(OWNER, "GET", "/v1/metrics", Value::Null, 200);
        let metrics = metrics.as_str().expect("a text").to_owned();
        assert!(metrics.contains("mixer_sessions "), "{metrics}");
        if metrics.contains("mixer_sessions 0\n") {
            break;
        }
        assert!(Instant::now() < end, "{metrics}");
    }
}

#[test]
fn calls_of_one_instance_queue_and_a_late_one_does_not_lose_it() {
    let site = Site::keeps(&[]);
    let calls = json!([
        call("tally", json!({ "naps": 0.2 })),
        call("tally", json!({})),
        call("tally", json!({}))
    ]);
    let together = json!({ "together": true, "calls": calls });
    let told = site.expect(OWNER, "POST", ASKS, together, 200);
    assert_eq!(counts(&told), [&json!(1), &json!(2), &json!(3)]);
    let mut late = call("tally", json!({ "naps": 0.5 }));
    late["timeout"] = json!(0.1);
    let told = site.calls(
        OWNER,
        json!([call("tally", json!({})), late, call("tally", json!({}))]),
    );
    let text = told[1].as_str().expect("a text");
    assert!(text.starts_with("ERR_TIMEOUT: "), "{text}");
    assert_eq!(
        (&told[0]["count"], &told[2]["count"]),
        (&json!(1), &json!(3))
    );
}

#[test]
fn an_instance_that_is_over_is_told_once_and_made_again() {
    let site = Site::keeps(&["--agent-timeout", "2s", "--agent-timeout-max", "20s"]);
    let spins = call("tally", json!({ "spins": true }));
    let calls = json!({ "calls": [call("tally", json!({})), spins, call("tally", json!({}))] });
    let told = site.expect(OWNER, "POST", &format!("{ASKS}?timeout=20000"), calls, 200);
    let text = told[1].as_str().expect("a text");
    assert!(text.starts_with("ERR_TIMEOUT: "), "{text}");
    assert_eq!(
        (&told[0]["count"], &told[2]["count"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn a_run_keeps_a_bounded_number_of_instances_and_says_what_is_wrong_with_an_address() {
    let site = Site::keeps(&[]);
    let modules = (0..17)
        .map(|number| format!("module m{number}(p:data) cell output = {number} module end\n"));
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("many.mix");
    std::fs::write(&file, modules.collect::<String>()).expect("a writable folder");
    site.install_as(&file, "back");
    let missing = (0..20).map(|number| there(&site, &format!("none{number}"), json!({})));
    let many = (0..17).map(|number| there(&site, &format!("m{number}"), json!({})));
    let told = site.calls(OWNER, missing.chain(many).collect());
    for (at, one) in told.as_array().expect("an array").iter().enumerate() {
        let text = one.as_str().unwrap_or_default();
        match at {
            0..20 => assert!(text.starts_with("ERR_NOT_FOUND: "), "{at}: {one}"),
            36 => assert!(text.starts_with("ERR_TOO_LARGE: "), "{one}"),
            _ => assert_eq!(*one, json!(at - 20)),
        }
    }
    let mut elsewhere = call("tally", json!({}));
    elsewhere["base"] = "https://example.org/agents".into();
    elsewhere["app"] = "back".into();
    let told = site.calls(OWNER, json!([elsewhere]));
    let text = told[0].as_str().expect("a text");
    assert!(
        text.starts_with("ERR_URL: ") && text.contains("run-agent"),
        "{text}"
    );
}

#[test]
fn a_session_for_calls_takes_calls_only() {
    let site = Site::keeps(&[]);
    let token = format!("Bearer {}", site.service.token(OWNER));
    let headers = [("authorization", token.as_str())];
    let open = |path: &str| {
        let path = format!("/v1/ws/acme/app/back/agent/tally/session{path}");
        Socket::open(site.server.base(), &path, &headers)
    };
    assert_eq!(open("?calls=true&args=[]").err(), Some(400));
    assert_eq!(open("?calls=perhaps").err(), Some(400));
    let mut socket = open("?calls=true").expect("a session");
    for (id, count) in [(1, 1), (2, 2)] {
        let arg = json!({ "echo": "x" });
        socket.send(
            &json!({ "type": "invoke", "name": "$call", "env": "tally", "arg": arg, "id": id }),
        );
        let (told, done) = socket.until_done();
        let value = json!({ "count": count, "user": OWNER, "echo": "x" });
        assert_eq!(told, [json!({ "type": "result", "value": value })]);
        assert_eq!(done, json!(id));
    }
    for wrong in [
        json!({ "type": "run", "agent": "tally" }),
        json!({ "type": "invoke", "name": "$call", "env": "once" }),
        json!({ "type": "pop" }),
    ] {
        socket.send(&wrong);
        let (told, _) = socket.until_done();
        assert_eq!(told[0]["code"], "bad_param", "{wrong}");
    }
}
