//! Which versions of an interface fit together.
//!
//! An interface is named `package/interface@version`. Within one major version (before 1.0: within one
//! minor version) things are only ever added, so whoever was built for an earlier one of them
//! keeps working.

use crate::bindings::Function;
use std::collections::HashSet;

/// Endings of the names of short ways: for a value, and for the items of a stream.
const SHORT_WAYS: [&str; 2] = ["?", "*"];
/// How a short way says that the function itself is to be started.
pub const WAITS: &str = "ERR_WAITS";

/// The name of the function whose short way has this name.
pub fn without_short_way(name: &str) -> Option<&str> {
    SHORT_WAYS.iter().find_map(|end| name.strip_suffix(end))
}

/// True for the name of a short way.
pub fn is_short_way(name: &str) -> bool {
    without_short_way(name).is_some()
}

/// The names that the short ways of a function can have.
pub fn short_ways(name: &str) -> impl Iterator<Item = String> {
    SHORT_WAYS.iter().map(move |end| format!("{name}{end}"))
}

/// The function whose short way this one is, if it is one.
pub fn short_way_of<'a>(function: &Function, functions: &'a [Function]) -> Option<&'a Function> {
    let name = without_short_way(&function.name)?;
    let whole = functions.iter().find(|whole| whole.name == name)?;
    (whole.waits && !function.waits && whole.params == function.params).then_some(whole)
}

/// A short way of a function that is not beside it: it would take the calls of somebody else's function.
fn stray_short_way(functions: &[Function]) -> Option<&Function> {
    functions.iter().find(|function| {
        without_short_way(&function.name).is_some() && short_way_of(function, functions).is_none()
    })
}

/// Most functions of a plugin.
const MAX_FUNCTIONS: usize = 4_096;
/// Longest name of a function.
const MAX_NAME: usize = 128;
/// Longest documentation of a function.
const MAX_DOC: usize = 64 << 10;

/// What is wrong with what a plugin says about its functions: it stays in memory, is linked by
/// name, and is shown to people.
pub fn flaw(functions: &[Function]) -> Option<String> {
    if functions.len() > MAX_FUNCTIONS {
        let count = functions.len();
        return Some(format!("{count} functions, more than {MAX_FUNCTIONS}"));
    }
    let mut seen = HashSet::new();
    for Function { name, doc, .. } in functions {
        if !is_name(name) {
            let shown: String = name.escape_debug().take(MAX_NAME).collect();
            return Some(format!(
                "\"{shown}\", no name of a function (letters, digits and _, as a rule after $; at most {MAX_NAME} signs)"
            ));
        }
        if doc.len() > MAX_DOC {
            return Some(format!(
                "more than {MAX_DOC} bytes of documentation for {name}"
            ));
        }
        if doc.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) {
            return Some(format!("control characters in the documentation of {name}"));
        }
        if !seen.insert(name) {
            return Some(format!("function {name} twice"));
        }
    }
    stray_short_way(functions).map(|stray| {
        format!(
            "{}, but no function that waits and has it as its short way (same name without the last sign, as many arguments)",
            stray.name
        )
    })
}

fn is_name(name: &str) -> bool {
    let plain = without_short_way(name).unwrap_or(name);
    let word = plain.strip_prefix('$').unwrap_or(plain);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= MAX_NAME && !word.is_empty() && word.bytes().all(good)
}

/// Major, minor, patch.
type Version = (u64, u64, u64);

/// Of some exports, the one that serves where `wanted` is asked for.
pub fn compatible<'a>(wanted: &str, mut exports: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (interface, version) = parse(wanted)?;
    exports.find(|export| {
        parse(export).is_some_and(|(other, found)| {
            other == interface && line(found) == line(version) && found <= newest(version)
        })
    })
}

/// The part of a version that stands for a line of compatible ones.
fn line((major, minor, patch): Version) -> Version {
    match (major, minor) {
        (0, 0) => (0, 0, patch),
        (0, minor) => (0, minor, 0),
        (major, _) => (major, 0, 0),
    }
}

/// What is newer only by corrections fits too.
fn newest((major, minor, _): Version) -> Version {
    (major, minor, u64::MAX)
}

fn parse(name: &str) -> Option<(&str, Version)> {
    let (interface, version) = name.split_once('@')?;
    let mut numbers = version.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    let version = (next()?, next()?, next()?);
    match next() {
        None => Some((interface, version)),
        Some(_) => None,
    }
}

/// What to say where an interface is missing: another version of it is named with its mend.
pub fn missing(wanted: &str, exports: &[String]) -> String {
    let package = wanted.split('/').next().unwrap_or(wanted);
    let found: Vec<&str> = exports
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(package))
        .collect();
    if found.is_empty() {
        return format!("it does not export {wanted}");
    }
    format!(
        "it exports {} and this program knows {wanted}: build the plugin for that version",
        found.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(wanted: &str, export: &str) -> bool {
        compatible(wanted, [export].into_iter()).is_some()
    }

    #[test]
    fn older_versions_of_a_line_fit() {
        for (wanted, export, expected) in [
            ("a:b/c@0.1.0", "a:b/c@0.1.0", true),
            ("a:b/c@0.1.3", "a:b/c@0.1.0", true),
            ("a:b/c@0.1.0", "a:b/c@0.1.3", true),
            ("a:b/c@0.2.0", "a:b/c@0.1.0", false),
            ("a:b/c@0.1.0", "a:b/c@0.2.0", false),
            ("a:b/c@1.4.0", "a:b/c@1.2.7", true),
            ("a:b/c@1.4.0", "a:b/c@1.5.0", false),
            ("a:b/c@2.0.0", "a:b/c@1.9.0", false),
            ("a:b/c@0.1.0", "a:b/d@0.1.0", false),
            ("a:b/c@0.1.0", "a:b/c", false),
            ("a:b/c@0.1.0", "a:b/c@0.1", false),
            ("a:b/c@0.1.0", "a:b/c@0.1.0.0", false),
        ] {
            assert_eq!(fits(wanted, export), expected, "{export} for {wanted}");
        }
    }

    #[test]
    fn a_short_way_stands_beside_its_function() {
        let function = |name: &str, params, waits| Function {
            name: name.to_owned(),
            params,
            waits,
            doc: String::new(),
        };
        let stray = |functions: &[Function]| stray_short_way(functions).map(|f| f.name.clone());
        let beside = [function("$a_get", 1, true), function("$a_get?", 1, false)];
        assert_eq!(stray(&beside), None);
        // That of another plugin, of a function that does not wait, of another number of arguments.
        assert_eq!(stray(&beside[1..]).as_deref(), Some("$a_get?"));
        for of in [function("$a_get", 1, false), function("$a_get", 2, true)] {
            assert!(stray(&[of, function("$a_get?", 1, false)]).is_some());
        }
    }

    #[test]
    fn descriptions_have_limits() {
        let function = |name: &str, doc: &str| Function {
            name: name.to_owned(),
            params: 1,
            waits: true,
            doc: doc.to_owned(),
        };
        let (good, tabs) = (
            function("$a_b", "Tells."),
            function("$a_c", "Tells\n\ta lot."),
        );
        assert_eq!(flaw(&[good, tabs]), None);
        let long = "x".repeat(MAX_DOC + 1);
        for (name, doc, part) in [
            ("", "", "no name"),
            ("$", "", "no name"),
            ("$$a", "", "no name"),
            ("$?", "", "no name"),
            ("$a b", "", "no name"),
            ("$a_\u{e4}", "", "no name"),
            ("$a\u{1b}[2J", "", "a\\u{1b}[2J"),
            ("$a_b??", "", "no name"),
            (&format!("${}", "a".repeat(MAX_NAME)), "", "no name"),
            ("$a_b", "\u{1b}", "control"),
            ("$a_b", &long, "documentation"),
            ("$a_b?", "", "short way"),
        ] {
            let told = flaw(&[function(name, doc)]).unwrap_or_default();
            assert!(told.contains(part) && told.len() < 500, "{name}: {told}");
        }
        let twice = [function("$a_b", ""), function("$a_b", "")];
        assert_eq!(flaw(&twice).as_deref(), Some("function $a_b twice"));
        let many = (0..=MAX_FUNCTIONS).map(|number| function(&format!("$a_{number}"), ""));
        assert!(flaw(&many.collect::<Vec<_>>()).is_some());
    }

    #[test]
    fn another_version_is_named() {
        let exports = ["a:b/c@0.2.0".to_owned(), "x:y/z@1.0.0".to_owned()];
        let text = missing("a:b/c@0.1.0", &exports);
        assert!(
            text.contains("a:b/c@0.2.0") && text.contains("a:b/c@0.1.0"),
            "{text}"
        );
        assert!(!text.contains("x:y"));
        assert_eq!(
            missing("a:b/c@0.1.0", &[]),
            "it does not export a:b/c@0.1.0"
        );
    }
}
