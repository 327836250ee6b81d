//! References to surrogates, which are no characters: the parser takes them for the replacement character.

/// Where such a reference stands in a text that is well-formed otherwise.
pub(super) fn surrogate(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(['<', '&'])?;
        let rest = &text[at..];
        let literal = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .into_iter()
            .find(|(start, _)| rest.starts_with(start));
        if let Some((start, end)) = literal {
            at += start.len() + rest[start.len()..].find(end)? + end.len();
            continue;
        }
        if let Some(number) = rest.strip_prefix("&#")
            && matches!(code(number), Some(0xd800..=0xdfff))
        {
            return Some(at);
        }
        at += 1;
    }
}

/// The number before the next semicolon.
fn code(text: &str) -> Option<u32> {
    let (number, _) = text.split_once(';')?;
    match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::surrogate;

    #[test]
    fn surrogates_are_found() {
        for (text, found) in [
            ("<a>&#xD800;</a>", Some(3)),
            ("<a>é&#57343;</a>", Some(5)),
            ("<a b='&#xdc00;'/>", Some(6)),
            ("<a>&#xD7FF;&#xE000;&lt;&#65;</a>", None),
            (
                "<a><!-- &#xD800; --><![CDATA[&#xD800;]]><?p &#xD800; ?></a>",
                None,
            ),
            ("<a/>", None),
        ] {
            assert_eq!(surrogate(text), found, "{text}");
        }
    }
}
