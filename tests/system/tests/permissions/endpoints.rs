//! The table of all endpoints with what they answer to nobody, to a user of another workspace, to
//! the owner of the workspace, and to an administrator of the server after him. An endpoint that the
//! description of the interface has and the table has not fails the test.

use super::*;
use std::collections::BTreeSet;

/// A request, and its statuses for each caller in turn.
struct Row {
    method: &'static str,
    path: String,
    body: Value,
    statuses: [u16; 4],
    /// Whoever may not is told which permission is missing.
    tells: bool,
}

/// Callers in the order of the statuses.
const CALLERS: [&str; 4] = ["", STRANGER, OWNER, ADMIN];

/// What needs a permission in the workspace.
fn closed(method: &'static str, path: &str, body: Value, owner: u16, admin: u16) -> Row {
    Row {
        method,
        path: path.to_owned(),
        body,
        statuses: [401, 403, owner, admin],
        tells: true,
    }
}

/// What needs none, or only a token.
fn open(method: &'static str, path: &str, body: Value, statuses: [u16; 4]) -> Row {
    Row {
        method,
        path: path.to_owned(),
        body,
        statuses,
        tells: false,
    }
}

/// Everything about the server itself, and what only asks for a token.
fn server_rows() -> Vec<Row> {
    let none = || Value::Null;
    let unknown = "0".repeat(32);
    let link = format!("/v1/link/{unknown}");
    let signal = format!("/v1/signals/{unknown}");
    let ticket = format!("/v1/upload/{unknown}");
    let topic = "subscribe/cloud/127.0.0.1/ws/acme/app/movies/user/someone@example.com/news";
    let exists = || json!({ "name": "acme" });
    let elsewhere = || json!({ "url": "https://10.0.0.5/" });
    vec![
        open("GET", "/", none(), [200; 4]),
        open("GET", "/v1/health", none(), [200; 4]),
        open("GET", "/v1/health/ready", none(), [200; 4]),
        open("GET", "/v1/_doc/openapi.json", none(), [200; 4]),
        // The client follows it to the page.
        open("GET", "/v1/swagger", none(), [200; 4]),
        open("GET", "/v1/swagger/index.html", none(), [200; 4]),
        closed("GET", "/v1/metrics", none(), 403, 200),
        open("GET", "/v1/auth/jwks.json", none(), [200; 4]),
        open("GET", "/v1/ws", none(), [200; 4]),
        open("GET", "/ws", none(), [200; 4]),
        // The user of the other workspace may make some as well.
        open("POST", "/v1/ws", exists(), [401, 409, 409, 409]),
        open("POST", "/ws", exists(), [401, 409, 409, 409]),
        closed("POST", "/v1/ws-import?ws=acme", elsewhere(), 400, 400),
        closed("POST", "/ws-import?ws=acme", elsewhere(), 400, 400),
        open("PUT", &ticket, none(), [410; 4]),
        open("GET", &link, none(), [404; 4]),
        open("POST", &link, none(), [404; 4]),
        open("DELETE", &link, none(), [401, 404, 404, 404]),
        open("POST", "/v1/signals", none(), [401, 201, 201, 201]),
        open("GET", &signal, none(), [401, 404, 404, 404]),
        open("POST", &signal, json!(1), [401, 404, 404, 404]),
        open("DELETE", &signal, none(), [401, 404, 404, 404]),
        open(
            "HEAD",
            &format!("/v1/{topic}"),
            none(),
            [401, 403, 403, 200],
        ),
        open("HEAD", &format!("/{topic}"), none(), [401, 403, 403, 200]),
    ]
}

/// Signing in, and the providers that do it. `id`: that of the provider.
fn sign_in_rows(id: &str) -> Vec<Row> {
    let none = || Value::Null;
    let auth = "/v1/ws/acme/auth";
    let config = format!("/v1/ws/acme/auth-configs/{id}");
    let whole = json!({ "type": "oauth", "name": "corp", "client_id": "d", "auth_url": "https://login.example.com/" });
    vec![
        open("GET", &format!("{auth}/jwks.json"), none(), [200; 4]),
        open(
            "GET",
            &format!("{auth}/corp/login?redirect=https://evil.example.com"),
            none(),
            [400; 4],
        ),
        open(
            "GET",
            &format!("{auth}/corp/callback?state=x&code=y"),
            none(),
            [400; 4],
        ),
        // What is brought proves nothing, whoever brings it.
        open(
            "GET",
            &format!("{auth}/corp/token?idToken=a.b.c"),
            none(),
            [401; 4],
        ),
        open(
            "POST",
            &format!("{auth}/corp/token"),
            json!({ "idToken": "a.b.c" }),
            [401; 4],
        ),
        open(
            "GET",
            &format!("{auth}/corp/originalToken"),
            none(),
            [401, 404, 404, 404],
        ),
        open(
            "POST",
            &format!("{auth}/corp/originalToken"),
            none(),
            [401, 404, 404, 404],
        ),
        closed("GET", "/v1/ws/acme/auth-configs", none(), 200, 200),
        closed("POST", "/v1/ws/acme/auth-configs", whole.clone(), 409, 409),
        closed("GET", &config, none(), 200, 200),
        closed("PUT", &config, whole, 200, 200),
        closed("PATCH", &config, json!({ "offline": true }), 200, 200),
        closed("DELETE", &config, none(), 204, 404),
    ]
}

/// The workspace and the metadata of its apps.
fn workspace_rows(grant: &str) -> Vec<Row> {
    let none = || Value::Null;
    let elsewhere = || json!({ "url": "https://10.0.0.5/" });
    let meta = "/v1/ws/acme/appmeta";
    let permissions = "/v1/ws/acme/permissions";
    let about_x =
        json!({ "subject": "domain/example.com", "role": "runner", "resource": "agent/movies/x" });
    let makes_apps = json!({ "subject": "user/c@example.com", "role": "db/creator" });
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    vec![
        closed("GET", "/v1/ws/acme", none(), 200, 200),
        closed("GET", "/ws/acme", none(), 200, 200),
        closed(
            "PATCH",
            "/v1/ws/acme",
            json!({ "org": "acme-group" }),
            403,
            200,
        ),
        closed("POST", "/v1/ws/acme/flush", none(), 204, 204),
        closed("POST", "/flush/acme", none(), 204, 204),
        closed("POST", "/v1/ws/acme/activities/count", json!({}), 200, 200),
        closed("POST", "/count-activities/acme", json!({}), 200, 200),
        closed("POST", "/v1/ws/acme/mcp", ping, 200, 200),
        closed("POST", "/v1/ws/acme/install", elsewhere(), 400, 400),
        closed("POST", "/install-remix-file/acme", elsewhere(), 400, 400),
        closed("GET", "/v1/ws/acme/export", none(), 200, 200),
        closed("GET", "/ws-export/acme", none(), 200, 200),
        closed("POST", "/v1/ws/acme/export", elsewhere(), 400, 400),
        closed("GET", meta, none(), 200, 200),
        closed("GET", &format!("{meta}/movies"), none(), 200, 200),
        closed(
            "PUT",
            &format!("{meta}/movies"),
            json!({ "display_name": "Films" }),
            200,
            200,
        ),
        closed(
            "PUT",
            &format!("{meta}/fresh"),
            json!({ "display_name": "Fresh" }),
            201,
            200,
        ),
        closed(
            "PATCH",
            &format!("{meta}/movies"),
            json!({ "settings": { "a": 1 } }),
            200,
            200,
        ),
        closed("GET", permissions, none(), 200, 200),
        closed("POST", permissions, about_x, 201, 200),
        closed("GET", &format!("{permissions}/{grant}"), none(), 200, 200),
        closed("POST", "/grant-permission/acme", makes_apps, 201, 200),
    ]
}

/// The app, its grants and its agents.
fn app_rows(app: &str, grant: &str) -> Vec<Row> {
    let none = || Value::Null;
    let agent = format!("{app}/agent/report");
    let to = |role: &str| json!({ "subject": "user/d@example.com", "role": role });
    let old = "/run-agent/acme/movies";
    vec![
        closed("GET", app, none(), 200, 200),
        closed("GET", "/ws/acme/movies", none(), 200, 200),
        closed("GET", &format!("{app}/appMeta.json"), none(), 200, 200),
        closed("GET", &format!("{app}/runtime.json"), none(), 404, 404),
        closed("GET", &format!("{app}/permissions"), none(), 200, 200),
        closed(
            "POST",
            &format!("{app}/permissions"),
            to("editor"),
            201,
            200,
        ),
        closed(
            "GET",
            &format!("{app}/permissions/{grant}"),
            none(),
            200,
            200,
        ),
        closed("GET", &agent, none(), 200, 200),
        closed("GET", &format!("{agent}/permissions"), none(), 200, 200),
        closed(
            "POST",
            &format!("{agent}/permissions"),
            to("runner"),
            201,
            200,
        ),
        closed(
            "GET",
            &format!("{agent}/permissions/{grant}"),
            none(),
            404,
            404,
        ),
        closed(
            "DELETE",
            &format!("{agent}/permissions/{grant}"),
            none(),
            404,
            404,
        ),
        closed("POST", &agent, none(), 200, 200),
        closed("GET", &format!("{agent}/run"), none(), 200, 200),
        closed("POST", &format!("{agent}/run"), none(), 200, 200),
        // Without the handshake of a session.
        closed("GET", &format!("{agent}/session"), none(), 400, 400),
        closed("GET", &format!("{old}/report"), none(), 200, 200),
        closed("POST", &format!("/v0{old}/report"), none(), 200, 200),
        closed("GET", &format!("{old}/agents/report"), none(), 200, 200),
        closed("POST", &format!("{old}/agents/report"), none(), 200, 200),
        // Links may be made to what is not there, and give no more than their maker may.
        open(
            "POST",
            &format!("{app}/link"),
            json!({ "endpoint": "agent/report" }),
            [401, 201, 201, 201],
        ),
    ]
}

/// Records and queries. `record`: the id of one that is there.
fn record_rows(app: &str, record: &str) -> Vec<Row> {
    let none = || Value::Null;
    let ones = "query=n%20%3D%3D%201";
    let text = || json!({ "query": "n == 1" });
    let named = json!({ "name": "old", "query": "n == 1" });
    vec![
        closed(
            "POST",
            &format!("{app}/documents"),
            json!({ "n": 3 }),
            201,
            201,
        ),
        closed(
            "GET",
            &format!("{app}/documents/{record}"),
            none(),
            200,
            200,
        ),
        closed(
            "GET",
            &format!("{app}/raw/{record}?data=text"),
            none(),
            200,
            200,
        ),
        closed(
            "POST",
            &format!("{app}/save"),
            json!({ "record": { "n": 4 } }),
            200,
            200,
        ),
        closed("GET", &format!("{app}/query?{ones}"), none(), 200, 200),
        closed("POST", &format!("{app}/query"), text(), 200, 200),
        closed(
            "GET",
            &format!("{app}/query/parse?{ones}"),
            none(),
            200,
            200,
        ),
        closed("POST", &format!("{app}/query/parse"), text(), 200, 200),
        // The name is taken.
        closed("PUT", &format!("{app}/query/parse"), text(), 400, 400),
        closed("PUT", &format!("{app}/query/ones"), text(), 201, 200),
        closed("GET", &format!("{app}/query/ones"), none(), 200, 200),
        closed("POST", &format!("{app}/query/ones"), none(), 200, 200),
        closed("DELETE", &format!("{app}/query/ones"), none(), 204, 404),
        closed("POST", "/query/acme/movies", named, 201, 200),
        closed("DELETE", "/query/acme/movies/old", none(), 204, 404),
        closed(
            "DELETE",
            &format!("{app}/documents/{record}"),
            none(),
            204,
            410,
        ),
        closed(
            "DELETE",
            &format!("{app}/documents?ids=%5B%5D"),
            none(),
            200,
            200,
        ),
        closed(
            "POST",
            &format!("{app}/modify"),
            json!({ "op": "compact" }),
            200,
            200,
        ),
    ]
}

/// Files.
fn file_rows(app: &str) -> Vec<Row> {
    let none = || Value::Null;
    let content = format!("{app}/file-manager/content");
    let props = format!("{app}/file-manager/props");
    let copy = format!("{app}/file-manager/copy");
    vec![
        closed(
            "PUT",
            &format!("{content}?path=/notes/a.txt"),
            none(),
            201,
            409,
        ),
        closed("GET", &format!("{content}?path=/notes/"), none(), 200, 200),
        closed(
            "GET",
            &format!("{content}?path=/notes/a.txt"),
            none(),
            200,
            200,
        ),
        // It takes forms only.
        closed("POST", &content, json!({ "path": "/x" }), 415, 415),
        closed("GET", &format!("{app}/files/notes/a.txt"), none(), 200, 200),
        closed(
            "GET",
            &format!("{props}?path=/notes/a.txt"),
            none(),
            200,
            200,
        ),
        closed(
            "POST",
            &format!("{copy}?src=/notes/a.txt&path=/notes/b.txt"),
            none(),
            201,
            409,
        ),
        closed(
            "PATCH",
            &format!("{props}?path=/notes/b.txt&change_path=/notes/c.txt"),
            none(),
            200,
            404,
        ),
        closed(
            "DELETE",
            &format!("{content}?path=/notes/c.txt"),
            none(),
            204,
            404,
        ),
        closed(
            "POST",
            &format!("{app}/file-manager/register"),
            json!({ "path": "/x" }),
            415,
            415,
        ),
    ]
}

/// What takes something away for good.
fn last_rows(app: &str, grant: &str) -> Vec<Row> {
    let none = || Value::Null;
    let notes = "/v1/ws/acme/app/notes";
    vec![
        closed(
            "DELETE",
            &format!("{app}/permissions/{grant}"),
            none(),
            204,
            404,
        ),
        closed(
            "DELETE",
            &format!("/v1/ws/acme/permissions/{grant}"),
            none(),
            404,
            404,
        ),
        closed("POST", notes, json!({ "display_name": "Notes" }), 201, 409),
        closed("DELETE", notes, none(), 204, 404),
        closed("DELETE", "/ws/acme/fresh", none(), 204, 404),
        closed("DELETE", "/v1/ws/acme", none(), 204, 404),
        // Now it is there for nobody, and only an administrator is told so.
        closed("DELETE", "/ws/acme", none(), 403, 404),
    ]
}

/// Whether a path is one of a template such as `/v1/ws/{ws}`, and how many of its parts are words.
fn fits(template: &str, path: &str) -> Option<usize> {
    let path = path.split('?').next().unwrap_or_default();
    let mut parts = path.split('/');
    let mut words = 0;
    for wanted in template.split('/') {
        match (wanted, parts.next()?) {
            ("{path}", _) => return Some(words),
            (wanted, _) if wanted.starts_with('{') => {}
            (wanted, found) if wanted == found => words += 1,
            _ => return None,
        }
    }
    parts.next().is_none().then_some(words)
}

#[test]
fn every_endpoint_asks_who_it_is() {
    let site = Site::start(&[]);
    site.furnish();
    let grant = site.grant(OWNER, "user/bob@example.com", "runner", "db/movies");
    let app = "/v1/ws/acme/app/movies";
    let saved = json!({ "n": 1, "text": "one" });
    let saved = site.send(OWNER, "POST", &format!("{app}/documents"), Some(&saved));
    let record = String::from_utf8(saved.body).expect("an id");
    let config = json!({ "type": "oauth", "name": "corp", "client_id": "c", "auth_url": "https://login.example.com/" });
    let config = site.expect(OWNER, "POST", "/v1/ws/acme/auth-configs", config, 201);
    let config = config["id"].as_str().expect("an id");
    let tables = [
        server_rows(),
        sign_in_rows(config),
        workspace_rows(&grant),
        app_rows(app, &grant),
        record_rows(app, &record),
        file_rows(app),
        last_rows(app, &grant),
    ];
    let rows: Vec<Row> = tables.into_iter().flatten().collect();

    let described = site
        .server
        .send("GET", "/v1/_doc/openapi.json", &[], None)
        .json();
    let paths = described["paths"].as_object().expect("paths");
    let mut missing = BTreeSet::new();
    for (template, item) in paths {
        for method in item.as_object().expect("methods").keys() {
            if method != "parameters" && !template.starts_with("/v0/") {
                missing.insert((method.to_uppercase(), template.as_str()));
            }
        }
    }
    for row in &rows {
        let path = row.path.strip_prefix("/v0").unwrap_or(&row.path);
        let best = paths
            .keys()
            .filter_map(|template| Some((fits(template, path)?, template)));
        let (_, template) = best
            .max()
            .unwrap_or_else(|| panic!("{path} is described nowhere"));
        let method = if row.method == "HEAD" {
            "GET"
        } else {
            row.method
        };
        missing.remove(&(method.to_owned(), template.as_str()));
    }
    assert!(missing.is_empty(), "not in the table: {missing:?}");

    for row in rows {
        let (method, path) = (row.method, &row.path);
        let body = Some(&row.body).filter(|body| !body.is_null());
        for (user, status) in CALLERS.into_iter().zip(row.statuses) {
            let answer = site.send(user, method, path, body);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(answer.status, status, "{user:?} {method} {path}: {text}");
            if status == 401 {
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
            if row.tells && status == 401 {
                assert_eq!(answer.code(), "unauthenticated", "{method} {path}");
            }
            if row.tells && status == 403 {
                assert_eq!(answer.code(), "forbidden", "{method} {path}");
                let details = answer.json()["error"]["details"].clone();
                assert!(details["permission"].is_string(), "{method} {path}: {text}");
            }
        }
    }
}
