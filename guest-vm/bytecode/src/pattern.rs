//! The dialect of regular expressions, which the compiler checks and the VM compiles:
//! extended regular expressions with ASCII classes for `\d \s \w` and ASCII word boundaries,
//! Unicode for `\p` and for letter case; nothing that leftmost-longest matching cannot honour.

use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind,
    ClassSet, ClassSetItem, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind, Literal,
    LiteralKind,
};
use regex_syntax::hir::{Hir, translate::TranslatorBuilder};

/// Deepest nesting of groups.
const MAX_NESTING: u32 = 200;

/// Largest count of a repetition.
const MAX_REPEAT: u32 = 1000;

/// Parses a pattern and gives it the meaning it has in Mix; the error says why it is none.
pub fn translate(pattern: &str) -> Result<Hir, String> {
    let pattern = &plain_brackets(pattern)?;
    let mut tree = ast::parse::ParserBuilder::new()
        .nest_limit(MAX_NESTING)
        .build()
        .parse(pattern)
        .map_err(|error| error.kind().to_string())?;
    adapt(&mut tree)?;
    TranslatorBuilder::new()
        .unicode(true)
        .utf8(true)
        .build()
        .translate(pattern, &tree)
        .map_err(|error| error.kind().to_string())
}

/// Classes by name, as in `[[:alpha:]]`.
const NAMED: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Classes in brackets hold characters, ranges, escapes and named classes: what the parser
/// would take for classes inside classes and for set operations becomes characters.
fn plain_brackets(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut inside = false;
    // The character before was a bare `-` of a class.
    let mut hyphen = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let was_hyphen = std::mem::take(&mut hyphen);
        let mut used = c.len_utf8();
        match c {
            '\\' => {
                used += after.chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..used]);
            }
            '[' if !inside => {
                inside = true;
                // A first `]`, also after `^`, is a character.
                let starts = ["[^]", "[]", "[^"];
                let start = starts.into_iter().find(|start| rest.starts_with(start));
                let start = start.unwrap_or("[");
                used = start.len();
                out.push_str(start);
            }
            ']' if inside => {
                inside = false;
                out.push(c);
            }
            '[' => match after
                .strip_prefix(':')
                .and_then(|name| name.split_once(":]"))
            {
                Some((name, _)) if !name.contains([']', '[']) => {
                    if !NAMED.contains(&name.trim_start_matches('^')) {
                        return Err(format!("there is no class [:{name}:]"));
                    }
                    used += name.len() + 3;
                    out.push_str(&rest[..used]);
                }
                _ => out.push_str("\\["),
            },
            '&' | '~' if inside => {
                out.push('\\');
                out.push(c);
            }
            '-' if inside && was_hyphen => out.push_str("\\-"),
            _ => {
                hyphen = inside && c == '-';
                out.push(c);
            }
        }
        rest = &rest[used..];
    }
    Ok(out)
}

/// Refuses what the dialect lacks and makes Perl classes ASCII. Recursion is
/// bounded by the nesting that the parser allows.
fn adapt(tree: &mut Ast) -> Result<(), String> {
    match tree {
        Ast::Flags(flags) => check_flags(&flags.flags),
        Ast::Group(group) => {
            if let GroupKind::NonCapturing(flags) = &group.kind {
                check_flags(flags)?;
            }
            adapt(&mut group.ast)
        }
        Ast::Repetition(repetition) => {
            if !repetition.greedy {
                return Err("lazy quantifiers are not supported".into());
            }
            if let ast::RepetitionKind::Range(range) = &repetition.op.kind {
                let (ast::RepetitionRange::Exactly(most)
                | ast::RepetitionRange::AtLeast(most)
                | ast::RepetitionRange::Bounded(_, most)) = range;
                if *most > MAX_REPEAT {
                    return Err(format!("a repetition count is at most {MAX_REPEAT}"));
                }
            }
            adapt(&mut repetition.ast)
        }
        Ast::Alternation(alternation) => alternation.asts.iter_mut().try_for_each(adapt),
        Ast::Concat(concat) => concat.asts.iter_mut().try_for_each(adapt),
        Ast::ClassPerl(class) => {
            let class = ascii_class(class);
            let span = class.span;
            *tree = Ast::class_bracketed(ClassBracketed {
                span,
                negated: false,
                kind: ClassSet::Item(ClassSetItem::Ascii(class)),
            });
            Ok(())
        }
        Ast::ClassBracketed(class) => {
            adapt_set(&mut class.kind);
            Ok(())
        }
        Ast::Assertion(assertion) => {
            let span = assertion.span;
            match assertion.kind {
                AssertionKind::WordBoundary | AssertionKind::NotWordBoundary => {
                    let inner = std::mem::replace(tree, Ast::empty(span));
                    *tree = Ast::group(Group {
                        span,
                        kind: GroupKind::NonCapturing(ascii_flags(span)),
                        ast: Box::new(inner),
                    });
                    Ok(())
                }
                // A backslash before punctuation is that character.
                AssertionKind::WordBoundaryStartAngle => literal(tree, span, '<'),
                AssertionKind::WordBoundaryEndAngle => literal(tree, span, '>'),
                AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => Err("\\b{…} is not supported".into()),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn literal(tree: &mut Ast, span: ast::Span, c: char) -> Result<(), String> {
    *tree = Ast::literal(Literal {
        span,
        kind: LiteralKind::Superfluous,
        c,
    });
    Ok(())
}

fn ascii_flags(span: ast::Span) -> Flags {
    let item = |kind| FlagsItem { span, kind };
    Flags {
        span,
        items: vec![
            item(FlagsItemKind::Negation),
            item(FlagsItemKind::Flag(Flag::Unicode)),
        ],
    }
}

fn ascii_class(class: &ClassPerl) -> ClassAscii {
    let kind = match class.kind {
        ClassPerlKind::Digit => ClassAsciiKind::Digit,
        ClassPerlKind::Space => ClassAsciiKind::Space,
        ClassPerlKind::Word => ClassAsciiKind::Word,
    };
    ClassAscii {
        span: class.span,
        kind,
        negated: class.negated,
    }
}

fn adapt_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => adapt_item(item),
        ClassSet::BinaryOp(operation) => {
            adapt_set(&mut operation.lhs);
            adapt_set(&mut operation.rhs);
        }
    }
}

fn adapt_item(item: &mut ClassSetItem) {
    match item {
        ClassSetItem::Perl(class) => *item = ClassSetItem::Ascii(ascii_class(class)),
        ClassSetItem::Bracketed(class) => adapt_set(&mut class.kind),
        ClassSetItem::Union(union) => union.items.iter_mut().for_each(adapt_item),
        _ => {}
    }
}

fn check_flags(flags: &Flags) -> Result<(), String> {
    let known = flags.items.iter().all(|item| {
        matches!(
            item.kind,
            FlagsItemKind::Negation
                | FlagsItemKind::Flag(
                    Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine
                )
        )
    });
    if known {
        Ok(())
    } else {
        Err("the flags are i, m and s".into())
    }
}
