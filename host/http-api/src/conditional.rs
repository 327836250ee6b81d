//! Requests that depend on what the caller has already (RFC 9110, section 13).

use crate::error::ApiError;
use crate::head::Head;

/// Whether `If-None-Match` names the tag: what the caller has is still right. The comparison is the
/// weak one, for caches on the way turn strong tags into weak ones.
pub(crate) fn is_known(if_none_match: Option<&str>, tag: &str) -> bool {
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let mut known = if_none_match.unwrap_or_default().split(',').map(str::trim);
    known.any(|one| one == "*" || strong(one) == strong(tag))
}

/// The range that is asked for, unless `If-Range` names another version than that of the tag: parts of
/// two versions do not fit together. There are no dates to compare with.
pub(crate) fn range_of<'a>(
    range: Option<&'a str>,
    if_range: Option<&str>,
    tag: Option<&str>,
) -> Option<&'a str> {
    range.filter(|_| if_range.is_none_or(|wanted| Some(wanted.trim()) == tag))
}

/// What a change depends on, so that nobody takes away what another one has written meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Precondition {
    /// The one that a request has, if it has any.
    pub(crate) fn of(head: &Head) -> Option<Precondition> {
        let lines = |name| (head.header_count(name) > 0).then(|| head.all(name, ","));
        let (if_match, if_none_match) = (lines("if-match"), lines("if-none-match"));
        (if_match.is_some() || if_none_match.is_some()).then_some(Precondition {
            if_match,
            if_none_match,
        })
    }

    /// Whether it is met by what is there: its tag, without quotes, or nothing.
    pub fn is_met(&self, tag: Option<&str>) -> bool {
        let tag = tag.map(|tag| format!("\"{tag}\""));
        // A weak tag stands for several contents.
        let is_named = |names: &str, tag: &str| {
            let mut names = names.split(',').map(str::trim);
            names.any(|name| name == "*" || name == tag)
        };
        let matches = match (&self.if_match, &tag) {
            (None, _) => true,
            (Some(names), Some(tag)) => is_named(names, tag),
            (Some(_), None) => false,
        };
        let known = self.if_none_match.as_deref();
        matches && !tag.is_some_and(|tag| is_known(known, &tag))
    }

    /// 412.
    pub fn unmet() -> ApiError {
        let message = "the file is not what If-Match or If-None-Match says; read it again";
        ApiError::new(412, "precondition_failed", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_depend_on_what_is_there() {
        for (if_match, if_none_match, tag, is_met) in [
            (Some("\"a\""), None, Some("a"), true),
            (Some("\"b\", \"a\""), None, Some("a"), true),
            (Some("\"b\""), None, Some("a"), false),
            (Some("W/\"a\""), None, Some("a"), false),
            (Some("a"), None, Some("a"), false),
            (Some(""), None, Some("a"), false),
            (Some("*"), None, Some("a"), true),
            (Some("*"), None, None, false),
            (Some("\"a\""), None, None, false),
            (None, Some("*"), None, true),
            (None, Some("*"), Some("a"), false),
            (None, Some("\"b\""), Some("a"), true),
            (None, Some("W/\"a\""), Some("a"), false),
            (Some("\"a\""), Some("\"a\""), Some("a"), false),
        ] {
            let mut head = Head::default();
            for (name, value) in [("if-match", if_match), ("if-none-match", if_none_match)] {
                let value = value.map(|value| (name.to_owned(), value.to_owned()));
                head.headers.extend(value);
            }
            let found = Precondition::of(&head).expect("a precondition");
            assert_eq!(found.is_met(tag), is_met, "{found:?} {tag:?}");
        }
        assert_eq!(Precondition::of(&Head::default()), None);
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (header, known) in [
            (Some("\"a\""), true),
            (Some("W/\"a\""), true),
            (Some("\"b\", W/\"a\""), true),
            (Some("\"b\" ,\"c\""), false),
            (Some("*"), true),
            (Some("a"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_known(header, "\"a\""), known, "{header:?}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_everything() {
        let range = Some("bytes=0-1");
        for (if_range, tag, found) in [
            (None, Some("\"a\""), range),
            (None, None, range),
            (Some("\"a\""), Some("\"a\""), range),
            (Some("\"b\""), Some("\"a\""), None),
            (Some("W/\"a\""), Some("\"a\""), None),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some("\"a\""), None),
            (Some("\"a\""), None, None),
        ] {
            assert_eq!(range_of(range, if_range, tag), found, "{if_range:?}");
        }
    }
}
