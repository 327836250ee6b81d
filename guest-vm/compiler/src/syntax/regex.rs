//! Checks `~regex` patterns, so that a bad one is a compile-time error.

use regex_syntax::ast::{self, Ast};

/// Says why a pattern is bad. The dialect is that of the library module `regex`:
/// leftmost-longest, so there are no lazy quantifiers; flags are `i`, `m` and `s`.
pub fn check(pattern: &str) -> Result<(), String> {
    let tree = ast::parse::ParserBuilder::new()
        .nest_limit(200)
        .build()
        .parse(pattern)
        .map_err(|error| error.kind().to_string())?;
    ast::visit(&tree, Dialect)
}

struct Dialect;

impl ast::Visitor for Dialect {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), String> {
        match part {
            Ast::Repetition(repetition) if !repetition.greedy => {
                Err("lazy quantifiers are not supported".to_string())
            }
            Ast::Repetition(repetition) => match &repetition.op.kind {
                ast::RepetitionKind::Range(range) if largest(range) > 1000 => {
                    Err("a repetition count is at most 1000".to_string())
                }
                _ => Ok(()),
            },
            Ast::Flags(flags) => check_flags(&flags.flags),
            Ast::Group(group) => match &group.kind {
                ast::GroupKind::NonCapturing(flags) => check_flags(flags),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn largest(range: &ast::RepetitionRange) -> u32 {
    match range {
        ast::RepetitionRange::Exactly(count) | ast::RepetitionRange::AtLeast(count) => *count,
        ast::RepetitionRange::Bounded(_, count) => *count,
    }
}

fn check_flags(flags: &ast::Flags) -> Result<(), String> {
    let known = flags.items.iter().all(|item| {
        matches!(
            item.kind,
            ast::FlagsItemKind::Negation
                | ast::FlagsItemKind::Flag(
                    ast::Flag::CaseInsensitive
                        | ast::Flag::MultiLine
                        | ast::Flag::DotMatchesNewLine
                )
        )
    });
    match known {
        true => Ok(()),
        false => Err("the flags are i, m and s".to_string()),
    }
}
