//! The route table.

use crate::error::ApiError;
use crate::form::percent_decode;
use crate::names;

/// What a caller needs to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing.
    None,
    /// Run the agent.
    Run,
    /// Read the app's records.
    Read,
    /// Write the app's records.
    Write,
}

/// A known resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Root,
    /// `/v1/health`
    Health,
    /// `/v1/health/ready`
    Ready,
    /// An agent: run it (`run` true: the sub-resource that only runs).
    Agent {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
        /// Agent.
        agent: String,
        /// GET runs it too.
        run: bool,
    },
    /// `A/documents`
    Documents {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
    },
    /// `A/documents/{id}`
    Document {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
        /// Id or revision.
        id: String,
    },
    /// `A/save`
    Save {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
    },
    /// `A/query`
    Query {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
    },
    /// `A/query/parse`
    QueryParse {
        /// Workspace.
        ws: String,
        /// App.
        app: String,
    },
}

impl Route {
    /// Methods that the resource answers; GET includes HEAD.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Root | Route::Health | Route::Ready => &["GET"],
            Route::Agent { run: true, .. } => &["GET", "POST"],
            Route::Agent { run: false, .. } => &["POST"],
            Route::Documents { .. } => &["POST", "DELETE"],
            Route::Document { .. } => &["GET", "DELETE"],
            Route::Save { .. } => &["POST"],
            Route::Query { .. } | Route::QueryParse { .. } => &["GET", "POST"],
        }
    }

    /// What the method needs here.
    pub fn permission(&self, method: &str) -> Permission {
        match self {
            Route::Root | Route::Health | Route::Ready => Permission::None,
            Route::Agent { .. } => Permission::Run,
            Route::Documents { .. } | Route::Save { .. } => Permission::Write,
            Route::Document { .. } if method == "DELETE" => Permission::Write,
            Route::Document { .. } | Route::Query { .. } | Route::QueryParse { .. } => {
                Permission::Read
            }
        }
    }

    /// Pattern for logs, without the names.
    pub fn pattern(&self) -> &'static str {
        match self {
            Route::Root => "/",
            Route::Health => "/v1/health",
            Route::Ready => "/v1/health/ready",
            Route::Agent { run: true, .. } => "/v1/ws/{ws}/app/{app}/agent/{agent}/run",
            Route::Agent { run: false, .. } => "/v1/ws/{ws}/app/{app}/agent/{agent}",
            Route::Documents { .. } => "/v1/ws/{ws}/app/{app}/documents",
            Route::Document { .. } => "/v1/ws/{ws}/app/{app}/documents/{id}",
            Route::Save { .. } => "/v1/ws/{ws}/app/{app}/save",
            Route::Query { .. } => "/v1/ws/{ws}/app/{app}/query",
            Route::QueryParse { .. } => "/v1/ws/{ws}/app/{app}/query/parse",
        }
    }
}

/// A route and how it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub route: Route,
    /// Reached by a path of v0.
    pub v0: bool,
}

/// Finds the route of a raw path.
pub(crate) fn find(path: &str) -> Result<Found, ApiError> {
    let segments = segments(path)?;
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => Ok(v1(Route::Root)),
        ["v1", rest @ ..] => find_v1(rest).map(v1),
        ["v0", rest @ ..] => {
            find_v0(rest)?.ok_or_else(|| ApiError::new(410, "retired", "this path is retired"))
        }
        rest => find_v0(rest)?.ok_or_else(no_such_route),
    }
}

fn v1(route: Route) -> Found {
    Found { route, v0: false }
}

fn no_such_route() -> ApiError {
    ApiError::new(404, "no_such_route", "this server has no such path")
}

/// Decoded segments; one trailing slash is ignored.
fn segments(path: &str) -> Result<Vec<String>, ApiError> {
    let bad = || ApiError::new(400, "bad_path", "malformed path");
    let inner = path.strip_prefix('/').ok_or_else(bad)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
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

fn find_v1(parts: &[&str]) -> Result<Route, ApiError> {
    match parts {
        ["health"] => Ok(Route::Health),
        ["health", "ready"] => Ok(Route::Ready),
        ["ws", ws, "app", app, rest @ ..] => {
            let known = matches!(
                rest,
                ["agent", _]
                    | ["agent", _, "run"]
                    | ["documents"]
                    | ["documents", _]
                    | ["save"]
                    | ["query"]
                    | ["query", "parse"]
            );
            if !known {
                return Err(no_such_route());
            }
            let (ws, app) = place(ws, app)?;
            match rest {
                ["agent", agent] => agent_route(ws, app, agent, false),
                ["agent", agent, "run"] => agent_route(ws, app, agent, true),
                ["documents"] => Ok(Route::Documents { ws, app }),
                ["documents", id] if names::is_record_id(id) => Ok(Route::Document {
                    ws,
                    app,
                    id: (*id).to_owned(),
                }),
                ["documents", _] => Err(ApiError::new(
                    400,
                    "bad_id",
                    "an id has 32 letters and digits",
                )),
                ["save"] => Ok(Route::Save { ws, app }),
                ["query"] => Ok(Route::Query { ws, app }),
                _ => Ok(Route::QueryParse { ws, app }),
            }
        }
        _ => Err(no_such_route()),
    }
}

/// Paths of v0, offered with and without the prefix. `None`: not one of them.
fn find_v0(parts: &[&str]) -> Result<Option<Found>, ApiError> {
    let (ws, app, agent) = match parts {
        ["run-agent", ws, app, agent] | ["run-agent", ws, app, "agents", agent] => (ws, app, agent),
        _ => return Ok(None),
    };
    let (ws, app) = place(ws, app)?;
    let route = agent_route(ws, app, agent, true)?;
    Ok(Some(Found { route, v0: true }))
}

fn agent_route(ws: String, app: String, agent: &str, run: bool) -> Result<Route, ApiError> {
    if !names::is_agent_name(agent) {
        return Err(ApiError::bad_name("agent"));
    }
    Ok(Route::Agent {
        ws,
        app,
        agent: agent.to_owned(),
        run,
    })
}

fn place(ws: &str, app: &str) -> Result<(String, String), ApiError> {
    if !names::is_workspace_name(ws) {
        return Err(ApiError::bad_name("workspace"));
    }
    if !names::is_app_name(app) {
        return Err(ApiError::bad_name("app"));
    }
    if names::is_hidden_app(app) {
        return Err(ApiError::new(404, "no_such_app", "no such app"));
    }
    Ok((ws.to_owned(), app.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str) -> &'static str {
        find(path).expect_err("must be refused").code
    }

    #[test]
    fn agents_are_found_on_both_paths() {
        let new = find("/v1/ws/local/app/movies/agent/main/run").expect("v1 path");
        for old in [
            "/run-agent/local/movies/main",
            "/v0/run-agent/local/movies/agents/main/",
        ] {
            let found = find(old).expect("v0 path");
            assert_eq!(found.route, new.route);
            assert!(found.v0);
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
    }
}
