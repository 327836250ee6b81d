//! The DOCTYPE is skipped, so that nothing it declares is ever expanded or fetched.

use std::borrow::Cow;

/// Comments, processing instructions and white space before something else.
fn skip_misc(text: &str, mut at: usize) -> Option<usize> {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        at += rest.len() - trimmed.len();
        if let Some(comment) = trimmed.strip_prefix("<!--") {
            at += 4 + comment.find("-->")? + 3;
        } else if trimmed.starts_with("<?") {
            at += trimmed.find("?>")? + 2;
        } else {
            return Some(at);
        }
    }
}

/// Where a declaration that starts with `<!DOCTYPE` ends.
fn end_of_doctype(text: &str, start: usize) -> Option<usize> {
    let mut at = start + "<!DOCTYPE".len();
    let mut inside = false;
    loop {
        let rest = &text[at..];
        if inside && let Some(comment) = rest.strip_prefix("<!--") {
            at += 4 + comment.find("-->")? + 3;
            continue;
        }
        if inside && rest.starts_with("<?") {
            at += rest.find("?>")? + 2;
            continue;
        }
        let next = rest.chars().next()?;
        at += next.len_utf8();
        match next {
            '"' | '\'' => at += text[at..].find(next)? + 1,
            '[' => inside = true,
            ']' => inside = false,
            '>' if !inside => return Some(at),
            _ => {}
        }
    }
}

/// The text with its DOCTYPE replaced by white space, lines kept.
pub(super) fn without_doctype(text: &str) -> Cow<'_, str> {
    let range = skip_misc(text, 0)
        .filter(|start| text[*start..].starts_with("<!DOCTYPE"))
        .and_then(|start| Some((start, end_of_doctype(text, start)?)));
    let Some((start, end)) = range else {
        return Cow::Borrowed(text);
    };
    let blank: String = text[start..end]
        .chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect();
    Cow::Owned(format!("{}{blank}{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctype_is_blanked() {
        for (text, left) in [
            ("<a/>", "<a/>"),
            ("<!DOCTYPE a><a/>", "<a/>"),
            (
                "<?xml version=\"1.0\"?><!-- > --><!DOCTYPE a SYSTEM \"x>y\"><a/>",
                "<a/>",
            ),
            (
                "<!DOCTYPE a [<!ENTITY x \"]>\"><!-- ' --><?p ]> ?>]><a/>",
                "<a/>",
            ),
            ("<a><!DOCTYPE b></a>", "<a><!DOCTYPE b></a>"),
            ("<!DOCTYPE a [", "<!DOCTYPE a ["),
        ] {
            assert!(without_doctype(text).ends_with(left), "{text}");
            assert!(!left.starts_with("<a/>") || !without_doctype(text).contains("DOCTYPE"));
        }
    }
}
