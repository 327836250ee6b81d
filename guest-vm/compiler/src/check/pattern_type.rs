//! The type of a parameter that is only known by its patterns.

use super::Checker;
use super::env::{CaseInfo, Checked};
use super::types::Ty;
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Literal, PatternKind};
use crate::syntax::span::Span;

/// What the patterns of a parameter say about it.
#[derive(Default)]
struct Evidence {
    cases: Vec<CaseInfo>,
    null: bool,
    scalars: Vec<Ty>,
    /// `type(T)` and record patterns, and anything mixed.
    open: bool,
    /// Array patterns: per pattern its elements, if all are plain.
    arrays: Vec<Option<Vec<Ty>>>,
    catch_all: bool,
}

impl Checker<'_> {
    /// The type that the patterns of all arms at one position give.
    pub(super) fn pattern_type(&mut self, patterns: &[&ast::Pattern], span: Span) -> Checked<Ty> {
        let mut evidence = Evidence::default();
        for pattern in patterns {
            self.gather(pattern, &mut evidence)?;
        }
        let sorts = usize::from(!evidence.cases.is_empty())
            + usize::from(!evidence.scalars.is_empty())
            + usize::from(evidence.open)
            + usize::from(!evidence.arrays.is_empty());
        if sorts > 1 || evidence.open {
            return Ok(Ty::DATA);
        }
        if !evidence.arrays.is_empty() {
            return self.array_pattern_type(evidence, span);
        }
        if !evidence.scalars.is_empty() {
            let mut joined = evidence.scalars[0];
            for ty in &evidence.scalars[1..] {
                joined = self.types.join(joined, *ty, false).unwrap_or(Ty::DATA);
            }
            return Ok(joined);
        }
        if evidence.cases.is_empty() && !evidence.null {
            return Ok(self.types.fresh());
        }
        let mut members = Vec::new();
        for case in &evidence.cases {
            if members.iter().any(|(name, _)| *name == case.full_name) {
                continue;
            }
            let argument = case
                .argument
                .map(|argument| self.instantiate(argument, span));
            if evidence.catch_all
                && let Some(argument) = argument
                && !self.types.make_data_range(argument)
            {
                return Err(Issue::new(Code::TypeNeedsHint, span)
                    .with("what", "the parameter of these arms")
                    .hint("declare the function with its type")
                    .into());
            }
            members.push((case.full_name.clone(), argument));
        }
        if evidence.catch_all {
            return Ok(Ty::DATA);
        }
        if members.is_empty() {
            return Ok(Ty::NULL);
        }
        Ok(self.types.union(members, evidence.null))
    }

    fn array_pattern_type(&mut self, evidence: Evidence, span: Span) -> Checked<Ty> {
        if !self.cur.pragmas.strict {
            return Ok(Ty::DATA);
        }
        if let [Some(parts)] = &evidence.arrays[..] {
            return Ok(self
                .types
                .add(super::types::Node::Tuple(parts.clone().into())));
        }
        let mut joined: Option<Ty> = None;
        for part in evidence.arrays.iter().flatten().flatten() {
            joined = Some(match joined {
                None => *part,
                Some(so_far) => self.join_branches(so_far, *part, span)?,
            });
        }
        let element = joined.unwrap_or_else(|| self.types.fresh());
        Ok(self.types.array(element))
    }

    fn gather(&mut self, pattern: &ast::Pattern, evidence: &mut Evidence) -> Checked<()> {
        match &pattern.kind {
            PatternKind::Wildcard | PatternKind::Name(_) => evidence.catch_all = true,
            PatternKind::Literal(literal) => match literal {
                Literal::Null => evidence.null = true,
                Literal::Undefined => {}
                Literal::Bool(_) => evidence.scalars.push(Ty::BOOL),
                Literal::Int(_) | Literal::Float(_) => evidence.scalars.push(Ty::NUMBER),
                Literal::Str(_) => evidence.scalars.push(Ty::STRING),
            },
            PatternKind::Compare { right, .. } => match right {
                ast::CompareRight::Literal(literal, _) => match literal {
                    Literal::Bool(_) => evidence.scalars.push(Ty::BOOL),
                    Literal::Int(_) | Literal::Float(_) => evidence.scalars.push(Ty::NUMBER),
                    Literal::Str(_) => evidence.scalars.push(Ty::STRING),
                    Literal::Null | Literal::Undefined => evidence.open = true,
                },
                ast::CompareRight::Name(name, _) => {
                    let (_, ty) = self.infer_name(&name.text, name.span)?;
                    if self.types.is_data_range(ty) {
                        evidence.scalars.push(ty);
                    } else {
                        evidence.open = true;
                    }
                }
            },
            PatternKind::Type(_) | PatternKind::Record(_) => evidence.open = true,
            PatternKind::Case {
                qualifier, name, ..
            } => {
                let case = self.pattern_case(qualifier.as_ref(), name)?;
                evidence.cases.push(case);
            }
            PatternKind::Array(elements) => {
                let plain = elements
                    .iter()
                    .all(|element| matches!(element, ast::PatternElement::Plain(_)));
                let mut parts = Vec::new();
                if self.cur.pragmas.strict {
                    for element in elements {
                        if let ast::PatternElement::Plain(inner) = element {
                            parts.push(self.pattern_type(&[inner], inner.span)?);
                        }
                    }
                }
                evidence.arrays.push(plain.then_some(parts));
            }
            PatternKind::And(left, right) => {
                // A variable in a conjunction does not widen it.
                let before = evidence.catch_all;
                self.gather(left, evidence)?;
                self.gather(right, evidence)?;
                let all = super::pattern::catches_all(left) && super::pattern::catches_all(right);
                evidence.catch_all = before || all;
            }
            PatternKind::Or(left, right) => {
                self.gather(left, evidence)?;
                self.gather(right, evidence)?;
            }
            PatternKind::As(_, inner) => self.gather(inner, evidence)?,
        }
        Ok(())
    }
}
