//! Doc comments as HTML: paragraphs, code between backquotes, indented code.

/// A text as content of an element or of an attribute between double quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// One paragraph, with what stands between backquotes as code.
fn paragraph(text: &str) -> String {
    let mut out = String::from("<p>");
    for (index, part) in text.split('`').enumerate() {
        let part = escaped(part);
        // Every second part stands between two backquotes.
        if index % 2 == 1 {
            out.push_str(&format!("<code>{part}</code>"));
        } else {
            out.push_str(&part);
        }
    }
    out.push_str("</p>\n");
    out
}

/// A doc comment. Indented and fenced lines are code.
pub(crate) fn html(comment: &str) -> String {
    let mut out = String::new();
    let mut words: Vec<&str> = Vec::new();
    let mut code: Vec<&str> = Vec::new();
    let mut fenced = false;
    for line in comment.lines().chain([""]) {
        let fence = line.trim_start().starts_with("```");
        let indented = line.starts_with("    ");
        if fenced && !fence || indented {
            flush_words(&mut words, &mut out);
            code.push(line.strip_prefix("    ").unwrap_or(line));
            continue;
        }
        if !code.is_empty() {
            out.push_str(&format!("<pre>{}</pre>\n", escaped(&code.join("\n"))));
            code.clear();
        }
        if fence {
            fenced = !fenced;
        } else if line.trim().is_empty() {
            flush_words(&mut words, &mut out);
        } else {
            words.push(line.trim());
        }
    }
    flush_words(&mut words, &mut out);
    if !code.is_empty() {
        out.push_str(&format!("<pre>{}</pre>\n", escaped(&code.join("\n"))));
    }
    out
}

fn flush_words(words: &mut Vec<&str>, out: &mut String) {
    if !words.is_empty() {
        out.push_str(&paragraph(&words.join(" ")));
        words.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn comments() {
        assert_eq!(
            html("One `f(x)`\ntwo.\n\n    f(1)  //= <2>\n\nThree"),
            "<p>One <code>f(x)</code> two.</p>\n<pre>f(1)  //= &lt;2&gt;</pre>\n<p>Three</p>\n"
        );
        assert_eq!(
            html("a\n```\nb\n\nc\n```\nd"),
            "<p>a</p>\n<pre>b\n\nc</pre>\n<p>d</p>\n"
        );
        assert_eq!(html("```\nb"), "<pre>b\n</pre>\n");
        assert_eq!(html(""), "");
    }
}
