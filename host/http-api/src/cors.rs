//! Cross-origin requests.

use crate::access::Access;
use crate::head::Head;
use crate::plan::Settings;

const EXPOSED: &str = "X-Request-Id, ETag, Location, Retry-After, Content-Range";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Accept, X-Requested-With, X-Request-Id, Last-Event-ID, \
                       If-Match, If-None-Match, If-Range, Range, Mcp-Session-Id, Mcp-Protocol-Version";

/// Headers for the response to a request from another origin; none if that origin is not allowed.
pub(crate) fn headers(settings: &Settings, head: &Head) -> Vec<(&'static str, String)> {
    let Some(origin) = head.header("origin") else {
        return Vec::new();
    };
    // While records need no token, a page of any site could read them through the
    // operator's browser: then only origins that are named count.
    let open = settings.access == Access::Open { records: true };
    let any = !open && settings.cors_origins.iter().any(|allowed| allowed == "*");
    if !any
        && !settings
            .cors_origins
            .iter()
            .any(|allowed| allowed == origin)
    {
        return Vec::new();
    }
    let mut headers = Vec::new();
    if any {
        headers.push(("access-control-allow-origin", "*".to_owned()));
    } else {
        headers.push(("access-control-allow-origin", origin.to_owned()));
        headers.push(("vary", "Origin".to_owned()));
    }
    if is_preflight(head) {
        headers.push(("access-control-allow-methods", METHODS.to_owned()));
        headers.push(("access-control-allow-headers", HEADERS.to_owned()));
        headers.push(("access-control-max-age", "600".to_owned()));
    } else {
        headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
    }
    headers
}

/// True for the question that a browser asks before a request.
pub(crate) fn is_preflight(head: &Head) -> bool {
    head.method == "OPTIONS"
        && head.header("origin").is_some()
        && head.header("access-control-request-method").is_some()
}
