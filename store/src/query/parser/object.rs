//! Projections.

use std::sync::Arc;

use super::super::ast::{Key, Member, MemberName, ValueNode};
use super::super::lexer::TokenKind;
use super::super::limits::{self, MAX_NODES};
use super::term::Side;
use super::{Parser, Result};

impl Parser {
    pub(super) fn object(&mut self) -> Result<ValueNode> {
        self.object_members().map(ValueNode::Object)
    }

    pub(super) fn object_members(&mut self) -> Result<Vec<Member>> {
        self.enter()?;
        self.need_symbol("{")?;
        let mut members = Vec::new();
        if !self.take_symbol("}") {
            loop {
                members.push(self.member()?);
                if members.len() > MAX_NODES {
                    return Err(limits::too_many());
                }
                if self.take_symbol("}") {
                    break;
                }
                if !self.take_symbol(",") {
                    return Err(self.expected("`,` or `}`"));
                }
            }
        }
        self.leave();
        Ok(members)
    }

    fn member(&mut self) -> Result<Member> {
        if self.take_symbol("*") {
            return Ok(Member::Clone);
        }
        if self.take_symbol("**") {
            return Ok(Member::CloneExpanded);
        }
        if self.take_symbol("-") {
            return Ok(Member::Remove(MemberName::Plain(self.name()?)));
        }
        if self.at_symbol("+") {
            let (node, name) = self.follow_ref()?;
            return Ok(Member::Assign {
                name,
                value: Key::Node(Box::new(node)),
                default: None,
            });
        }
        if let TokenKind::Ident(name) | TokenKind::Str(name) = self.peek()
            && *self.peek_second() == TokenKind::Symbol(":")
        {
            let name = name.clone();
            self.advance();
            self.advance();
            return self.assignment(name);
        }
        if !matches!(
            self.peek(),
            TokenKind::Ident(_) | TokenKind::Str(_) | TokenKind::Symbol(".")
        ) {
            return Err(self.expected("member name, `*`, `**`, `-` or `+`"));
        }
        let path = self.path()?;
        let (name, value) = match path.single() {
            Some(name) => (name.clone(), Key::Path(name)),
            None => (path.last_step(), path.into_key()),
        };
        self.with_default(name, value)
    }

    fn assignment(&mut self, name: Arc<str>) -> Result<Member> {
        let value = if self.at_symbol("{") {
            let outer = std::mem::replace(&mut self.nested, true);
            let object = self.object()?;
            self.nested = outer;
            object
        } else if self.at_symbol("+") {
            self.follow_ref()?.0
        } else {
            self.sum(Side::Left, "value, field or `{`")?.into_node()?
        };
        self.with_default(name, Key::Node(Box::new(value)))
    }

    fn with_default(&mut self, name: Arc<str>, value: Key) -> Result<Member> {
        let default = if self.take_symbol("??") {
            Some(self.value()?)
        } else {
            None
        };
        Ok(Member::Assign {
            name,
            value,
            default,
        })
    }
}
