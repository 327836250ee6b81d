//! Operands: paths, constants and arithmetic.

use std::sync::Arc;

use super::super::ast::{
    Arithmetic, ArithmeticOp, Constant, Key, Member, MemberName, Operand, ValueNode,
};
use super::super::error::{QueryError, QueryErrorCode};
use super::super::lexer::TokenKind;
use super::super::limits::{self, MAX_LIST, MAX_NESTING};
use super::condition::Parsed;
use super::{Parser, Result};
use mix_value::{Ref, Value};

/// Side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Also arithmetic in projections: bare words are keys.
    Left,
    /// Bare words are errors, field paths start with a dot.
    Right,
}

/// An operand whose final form depends on its place.
pub(super) struct Term {
    kind: Kind,
    /// Nesting of nodes in it.
    depth: usize,
    /// Offset of its first character.
    offset: usize,
}

enum Kind {
    /// A bare word.
    Bare(Arc<str>),
    /// A quoted string: a key or a constant.
    Quoted(Arc<str>),
    /// A longer path or a parameter.
    Node(ValueNode),
    Constant(Value),
    Calculation(Arithmetic),
    /// An object in parentheses.
    Object(Vec<Member>),
}

impl Term {
    pub(super) fn constant(value: Value, offset: usize) -> Term {
        Term {
            kind: Kind::Constant(value),
            depth: 1,
            offset,
        }
    }

    /// True for a constant alone.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Quoted(_) | Kind::Constant(_))
    }

    /// True for what a subquery may follow.
    pub(super) fn is_path(&self) -> bool {
        matches!(
            self.kind,
            Kind::Bare(_) | Kind::Quoted(_) | Kind::Node(ValueNode::Member(..))
        )
    }

    /// As a key of a comparison or as an argument: a quoted string is a key.
    pub(super) fn into_key(self) -> Result<Key> {
        match self.kind {
            Kind::Quoted(path) => Ok(Key::Path(path)),
            _ => Ok(Key::Node(Box::new(self.into_node()?))),
        }
    }

    /// As a node in a projection: a quoted string is a constant.
    pub(super) fn into_node(self) -> Result<ValueNode> {
        Ok(match self.kind {
            Kind::Bare(name) => ValueNode::Token(name),
            Kind::Quoted(text) => {
                ValueNode::Scalar(Constant::fallback(constant(&text, self.offset)?))
            }
            Kind::Node(node) => node,
            Kind::Constant(value) => ValueNode::Scalar(Constant::fallback(value)),
            Kind::Calculation(calculation) => ValueNode::Calculation(calculation),
            Kind::Object(members) => ValueNode::Calculation(Arithmetic::Operand(Operand::Node(
                Box::new(ValueNode::Object(members)),
            ))),
        })
    }

    /// As the right side of a comparison.
    pub(super) fn into_operand(self) -> Result<Operand> {
        Ok(match self.kind {
            Kind::Quoted(text) => Operand::literal(constant(&text, self.offset)?),
            Kind::Constant(value) => Operand::literal(value),
            _ => Operand::Node(Box::new(self.into_node()?)),
        })
    }

    fn into_arithmetic(self) -> Result<Arithmetic> {
        Ok(match self.kind {
            Kind::Quoted(text) => Arithmetic::literal(constant(&text, self.offset)?),
            Kind::Constant(value) => Arithmetic::literal(value),
            Kind::Calculation(calculation) => calculation,
            Kind::Object(members) => {
                Arithmetic::Operand(Operand::Node(Box::new(ValueNode::Object(members))))
            }
            _ => Arithmetic::Operand(Operand::Node(Box::new(self.into_node()?))),
        })
    }

    fn combine(self, op: ArithmeticOp, right: Term) -> Result<Term> {
        let depth = self.depth.max(right.depth) + 1;
        if depth > MAX_NESTING {
            return Err(limits::too_deep());
        }
        let offset = self.offset;
        let operation = Arithmetic::Operation(
            op,
            Box::new(self.into_arithmetic()?),
            Box::new(right.into_arithmetic()?),
        );
        Ok(Term {
            kind: Kind::Calculation(operation),
            depth,
            offset,
        })
    }
}

/// A string as a constant: `{ref}X` is the ref X.
pub(super) fn constant(text: &Arc<str>, offset: usize) -> Result<Value> {
    match text.strip_prefix("{ref}") {
        Some(id) if !id.is_empty() => reference(id, offset),
        _ => Ok(Value::String(text.clone())),
    }
}

fn reference(id: &str, offset: usize) -> Result<Value> {
    Ref::new(id)
        .map(Value::Ref)
        .map_err(|error| QueryError::syntax(offset, &error.to_string(), "ref"))
}

/// A path in the place of an argument.
pub(super) struct Path {
    term: Term,
    last: Arc<str>,
}

impl Path {
    pub(super) fn last_step(&self) -> Arc<str> {
        self.last.clone()
    }

    /// The only step, if it was written as a word or a string without a dot before it.
    pub(super) fn single(&self) -> Option<Arc<str>> {
        match &self.term.kind {
            Kind::Bare(name) | Kind::Quoted(name) => Some(name.clone()),
            _ => None,
        }
    }

    pub(super) fn into_key(self) -> Key {
        match self.term.kind {
            Kind::Quoted(path) => Key::Path(path),
            Kind::Bare(name) => Key::Node(Box::new(ValueNode::Token(name))),
            Kind::Node(node) => Key::Node(Box::new(node)),
            // `Parser::path` makes the three kinds above only.
            Kind::Constant(value) => {
                Key::Node(Box::new(ValueNode::Scalar(Constant::fallback(value))))
            }
            Kind::Calculation(calculation) => {
                Key::Node(Box::new(ValueNode::Calculation(calculation)))
            }
            Kind::Object(members) => Key::Node(Box::new(ValueNode::Object(members))),
        }
    }
}

impl Parser {
    pub(super) fn sum(&mut self, side: Side, wanted: &str) -> Result<Term> {
        let first = self.atom(side, wanted)?;
        self.sum_after(first, side)
    }

    /// The rest of a sum whose first atom is there.
    pub(super) fn sum_after(&mut self, first: Term, side: Side) -> Result<Term> {
        let mut left = self.product_after(first, side)?;
        loop {
            let op = match self.peek() {
                TokenKind::Symbol("+") => ArithmeticOp::Add,
                TokenKind::Symbol("-") => ArithmeticOp::Sub,
                _ => return Ok(left),
            };
            self.advance();
            let atom = self.atom(side, "operand")?;
            let right = self.product_after(atom, side)?;
            left = left.combine(op, right)?;
        }
    }

    fn product_after(&mut self, first: Term, side: Side) -> Result<Term> {
        let mut left = first;
        loop {
            let op = match self.peek() {
                TokenKind::Symbol("*") => ArithmeticOp::Mul,
                TokenKind::Symbol("/") => ArithmeticOp::Div,
                TokenKind::Symbol("%") => ArithmeticOp::Rem,
                _ => return Ok(left),
            };
            self.advance();
            let right = self.atom(side, "operand")?;
            left = left.combine(op, right)?;
        }
    }

    pub(super) fn atom(&mut self, side: Side, wanted: &str) -> Result<Term> {
        let offset = self.offset();
        match self.peek() {
            TokenKind::Symbol("(") => {
                self.enter()?;
                self.advance();
                let inner = self.parenthesised(side)?;
                self.need_symbol(")")?;
                self.leave();
                Ok(inner)
            }
            TokenKind::Ident(name) if side == Side::Right => Err(self.bare_word(&name.clone())),
            TokenKind::Str(text) if side == Side::Right => {
                let text = text.clone();
                self.advance();
                Ok(Term {
                    kind: Kind::Quoted(text),
                    depth: 1,
                    offset,
                })
            }
            TokenKind::Ident(_) | TokenKind::Str(_) | TokenKind::Symbol(".") => {
                Ok(self.path()?.term)
            }
            _ => match self.plain_value(wanted)? {
                Operand::Literal(value) => Ok(Term::constant(value, offset)),
                Operand::Node(node) => Ok(Term {
                    kind: Kind::Node(*node),
                    depth: 1,
                    offset,
                }),
            },
        }
    }

    fn parenthesised(&mut self, side: Side) -> Result<Term> {
        let offset = self.offset();
        if self.at_symbol("{") {
            let members = self.object_members()?;
            // Checked exactly with the whole pipeline; brackets bound it until then.
            return Ok(Term {
                kind: Kind::Object(members),
                depth: 1,
                offset,
            });
        }
        if side == Side::Right {
            return self.sum(side, "operand");
        }
        match self.disjunction("operand")? {
            Parsed::Term(term) => Ok(term),
            Parsed::Truth { value, offset } => Ok(Term::constant(Value::Bool(value), offset)),
            Parsed::Filter(_) => Err(QueryError::syntax(
                offset,
                "a condition cannot be an operand",
                "operand",
            )),
        }
    }

    /// A path. `nested` decides how a bare one starts.
    pub(super) fn path(&mut self) -> Result<Path> {
        let offset = self.offset();
        let mut last;
        let mut term = match self.peek() {
            TokenKind::Symbol(".") => {
                self.advance();
                last = self.name()?;
                let node = ValueNode::Member(None, MemberName::Token(last.clone()));
                Term {
                    kind: Kind::Node(node),
                    depth: 1,
                    offset,
                }
            }
            TokenKind::Ident(name) => {
                last = name.clone();
                self.advance();
                Term {
                    kind: Kind::Bare(last.clone()),
                    depth: 1,
                    offset,
                }
            }
            TokenKind::Str(text) => {
                let text = text.clone();
                self.advance();
                last = text.rsplit('.').next().unwrap_or_default().into();
                Term {
                    kind: Kind::Quoted(text),
                    depth: 1,
                    offset,
                }
            }
            _ => return Err(self.expected("field name")),
        };
        while self.at_symbol(".") && *self.peek_second() != TokenKind::Symbol("(") {
            self.advance();
            last = self.name()?;
            if term.depth >= MAX_NESTING {
                return Err(limits::too_deep());
            }
            let depth = term.depth + 1;
            let base = match term.kind {
                Kind::Bare(name) if self.nested => Key::Node(Box::new(ValueNode::Token(name))),
                Kind::Bare(name) => {
                    Key::Node(Box::new(ValueNode::Member(None, MemberName::Plain(name))))
                }
                Kind::Quoted(path) => Key::Path(path),
                _ => term.into_key()?,
            };
            let node = ValueNode::Member(Some(base), MemberName::Token(last.clone()));
            term = Term {
                kind: Kind::Node(node),
                depth,
                offset,
            };
        }
        Ok(Path { term, last })
    }

    pub(super) fn name(&mut self) -> Result<Arc<str>> {
        match self.peek() {
            TokenKind::Ident(name) | TokenKind::Str(name) => {
                let name = name.clone();
                self.advance();
                Ok(name)
            }
            _ => Err(self.expected("field name")),
        }
    }

    /// A value as an argument or a default.
    pub(super) fn value(&mut self) -> Result<Operand> {
        Ok(match self.plain_value("value")? {
            Operand::Literal(value) => Operand::literal(value),
            node => node,
        })
    }

    /// A value; a literal list is not guarded against being read as a node.
    fn plain_value(&mut self, wanted: &str) -> Result<Operand> {
        let offset = self.offset();
        let value = match self.peek() {
            TokenKind::Param(name) => {
                let node = ValueNode::Param(name.clone());
                self.advance();
                return Ok(Operand::Node(Box::new(node)));
            }
            TokenKind::Symbol("[") => return Ok(Operand::Literal(Value::Array(self.list()?))),
            TokenKind::Str(text) => constant(&text.clone(), offset)?,
            TokenKind::Number(text) => number(text, offset)?,
            TokenKind::Symbol("-") => {
                let minus_end = self.tokens[self.position].end;
                match self.peek_second() {
                    TokenKind::Number(text)
                        if self.tokens[self.position + 1].start == minus_end =>
                    {
                        let value = number(&format!("-{text}"), offset)?;
                        self.advance();
                        value
                    }
                    _ => return Err(self.expected(wanted)),
                }
            }
            TokenKind::Keyword("true") => Value::Bool(true),
            TokenKind::Keyword("false") => Value::Bool(false),
            TokenKind::Keyword("null") => Value::Null,
            TokenKind::Keyword("undefined") => Value::Undefined,
            TokenKind::Keyword("ref") => {
                self.advance();
                self.need_symbol("(")?;
                let offset = self.offset();
                let TokenKind::Str(id) = self.peek() else {
                    return Err(self.expected("quoted id"));
                };
                let value = reference(&id.clone(), offset)?;
                self.advance();
                // The closing parenthesis is passed below.
                if !self.at_symbol(")") {
                    return Err(self.expected("`)`"));
                }
                value
            }
            TokenKind::Ident(name) => return Err(self.bare_word(&name.clone())),
            _ => return Err(self.expected(wanted)),
        };
        self.advance();
        Ok(Operand::Literal(value))
    }

    pub(super) fn list(&mut self) -> Result<Vec<Value>> {
        self.enter()?;
        self.need_symbol("[")?;
        let mut items = Vec::new();
        if !self.take_symbol("]") {
            loop {
                let offset = self.offset();
                match self.plain_value("value")? {
                    Operand::Literal(value) => items.push(value),
                    // A list in the AST is a constant.
                    Operand::Node(_) => {
                        return Err(QueryError::in_text(
                            QueryErrorCode::Unsupported,
                            offset,
                            "a parameter inside a list is not supported, make the whole list a parameter",
                        ));
                    }
                }
                if items.len() > MAX_LIST {
                    return Err(limits::too_long());
                }
                if self.take_symbol("]") {
                    break;
                }
                if !self.take_symbol(",") {
                    return Err(self.expected("`,` or `]`"));
                }
            }
        }
        self.leave();
        Ok(items)
    }
}

/// Integers that fit 64 bits are ints, other numbers floats.
fn number(text: &str, offset: usize) -> Result<Value> {
    if !text.contains(['.', 'e', 'E'])
        && let Ok(int) = text.parse::<i64>()
    {
        return Ok(Value::Int(int));
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Value::Float(float)),
        _ => Err(QueryError::syntax(
            offset,
            "number out of range",
            "number within the floats",
        )),
    }
}
