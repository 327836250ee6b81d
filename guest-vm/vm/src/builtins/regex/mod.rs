//! Module `regex`: leftmost-longest matching in linear time.
//!
//! A match is found in up to three passes, each linear in the text: a lazy
//! automaton finds where the leftmost match starts, another where the longest
//! one from there ends, and, only if groups are asked for, a simulation of the
//! non-deterministic automaton finds the groups of exactly that span that a
//! greedy backtracking search would try first ([`groups`]). All matches of a long
//! text are found otherwise ([`all`]).

mod all;
mod groups;

use std::cell::{OnceCell, RefCell};

use regex_automata::hybrid::{dfa, regex};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::{Anchored, Input, MatchKind};

use self::all::{Starts, Vain};

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::{Opaque, Text, Value};
use crate::surroundings::Surroundings;

/// Texts up to this many bytes are searched from each match anew.
const SHORT: usize = 4 * 1024;

/// So are texts of which only so many matches are wanted.
const FEW: usize = 8;

/// Largest compiled pattern in bytes.
const MAX_COMPILED: usize = 10 * 1024 * 1024;

/// Most groups of all matches together.
const MAX_GROUPS: usize = 10_000_000;

/// Name of patterns in messages.
const NAME: &str = "regexp";

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#regex_compile" => compile_pattern,
        "#regex_quote" => quote,
        "#regex_match" => is_match,
        "#regex_find_submatch" => find_submatch,
        "#regex_find_submatch_index" => find_submatch_index,
        "#regex_find_all_submatch" => find_all_submatch,
        "#regex_find_all_submatch_index" => find_all_submatch_index,
        "#regex_replace_all" => replace_all,
        "#regex_prefix_length" => prefix_length,
        _ => return None,
    })
}

/// A compiled pattern.
struct Pattern {
    leftmost: regex::Regex,
    longest: dfa::DFA,
    nfa: NFA,
    caches: RefCell<(regex::Cache, dfa::Cache)>,
}

/// A pattern of a program, compiled when it is first used.
struct Written {
    text: Box<str>,
    compiled: OnceCell<Pattern>,
}

impl Written {
    fn compiled(&self) -> Result<&Pattern, Failure> {
        if let Some(compiled) = self.compiled.get() {
            return Ok(compiled);
        }
        let compiled = Pattern::new(&self.text)?;
        Ok(self.compiled.get_or_init(|| compiled))
    }

    fn into_value(self) -> Value {
        Value::opaque(Opaque::Object {
            name: NAME,
            object: Box::new(self),
        })
    }
}

/// Compiles a pattern; `ERR_REGEX` if it is bad or too large.
fn compile(pattern: &str) -> Result<Value, Failure> {
    let compiled = OnceCell::from(Pattern::new(pattern)?);
    let text = pattern.into();
    Ok(Written { text, compiled }.into_value())
}

/// A pattern of a program; `ERR_REGEX` if it is bad. Loading compiles no automata: they take time,
/// and random numbers, which a program that is loaded before it runs must not have.
pub fn constant(pattern: &str) -> Result<Value, Failure> {
    mix_bytecode::pattern::translate(pattern).map_err(|why| bad(pattern, why))?;
    let (text, compiled) = (pattern.into(), OnceCell::new());
    Ok(Written { text, compiled }.into_value())
}

fn bad(pattern: &str, why: impl std::fmt::Display) -> Failure {
    let shown: String = pattern.chars().take(60).collect();
    Failure::new(
        "ERR_REGEX",
        format!("bad regular expression {shown:?}: {why}"),
    )
}

/// Byte offsets of a match and of its groups; group 0 is the whole match.
type Groups = Vec<Option<(usize, usize)>>;

impl Pattern {
    fn new(pattern: &str) -> Result<Pattern, Failure> {
        let hir = mix_bytecode::pattern::translate(pattern).map_err(|why| bad(pattern, why))?;
        let config = thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED));
        let build = |config: thompson::Config| {
            thompson::Compiler::new()
                .configure(config)
                .build_from_hir(&hir)
                .map_err(|error| bad(pattern, error))
        };
        let nfa = build(config.clone().which_captures(thompson::WhichCaptures::All))?;
        let plain = build(config.clone().which_captures(thompson::WhichCaptures::None))?;
        let reverse = build(
            config
                .reverse(true)
                .which_captures(thompson::WhichCaptures::None),
        )?;
        let lazy = |kind| {
            dfa::Config::new()
                .match_kind(kind)
                .skip_cache_capacity_check(true)
        };
        let automaton = |kind, nfa| {
            dfa::Builder::new()
                .configure(lazy(kind))
                .build_from_nfa(nfa)
                .map_err(|error| bad(pattern, error))
        };
        let forward = automaton(MatchKind::LeftmostFirst, plain.clone())?;
        let backward = automaton(MatchKind::All, reverse)?;
        let longest = automaton(MatchKind::All, plain)?;
        let leftmost = regex::Builder::new().build_from_dfas(forward, backward);
        let caches = RefCell::new((leftmost.create_cache(), longest.create_cache()));
        Ok(Pattern {
            leftmost,
            longest,
            nfa,
            caches,
        })
    }

    /// The leftmost-longest match from a byte offset on.
    fn find(
        &self,
        text: &str,
        from: usize,
        anchored: bool,
    ) -> Result<Option<(usize, usize)>, Failure> {
        let internal = |error: regex_automata::MatchError| Failure::internal(&error.to_string());
        let mut caches = self.caches.borrow_mut();
        let (leftmost, longest) = &mut *caches;
        let start = if anchored {
            from
        } else {
            let input = Input::new(text).range(from..);
            match self
                .leftmost
                .try_search(leftmost, &input)
                .map_err(internal)?
            {
                Some(found) => found.start(),
                None => return Ok(None),
            }
        };
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let end = self
            .longest
            .try_search_fwd(longest, &input)
            .map_err(internal)?;
        Ok(end.map(|end| (start, end.offset())))
    }

    /// The groups of a match.
    fn groups(&self, text: &str, span: (usize, usize)) -> Groups {
        groups::capture(&self.nfa, text.as_bytes(), span)
    }

    /// Up to `limit` successive matches; an empty match directly after the one
    /// before is dropped.
    fn find_all(&self, text: &str, limit: usize) -> Result<Vec<(usize, usize)>, Failure> {
        if text.len() <= SHORT || limit <= FEW {
            return successive(text, limit, |from| self.find(text, from, false));
        }
        let mut caches = self.caches.borrow_mut();
        let (leftmost, longest) = &mut *caches;
        let starts = Starts::of(self.leftmost.reverse(), leftmost.reverse_mut(), text)?;
        let mut vain = Vain::default();
        successive(text, limit, |mut from| {
            while let Some(start) = starts.next(from) {
                if text.is_char_boundary(start)
                    && let Some(end) = vain.longest(&self.longest, longest, text, start)?
                {
                    return Ok(Some((start, end)));
                }
                from = start + 1;
            }
            Ok(None)
        })
    }
}

/// Up to `limit` matches, each found from the end of the one before.
fn successive(
    text: &str,
    limit: usize,
    mut find: impl FnMut(usize) -> Result<Option<(usize, usize)>, Failure>,
) -> Result<Vec<(usize, usize)>, Failure> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    while found.len() < limit && from <= text.len() {
        let Some((start, end)) = find(from)? else {
            break;
        };
        let empty = start == end;
        if !(empty && found.last().is_some_and(|last| last.1 == start)) {
            found.push((start, end));
        }
        from = end;
        if empty {
            // Go on one character later.
            match text[end..].chars().next() {
                Some(c) => from += c.len_utf8(),
                None => break,
            }
        }
    }
    Ok(found)
}

fn pattern(value: &Value) -> Result<&Pattern, Failure> {
    let wrong = || Failure::expected("ERR_EXPECTED_OPAQUE", "a compiled pattern", value);
    match value {
        Value::Undefined => Err(Failure::undefined("the pattern")),
        Value::Opaque(object) => match &**object {
            Opaque::Object { object, .. } => object
                .downcast_ref::<Written>()
                .ok_or_else(wrong)?
                .compiled(),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn compile_pattern(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    compile(args::text(&args[0])?)
}

fn quote(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let mut out = String::new();
    for c in args::text(&args[0])?.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::text(out))
}

fn is_match(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[1])?;
    Ok(Value::Bool(
        pattern(&args[0])?.find(text, 0, false)?.is_some(),
    ))
}

/// The texts of groups, `""` for unused ones.
fn texts(text: &str, groups: &Groups) -> Value {
    let part = |group: &Option<(usize, usize)>| {
        Value::text(group.map_or("", |(start, end)| &text[start..end]))
    };
    Value::array(groups.iter().map(part).collect())
}

/// Turns ascending byte offsets into numbers of characters, each part of the
/// text counted once.
struct Positions<'a> {
    text: &'a Text,
    offset: usize,
    characters: usize,
}

impl<'a> Positions<'a> {
    fn new(text: &'a Text) -> Positions<'a> {
        Positions {
            text,
            offset: 0,
            characters: 0,
        }
    }

    /// Number of characters before a byte offset within a match that starts at
    /// the offset last moved to.
    fn at(&self, offset: usize) -> i64 {
        let between = self.text.as_str()[self.offset..offset].chars().count();
        (self.characters + between) as i64
    }

    /// Moves to the start of a match.
    fn advance(&mut self, offset: usize) {
        self.characters += self.text.as_str()[self.offset..offset].chars().count();
        self.offset = offset;
    }

    /// Start and end of each group in characters, -1 for unused ones.
    fn flat(&mut self, groups: &Groups) -> Value {
        if let Some(Some((start, _))) = groups.first() {
            self.advance(*start);
        }
        let mut out = Vec::with_capacity(groups.len() * 2);
        for group in groups {
            let (start, end) =
                group.map_or((-1, -1), |(start, end)| (self.at(start), self.at(end)));
            out.extend([Value::Int(start), Value::Int(end)]);
        }
        Value::array(out)
    }
}

/// Groups of the first match.
fn first_groups(args: &[Value]) -> Result<Option<Groups>, Failure> {
    let text = args::text(&args[1])?;
    let pattern = pattern(&args[0])?;
    Ok(pattern
        .find(text, 0, false)?
        .map(|span| pattern.groups(text, span)))
}

fn find_submatch(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let found = first_groups(args)?;
    let text = args::text(&args[1])?;
    Ok(found.map_or(Value::Undefined, |groups| texts(text, &groups)))
}

fn find_submatch_index(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let found = first_groups(args)?;
    let text = args::text(&args[1])?;
    Ok(found.map_or(Value::Undefined, |groups| {
        Positions::new(text).flat(&groups)
    }))
}

/// `(n, pattern, text)`: groups of up to n matches, of all if n < 0.
fn all_groups(surroundings: &Surroundings, args: &[Value]) -> Result<Vec<Groups>, Failure> {
    let limit = usize::try_from(args::integral(&args[0])?).unwrap_or(usize::MAX);
    let text = args::text(&args[2])?;
    let pattern = pattern(&args[1])?;
    let found = pattern.find_all(text, limit)?;
    let groups = found
        .len()
        .saturating_mul(pattern.nfa.group_info().all_group_len());
    if groups > MAX_GROUPS {
        let message = "the matches have more than 10000000 groups";
        return Err(Failure::new("ERR_TOO_LARGE", message));
    }
    // Each group is kept as its place, then as a value.
    surroundings.room_for(groups.saturating_mul(4))?;
    Ok(found
        .into_iter()
        .map(|span| pattern.groups(text, span))
        .collect())
}

fn find_all_submatch(
    surroundings: &mut Surroundings,
    args: &mut [Value],
) -> Result<Value, Failure> {
    pass_undefined!(args);
    let found = all_groups(surroundings, args)?;
    let text = args::text(&args[2])?;
    Ok(Value::array(
        found.iter().map(|groups| texts(text, groups)).collect(),
    ))
}

fn find_all_submatch_index(
    surroundings: &mut Surroundings,
    args: &mut [Value],
) -> Result<Value, Failure> {
    pass_undefined!(args);
    let found = all_groups(surroundings, args)?;
    let mut positions = Positions::new(args::text(&args[2])?);
    Ok(Value::array(
        found.iter().map(|groups| positions.flat(groups)).collect(),
    ))
}

/// `(pattern, replacement, text)`; `$1`, `${1}` are groups, `$$` is `$`.
fn replace_all(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (replacement, text) = (args::text(&args[1])?, args::text(&args[2])?);
    let pattern = pattern(&args[0])?;
    let parts = replacement_parts(replacement);
    let needs_groups = parts
        .iter()
        .any(|part| matches!(part, Part::Group(number) if *number > 0));
    let mut out = String::new();
    let mut done = 0;
    for (start, end) in pattern.find_all(text, usize::MAX)? {
        out.push_str(&text[done..start]);
        let groups = if needs_groups {
            pattern.groups(text, (start, end))
        } else {
            vec![Some((start, end))]
        };
        for part in &parts {
            match part {
                Part::Text(literal) => out.push_str(literal),
                Part::Group(number) => {
                    if let Some(Some((start, end))) = groups.get(*number) {
                        out.push_str(&text[*start..*end]);
                    }
                }
            }
        }
        if out.len() > 256 * 1024 * 1024 {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                "the text would have more than 256 MiB",
            ));
        }
        done = end;
    }
    out.push_str(&text[done..]);
    Ok(Value::text(out))
}

enum Part<'a> {
    Text(&'a str),
    Group(usize),
}

fn replacement_parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        parts.push(Part::Text(&rest[..dollar]));
        let after = &rest[dollar + 1..];
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        // A number that does not fit names no group.
        let group = |digits: &str| Part::Group(digits.parse().unwrap_or(usize::MAX));
        let run = digits(after);
        if let Some(tail) = after.strip_prefix('$') {
            parts.push(Part::Text("$"));
            rest = tail;
        } else if run > 0 {
            parts.push(group(&after[..run]));
            rest = &after[run..];
        } else if let Some(braced) = after.strip_prefix('{')
            && let run @ 1.. = digits(braced)
            && braced[run..].starts_with('}')
        {
            parts.push(group(&braced[..run]));
            rest = &braced[run + 1..];
        } else {
            parts.push(Part::Text("$"));
            rest = after;
        }
    }
    parts.push(Part::Text(rest));
    parts
}

/// `(pattern, position, text)`: length in characters of the longest match that
/// starts at a position, where `^` and `\A` match; undefined without one.
fn prefix_length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[2])?;
    let from = text.offset(args::clamped(&args[1], text.scalars())?);
    let rest = &text.as_str()[from..];
    let found = pattern(&args[0])?.find(rest, 0, true)?;
    Ok(found.map_or(Value::Undefined, |(_, end)| {
        Value::Int(rest[..end].chars().count() as i64)
    }))
}

#[cfg(test)]
mod tests;
