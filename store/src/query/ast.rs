//! The pipeline as data. Text and JSON are read into these types and JSON is
//! written from them; every pipeline they can express has a JSON form.

use std::collections::BTreeSet;
use std::sync::Arc;

use mix_value::Value;

use super::from_value::{opens_list_node, opens_operation, opens_value_node};
use super::indexable::is_indexable;

/// Stages, applied left to right to a stream of values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipeline {
    /// The stages; none keeps every value.
    pub stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Keeps values for which the filter is true.
    Filter(Filter),
    /// Replaces each value; undefined results are dropped.
    Value(ValueNode),
    /// Works on the stream as a whole.
    Invoke(Function),
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// `nullFilter`: always true.
    All,
    /// `comparison` with a value.
    Compare(CompareOp, Key, Operand),
    /// `comparison` with a list.
    Within(ListOp, Key, List),
    /// The key has a value.
    Exists(Key),
    /// Rows after a watermark, a revision or a row number.
    After(Operand),
    /// Rows after a row number.
    AfterRow(i64),
    /// All parts.
    And(Vec<Filter>),
    /// Some part.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// All parts for one object behind the key.
    Subquery(Key, Vec<Filter>),
}

/// Comparisons with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// Substring.
    Contains,
    /// Prefix.
    Like,
}

impl CompareOp {
    /// All of them.
    pub const ALL: [CompareOp; 8] = [
        CompareOp::Eq,
        CompareOp::Ne,
        CompareOp::Lt,
        CompareOp::Le,
        CompareOp::Gt,
        CompareOp::Ge,
        CompareOp::Contains,
        CompareOp::Like,
    ];

    /// Name in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
            CompareOp::Contains => "contains",
            CompareOp::Like => "like",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<CompareOp> {
        CompareOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// Comparisons with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOp {
    /// Some value is in the list.
    In,
    /// Every list item is among the values.
    AllIn,
    /// Not [`ListOp::In`].
    NotIn,
    /// Not [`ListOp::AllIn`].
    NotAllIn,
}

impl ListOp {
    /// All of them.
    pub const ALL: [ListOp; 4] = [ListOp::In, ListOp::AllIn, ListOp::NotIn, ListOp::NotAllIn];

    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ListOp::In => "in",
            ListOp::AllIn => "all_in",
            ListOp::NotIn => "not_in",
            ListOp::NotAllIn => "not_all_in",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<ListOp> {
        ListOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// What a comparison, projection or aggregation looks at (operand class K).
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// Dot path from the current object.
    Path(Arc<str>),
    /// Any value node.
    Node(Box<ValueNode>),
}

/// What it is compared with (operand class V).
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A constant.
    Literal(Value),
    /// Any value node.
    Node(Box<ValueNode>),
}

/// A list to compare with (operand class L).
#[derive(Debug, Clone, PartialEq)]
pub enum List {
    /// A constant list.
    Literal(Vec<Value>),
    /// A parameter that holds one.
    Param(Arc<str>),
    /// A constant list with a word on indexing.
    Constant(ConstantList),
}

/// Something with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueNode {
    /// Member of the current object, its name taken whole.
    Token(Arc<str>),
    /// Member of the root object (no key) or of the key's value.
    Member(Option<Key>, MemberName),
    /// Parameter.
    Param(Arc<str>),
    /// Constant.
    Scalar(Constant),
    /// Constant list.
    List(ConstantList),
    /// Arithmetic.
    Calculation(Arithmetic),
    /// The record behind a ref.
    FollowRef(Key),
    /// A new map.
    Object(Vec<Member>),
}

/// Name of a member in `objectMember` and `removeMember` (operand class M).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberName {
    /// Written as a string.
    Plain(Arc<str>),
    /// Written as a token node.
    Token(Arc<str>),
}

impl MemberName {
    /// The name; both forms mean the same.
    pub fn as_shared(&self) -> &Arc<str> {
        match self {
            MemberName::Plain(name) | MemberName::Token(name) => name,
        }
    }
}

/// A constant, of which the query may claim that every index holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    value: Value,
    indexed: bool,
}

impl Constant {
    /// `scalarFallback`
    pub fn fallback(value: Value) -> Constant {
        Constant {
            value,
            indexed: false,
        }
    }

    /// `scalarIndexed`; none if an index need not hold the value.
    pub fn indexed(value: Value) -> Option<Constant> {
        is_indexable(&value).then_some(Constant {
            value,
            indexed: true,
        })
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether it was made by [`Constant::indexed`].
    pub fn is_indexed(&self) -> bool {
        self.indexed
    }
}

/// A constant list, of which the query may claim that every index holds its items.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantList {
    items: Vec<Value>,
    indexed: bool,
}

impl ConstantList {
    /// `listFallback`
    pub fn fallback(items: Vec<Value>) -> ConstantList {
        ConstantList {
            items,
            indexed: false,
        }
    }

    /// `listIndexed`; none if an index need not hold one of the items.
    pub fn indexed(items: Vec<Value>) -> Option<ConstantList> {
        items.iter().all(is_indexable).then_some(ConstantList {
            items,
            indexed: true,
        })
    }

    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Whether it was made by [`ConstantList::indexed`].
    pub fn is_indexed(&self) -> bool {
        self.indexed
    }
}

/// Arithmetic over operands.
#[derive(Debug, Clone, PartialEq)]
pub enum Arithmetic {
    /// A leaf.
    Operand(Operand),
    /// Two sides.
    Operation(ArithmeticOp, Box<Arithmetic>, Box<Arithmetic>),
}

/// Arithmetic operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// Sum, concatenation, union.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Remainder.
    Rem,
}

impl ArithmeticOp {
    /// All of them.
    pub const ALL: [ArithmeticOp; 5] = [
        ArithmeticOp::Add,
        ArithmeticOp::Sub,
        ArithmeticOp::Mul,
        ArithmeticOp::Div,
        ArithmeticOp::Rem,
    ];

    /// Name in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Sub => "-",
            ArithmeticOp::Mul => "*",
            ArithmeticOp::Div => "/",
            ArithmeticOp::Rem => "%",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<ArithmeticOp> {
        ArithmeticOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// One step in building a map.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    /// Sets a member. An `object` node directly as its value is a nested
    /// object: it is evaluated with the member of that name as current object.
    Assign {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: Key,
        /// Its value where that is undefined.
        default: Option<Operand>,
    },
    /// Copies all members of the current object.
    Clone,
    /// The same with refs replaced by records.
    CloneExpanded,
    /// Removes a member set so far.
    Remove(MemberName),
}

/// Functions over the whole stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// Number of values.
    Count,
    /// One map per distinct value of the key.
    Group(Key),
    /// Stable sort; true means descending.
    Order(Key, Operand),
    /// Last first.
    Reverse,
    /// Leaves out the first n.
    Skip(Operand),
    /// Keeps the first n.
    Limit(Operand),
}

impl Operand {
    /// A constant, wrapped where its JSON form would be read as a node.
    pub fn literal(value: Value) -> Operand {
        match value {
            Value::Array(items) if opens_value_node(items.first()) => Operand::Node(Box::new(
                ValueNode::Scalar(Constant::fallback(Value::Array(items))),
            )),
            value => Operand::Literal(value),
        }
    }
}

impl List {
    /// A constant list, wrapped where its JSON form would be read as a node.
    pub fn literal(items: Vec<Value>) -> List {
        if opens_list_node(items.first()) {
            List::Constant(ConstantList::fallback(items))
        } else {
            List::Literal(items)
        }
    }
}

impl Arithmetic {
    /// A constant leaf, wrapped where its JSON form would be read otherwise.
    pub fn literal(value: Value) -> Arithmetic {
        match value {
            Value::Array(items) if opens_operation(items.first()) => {
                Arithmetic::Operand(Operand::Node(Box::new(ValueNode::Scalar(
                    Constant::fallback(Value::Array(items)),
                ))))
            }
            value => Arithmetic::Operand(Operand::literal(value)),
        }
    }
}

impl Pipeline {
    /// Names of all parameters that occur, ascending.
    pub fn params(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        for stage in &self.stages {
            match stage {
                Stage::Filter(filter) => filter_params(filter, &mut names),
                Stage::Value(node) => node_params(node, &mut names),
                Stage::Invoke(function) => match function {
                    Function::Count | Function::Reverse => {}
                    Function::Group(key) => key_params(key, &mut names),
                    Function::Order(key, flag) => {
                        key_params(key, &mut names);
                        operand_params(flag, &mut names);
                    }
                    Function::Skip(n) | Function::Limit(n) => operand_params(n, &mut names),
                },
            }
        }
        names
    }
}

type Names = BTreeSet<Arc<str>>;

fn filter_params(filter: &Filter, names: &mut Names) {
    match filter {
        Filter::All | Filter::AfterRow(_) => {}
        Filter::Compare(_, key, value) => {
            key_params(key, names);
            operand_params(value, names);
        }
        Filter::Within(_, key, list) => {
            key_params(key, names);
            if let List::Param(name) = list {
                names.insert(name.clone());
            }
        }
        Filter::Exists(key) => key_params(key, names),
        Filter::After(value) => operand_params(value, names),
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().for_each(|part| filter_params(part, names))
        }
        Filter::Not(inner) => filter_params(inner, names),
        Filter::Subquery(key, parts) => {
            key_params(key, names);
            parts.iter().for_each(|part| filter_params(part, names));
        }
    }
}

fn key_params(key: &Key, names: &mut Names) {
    if let Key::Node(node) = key {
        node_params(node, names);
    }
}

fn operand_params(operand: &Operand, names: &mut Names) {
    if let Operand::Node(node) = operand {
        node_params(node, names);
    }
}

fn node_params(node: &ValueNode, names: &mut Names) {
    match node {
        ValueNode::Param(name) => {
            names.insert(name.clone());
        }
        ValueNode::Member(Some(key), _) | ValueNode::FollowRef(key) => key_params(key, names),
        ValueNode::Calculation(calculation) => arithmetic_params(calculation, names),
        ValueNode::Object(members) => {
            for member in members {
                if let Member::Assign { value, default, .. } = member {
                    key_params(value, names);
                    if let Some(default) = default {
                        operand_params(default, names);
                    }
                }
            }
        }
        ValueNode::Token(_)
        | ValueNode::Member(None, _)
        | ValueNode::Scalar(_)
        | ValueNode::List(_) => {}
    }
}

fn arithmetic_params(calculation: &Arithmetic, names: &mut Names) {
    match calculation {
        Arithmetic::Operand(operand) => operand_params(operand, names),
        Arithmetic::Operation(_, left, right) => {
            arithmetic_params(left, names);
            arithmetic_params(right, names);
        }
    }
}
