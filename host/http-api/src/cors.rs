//! Cross-origin requests.

use crate::access::Access;
use crate::head::Head;
use crate::plan::Settings;

const EXPOSED: &str = "X-Request-Id, ETag, Location, Retry-After, Content-Range";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Accept, X-Requested-With, X-Request-Id, Last-Event-ID, \
                       If-Match, If-None-Match, If-Range, Range, Mcp-Session-Id, Mcp-Protocol-Version";

/// Headers for the response to a request from another origin; none that allow anything if that origin is not allowed.
pub(crate) fn headers(settings: &Settings, head: &Head) -> Vec<(&'static str, String)> {
    // While records need no token, a page of any site could read them through the
    // operator's browser: then only origins that are named count.
    let open = settings.access == Access::Open { records: true };
    let any = !open && settings.cors_origins.iter().any(|allowed| allowed == "*");
    let mut headers = Vec::new();
    if !any && settings.cors_origins.iter().any(|named| named != "*") {
        // Whoever keeps the response of a page that may not read it shall not give it to one that may, nor the other way.
        headers.push(("vary", "Origin".to_owned()));
    }
    let Some(origin) = head.header("origin") else {
        return headers;
    };
    // No page has the origin `*`: it is none that is named.
    let is_named = || origin != "*" && settings.cors_origins.iter().any(|named| named == origin);
    if any {
        headers.push(("access-control-allow-origin", "*".to_owned()));
    } else if is_named() {
        headers.push(("access-control-allow-origin", origin.to_owned()));
    } else {
        return headers;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn varies(named: &[&str], origin: Option<&str>) -> (bool, bool) {
        varies_for(Access::Identity, named, origin)
    }

    fn varies_for(access: Access, named: &[&str], origin: Option<&str>) -> (bool, bool) {
        let settings = Settings {
            access,
            cors_origins: named.iter().map(|name| (*name).to_owned()).collect(),
            ..Settings::default()
        };
        let header = |origin: &str| ("origin".to_owned(), origin.to_owned());
        let head = Head {
            headers: origin.into_iter().map(header).collect(),
            ..Head::default()
        };
        let headers = headers(&settings, &head);
        let has = |wanted| headers.iter().any(|(name, _)| *name == wanted);
        (has("vary"), has("access-control-allow-origin"))
    }

    #[test]
    fn what_caches_keep_depends_on_the_origin_where_origins_are_named() {
        let (own, other) = ("https://app.example.com", "https://evil.example.com");
        assert_eq!(varies(&[own], Some(own)), (true, true));
        assert_eq!(varies(&[own], Some(other)), (true, false));
        // A page that asks without an origin may be the first one.
        assert_eq!(varies(&[own], None), (true, false));
        assert_eq!(varies(&["*"], Some(other)), (false, true));
        assert_eq!(varies(&["*"], None), (false, false));
        // What is kept of a request that is none of a page allows nothing to pages.
        let open = Access::Open { records: true };
        assert_eq!(varies_for(open, &["*"], Some("*")), (false, false));
    }
}
