//! Interactive sessions over WebSocket connections.

use super::*;
use mix_system_tests::{Events, Socket, now};

const APP: &str = "/v1/ws/acme/app/streams";

impl Site {
    fn connect(&self, user: &str, path: &str) -> Result<Socket, u16> {
        let token = format!("Bearer {}", self.service.token(user));
        let headers = [("authorization", token.as_str())];
        let headers = if user.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        Socket::open(self.server.base(), path, headers)
    }
}

fn start(more: &[&str]) -> Site {
    let mut arguments = vec!["--dangerous-http-mode"];
    arguments.extend(more);
    let site = Site::start_with(&arguments);
    site.install("streams");
    site
}

#[test]
fn a_session_is_driven_action_by_action() {
    let site = start(&[]);
    let mut socket = site
        .connect(OWNER, &format!("{APP}/agent/counter/session"))
        .expect("a session");
    let (told, id) = socket.until_done();
    let cells: Vec<(&Value, &Value)> = told
        .iter()
        .map(|one| (&one["cell"], &one["value"]))
        .collect();
    assert!(cells.contains(&(&json!("count"), &json!(0))), "{told:?}");
    assert_eq!(id, Value::Null);
    socket.send(&json!({ "type": "input", "cell": "count", "value": 5, "id": 1 }));
    let (told, id) = socket.until_done();
    let values: Vec<&Value> = told.iter().map(|one| &one["value"]).collect();
    assert_eq!((values, id), (vec![&json!(5), &json!(10)], json!(1)));
    socket.send(&json!({ "type": "invoke", "name": "counter.add", "arg": 2, "id": "two" }));
    let (told, id) = socket.until_done();
    assert!(
        told.contains(&json!({ "type": "log", "text": "added" })),
        "{told:?}"
    );
    let count = told
        .iter()
        .find(|one| one["cell"] == "count")
        .expect("the count");
    assert_eq!((&count["value"], id), (&json!(7), json!("two")));
    // What goes wrong undoes its interaction and nothing else.
    socket.send(&json!({ "type": "invoke", "name": "counter.fails" }));
    let (told, _) = socket.until_done();
    assert_eq!(
        (&told[0]["type"], &told[0]["code"]),
        (&json!("issue"), &json!("RT_FAIL"))
    );
    socket.send(&json!({ "type": "invoke", "name": "counter.asks" }));
    let (told, _) = socket.until_done();
    let asked = json!({ "type": "actions", "actions": [{ "_rmx_type": "msg_other", "n": 7 }] });
    assert_eq!(told, [asked]);
    // The chain behind an action: its own actions, and from the first one for the client on all the rest.
    let add = |by: u32| json!({ "_rmx_type": "msg_view_invoke", "name": "counter.add", "env": "$agent_environment", "arg": by });
    let pop = json!({ "_rmx_type": "msg_view_pop" });
    let chain = [add(10), add(100), pop.clone(), add(1000)];
    socket.send(&json!({ "type": "invoke", "name": "counter.add", "arg": 1, "nextActions": chain, "id": 4 }));
    let (told, id) = socket.until_done();
    let counts: Vec<&Value> = told
        .iter()
        .filter(|one| one["cell"] == "count")
        .map(|one| &one["value"])
        .collect();
    assert_eq!(
        (counts, id),
        (vec![&json!(8), &json!(18), &json!(118)], json!(4))
    );
    let actions = json!({ "type": "actions", "actions": [pop, add(1000)] });
    assert!(told.contains(&actions), "{told:?}");
    // Another view on top, and away again; an agent beside the views.
    socket.send(&json!({ "type": "push", "module": "dialog", "args": [{ "title": "Sure?" }] }));
    let (told, _) = socket.until_done();
    assert!(told.contains(&json!({ "type": "output", "cell": "title", "version": told[0]["version"], "value": "Sure?" })));
    socket.send(&json!({ "type": "pop", "id": 3 }));
    assert_eq!(socket.until_done().1, json!(3));
    for (wrong, code) in [
        (json!({ "type": "jump" }), "bad_param"),
        (json!([]), "bad_param"),
        (
            json!({ "type": "input", "cell": "none", "value": 1 }),
            "RT_NO_CELL",
        ),
    ] {
        socket.send(&wrong);
        let (told, _) = socket.until_done();
        assert_eq!(told[0]["code"], code, "{wrong}");
    }
    // Pings are answered, and the end too.
    socket.send_frame(0x89, b"?");
    assert_eq!(socket.frame(), Some((0x8a, b"?".to_vec())));
    socket.send_frame(0x88, &1000u16.to_be_bytes());
    assert_eq!(socket.end().0, 1000);
}

#[test]
fn a_client_that_says_nothing_is_asked_whether_it_is_there() {
    let site = start(&[]);
    let mut socket = site
        .connect(OWNER, &format!("{APP}/agent/counter/session"))
        .expect("a session");
    socket.until_done();
    // Within a minute, or the read ends.
    assert_eq!(socket.frame(), Some((0x89, Vec::new())));
    socket.send_frame(0x8a, b"");
    socket.send(&json!({ "type": "input", "cell": "count", "value": 1, "id": 1 }));
    assert_eq!(socket.until_done().1, json!(1));
}

#[test]
fn a_session_has_the_rights_of_its_user() {
    let site = start(&[]);
    let counter = format!("{APP}/agent/counter/session");
    assert_eq!(site.connect("", &counter).err(), Some(401));
    assert_eq!(site.connect(STRANGER, &counter).err(), Some(403));
    site.grant(&format!("user/{STRANGER}"), "agent/streams/counter");
    let mut socket = site.connect(STRANGER, &counter).expect("a session");
    socket.until_done();
    // Logs are for those only who may change the app.
    socket.send(&json!({ "type": "invoke", "name": "counter.add", "arg": 1 }));
    let (told, _) = socket.until_done();
    assert!(told.iter().all(|one| one["type"] == "output"), "{told:?}");
    for ask in [
        json!({ "type": "push", "module": "dialog", "args": [{}] }),
        json!({ "type": "run", "agent": "publishes" }),
        json!({ "type": "invoke", "name": "$call", "env": "publishes" }),
    ] {
        socket.send(&ask);
        let (told, _) = socket.until_done();
        assert_eq!(told[0]["code"], "forbidden", "{ask}");
    }
    for (path, status) in [
        (format!("{APP}/agent/nobody/session"), 404),
        ("/v1/ws/acme/app/none/agent/counter/session".to_owned(), 404),
        (format!("{counter}?args=1"), 400),
    ] {
        assert_eq!(site.connect(OWNER, &path).err(), Some(status), "{path}");
    }
    let answer = site.send(OWNER, "GET", &counter, &Value::Null);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_param"));
}

#[test]
fn a_session_has_limits_and_ends_with_its_app() {
    let site = start(&["--agent-timeout", "500ms"]);
    let counter = format!("{APP}/agent/counter/session");
    let mut socket = site.connect(OWNER, &counter).expect("a session");
    socket.until_done();
    socket.send(&json!({ "type": "invoke", "name": "counter.spins" }));
    assert_eq!(socket.end(), (1008, "RT_TIMEOUT".to_owned()));
    // Frames that no client may send, texts that are none, ends without a right code, a message that is too large.
    let large = vec![b' '; (1 << 20) + 1];
    for (first, payload, code) in [
        (0x83, &b"?"[..], 1002),
        (0x81, b"\xff", 1007),
        (0x88, b"\x03", 1002),
        (0x88, b"\x03\xe7", 1002),
        (0x88, b"\x03\xe8bye", 1000),
        (0x81, &large, 1009),
    ] {
        let mut socket = site.connect(OWNER, &counter).expect("a session");
        socket.until_done();
        socket.send_frame(first, payload);
        assert_eq!(socket.end().0, code, "{first:x}");
    }
    let mut socket = site.connect(OWNER, &counter).expect("a session");
    socket.until_done();
    site.expect(OWNER, "DELETE", APP, Value::Null, 204);
    assert_eq!(socket.end().0, 1001);
}

/// What stays open as long as its token counts: a session, and a stream of a topic.
fn opened(site: &Site, token: &str) -> (Socket, Events) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let counter = format!("{APP}/agent/counter/session");
    let mut socket = Socket::open(site.server.base(), &counter, &headers).expect("a session");
    socket.until_done();
    let topic = site.topic("shared/application", "news");
    let (status, events) = site.server.open("GET", &topic, &headers, None);
    assert_eq!(status, 200);
    (socket, events)
}

fn assert_over((mut socket, mut events): (Socket, Events)) {
    assert_eq!(socket.end().0, 1008);
    assert_eq!(events.next_named(), None);
}

#[test]
fn what_is_open_ends_with_its_token() {
    let site = start(&[]);
    // Tokens count for a minute after their end, for clocks that differ.
    let over = json!({ "sub": OWNER, "email": OWNER, "exp": now() - 50 });
    assert_over(opened(&site, &site.service.token_with(over)));
}

#[test]
fn what_is_open_ends_when_the_key_of_its_token_is_taken_back() {
    let site = start(&[]);
    let old = opened(&site, &site.service.token(OWNER));
    site.service.rotate();
    // The first token with the new key is a reason to look at the keys.
    let mut new = opened(&site, &site.service.token(OWNER));
    assert_over(old);
    new.0
        .send(&json!({ "type": "input", "cell": "count", "value": 5, "id": 1 }));
    assert_eq!(new.0.until_done().1, 1);
}
