//! Requests that depend on what the caller has already (RFC 9110, section 13).

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

#[cfg(test)]
mod tests {
    use super::*;

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
