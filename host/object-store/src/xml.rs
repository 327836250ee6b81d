//! What answers of a store hold: texts between tags. Nothing of an answer is nested deeper than its
//! lists, so a tag is found by its name.

/// The content of each element of that name, in order.
pub fn elements<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('<')?;
            let after = &rest[at + 1..];
            let Some(tail) = after.strip_prefix(name) else {
                rest = after;
                continue;
            };
            if let Some(behind) = tail.strip_prefix("/>") {
                rest = behind;
                return Some("");
            }
            // With or without attributes.
            if !tail.starts_with(['>', ' ', '\t', '\r', '\n']) {
                rest = after;
                continue;
            }
            let inner = &tail[tail.find('>')? + 1..];
            let close = format!("</{name}>");
            let end = inner.find(&close)?;
            rest = &inner[end + close.len()..];
            return Some(&inner[..end]);
        }
    })
}

/// The text of the first element of that name.
pub fn text(within: &str, name: &str) -> Option<String> {
    elements(within, name).next().map(unescape)
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entities = [
            ("&amp;", '&'),
            ("&lt;", '<'),
            ("&gt;", '>'),
            ("&quot;", '"'),
            ("&#34;", '"'),
            ("&apos;", '\''),
            ("&#39;", '\''),
        ];
        let known = entities.iter().find(|(name, _)| rest.starts_with(name));
        let (length, char) = known.map_or((1, '&'), |(name, char)| (name.len(), *char));
        plain.push(char);
        rest = &rest[length..];
    }
    plain.push_str(rest);
    plain
}

/// A text with the signs of XML escaped.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_name() {
        let answer = "<?xml version=\"1.0\"?><R xmlns=\"http://x/\"><IsTruncated>false</IsTruncated><Contents><Key>a</Key><ETag>&quot;1&amp;2&quot;</ETag></Contents><Contents>\n <Key>b</Key></Contents><Prefix/><KeyCount>2</KeyCount></R>";
        let keys: Vec<_> = elements(answer, "Contents")
            .map(|item| text(item, "Key"))
            .collect();
        assert_eq!(keys, [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(text(answer, "ETag").as_deref(), Some("\"1&2\""));
        assert_eq!(text(answer, "Prefix").as_deref(), Some(""));
        assert_eq!(text(answer, "Missing"), None);
        assert!(text(answer, "R").is_some_and(|inner| inner.contains("KeyCount")));
    }

    #[test]
    fn broken_answers_end_the_search() {
        for broken in [
            "<Key",
            "<Key>",
            "<Key>a",
            "<Key>a</Ke",
            "<",
            "",
            "<Keys>a</Keys>",
            "&",
        ] {
            assert_eq!(text(broken, "Key"), None, "{broken}");
        }
        assert_eq!(unescape("&x;&"), "&x;&");
        assert_eq!(escape("a<b>&\""), "a&lt;b&gt;&amp;&quot;");
    }
}
