//! Which versions of an interface fit together.
//!
//! An interface is named `package/interface@version`. Within one major version (before 1.0: within one
//! minor version) things are only ever added, so whoever was built for an earlier one of them
//! keeps working.

use crate::bindings::Function;
use std::collections::HashSet;

/// Endings of the names of short ways: for a value, and for the items of a stream.
const SHORT_WAYS: [&str; 2] = ["?", "*"];
/// Endings of the names of functions that give the items of a stream in parts: the first one, and further ones.
const FIRST_PART: &str = ">";
const NEXT_PART: &str = ">>";
/// How many arguments the latter take.
const NEXT_PART_PARAMS: u8 = 3;
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

/// The name of the function beside which one with this name stands, as its short way or for its
/// parts; of any other its own name.
pub fn plain(name: &str) -> &str {
    let name = without_short_way(name).unwrap_or(name);
    let part = [NEXT_PART, FIRST_PART];
    part.iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

/// The names of the functions that can stand beside one that waits.
pub fn beside(name: &str) -> impl Iterator<Item = String> {
    ["", FIRST_PART, NEXT_PART]
        .into_iter()
        .flat_map(move |part| {
            let own = (!part.is_empty()).then(|| format!("{name}{part}"));
            let short = SHORT_WAYS
                .iter()
                .map(move |end| format!("{name}{part}{end}"));
            own.into_iter().chain(short)
        })
}

/// The function beside which this one stands as it has to, if it does.
pub fn whole_of<'a>(function: &Function, functions: &'a [Function]) -> Option<&'a Function> {
    let find = |name: &str| functions.iter().find(|whole| whole.name == name);
    if let Some(name) = without_short_way(&function.name) {
        let long = find(name)?;
        let fits = long.waits && !function.waits && long.params == function.params;
        return if !fits {
            None
        } else if plain(name) == name {
            Some(long)
        } else {
            whole_of(long, functions)
        };
    }
    let whole = find(plain(&function.name))?;
    let params = match function.name.ends_with(NEXT_PART) {
        true => NEXT_PART_PARAMS,
        false => whole.params,
    };
    (whole.waits && function.waits && function.params == params && whole.params > 0)
        .then_some(whole)
}

/// A function that stands beside none as it has to: it would take the calls of somebody else's function.
fn stray(functions: &[Function]) -> Option<&Function> {
    functions.iter().find(|function| {
        plain(&function.name) != function.name && whole_of(function, functions).is_none()
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
    stray(functions).map(|stray| match without_short_way(&stray.name) {
        Some(_) => format!(
            "{}, but no function that waits and has it as its short way (same name without the last sign, as many arguments)",
            stray.name
        ),
        None => format!(
            "{}, but no function that waits and has it for its parts (same name without the last signs; > takes the same arguments, >> three)",
            stray.name
        ),
    })
}

fn is_name(name: &str) -> bool {
    let plain = plain(name);
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
        let stray = |functions: &[Function]| stray(functions).map(|f| f.name.clone());
        let beside = [function("$a_get", 1, true), function("$a_get?", 1, false)];
        assert_eq!(stray(&beside), None);
        // That of another plugin, of a function that does not wait, of another number of arguments.
        assert_eq!(stray(&beside[1..]).as_deref(), Some("$a_get?"));
        for of in [function("$a_get", 1, false), function("$a_get", 2, true)] {
            assert!(stray(&[of, function("$a_get?", 1, false)]).is_some());
        }
        // Functions that give parts, and their short ways.
        let all = [
            function("$a_all", 2, true),
            function("$a_all>", 2, true),
            function("$a_all>?", 2, false),
            function("$a_all>>", 3, true),
            function("$a_all>>?", 3, false),
        ];
        assert_eq!(stray(&all), None);
        assert!(all.iter().all(|part| plain(&part.name) == "$a_all"));
        let names: Vec<String> = super::beside("$a_all").collect();
        assert!(all[1..].iter().all(|part| names.contains(&part.name)));
        for (wrong, waits, params) in [
            ("$a_all>", true, 1),
            ("$a_all>", false, 2),
            ("$a_all>>", true, 2),
            ("$a_all>>?", false, 2),
        ] {
            let alone = [function("$a_all", 2, true), function(wrong, params, waits)];
            assert_eq!(stray(&alone).as_deref(), Some(wrong));
        }
        assert_eq!(stray(&all[1..]).as_deref(), Some("$a_all>"));
        let none = [function("$a_all", 0, true), function("$a_all>", 0, true)];
        assert!(stray(&none).is_some());
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
            ("$a_b>", "", "parts"),
            ("$a_b>>>", "", "no name"),
            ("$>", "", "no name"),
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
