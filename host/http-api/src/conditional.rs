//! Requests that depend on what the caller has already (RFC 9110, section 13).

use crate::error::ApiError;
use crate::head::Head;
use std::time::{SystemTime, UNIX_EPOCH};

/// The last one of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

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

/// The range that is asked for, unless `If-Range` names another version, by its tag or its date: parts of
/// two versions do not fit together.
pub(crate) fn range_of<'a>(
    range: Option<&'a str>,
    if_range: Option<&str>,
    tag: Option<&str>,
    date: Option<&str>,
) -> Option<&'a str> {
    range.filter(|_| {
        if_range.is_none_or(|wanted| {
            let wanted = Some(wanted.trim());
            wanted == tag || wanted == date
        })
    })
}

/// A time as headers have it, if they can have it: of the years from 1970 to 9999.
pub(crate) fn date(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds <= LAST_SECOND).then(|| httpdate::fmt_http_date(time))
}

/// Whether something changed after a time that a header names; none: that is no time, and says nothing.
pub(crate) fn is_newer(modified: SystemTime, header: &str) -> Option<bool> {
    let since = httpdate::parse_http_date(header.trim()).ok()?;
    let seconds = |time: SystemTime| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs());
    // Headers have whole seconds.
    Some(seconds(modified)? > seconds(since)?)
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

    /// Whether there is a list of tags that a reader wants.
    pub(crate) fn has_if_match(&self) -> bool {
        self.if_match.is_some()
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
    use std::time::Duration;

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
    fn times_are_compared_by_the_second() {
        let time = UNIX_EPOCH + Duration::from_millis(1_445_412_480_900);
        let text = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(date(time).as_deref(), Some(text));
        for (header, newer) in [
            (text, Some(false)),
            ("Wed, 21 Oct 2015 07:27:59 GMT", Some(true)),
            ("Wed, 21 Oct 2015 07:28:01 GMT", Some(false)),
            // The older forms of a date.
            ("Wednesday, 21-Oct-15 07:27:59 GMT", Some(true)),
            ("Wed Oct 21 07:28:00 2015", Some(false)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(is_newer(time, header), newer, "{header}");
        }
        // Disks have stranger times than headers can.
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(
            date(UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1)),
            None
        );
        assert_eq!(is_newer(UNIX_EPOCH - Duration::from_secs(1), text), None);
    }

    #[test]
    fn a_range_of_another_version_is_everything() {
        let range = Some("bytes=0-1");
        let then = "Wed, 21 Oct 2015 07:28:00 GMT";
        for (if_range, date, found) in [
            (Some(then), Some(then), range),
            (Some("Wed, 21 Oct 2015 07:28:01 GMT"), Some(then), None),
            (Some(then), None, None),
        ] {
            let tag = Some("\"a\"");
            assert_eq!(range_of(range, if_range, tag, date), found, "{if_range:?}");
        }
        for (if_range, tag, found) in [
            (None, Some("\"a\""), range),
            (None, None, range),
            (Some("\"a\""), Some("\"a\""), range),
            (Some("\"b\""), Some("\"a\""), None),
            (Some("W/\"a\""), Some("\"a\""), None),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some("\"a\""), None),
            (Some("\"a\""), None, None),
        ] {
            assert_eq!(range_of(range, if_range, tag, None), found, "{if_range:?}");
        }
    }
}
