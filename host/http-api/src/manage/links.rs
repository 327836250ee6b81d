//! Requests for links.

use super::Job;
use crate::body::{object, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::head::Head;
use crate::route::{self, Action, Route};
use mix_value::Value;

/// Longest path of an endpoint.
const LONGEST: usize = 4096;

/// `{endpoint, expires?}`
pub(super) fn create(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    refuse_unknown(&members, &["endpoint", "expires"])?;
    let endpoint = take_text(&mut members, "endpoint")?
        .ok_or_else(|| ApiError::bad_param("endpoint is missing"))?;
    let endpoint = endpoint.strip_prefix('/').unwrap_or(&endpoint).to_owned();
    if !is_linkable(&route.ws, &route.app, &endpoint) {
        return Err(ApiError::bad_param(
            "endpoint must be a path below the app: agent/…, query/…, documents/… or files/…",
        ));
    }
    let expires = members.remove("expires");
    Ok(Job::CreateLink {
        endpoint,
        expires: expires.filter(|time| !matches!(time, Value::Null)),
    })
}

/// Whether a link may lead to a path below an app.
pub fn is_linkable(ws: &str, app: &str, endpoint: &str) -> bool {
    if endpoint.len() > LONGEST || endpoint.contains(['?', '#']) {
        return false;
    }
    let path = format!("/v1/ws/{ws}/app/{app}/{endpoint}");
    let found = route::find("GET", &path).map(|route| route.action);
    matches!(
        found,
        Ok(Action::DescribeAgent
            | Action::RunAgent
            | Action::RunQuery
            | Action::GetDocument
            | Action::GetFile)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_what_is_read_or_run() {
        for endpoint in [
            "agent/report/run",
            "agent/report",
            "query/best",
            "documents/00000000000000000000000000000abc",
            "files/a/b%20c.txt",
        ] {
            assert!(is_linkable("w", "demo", endpoint), "{endpoint}");
        }
        for endpoint in [
            "",
            "query",
            "query/parse",
            "documents",
            "save",
            "permissions",
            "agent/report/permissions",
            "agent/report/session",
            "file-manager/content",
            "files/../../other/files/x",
            "files/%2e%2e/x",
            "agent/report/run?x=1",
            "../../../ws",
            "documents/short",
        ] {
            assert!(!is_linkable("w", "demo", endpoint), "{endpoint}");
        }
    }
}
