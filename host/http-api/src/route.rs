//! How a path finds its place in the route table.

mod table;

use crate::error::ApiError;
use crate::form::percent_decode;
use crate::names;
use crate::topic::Topic;
pub use table::Action;
pub(crate) use table::{Resource, TABLE, TABLE_V0};

/// A resource with the names of its path; those that the path lacks are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What the method does here.
    pub action: Action,
    /// Pattern for logs, without the names.
    pub pattern: &'static str,
    /// Workspace.
    pub ws: String,
    /// App.
    pub app: String,
    /// Agent, or registered query.
    pub name: String,
    /// Id of a record, grant, signal or link; a ticket.
    pub id: String,
    /// Path of a file, with a leading `/`.
    pub path: String,
    /// What is subscribed to.
    pub topic: Option<Topic>,
    /// Reached by a path of version 0.
    pub v0: bool,
}

/// Finds the route of a method on a raw path.
pub(crate) fn find(method: &str, path: &str) -> Result<Route, ApiError> {
    let segments = segments(path)?;
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (table, parts, v0) = match parts.as_slice() {
        ["v1", ..] | [] => (TABLE, &parts[..], false),
        ["v0", rest @ ..] => (TABLE_V0, rest, true),
        all => (TABLE_V0, all, true),
    };
    let Some(resource) = table.iter().find(|resource| fits(resource.pattern, parts)) else {
        return Err(if segments.first().is_some_and(|first| first == "v0") {
            retired(parts)
        } else {
            no_such_route()
        });
    };
    let mut names = names_of(resource.pattern, parts)?;
    let Some((_, action)) = resource.methods.iter().find(|(name, _)| *name == method) else {
        return Err(wrong_method(method, resource));
    };
    if *action == Action::Subscribe {
        names.topic = Some(Topic::parse(&names.path)?);
    }
    Ok(Route {
        action: *action,
        pattern: resource.pattern,
        v0,
        ..names
    })
}

/// Whether a raw path is one of version 0, whatever else is right or wrong with it.
pub(crate) fn is_v0(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    let Some(first) = first.filter(|first| !first.is_empty()) else {
        return false;
    };
    let begins_so = |resource: &Resource| resource.pattern.split('/').nth(1) == Some(first);
    first == "v0" || TABLE_V0.iter().any(begins_so)
}

/// 404.
pub(crate) fn no_such_route() -> ApiError {
    ApiError::new(404, "no_such_route", "this server has no such path")
}

fn wrong_method(method: &str, resource: &Resource) -> ApiError {
    let mut allow: Vec<&str> = resource.methods.iter().map(|(name, _)| *name).collect();
    if allow.contains(&"GET") {
        allow.insert(1, "HEAD");
    }
    let mut error = ApiError::new(
        405,
        "method_not_allowed",
        format!("this resource has no {method}"),
    );
    error.headers.push(("allow", allow.join(", ")));
    error
}

/// What used to be there, and where its purpose is served now.
fn retired(parts: &[&str]) -> ApiError {
    let in_v1: Vec<&str> = std::iter::once("v1").chain(parts.iter().copied()).collect();
    let replacement = match parts.first().copied() {
        Some("ws-clone") => Some("/v1/ws/{ws}/export and /v1/ws-import"),
        _ => TABLE
            .iter()
            .map(|resource| resource.pattern)
            .find(|pattern| fits(pattern, &in_v1)),
    };
    let error = ApiError::new(410, "retired", "this path is retired");
    match replacement {
        Some(path) => error.with_detail(
            "replacement",
            mix_value::Value::String(std::sync::Arc::from(path)),
        ),
        None => error,
    }
}

/// Stands for one segment or more.
const REST: &str = "{path..}";

fn fits(pattern: &str, parts: &[&str]) -> bool {
    let mut wanted = pattern.split('/').filter(|part| !part.is_empty());
    let mut found = parts.iter();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(REST), Some(_)) => return true,
            (Some(wanted), Some(found)) if wanted.starts_with('{') || wanted == *found => {}
            _ => return false,
        }
    }
}

/// The names in a path that fits, each checked by its pattern.
fn names_of(pattern: &'static str, parts: &[&str]) -> Result<Route, ApiError> {
    let mut route = Route {
        action: Action::Root,
        pattern,
        ws: String::new(),
        app: String::new(),
        name: String::new(),
        id: String::new(),
        path: String::new(),
        topic: None,
        v0: false,
    };
    let wanted = pattern.split('/').filter(|part| !part.is_empty());
    for (number, (wanted, found)) in wanted.zip(parts).enumerate() {
        if wanted == REST {
            route.path = format!("/{}", parts[number..].join("/"));
            break;
        }
        let (slot, valid, kind) = match wanted {
            "{ws}" => (&mut route.ws, names::is_workspace_name(found), "workspace"),
            "{app}" => (&mut route.app, names::is_app_name(found), "app"),
            "{agent}" => (&mut route.name, names::is_agent_name(found), "agent"),
            "{name}" => (&mut route.name, names::is_agent_name(found), "query"),
            "{id}" if names::is_record_id(found) => (&mut route.id, true, ""),
            "{id}" => {
                return Err(ApiError::new(
                    400,
                    "bad_id",
                    "an id has 32 letters and digits",
                ));
            }
            _ => continue,
        };
        if !valid {
            return Err(ApiError::bad_name(kind));
        }
        *slot = (*found).to_owned();
    }
    if names::is_hidden_app(&route.app) {
        return Err(ApiError::no_such_app());
    }
    Ok(route)
}

/// Decoded segments; one trailing slash is ignored.
fn segments(path: &str) -> Result<Vec<String>, ApiError> {
    let bad = || ApiError::new(400, "bad_path", "malformed path");
    let inner = path.strip_prefix('/').ok_or_else(bad)?;
    let subscribes = ["v1/subscribe/", "v0/subscribe/", "subscribe/"]
        .iter()
        .any(|prefix| inner.starts_with(prefix));
    if subscribes && (inner.ends_with('/') || inner.contains("//")) {
        let message = "a topic has no empty parts";
        return Err(ApiError::new(400, "bad_topic", message));
    }
    // Below `files/` of an app it would be another name.
    let is_file = inner.split('/').nth(5) == Some("files");
    let inner = match inner.strip_suffix('/') {
        Some(shorter) if !is_file => shorter,
        _ => inner,
    };
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    inner
        .split('/')
        .map(|raw| {
            let text = percent_decode(raw, false).ok_or_else(bad)?;
            // A decoded slash is a separator to somebody further down.
            let refused =
                text.is_empty() || text == "." || text == ".." || text.contains(['\0', '/', '\\']);
            if refused { Err(bad()) } else { Ok(text) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str) -> &'static str {
        find("GET", path).expect_err("must be refused").code
    }

    #[test]
    fn agents_are_found_on_both_paths() {
        let new = find("GET", "/v1/ws/local/app/movies/agent/main/run").expect("v1 path");
        for old in [
            "/run-agent/local/movies/main",
            "/v0/run-agent/local/movies/agents/main/",
        ] {
            let found = find("GET", old).expect("v0 path");
            assert_eq!(
                (found.action, &found.ws, &found.app, &found.name),
                (new.action, &new.ws, &new.app, &new.name)
            );
            assert!(found.v0);
        }
    }

    #[test]
    fn a_slash_at_the_end_counts_below_files_only() {
        for path in [
            "/v1/ws/",
            "/v1/ws/acme/app/files/",
            "/v1/ws/files/app/demo/",
        ] {
            assert!(find("GET", path).is_ok(), "{path}");
        }
        assert_eq!(code("/v1/ws/acme/app/demo/files/a/"), "bad_path");
        assert_eq!(code("/v1/ws/acme/app/demo/query//"), "bad_path");
    }

    #[test]
    fn what_is_retired_names_what_is_there_instead() {
        for (path, replacement) in [
            ("/v0/ws-clone", Some("/v1/ws/{ws}/export and /v1/ws-import")),
            ("/v0/health", Some("/v1/health")),
            (
                "/v0/ws/local/app/movies/documents",
                Some("/v1/ws/{ws}/app/{app}/documents"),
            ),
            ("/v0/remixgen", None),
        ] {
            let error = find("GET", path).expect_err("retired");
            assert_eq!((error.status, error.code), (410, "retired"), "{path}");
            let named = error.details.get("replacement");
            assert_eq!(
                named.and_then(mix_value::Value::as_str),
                replacement,
                "{path}"
            );
        }
    }

    #[test]
    fn paths_of_version_0_are_known_whatever_is_wrong_with_them() {
        for path in [
            "/v0/ws-clone",
            "/v0",
            "/run-agent/a b",
            "/ws",
            "/ws/a.b",
            "/flush",
        ] {
            assert!(is_v0(path), "{path}");
        }
        for path in ["/", "", "/v1/ws", "/wsx", "/favicon.ico"] {
            assert!(!is_v0(path), "{path}");
        }
    }

    #[test]
    fn bad_paths_have_codes() {
        assert_eq!(code("/v1/nothing"), "no_such_route");
        assert_eq!(code("/v0/ws-clone"), "retired");
        assert_eq!(code("/run-agent/local/movies/%2e%2e%2f"), "bad_path");
        assert_eq!(code("/run-agent/local/movies/%00"), "bad_path");
        assert_eq!(code("/run-agent/local//main"), "bad_path");
        assert_eq!(code("/run-agent/lo.cal/movies/main"), "bad_name");
        assert_eq!(code("/run-agent/local/movies/9main"), "bad_name");
        assert_eq!(code("/v1/ws/local/app/_rmx_admin/query"), "no_such_app");
        assert_eq!(code("/v1/ws/local/app/movies/documents/short"), "bad_id");
        assert_eq!(
            code("/v1/ws/local/app/movies/documents"),
            "method_not_allowed"
        );
    }

    /// Whatever stands in the place of whichever part of a path: no name and no path that is found leads
    /// anywhere but to itself.
    #[test]
    fn no_part_of_any_path_leads_elsewhere() {
        let hostile = [
            "..",
            ".",
            "%2e%2e",
            "%2E.",
            "..%2f",
            "..%2Fetc",
            "a%2fb",
            "%2f",
            "%00",
            "a%00",
            "..%5c",
            "a%5Cb",
            "a\\b",
            "%c0%ae%c0%ae",
            "%e0%80%ae",
            "%",
            "%2",
            "%zz",
            "%ff",
            "",
            "%0d%0aset-cookie:x",
            "~",
            "a b",
            "%252e%252e%252f",
            "....",
            "con",
            "a:b",
            "%u002e",
        ];
        let (mut tried, mut found_some) = (0, 0);
        for (prefix, table) in [("", TABLE), ("", TABLE_V0), ("/v0", TABLE_V0)] {
            for resource in table {
                let parts: Vec<&str> = resource.pattern.split('/').skip(1).collect();
                for place in (0..parts.len()).filter(|place| parts[*place].starts_with('{')) {
                    for text in hostile {
                        let filled: Vec<String> = parts
                            .iter()
                            .enumerate()
                            .map(|(at, part)| match *part {
                                _ if at == place => text.to_owned(),
                                "{id}" => "0".repeat(32),
                                part if part.starts_with('{') => "demo".to_owned(),
                                part => part.to_owned(),
                            })
                            .collect();
                        let path = format!("{prefix}/{}", filled.join("/"));
                        for (method, _) in resource.methods {
                            tried += 1;
                            let route = match find(method, &path) {
                                Ok(route) => route,
                                Err(error) => {
                                    assert!(
                                        matches!(error.status, 400 | 404 | 405 | 410),
                                        "{path}"
                                    );
                                    continue;
                                }
                            };
                            found_some += 1;
                            for name in [&route.ws, &route.app, &route.name, &route.id] {
                                let is_plain = name.bytes().all(|byte| {
                                    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
                                });
                                assert!(
                                    is_plain && name != "." && name != "..",
                                    "{path}: {name:?}"
                                );
                            }
                            let goes_up =
                                route.path.split('/').any(|part| matches!(part, "." | ".."));
                            assert!(!goes_up && !route.path.contains(['\0', '\\']), "{path}");
                        }
                    }
                }
            }
        }
        assert!(tried > 3000 && found_some > 0, "{tried} {found_some}");
    }

    #[test]
    fn no_path_is_shadowed_by_an_earlier_one() {
        for table in [TABLE, TABLE_V0] {
            for (index, resource) in table.iter().enumerate() {
                let parts: Vec<&str> = resource
                    .pattern
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .collect();
                let first = table.iter().position(|other| fits(other.pattern, &parts));
                assert_eq!(first, Some(index), "{}", resource.pattern);
            }
        }
    }
}
