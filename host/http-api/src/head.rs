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

    /// All headers of that lower-case name as one: HTTP/2 may part cookies.
    pub fn all(&self, name: &str, separator: &str) -> String {
        let found = self.headers.iter().filter(|(found, _)| found == name);
        let values: Vec<&str> = found.map(|(_, value)| value.as_str()).collect();
        values.join(separator)
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
        let found = parameters(self.header("content-type")?);
        let mut found = found.into_iter().filter(|(found, _)| found == name);
        found.next().map(|(_, text)| text)
    }
}

/// The parameters of a header value, `form-data; name="a;b"`: their names in lower case, their values without quotes.
pub(crate) fn parameters(value: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let (mut signs, mut is_quoted) = (value.chars().peekable(), false);
    while let Some(sign) = signs.next() {
        let sign = match sign {
            '"' => {
                is_quoted = !is_quoted;
                continue;
            }
            ';' if !is_quoted => {
                parts.push(String::new());
                continue;
            }
            // Before anything else it is a sign of a name, as in paths of some systems.
            '\\' if is_quoted => signs
                .next_if(|next| matches!(next, '"' | '\\'))
                .unwrap_or(sign),
            _ => sign,
        };
        if let Some(last) = parts.last_mut() {
            last.push(sign);
        }
    }
    let parts = parts.iter().skip(1).filter_map(|part| part.split_once('='));
    parts
        .map(|(name, text)| (name.trim().to_ascii_lowercase(), text.trim().to_owned()))
        .collect()
}

/// The host of an authority, in lower-case letters; that of IPv6 keeps its brackets.
pub(crate) fn without_port(authority: &str) -> String {
    let end = match authority.find(']') {
        Some(end) if authority.starts_with('[') => end + 1,
        _ => authority.find(':').unwrap_or(authority.len()),
    };
    authority[..end].to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_what_is_quoted() {
        let found = |value| parameters(value);
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            found(r#"form-data; name="a;b"; Filename="x \"y\" z=1.txt""#),
            [pair("name", "a;b"), pair("filename", r#"x "y" z=1.txt"#)]
        );
        assert_eq!(
            found(r#"x; f="C:\dir\a.txt";;y"#),
            [pair("f", r"C:\dir\a.txt")]
        );
        assert_eq!(found("application/json"), []);
        assert_eq!(
            found(r#"x; charset = "utf-8" "#),
            [pair("charset", "utf-8")]
        );
    }
}
