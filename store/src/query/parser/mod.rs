//! Reads query text. One pass without backtracking: a parenthesis that may open
//! a condition or an operand is read as [`condition::Parsed`], which says what it was.

mod condition;
mod object;
mod term;

use std::sync::Arc;

use super::ast::{Filter, Function, Key, Operand, Pipeline, Stage};
use super::error::{QueryError, QueryErrorCode};
use super::lexer::{self, Token, TokenKind};
use super::limits::{self, MAX_NESTING, MAX_TEXT};
use condition::Parsed;
use mix_value::Value;

type Result<T> = std::result::Result<T, QueryError>;

/// Parses a pipeline.
pub(super) fn parse(text: &str) -> Result<Pipeline> {
    if text.len() > MAX_TEXT {
        return Err(QueryError::too_complex("more than 64 KiB of text"));
    }
    let mut parser = Parser {
        tokens: lexer::tokens(text),
        position: 0,
        depth: 0,
        nested: false,
    };
    let pipeline = parser.pipeline()?;
    limits::check(&pipeline)?;
    Ok(pipeline)
}

struct Parser {
    /// Ends with a token that is never passed.
    tokens: Vec<Token>,
    position: usize,
    /// Open brackets and negations.
    depth: usize,
    /// Inside a nested object or a subquery, where bare paths start at the current object.
    nested: bool,
}

impl Parser {
    fn peek(&self) -> &TokenKind {
        &self.tokens[self.position].kind
    }

    /// The token after the next one.
    fn peek_second(&self) -> &TokenKind {
        &self.tokens[(self.position + 1).min(self.tokens.len() - 1)].kind
    }

    /// Offset of the next token.
    fn offset(&self) -> usize {
        self.tokens[self.position].start
    }

    fn advance(&mut self) {
        if self.position + 1 < self.tokens.len() {
            self.position += 1;
        }
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(next) if *next == symbol)
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), TokenKind::Keyword(next) if *next == keyword)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let there = self.at_symbol(symbol);
        if there {
            self.advance();
        }
        there
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let there = self.at_keyword(keyword);
        if there {
            self.advance();
        }
        there
    }

    fn need_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{symbol}`")))
        }
    }

    /// The error at the next token: its own if it is a bad one.
    fn expected(&self, what: &str) -> QueryError {
        match self.peek() {
            TokenKind::Bad(error) => error.clone(),
            TokenKind::Keyword(keyword) if what.contains("name") => QueryError::syntax(
                self.offset(),
                &format!("`{keyword}` is a keyword, quote it to use it as a name"),
                what,
            ),
            _ => QueryError::expected(self.offset(), what),
        }
    }

    /// Goes one bracket down; [`Parser::leave`] goes up again.
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            Err(limits::too_deep())
        } else {
            Ok(())
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn pipeline(&mut self) -> Result<Pipeline> {
        if *self.peek() == TokenKind::End {
            return Ok(Pipeline {
                stages: vec![Stage::Filter(Filter::All)],
            });
        }
        let mut stages = Vec::new();
        loop {
            stages.push(self.stage()?);
            if stages.len() > limits::MAX_NODES {
                return Err(limits::too_many());
            }
            if *self.peek() == TokenKind::End {
                return Ok(Pipeline { stages });
            }
            if !self.take_symbol("|") {
                return Err(self.expected("operator, `|` or end of the query"));
            }
        }
    }

    fn stage(&mut self) -> Result<Stage> {
        if self.at_symbol("{") {
            return Ok(Stage::Value(self.object()?));
        }
        if self.at_symbol("+") {
            return Ok(Stage::Value(self.follow_ref()?.0));
        }
        if let TokenKind::Ident(name) = self.peek()
            && *self.peek_second() == TokenKind::Symbol("(")
        {
            let name = name.clone();
            return self.function(&name).map(Stage::Invoke);
        }
        let offset = self.offset();
        match self.disjunction("stage")? {
            Parsed::Filter(filter) => Ok(Stage::Filter(filter)),
            Parsed::Truth { value, .. } => Ok(Stage::Filter(condition::truth(value))),
            Parsed::Term(term)
                if term.is_constant() && !self.at_symbol("|") && *self.peek() != TokenKind::End =>
            {
                Err(self.expected("comparison operator"))
            }
            Parsed::Term(term) if term.is_constant() => Err(QueryError::syntax(
                offset,
                "a constant alone is not a stage",
                "stage",
            )),
            Parsed::Term(term) => Ok(Stage::Value(term.into_node()?)),
        }
    }

    fn function(&mut self, name: &str) -> Result<Function> {
        let offset = self.offset();
        self.advance();
        self.need_symbol("(")?;
        let function = match name {
            "count" => Function::Count,
            "reverse" => Function::Reverse,
            "group" => Function::Group(self.path_key()?),
            "orderAsc" => Function::Order(self.path_key()?, Operand::Literal(Value::Bool(false))),
            "orderDesc" => Function::Order(self.path_key()?, Operand::Literal(Value::Bool(true))),
            "order" => {
                let key = self.path_key()?;
                self.need_symbol(",")?;
                Function::Order(key, self.value()?)
            }
            "skip" => Function::Skip(self.value()?),
            "limit" => Function::Limit(self.value()?),
            _ => {
                return Err(QueryError::in_text(
                    QueryErrorCode::Unsupported,
                    offset,
                    &format!("there is no function {name}"),
                ));
            }
        };
        self.need_symbol(")")?;
        Ok(function)
    }

    /// `+ path`; also gives the name of the last step.
    fn follow_ref(&mut self) -> Result<(super::ast::ValueNode, Arc<str>)> {
        let offset = self.offset();
        self.need_symbol("+")?;
        if self.at_symbol("+") {
            return Err(QueryError::in_text(
                QueryErrorCode::Unsupported,
                offset,
                "`++` is not supported",
            ));
        }
        let path = self.path()?;
        let name = path.last_step();
        Ok((super::ast::ValueNode::FollowRef(path.into_key()), name))
    }

    /// A path as an argument, where a quoted string is a key.
    fn path_key(&mut self) -> Result<Key> {
        Ok(self.path()?.into_key())
    }
}
