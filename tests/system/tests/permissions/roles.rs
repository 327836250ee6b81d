//! Every role on every kind of resource, against what each endpoint asks for: the request is decided
//! as the role says, and nobody has more or less.

use super::*;

/// Users, each with one grant in the workspace: a name, the role, the resource.
const HOLDERS: [(&str, &str, &str); 9] = [
    ("runs-agent", "runner", "agent/movies/report"),
    ("runs-app", "runner", "db/movies"),
    ("edits-app", "editor", "db/movies"),
    ("rules-app", "admin", "db/movies"),
    ("rules-other", "admin", "db/other"),
    ("runs-all", "runner", "workspace"),
    ("edits-all", "editor", "workspace"),
    ("rules-all", "admin", "workspace"),
    ("places", "db/creator", "workspace"),
];

const NOBODY: &[&str] = &[];
const ADMINS: &[&str] = &["rules-all"];
const EXPORT: &[&str] = &["edits-all", "rules-all"];
const CREATE: &[&str] = &["rules-all", "places"];
const RUN_APP: &[&str] = &[
    "runs-app",
    "edits-app",
    "rules-app",
    "runs-all",
    "edits-all",
    "rules-all",
];
const RUN_AGENT: &[&str] = &[
    "runs-agent",
    "runs-app",
    "edits-app",
    "rules-app",
    "runs-all",
    "edits-all",
    "rules-all",
];
/// `read` and `write` come together.
const EDIT_APP: &[&str] = &["edits-app", "rules-app", "edits-all", "rules-all"];
const RULE_APP: &[&str] = &["rules-app", "rules-all"];
const ANY: &[&str] = &[
    "runs-agent",
    "runs-app",
    "edits-app",
    "rules-app",
    "rules-other",
    "runs-all",
    "edits-all",
    "rules-all",
    "places",
];
/// A grant that reaches something of the app, whatever it gives.
const ANY_OF_APP: &[&str] = &[
    "runs-agent",
    "runs-app",
    "edits-app",
    "rules-app",
    "runs-all",
    "edits-all",
    "rules-all",
    "places",
];

/// Method, path, body, and who may. Nothing is changed that another row needs.
fn rows() -> Vec<(&'static str, &'static str, Value, &'static [&'static str])> {
    let none = || Value::Null;
    let runner = || json!({ "subject": "user/q@example.com", "role": "runner" });
    let all = json!({ "subject": "user/q@example.com", "role": "admin", "resource": "workspace" });
    vec![
        ("GET", "", none(), ANY),
        ("PATCH", "", json!({ "org": "x" }), NOBODY),
        ("DELETE", "", none(), NOBODY),
        ("POST", "/flush", none(), ADMINS),
        ("POST", "/install", json!({ "url": 1 }), ADMINS),
        ("GET", "/export", none(), EXPORT),
        ("POST", "/export", json!({ "url": 1 }), EXPORT),
        ("POST", "/activities/count", json!({}), ADMINS),
        ("GET", "/appmeta", none(), ANY),
        ("GET", "/permissions", none(), ADMINS),
        ("POST", "/permissions", runner(), ADMINS),
        ("GET", "/auth-configs", none(), ANY),
        ("POST", "/auth-configs", json!({}), ADMINS),
        (
            "POST",
            "/mcp",
            json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
            ANY,
        ),
        ("POST", "/app/movies", json!({}), CREATE),
        (
            "PUT",
            "/appmeta/absent",
            json!({ "name": "another" }),
            CREATE,
        ),
        ("GET", "/appmeta/movies", none(), EDIT_APP),
        (
            "PUT",
            "/appmeta/movies",
            json!({ "name": "another" }),
            EDIT_APP,
        ),
        (
            "PATCH",
            "/appmeta/movies",
            json!({ "name": "another" }),
            EDIT_APP,
        ),
        ("DELETE", "/app/absent", none(), ADMINS),
        ("GET", "/app/movies", none(), ANY_OF_APP),
        ("GET", "/app/movies/appMeta.json", none(), RUN_APP),
        ("GET", "/app/movies/runtime.json", none(), RUN_APP),
        ("GET", "/app/movies/agent/report", none(), RUN_AGENT),
        ("GET", "/app/movies/agent/report/run", none(), RUN_AGENT),
        ("POST", "/app/movies/agent/report", json!({}), RUN_AGENT),
        ("GET", "/app/movies/agent/another/run", none(), RUN_APP),
        ("GET", "/app/movies/query/another", none(), RUN_APP),
        ("GET", "/app/movies/permissions", none(), RULE_APP),
        ("POST", "/app/movies/permissions", runner(), RULE_APP),
        // Nobody gives what lies outside of the path.
        ("POST", "/app/movies/permissions", all, RULE_APP),
        (
            "GET",
            "/app/movies/agent/report/permissions",
            none(),
            RULE_APP,
        ),
        ("POST", "/app/movies/documents", json!([]), EDIT_APP),
        ("DELETE", "/app/movies/documents?ids=[]", none(), EDIT_APP),
        (
            "POST",
            "/app/movies/save",
            json!({ "records": [] }),
            EDIT_APP,
        ),
        (
            "POST",
            "/app/movies/query",
            json!({ "query": "a == 1" }),
            EDIT_APP,
        ),
        ("GET", "/app/movies/query/parse?query=a", none(), EDIT_APP),
        ("PUT", "/app/movies/query/new", json!({}), EDIT_APP),
        ("DELETE", "/app/movies/query/none", none(), EDIT_APP),
        (
            "POST",
            "/app/movies/modify",
            json!({ "op": "flush" }),
            RULE_APP,
        ),
        ("GET", "/app/movies/files/none.txt", none(), EDIT_APP),
        (
            "GET",
            "/app/movies/file-manager/content?path=/",
            none(),
            EDIT_APP,
        ),
        (
            "PUT",
            "/app/movies/file-manager/content?path=/a&force=1",
            none(),
            EDIT_APP,
        ),
        (
            "PUT",
            "/app/movies/file-manager/content?path=/code/a&force=1",
            none(),
            RULE_APP,
        ),
        (
            "DELETE",
            "/app/movies/file-manager/content?path=/none",
            none(),
            EDIT_APP,
        ),
        (
            "DELETE",
            "/app/movies/file-manager/content?path=/code/none",
            none(),
            RULE_APP,
        ),
        (
            "PATCH",
            "/app/movies/file-manager/props?path=/a&change_path=/code/b",
            none(),
            RULE_APP,
        ),
        (
            "POST",
            "/app/movies/file-manager/copy?src=/none&path=/b",
            none(),
            EDIT_APP,
        ),
        // Of the other app it needs to be read as well.
        (
            "POST",
            "/app/movies/file-manager/copy?src=/none&src_app=other&path=/b",
            none(),
            EXPORT,
        ),
        (
            "POST",
            "/app/movies/file-manager/register",
            none(),
            EDIT_APP,
        ),
        ("GET", "/app/_rmx_logging", none(), ADMINS),
        (
            "POST",
            "/app/_rmx_logging/query",
            json!({ "query": "a == 1" }),
            ADMINS,
        ),
        ("POST", "/app/_rmx_logging/documents", json!({}), NOBODY),
        (
            "POST",
            "/app/_rmx_logging/link",
            json!({ "endpoint": "query/x" }),
            NOBODY,
        ),
        ("DELETE", "/app/_rmx_logging", none(), NOBODY),
    ]
}

#[test]
fn each_role_gives_what_it_says_at_every_endpoint() {
    let site = Site::start(&[]);
    site.furnish();
    for (user, role, resource) in HOLDERS {
        site.grant(OWNER, &format!("user/{user}@example.org"), role, resource);
    }
    for (method, path, body, allowed) in rows() {
        let path = format!("/v1/ws/acme{path}");
        let body = Some(&body).filter(|body| !body.is_null());
        for (user, ..) in HOLDERS {
            let answer = site.send(&format!("{user}@example.org"), method, &path, body);
            let may = !matches!(answer.status, 401 | 403);
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(
                may,
                allowed.contains(&user),
                "{user} {method} {path}: {text}"
            );
        }
    }
}
