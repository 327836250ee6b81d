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

/// Whether `If-Match`, one line or several, names the tag, or anything at all. A weak tag stands for several contents.
fn is_named(if_match: &str, tag: Option<&str>) -> bool {
    let mut names = if_match.split(',').map(str::trim);
    names.any(|name| name == "*" || Some(name) == tag)
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
        let known = self.if_none_match.as_deref();
        match tag.as_deref() {
            Some(tag) => self.is_as_wanted(Some(tag)) && !is_known(known, tag),
            None => self.if_match.is_none(),
        }
    }

    /// Whether what is there, with this tag in its quotes, is what a reader wants: what it knows already does not count here.
    pub(crate) fn is_as_wanted(&self, tag: Option<&str>) -> bool {
        let names = self.if_match.as_deref();
        names.is_none_or(|names| is_named(names, tag))
    }

    /// 412.
    pub fn unmet() -> ApiError {
        let message = "what is there is not what If-Match or If-None-Match says; read it again";
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
    fn a_reader_may_want_one_version_only() {
        for (if_match, tag, is_as_wanted) in [
            ("\"a\"", Some("\"a\""), true),
            ("\"b\" ,\"a\"", Some("\"a\""), true),
            ("*", Some("\"a\""), true),
            ("*", None, true),
            ("\"b\"", Some("\"a\""), false),
            ("W/\"a\"", Some("\"a\""), false),
            ("\"a\"", None, false),
        ] {
            let mut head = Head::default();
            head.headers
                .push(("if-match".to_owned(), if_match.to_owned()));
            let found = Precondition::of(&head).expect("a precondition");
            assert_eq!(found.is_as_wanted(tag), is_as_wanted, "{if_match} {tag:?}");
        }
        let mut head = Head::default();
        let known = ("if-none-match".to_owned(), "\"a\"".to_owned());
        head.headers.push(known);
        let found = Precondition::of(&head).expect("a precondition");
        assert!(found.is_as_wanted(Some("\"a\"")));
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
