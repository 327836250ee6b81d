//! The head of a request.

/// Method, target and headers of a request, as received.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query, still percent-encoded: `/v1/health?x=1`.
    pub target: String,
    /// Header names in lower case, values as text (Latin-1 bytes mapped to characters).
    pub headers: Vec<(String, String)>,
    /// Value of `Host` or `:authority`, if the driver has it apart from the headers.
    pub authority: Option<String>,
}

impl Head {
    /// First header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Number of headers of that lower-case name.
    pub fn header_count(&self, name: &str) -> usize {
        self.headers
            .iter()
            .filter(|(found, _)| found == name)
            .count()
    }

    /// Host that is asked, with its port if that is said.
    pub fn host(&self) -> &str {
        let authority = self.authority.as_deref();
        authority.or(self.header("host")).unwrap_or("")
    }

    /// Path without the query.
    pub fn path(&self) -> &str {
        let end = self.target.find(['?', '#']).unwrap_or(self.target.len());
        &self.target[..end]
    }

    /// Query without the `?`, empty without one.
    pub fn query(&self) -> &str {
        let rest = match self.target.split_once('?') {
            Some((_, rest)) => rest,
            None => "",
        };
        rest.split('#').next().unwrap_or("")
    }

    /// True for HEAD, which is answered as GET without a body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The method used for routing: HEAD counts as GET.
    pub fn routed_method(&self) -> &str {
        if self.is_head() { "GET" } else { &self.method }
    }

    /// Media type of the body in lower case without parameters.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        let name = value.split(';').next().unwrap_or("").trim();
        if name.is_empty() {
            return None;
        }
        Some(name.to_ascii_lowercase())
    }

    /// A parameter of the media type, unquoted.
    pub fn media_parameter(&self, name: &str) -> Option<String> {
        let value = self.header("content-type")?;
        value.split(';').skip(1).find_map(|part| {
            let (key, text) = part.split_once('=')?;
            if !key.trim().eq_ignore_ascii_case(name) {
                return None;
            }
            Some(text.trim().trim_matches('"').to_owned())
        })
    }
}

/// The host of an authority, in lower-case letters; that of IPv6 keeps its brackets.
pub(crate) fn without_port(authority: &str) -> String {
    let end = match authority.find(']') {
        Some(end) if authority.starts_with('[') => end + 1,
        _ => authority.find(':').unwrap_or(authority.len()),
    };
    authority[..end].to_ascii_lowercase()
}
