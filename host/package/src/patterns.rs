//! Patterns of files that an update deletes first.

use crate::error::{PackageError, Result};

/// Alternatives of one pattern after its braces are written out.
const MAX_EXPANSION: usize = 1000;
/// Braces inside braces.
const MAX_NESTING: usize = 4;
/// Longest pattern.
const MAX_PATTERN: usize = 1024;

/// A pattern of file paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    scope: Scope,
    alternatives: Vec<Vec<Sign>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything below a folder.
    Below,
    /// The whole path.
    Whole,
    /// The last segment.
    Last,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    One(char),
    /// One character, but no `/`.
    Any,
    /// A run within a segment.
    Run,
    /// Any run.
    Far,
    Among {
        not: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Reads a pattern; `path` is its place in the manifest.
    pub fn parse(text: &str, path: &str) -> Result<Pattern> {
        let bad = |message| PackageError::bad_manifest(path, message);
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(bad("a pattern has 1 to 1024 bytes"));
        }
        let (scope, body) = match (text.starts_with('/'), text.ends_with('/')) {
            (true, true) => (Scope::Below, text),
            (true, false) => (Scope::Whole, text),
            (false, _) if !text.contains('/') => (Scope::Last, text),
            _ => return Err(bad("a pattern with / must begin with /")),
        };
        let mut alternatives = Vec::new();
        for one in expand(body, 0).map_err(bad)? {
            alternatives.push(signs(&one).map_err(bad)?);
        }
        Ok(Pattern {
            text: text.to_owned(),
            scope,
            alternatives,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches a path that begins with `/`.
    pub fn matches(&self, path: &str) -> bool {
        let subject = match self.scope {
            Scope::Last => path.rsplit('/').next().unwrap_or(path),
            Scope::Whole | Scope::Below => path,
        };
        let subject: Vec<char> = subject.chars().collect();
        self.alternatives
            .iter()
            .any(|signs| fits(signs, &subject, self.scope == Scope::Below))
    }
}

/// Whether the signs fit the whole subject, or (`prefix`) the begin of it and something is left.
/// One row of possible positions per sign, so time is bounded by their product.
fn fits(signs: &[Sign], subject: &[char], prefix: bool) -> bool {
    let mut here = vec![false; subject.len() + 1];
    here[0] = true;
    for sign in signs {
        let mut next = vec![false; subject.len() + 1];
        for (at, reached) in here.iter().enumerate() {
            if !reached {
                continue;
            }
            match sign {
                Sign::Run | Sign::Far => {
                    for (end, slot) in next.iter_mut().enumerate().skip(at) {
                        if *slot && end > at {
                            break;
                        }
                        *slot = true;
                        if matches!(sign, Sign::Run) && subject.get(end) == Some(&'/') {
                            break;
                        }
                    }
                }
                sign => {
                    if subject.get(at).is_some_and(|c| takes(sign, *c)) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        here = next;
    }
    if prefix {
        here[..subject.len()].iter().any(|reached| *reached)
    } else {
        here[subject.len()]
    }
}

fn takes(sign: &Sign, c: char) -> bool {
    match sign {
        Sign::One(wanted) => *wanted == c,
        Sign::Any => c != '/',
        Sign::Among { not, ranges } => {
            c != '/' && ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not
        }
        Sign::Run | Sign::Far => false,
    }
}

/// Writes out the first braces and what is in them.
fn expand(text: &str, depth: usize) -> std::result::Result<Vec<String>, &'static str> {
    let mut level = 0usize;
    let mut escaped = false;
    let mut in_class = false;
    let (mut open, mut commas) = (0, Vec::new());
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' if !in_class => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '{' => {
                if level == 0 {
                    open = at;
                    commas.clear();
                }
                level += 1;
            }
            ',' if level == 1 => commas.push(at),
            '}' if level == 0 => return Err("a pattern has a } without a {"),
            '}' => {
                level -= 1;
                if level > 0 {
                    continue;
                }
                if depth >= MAX_NESTING {
                    return Err("braces of a pattern are nested more than 4 deep");
                }
                return expand_here(text, open, at, &commas, depth);
            }
            _ => {}
        }
    }
    if level > 0 {
        return Err("a pattern has a { without a }");
    }
    Ok(vec![text.to_owned()])
}

fn expand_here(
    text: &str,
    open: usize,
    close: usize,
    commas: &[usize],
    depth: usize,
) -> std::result::Result<Vec<String>, &'static str> {
    let mut parts = Vec::new();
    let mut from = open + 1;
    for end in commas.iter().copied().chain([close]) {
        parts.extend(expand(&text[from..end], depth + 1)?);
        from = end + 1;
    }
    let rests = expand(&text[close + 1..], depth)?;
    if parts.len() * rests.len() > MAX_EXPANSION {
        return Err("a pattern stands for more than 1000 others");
    }
    let whole = parts.iter().flat_map(|part| {
        rests
            .iter()
            .map(move |rest| format!("{}{part}{rest}", &text[..open]))
    });
    Ok(whole.collect())
}

fn signs(text: &str) -> std::result::Result<Vec<Sign>, &'static str> {
    let mut signs = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        signs.push(match c {
            '\\' => Sign::One(rest.next().ok_or("a pattern ends in \\")?),
            '?' => Sign::Any,
            '*' => {
                let mut stars = 1;
                while rest.next_if_eq(&'*').is_some() {
                    stars += 1;
                }
                if stars > 1 { Sign::Far } else { Sign::Run }
            }
            '[' => {
                let not = rest.next_if_eq(&'!').is_some();
                let mut ranges = Vec::new();
                loop {
                    let from = match rest.next().ok_or("a pattern has a [ without a ]")? {
                        ']' if !ranges.is_empty() => break,
                        '\\' => rest.next().ok_or("a pattern ends in \\")?,
                        c => c,
                    };
                    let mut to = from;
                    let mut ahead = rest.clone();
                    if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                        rest.next();
                        to = rest.next().unwrap_or(from);
                    }
                    ranges.push((from, to));
                }
                Sign::Among { not, ranges }
            }
            c => Sign::One(c),
        });
    }
    Ok(signs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hits(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern, "$")
            .expect("a pattern")
            .matches(path)
    }

    #[test]
    fn patterns_match_as_described() {
        for (pattern, path, expected) in [
            ("/dir/", "/dir/a", true),
            ("/dir/", "/dir/a/b", true),
            ("/dir/", "/dir", false),
            ("/dir/", "/dirs/a", false),
            ("/a*/", "/abc/x", true),
            ("/", "/anything/at/all", true),
            ("/a/b.txt", "/a/b.txt", true),
            ("/a/b.txt", "/x/a/b.txt", false),
            ("/a/*", "/a/b/c", false),
            ("/a/**", "/a/b/c", true),
            ("/**/c", "/a/b/c", true),
            ("*.png", "/deep/down/x.png", true),
            ("*.png", "/x.png/y", false),
            ("?.txt", "/a/b.txt", true),
            ("?.txt", "/a/bb.txt", false),
            ("[a-c]x", "/bx", true),
            ("[!a-c]x", "/bx", false),
            ("[]]x", "/]x", true),
            ("{a,b{c,d}}.x", "/bd.x", true),
            ("{a,b{c,d}}.x", "/b.x", false),
            ("\\*", "/*", true),
            ("\\*", "/a", false),
            ("{,x}y", "/y", true),
        ] {
            assert_eq!(hits(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let many = "{a,b,c,d,e,f,g,h,i,j}".repeat(4);
        for text in [
            "",
            "a/b",
            "{a",
            "a}",
            "[a",
            "\\",
            "{a{b{c{d{e,f}}}}}",
            &many,
        ] {
            let error = Pattern::parse(text, "$.x").expect_err(text);
            assert_eq!(error.code, "bad_manifest");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = format!("/{}b", "**".repeat(300).replace("**", "*a*"));
        assert!(!hits(&pattern, &format!("/{}", "a".repeat(1000))));
    }

    proptest! {
        #[test]
        fn anything_is_a_pattern_or_an_error(text in "[/a*?{},\\\\\\[\\]!-]{0,40}", path in "(/[a-c/*]{0,5}){1,3}") {
            if let Ok(pattern) = Pattern::parse(&text, "$") {
                pattern.matches(&path);
            }
        }
    }
}
