//! Limits on queries, and the count of what a query consists of.

use super::ast::{
    Arithmetic, Filter, Function, Key, List, Member, Operand, Pipeline, Stage, ValueNode,
};
use super::error::QueryError;

/// Longest text in bytes.
pub const MAX_TEXT: usize = 64 * 1024;
/// Deepest nesting, of brackets in a text and of nodes in an AST.
pub const MAX_NESTING: usize = 64;
/// Most items in one list.
pub const MAX_LIST: usize = 10_000;
/// Most nodes in one query.
pub const MAX_NODES: usize = 20_000;
/// Deepest nesting of a value that a query may yield.
pub(super) const MAX_VALUE_DEPTH: usize = mix_value::MAX_DEPTH;

pub(super) fn too_deep() -> QueryError {
    QueryError::too_complex("nested deeper than 64 levels")
}

pub(super) fn too_long() -> QueryError {
    QueryError::too_complex("a list of more than 10000 items")
}

pub(super) fn too_many() -> QueryError {
    QueryError::too_complex("more than 20000 nodes")
}

/// Checks a pipeline against the limits, however it came about.
pub(super) fn check(pipeline: &Pipeline) -> Result<(), QueryError> {
    let mut count = Count { nodes: 0, depth: 0 };
    for stage in &pipeline.stages {
        match stage {
            Stage::Filter(filter) => count.filter(filter)?,
            Stage::Value(node) => count.node(node)?,
            Stage::Invoke(function) => count.function(function)?,
        }
    }
    Ok(())
}

struct Count {
    nodes: usize,
    depth: usize,
}

impl Count {
    fn enter(&mut self) -> Result<(), QueryError> {
        self.nodes += 1;
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(too_deep());
        }
        if self.nodes > MAX_NODES {
            return Err(too_many());
        }
        Ok(())
    }

    fn filter(&mut self, filter: &Filter) -> Result<(), QueryError> {
        self.enter()?;
        match filter {
            Filter::All | Filter::AfterRow(_) => {}
            Filter::Compare(_, key, value) => {
                self.key(key)?;
                self.operand(value)?;
            }
            Filter::Within(_, key, list) => {
                self.key(key)?;
                self.list(list)?;
            }
            Filter::Exists(key) => self.key(key)?,
            Filter::After(value) => self.operand(value)?,
            Filter::And(parts) | Filter::Or(parts) => self.filters(parts)?,
            Filter::Not(inner) => self.filter(inner)?,
            Filter::Subquery(key, parts) => {
                self.key(key)?;
                self.filters(parts)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn filters(&mut self, parts: &[Filter]) -> Result<(), QueryError> {
        parts.iter().try_for_each(|part| self.filter(part))
    }

    fn function(&mut self, function: &Function) -> Result<(), QueryError> {
        self.enter()?;
        match function {
            Function::Count | Function::Reverse => {}
            Function::Group(key) => self.key(key)?,
            Function::Order(key, flag) => {
                self.key(key)?;
                self.operand(flag)?;
            }
            Function::Skip(n) | Function::Limit(n) => self.operand(n)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn key(&mut self, key: &Key) -> Result<(), QueryError> {
        match key {
            Key::Path(path) if path.split('.').count() > MAX_NESTING => Err(too_deep()),
            Key::Path(_) => Ok(()),
            Key::Node(node) => self.node(node),
        }
    }

    fn operand(&mut self, operand: &Operand) -> Result<(), QueryError> {
        match operand {
            Operand::Literal(value) => literal(value),
            Operand::Node(node) => self.node(node),
        }
    }

    fn list(&mut self, list: &List) -> Result<(), QueryError> {
        match list {
            List::Literal(items) if items.len() > MAX_LIST => Err(too_long()),
            List::Literal(_) => Ok(()),
            List::Param(_) => {
                self.enter()?;
                self.depth -= 1;
                Ok(())
            }
            List::Constant(constant) => {
                self.enter()?;
                self.depth -= 1;
                if constant.items().len() > MAX_LIST {
                    Err(too_long())
                } else {
                    Ok(())
                }
            }
        }
    }

    fn node(&mut self, node: &ValueNode) -> Result<(), QueryError> {
        self.enter()?;
        match node {
            ValueNode::Token(_) | ValueNode::Param(_) => {}
            ValueNode::Member(None, _) => {}
            ValueNode::Member(Some(key), _) | ValueNode::FollowRef(key) => self.key(key)?,
            ValueNode::Scalar(constant) => literal(constant.value())?,
            ValueNode::List(constant) if constant.items().len() > MAX_LIST => {
                return Err(too_long());
            }
            ValueNode::List(_) => {}
            ValueNode::Calculation(calculation) => self.arithmetic(calculation)?,
            ValueNode::Object(members) => {
                for member in members {
                    self.member(member)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn arithmetic(&mut self, calculation: &Arithmetic) -> Result<(), QueryError> {
        match calculation {
            Arithmetic::Operand(operand) => self.operand(operand),
            Arithmetic::Operation(_, left, right) => {
                self.enter()?;
                self.arithmetic(left)?;
                self.arithmetic(right)?;
                self.depth -= 1;
                Ok(())
            }
        }
    }

    fn member(&mut self, member: &Member) -> Result<(), QueryError> {
        self.enter()?;
        if let Member::Assign { value, default, .. } = member {
            self.key(value)?;
            if let Some(default) = default {
                self.operand(default)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

fn literal(value: &mix_value::Value) -> Result<(), QueryError> {
    match value {
        mix_value::Value::Array(items) if items.len() > MAX_LIST => Err(too_long()),
        _ => Ok(()),
    }
}
