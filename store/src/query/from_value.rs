//! Reads a pipeline from its JSON form (given as a [`Value`]).

use std::sync::Arc;

use mix_value::Value;

use super::ast::{
    Arithmetic, ArithmeticOp, CompareOp, Constant, ConstantList, Filter, Function, Key, List,
    ListOp, Member, MemberName, Operand, Pipeline, Stage, ValueNode,
};
use super::error::{QueryError, QueryErrorCode};
use super::limits::{self, MAX_LIST, MAX_NESTING, MAX_NODES};

type Result<T> = std::result::Result<T, QueryError>;

const FILTERS: [&str; 9] = [
    "nullFilter",
    "comparison",
    "exists",
    "after",
    "afterRow",
    "and",
    "or",
    "not",
    "subquery",
];
const VALUES: [&str; 10] = [
    "token",
    "objectMember",
    "param",
    "scalarIndexed",
    "scalarFallback",
    "listIndexed",
    "listFallback",
    "calculation",
    "followRef",
    "object",
];
const MEMBERS: [&str; 4] = [
    "assignMember",
    "cloneMembers",
    "cloneMembersWithExpansion",
    "removeMember",
];
const LISTS: [&str; 3] = ["param", "listIndexed", "listFallback"];

/// True if an array with this first element is read as a node where a value is expected.
pub(super) fn opens_value_node(first: Option<&Value>) -> bool {
    first
        .and_then(Value::as_str)
        .is_some_and(|opcode| VALUES.contains(&opcode))
}

/// True if an array with this first element is read as a node where a list is expected.
pub(super) fn opens_list_node(first: Option<&Value>) -> bool {
    first
        .and_then(Value::as_str)
        .is_some_and(|opcode| LISTS.contains(&opcode))
}

/// True if an array with this first element is read as an operation inside a calculation.
pub(super) fn opens_operation(first: Option<&Value>) -> bool {
    first
        .and_then(Value::as_str)
        .is_some_and(|name| ArithmeticOp::from_name(name).is_some())
}

/// Reads a pipeline, or a single node as a pipeline of one stage.
pub(super) fn read(value: &Value) -> Result<Pipeline> {
    let mut reader = Reader {
        path: Vec::new(),
        depth: 0,
        nodes: 0,
    };
    let items = match value {
        Value::Array(items) => items,
        _ => return Err(reader.mismatch("a pipeline is an array of nodes")),
    };
    let single = matches!(items.first(), Some(Value::String(_)));
    let nodes = if single {
        std::slice::from_ref(value)
    } else {
        items.as_slice()
    };
    let stages = reader.each(nodes, Reader::stage)?;
    let pipeline = Pipeline { stages };
    limits::check(&pipeline)?;
    Ok(pipeline)
}

struct Reader {
    path: Vec<usize>,
    depth: usize,
    nodes: usize,
}

impl Reader {
    fn mismatch(&self, message: &str) -> QueryError {
        QueryError::in_json(QueryErrorCode::Type, &self.path, message)
    }

    /// An error at operand `index` of the present node.
    fn error_at(&self, code: QueryErrorCode, index: usize, message: &str) -> QueryError {
        let mut path = self.path.clone();
        path.push(index);
        QueryError::in_json(code, &path, message)
    }

    fn at<T>(&mut self, index: usize, read: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        self.path.push(index);
        let result = read(self)?;
        // After an error the path is of no more use, so that it need not be restored.
        self.path.pop();
        Ok(result)
    }

    fn each<T>(
        &mut self,
        nodes: &[Value],
        read: impl Fn(&mut Reader, &Value) -> Result<T>,
    ) -> Result<Vec<T>> {
        if nodes.len() > MAX_NODES {
            return Err(limits::too_many());
        }
        let mut results = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            results.push(self.at(index, |reader| read(reader, node))?);
        }
        Ok(results)
    }

    /// Reads a list of nodes that is operand `index` of the present node.
    fn list_of<T>(
        &mut self,
        node: &Node<'_>,
        index: usize,
        read: impl Fn(&mut Reader, &Value) -> Result<T>,
    ) -> Result<Vec<T>> {
        match node.operand(index) {
            Value::Array(items) => self.at(index, |reader| reader.each(items, read)),
            _ => Err(self.error_at(QueryErrorCode::Type, index, "an array of nodes expected")),
        }
    }

    /// Splits a node into opcode and operands and counts it.
    fn open<'v>(&mut self, value: &'v Value, wanted: &str) -> Result<Node<'v>> {
        let items = value.as_array().unwrap_or_default();
        let Some(Value::String(opcode)) = items.first() else {
            return Err(self.mismatch(&format!("{wanted} expected")));
        };
        self.enter()?;
        Ok(Node { opcode, items })
    }

    fn enter(&mut self) -> Result<()> {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return Err(limits::too_many());
        }
        if self.depth > MAX_NESTING {
            return Err(limits::too_deep());
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The error for an opcode that does not fit here.
    fn misplaced(&self, opcode: &str, wanted: &str) -> QueryError {
        let known = FILTERS.contains(&opcode)
            || VALUES.contains(&opcode)
            || MEMBERS.contains(&opcode)
            || opcode == "invoke";
        if known {
            self.mismatch(&format!("{wanted} expected, not {opcode},"))
        } else {
            self.unknown(0, "opcode", opcode)
        }
    }

    fn unknown(&self, index: usize, what: &str, name: &str) -> QueryError {
        let shown: String = name.chars().take(60).collect();
        self.error_at(
            QueryErrorCode::UnknownOpcode,
            index,
            &format!("unknown {what} {shown:?}"),
        )
    }

    fn arity(&self, node: &Node<'_>, operands: usize) -> Result<()> {
        if node.items.len() == operands + 1 {
            Ok(())
        } else {
            Err(self.mismatch(&format!("{} takes {operands} operands", node.opcode)))
        }
    }

    fn name(&self, node: &Node<'_>, index: usize) -> Result<Arc<str>> {
        match node.operand(index) {
            Value::String(name) => Ok(name.clone()),
            _ => Err(self.error_at(QueryErrorCode::Type, index, "a name expected")),
        }
    }

    fn stage(&mut self, value: &Value) -> Result<Stage> {
        let opcode = value
            .as_array()
            .and_then(<[Value]>::first)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if opcode == "invoke" {
            self.function(value).map(Stage::Invoke)
        } else if VALUES.contains(&opcode) {
            self.node(value).map(Stage::Value)
        } else if FILTERS.contains(&opcode) {
            self.filter(value).map(Stage::Filter)
        } else {
            let node = self.open(value, "a stage")?;
            Err(self.misplaced(node.opcode, "a stage"))
        }
    }

    fn function(&mut self, value: &Value) -> Result<Function> {
        let node = self.open(value, "a function")?;
        self.arity(&node, 2)?;
        let name = self.name(&node, 1)?;
        let Value::Array(arguments) = node.operand(2) else {
            return Err(self.error_at(QueryErrorCode::Type, 2, "an array of arguments expected"));
        };
        let function = self.at(2, |reader| match (&*name, arguments.as_slice()) {
            ("count", []) => Ok(Function::Count),
            ("reverse", []) => Ok(Function::Reverse),
            ("group", [key]) => reader.at(0, |r| r.key(key)).map(Function::Group),
            ("order", [key, flag]) => Ok(Function::Order(
                reader.at(0, |r| r.key(key))?,
                reader.at(1, |r| r.operand(flag))?,
            )),
            ("skip", [n]) => reader.at(0, |r| r.operand(n)).map(Function::Skip),
            ("limit", [n]) => reader.at(0, |r| r.operand(n)).map(Function::Limit),
            _ => {
                let shown: String = name.chars().take(60).collect();
                Err(QueryError::in_json(
                    QueryErrorCode::Unsupported,
                    &reader.path[..reader.path.len() - 1],
                    format_args!(
                        "there is no function {shown} with {} arguments",
                        arguments.len()
                    ),
                ))
            }
        })?;
        self.leave();
        Ok(function)
    }

    fn filter(&mut self, value: &Value) -> Result<Filter> {
        let node = self.open(value, "a filter")?;
        let filter = match node.opcode {
            "nullFilter" => {
                self.arity(&node, 0)?;
                Filter::All
            }
            "comparison" => self.comparison(&node)?,
            "exists" => {
                self.arity(&node, 1)?;
                Filter::Exists(self.at(1, |r| r.key(node.operand(1)))?)
            }
            "after" => {
                self.arity(&node, 1)?;
                Filter::After(self.at(1, |r| r.operand(node.operand(1)))?)
            }
            "afterRow" => {
                self.arity(&node, 1)?;
                match node.operand(1).as_int() {
                    Some(row) => Filter::AfterRow(row),
                    None => {
                        return Err(self.error_at(
                            QueryErrorCode::Type,
                            1,
                            "a row number expected",
                        ));
                    }
                }
            }
            "and" => {
                self.arity(&node, 1)?;
                Filter::And(self.list_of(&node, 1, Reader::filter)?)
            }
            "or" => {
                self.arity(&node, 1)?;
                Filter::Or(self.list_of(&node, 1, Reader::filter)?)
            }
            "not" => {
                self.arity(&node, 1)?;
                Filter::Not(Box::new(self.at(1, |r| r.filter(node.operand(1)))?))
            }
            "subquery" => {
                self.arity(&node, 2)?;
                Filter::Subquery(
                    self.at(1, |r| r.key(node.operand(1)))?,
                    self.list_of(&node, 2, Reader::filter)?,
                )
            }
            opcode => return Err(self.misplaced(opcode, "a filter")),
        };
        self.leave();
        Ok(filter)
    }

    fn comparison(&mut self, node: &Node<'_>) -> Result<Filter> {
        self.arity(node, 3)?;
        let name = self.name(node, 1)?;
        if let Some(op) = CompareOp::from_name(&name) {
            let key = self.at(2, |r| r.key(node.operand(2)))?;
            let value = self.at(3, |r| r.operand(node.operand(3)))?;
            return Ok(Filter::Compare(op, key, value));
        }
        let Some(op) = ListOp::from_name(&name) else {
            return Err(self.unknown(1, "operator", &name));
        };
        let key = self.at(2, |r| r.key(node.operand(2)))?;
        let list = self.at(3, |r| r.list(node.operand(3)))?;
        Ok(Filter::Within(op, key, list))
    }

    fn key(&mut self, value: &Value) -> Result<Key> {
        match value {
            Value::String(path) => Ok(Key::Path(path.clone())),
            Value::Array(_) => Ok(Key::Node(Box::new(self.node(value)?))),
            _ => Err(self.mismatch("a key (a string or a value node) expected")),
        }
    }

    fn operand(&mut self, value: &Value) -> Result<Operand> {
        match value {
            Value::Array(items) if opens_value_node(items.first()) => {
                Ok(Operand::Node(Box::new(self.node(value)?)))
            }
            Value::Array(items) if items.len() > MAX_LIST => Err(limits::too_long()),
            value => Ok(Operand::Literal(value.clone())),
        }
    }

    fn list(&mut self, value: &Value) -> Result<List> {
        match value {
            Value::Array(items) if opens_list_node(items.first()) => match self.node(value)? {
                ValueNode::Param(name) => Ok(List::Param(name)),
                ValueNode::List(constant) => Ok(List::Constant(constant)),
                _ => Err(self.mismatch("a list expected")),
            },
            Value::Array(items) if items.len() > MAX_LIST => Err(limits::too_long()),
            Value::Array(items) => Ok(List::Literal(items.clone())),
            _ => Err(self.mismatch("a list expected")),
        }
    }

    fn node(&mut self, value: &Value) -> Result<ValueNode> {
        let node = self.open(value, "a value node")?;
        let result = match node.opcode {
            "token" => {
                self.arity(&node, 1)?;
                ValueNode::Token(self.name(&node, 1)?)
            }
            "param" => {
                self.arity(&node, 1)?;
                ValueNode::Param(self.name(&node, 1)?)
            }
            "objectMember" => {
                self.arity(&node, 2)?;
                let key = match node.operand(1) {
                    Value::Null => None,
                    key => Some(self.at(1, |r| r.key(key))?),
                };
                ValueNode::Member(key, self.at(2, |r| r.member_name(node.operand(2)))?)
            }
            "scalarFallback" => {
                self.arity(&node, 1)?;
                ValueNode::Scalar(Constant::fallback(node.operand(1).clone()))
            }
            "scalarIndexed" => {
                self.arity(&node, 1)?;
                match Constant::indexed(node.operand(1).clone()) {
                    Some(constant) => ValueNode::Scalar(constant),
                    None => return Err(self.not_indexable()),
                }
            }
            "listFallback" => {
                self.arity(&node, 1)?;
                ValueNode::List(ConstantList::fallback(self.items(&node)?))
            }
            "listIndexed" => {
                self.arity(&node, 1)?;
                match ConstantList::indexed(self.items(&node)?) {
                    Some(constant) => ValueNode::List(constant),
                    None => return Err(self.not_indexable()),
                }
            }
            "calculation" => {
                self.arity(&node, 1)?;
                ValueNode::Calculation(self.at(1, |r| r.arithmetic(node.operand(1)))?)
            }
            "followRef" => {
                self.arity(&node, 1)?;
                ValueNode::FollowRef(self.at(1, |r| r.key(node.operand(1)))?)
            }
            "object" => {
                self.arity(&node, 1)?;
                ValueNode::Object(self.list_of(&node, 1, Reader::member)?)
            }
            opcode => return Err(self.misplaced(opcode, "a value node")),
        };
        self.leave();
        Ok(result)
    }

    fn not_indexable(&self) -> QueryError {
        self.error_at(
            QueryErrorCode::NotIndexable,
            1,
            "a value that an index need not hold",
        )
    }

    fn items(&self, node: &Node<'_>) -> Result<Vec<Value>> {
        match node.operand(1) {
            Value::Array(items) if items.len() > MAX_LIST => Err(limits::too_long()),
            Value::Array(items) => Ok(items.clone()),
            _ => Err(self.error_at(QueryErrorCode::Type, 1, "a list expected")),
        }
    }

    fn arithmetic(&mut self, value: &Value) -> Result<Arithmetic> {
        let Value::Array(items) = value else {
            return self.operand(value).map(Arithmetic::Operand);
        };
        let Some(op) = items
            .first()
            .and_then(Value::as_str)
            .and_then(ArithmeticOp::from_name)
        else {
            return self.operand(value).map(Arithmetic::Operand);
        };
        let [_, left, right] = items.as_slice() else {
            return Err(self.mismatch(&format!("{} takes 2 operands", op.name())));
        };
        self.enter()?;
        let left = self.at(1, |r| r.arithmetic(left))?;
        let right = self.at(2, |r| r.arithmetic(right))?;
        self.leave();
        Ok(Arithmetic::Operation(op, Box::new(left), Box::new(right)))
    }

    fn member_name(&self, value: &Value) -> Result<MemberName> {
        match value {
            Value::String(name) => Ok(MemberName::Plain(name.clone())),
            Value::Array(items) => match items.as_slice() {
                [Value::String(opcode), Value::String(name)] if &**opcode == "token" => {
                    Ok(MemberName::Token(name.clone()))
                }
                _ => Err(self.mismatch("a member name (a string or a token) expected")),
            },
            _ => Err(self.mismatch("a member name (a string or a token) expected")),
        }
    }

    fn member(&mut self, value: &Value) -> Result<Member> {
        let node = self.open(value, "an object member")?;
        let member = match node.opcode {
            "assignMember" => {
                if node.items.len() != 4 {
                    self.arity(&node, 2)?;
                }
                let name = self.name(&node, 1)?;
                let value = self.at(2, |r| r.key(node.operand(2)))?;
                let default = match node.items.get(3) {
                    Some(default) => Some(self.at(3, |r| r.operand(default))?),
                    None => None,
                };
                Member::Assign {
                    name,
                    value,
                    default,
                }
            }
            "cloneMembers" => {
                self.arity(&node, 0)?;
                Member::Clone
            }
            "cloneMembersWithExpansion" => {
                self.arity(&node, 0)?;
                Member::CloneExpanded
            }
            "removeMember" => {
                self.arity(&node, 1)?;
                Member::Remove(self.at(1, |r| r.member_name(node.operand(1)))?)
            }
            opcode => return Err(self.misplaced(opcode, "an object member")),
        };
        self.leave();
        Ok(member)
    }
}

/// A node whose opcode is known to be a string.
struct Node<'v> {
    opcode: &'v str,
    items: &'v [Value],
}

impl<'v> Node<'v> {
    /// Operand `index`, counted from 1. Callers have checked the arity.
    fn operand(&self, index: usize) -> &'v Value {
        &self.items[index]
    }
}
