//! References to numbers that are no characters (surrogates, and what is beyond U+10FFFF): the parser takes them
//! for the replacement character.

/// Where such a reference stands in a text that is well-formed otherwise.
pub(super) fn no_character(text: &str) -> Option<usize> {
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
            && code(number).is_some_and(|code| char::from_u32(code).is_none())
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
    use super::no_character;

    #[test]
    fn references_to_no_characters_are_found() {
        for (text, found) in [
            ("<a>&#xD800;</a>", Some(3)),
            ("<a>é&#57343;</a>", Some(5)),
            ("<a b='&#xdc00;'/>", Some(6)),
            ("<a>&#x110000;</a>", Some(3)),
            ("<a b='&#4294967295;'/>", Some(6)),
            ("<a>&#xD7FF;&#xE000;&lt;&#65;&#x10FFFF;</a>", None),
            (
                "<a><!-- &#xD800; --><![CDATA[&#xD800;]]><?p &#xD800; ?></a>",
                None,
            ),
            ("<a/>", None),
        ] {
            assert_eq!(no_character(text), found, "{text}");
        }
    }
}
