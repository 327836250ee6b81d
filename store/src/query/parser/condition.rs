//! Conditions.

use super::super::ast::{CompareOp, Filter, List, ListOp, Operand};
use super::super::error::QueryError;
use super::super::lexer::TokenKind;
use super::super::limits::{self, MAX_NODES};
use super::term::{Side, Term};
use super::{Parser, Result};
use mix_value::Value;

/// What stands where a condition or an operand may stand.
pub(super) enum Parsed {
    Filter(Filter),
    /// `true` or `false`, which can be either.
    Truth {
        value: bool,
        offset: usize,
    },
    Term(Term),
}

/// The condition that is always, or never, true.
pub(super) fn truth(value: bool) -> Filter {
    if value {
        Filter::All
    } else {
        Filter::Not(Box::new(Filter::All))
    }
}

impl Parser {
    /// A condition, where nothing else may stand.
    pub(super) fn filter(&mut self) -> Result<Filter> {
        let parsed = self.disjunction("condition")?;
        self.need_filter(parsed)
    }

    fn need_filter(&self, parsed: Parsed) -> Result<Filter> {
        match parsed {
            Parsed::Filter(filter) => Ok(filter),
            Parsed::Truth { value, .. } => Ok(truth(value)),
            // What is missing is the comparison after the operand.
            Parsed::Term(_) => Err(self.expected("comparison operator")),
        }
    }

    /// Parts joined by `or`, or a lone operand. `wanted` names what is missing if nothing is there.
    pub(super) fn disjunction(&mut self, wanted: &str) -> Result<Parsed> {
        let first = self.conjunction(wanted)?;
        if !self.at_keyword("or") && !self.at_symbol("||") {
            return Ok(first);
        }
        let mut parts = vec![self.need_filter(first)?];
        while self.take_keyword("or") || self.take_symbol("||") {
            let part = self.conjunction("condition")?;
            parts.push(self.need_filter(part)?);
            if parts.len() > MAX_NODES {
                return Err(limits::too_many());
            }
        }
        Ok(Parsed::Filter(Filter::Or(parts)))
    }

    fn conjunction(&mut self, wanted: &str) -> Result<Parsed> {
        let first = self.negation(wanted)?;
        if !self.at_keyword("and") && !self.at_symbol("&&") {
            return Ok(first);
        }
        let mut parts = vec![self.need_filter(first)?];
        while self.take_keyword("and") || self.take_symbol("&&") {
            let part = self.negation("condition")?;
            parts.push(self.need_filter(part)?);
            if parts.len() > MAX_NODES {
                return Err(limits::too_many());
            }
        }
        Ok(Parsed::Filter(Filter::And(parts)))
    }

    fn negation(&mut self, wanted: &str) -> Result<Parsed> {
        let mut negations = 0;
        while self.take_keyword("not") || self.take_symbol("!") {
            negations += 1;
            self.enter()?;
        }
        let inner = self.primary(if negations > 0 { "condition" } else { wanted })?;
        if negations == 0 {
            return Ok(inner);
        }
        let mut filter = self.need_filter(inner)?;
        for _ in 0..negations {
            filter = Filter::Not(Box::new(filter));
            self.leave();
        }
        Ok(Parsed::Filter(filter))
    }

    fn primary(&mut self, wanted: &str) -> Result<Parsed> {
        if self.take_keyword("exists") {
            return Ok(Parsed::Filter(Filter::Exists(self.path_key()?)));
        }
        if self.take_keyword("after") {
            return Ok(Parsed::Filter(match self.value()? {
                Operand::Literal(mark) => match mark.as_int() {
                    Some(row) => Filter::AfterRow(row),
                    None => Filter::After(Operand::Literal(mark)),
                },
                param => Filter::After(param),
            }));
        }
        let offset = self.offset();
        let term = match self.peek() {
            TokenKind::Keyword("true" | "false") => {
                let value = self.at_keyword("true");
                self.advance();
                if !self.continues_operand() {
                    return Ok(Parsed::Truth { value, offset });
                }
                self.sum_after(Term::constant(Value::Bool(value), offset), Side::Left)?
            }
            TokenKind::Symbol("(") if *self.peek_second() != TokenKind::Symbol("{") => {
                self.enter()?;
                self.advance();
                let inner = self.disjunction("condition or operand")?;
                self.need_symbol(")")?;
                self.leave();
                match inner {
                    Parsed::Term(term) => self.sum_after(term, Side::Left)?,
                    Parsed::Truth { value, offset } if self.continues_operand() => {
                        self.sum_after(Term::constant(Value::Bool(value), offset), Side::Left)?
                    }
                    filter => return Ok(filter),
                }
            }
            _ => {
                let first = self.atom(Side::Left, wanted)?;
                if self.at_symbol(".")
                    && *self.peek_second() == TokenKind::Symbol("(")
                    && first.is_path()
                {
                    return self.subquery(first).map(Parsed::Filter);
                }
                self.sum_after(first, Side::Left)?
            }
        };
        self.comparison(term)
    }

    /// True if what follows an operand makes it part of something greater.
    fn continues_operand(&self) -> bool {
        match self.peek() {
            TokenKind::Symbol("+" | "-" | "*" | "/" | "%") => true,
            TokenKind::Keyword("in" | "not" | "all") => true,
            _ => self.comparison_operator().is_some(),
        }
    }

    fn comparison_operator(&self) -> Option<CompareOp> {
        match self.peek() {
            TokenKind::Symbol(name) => CompareOp::from_name(name),
            TokenKind::Keyword(name) => CompareOp::from_name(name),
            _ => None,
        }
    }

    fn comparison(&mut self, left: Term) -> Result<Parsed> {
        if let Some(op) = self.comparison_operator() {
            self.advance();
            let right = self.sum(Side::Right, "value")?;
            return Ok(Parsed::Filter(Filter::Compare(
                op,
                left.into_key()?,
                right.into_operand()?,
            )));
        }
        let negated = self.at_keyword("not");
        if !negated && !self.at_keyword("all") && !self.at_keyword("in") {
            return Ok(Parsed::Term(left));
        }
        if negated {
            self.advance();
        }
        let all = self.take_keyword("all");
        if !self.take_keyword("in") {
            return Err(self.expected(if all { "`in`" } else { "`in` or `all in`" }));
        }
        let op = match (negated, all) {
            (false, false) => ListOp::In,
            (false, true) => ListOp::AllIn,
            (true, false) => ListOp::NotIn,
            (true, true) => ListOp::NotAllIn,
        };
        let list = match self.peek() {
            TokenKind::Param(name) => {
                let name = name.clone();
                self.advance();
                List::Param(name)
            }
            TokenKind::Symbol("[") => List::literal(self.list()?),
            _ => return Err(self.expected("list or parameter")),
        };
        Ok(Parsed::Filter(Filter::Within(op, left.into_key()?, list)))
    }

    fn subquery(&mut self, path: Term) -> Result<Filter> {
        let key = path.into_key()?;
        self.need_symbol(".")?;
        self.enter()?;
        self.need_symbol("(")?;
        let outer = std::mem::replace(&mut self.nested, true);
        let inner = self.filter()?;
        self.nested = outer;
        self.need_symbol(")")?;
        self.leave();
        let parts = match inner {
            Filter::And(parts) => parts,
            filter => vec![filter],
        };
        Ok(Filter::Subquery(key, parts))
    }

    /// The error for a bare word on the right of a comparison.
    pub(super) fn bare_word(&self, name: &str) -> QueryError {
        let message = format!("quote the string or write `.{name}`");
        QueryError::syntax(self.offset(), &message, &message)
    }
}
