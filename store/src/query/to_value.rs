//! Writes a pipeline in its JSON form.

use std::sync::Arc;

use mix_value::Value;

use super::ast::{
    Arithmetic, Constant, ConstantList, Filter, Function, Key, List, Member, MemberName, Operand,
    Pipeline, Stage, ValueNode,
};
use super::from_value::{opens_list_node, opens_operation, opens_value_node};

pub(super) fn write(pipeline: &Pipeline) -> Value {
    Value::Array(pipeline.stages.iter().map(stage).collect())
}

fn node<const N: usize>(opcode: &str, operands: [Value; N]) -> Value {
    let mut items = Vec::with_capacity(N + 1);
    items.push(Value::from(opcode));
    items.extend(operands);
    Value::Array(items)
}

fn text(name: &Arc<str>) -> Value {
    Value::String(name.clone())
}

fn stage(stage: &Stage) -> Value {
    match stage {
        Stage::Filter(condition) => filter(condition),
        Stage::Value(value) => value_node(value),
        Stage::Invoke(call) => {
            let (name, arguments) = match call {
                Function::Count => ("count", vec![]),
                Function::Group(by) => ("group", vec![key(by)]),
                Function::Order(by, flag) => ("order", vec![key(by), operand(flag)]),
                Function::Reverse => ("reverse", vec![]),
                Function::Skip(n) => ("skip", vec![operand(n)]),
                Function::Limit(n) => ("limit", vec![operand(n)]),
            };
            node("invoke", [Value::from(name), Value::Array(arguments)])
        }
    }
}

fn filter(condition: &Filter) -> Value {
    match condition {
        Filter::All => node("nullFilter", []),
        Filter::Compare(op, left, right) => node(
            "comparison",
            [Value::from(op.name()), key(left), operand(right)],
        ),
        Filter::Within(op, left, right) => node(
            "comparison",
            [Value::from(op.name()), key(left), list(right)],
        ),
        Filter::Exists(of) => node("exists", [key(of)]),
        Filter::After(mark) => node("after", [operand(mark)]),
        Filter::AfterRow(row) => node("afterRow", [Value::Int(*row)]),
        Filter::And(parts) => node("and", [filters(parts)]),
        Filter::Or(parts) => node("or", [filters(parts)]),
        Filter::Not(inner) => node("not", [filter(inner)]),
        Filter::Subquery(of, parts) => node("subquery", [key(of), filters(parts)]),
    }
}

fn filters(parts: &[Filter]) -> Value {
    Value::Array(parts.iter().map(filter).collect())
}

fn key(key: &Key) -> Value {
    match key {
        Key::Path(path) => text(path),
        Key::Node(node) => value_node(node),
    }
}

fn operand(operand: &Operand) -> Value {
    match operand {
        // Would be read as a node.
        Operand::Literal(Value::Array(items)) if opens_value_node(items.first()) => {
            node("scalarFallback", [Value::Array(items.clone())])
        }
        Operand::Literal(value) => value.clone(),
        Operand::Node(node) => value_node(node),
    }
}

fn list(list: &List) -> Value {
    match list {
        // Would be read as a node.
        List::Literal(items) if opens_list_node(items.first()) => {
            node("listFallback", [Value::Array(items.clone())])
        }
        List::Literal(items) => Value::Array(items.clone()),
        List::Param(name) => node("param", [text(name)]),
        List::Constant(constant) => constant_list(constant),
    }
}

fn constant_list(constant: &ConstantList) -> Value {
    let opcode = if constant.is_indexed() {
        "listIndexed"
    } else {
        "listFallback"
    };
    node(opcode, [Value::Array(constant.items().to_vec())])
}

fn scalar(constant: &Constant) -> Value {
    let opcode = if constant.is_indexed() {
        "scalarIndexed"
    } else {
        "scalarFallback"
    };
    node(opcode, [constant.value().clone()])
}

fn member_name(name: &MemberName) -> Value {
    match name {
        MemberName::Plain(name) => text(name),
        MemberName::Token(name) => node("token", [text(name)]),
    }
}

fn value_node(value: &ValueNode) -> Value {
    match value {
        ValueNode::Token(name) => node("token", [text(name)]),
        ValueNode::Member(of, name) => node(
            "objectMember",
            [of.as_ref().map_or(Value::Null, key), member_name(name)],
        ),
        ValueNode::Param(name) => node("param", [text(name)]),
        ValueNode::Scalar(constant) => scalar(constant),
        ValueNode::List(constant) => constant_list(constant),
        ValueNode::Calculation(calculation) => node("calculation", [arithmetic(calculation)]),
        ValueNode::FollowRef(of) => node("followRef", [key(of)]),
        ValueNode::Object(members) => node(
            "object",
            [Value::Array(members.iter().map(member).collect())],
        ),
    }
}

fn arithmetic(calculation: &Arithmetic) -> Value {
    match calculation {
        // Would be read as an operation.
        Arithmetic::Operand(Operand::Literal(Value::Array(items)))
            if opens_operation(items.first()) =>
        {
            node("scalarFallback", [Value::Array(items.clone())])
        }
        Arithmetic::Operand(leaf) => operand(leaf),
        Arithmetic::Operation(op, left, right) => {
            node(op.name(), [arithmetic(left), arithmetic(right)])
        }
    }
}

fn member(member: &Member) -> Value {
    match member {
        Member::Assign {
            name,
            value,
            default: None,
        } => node("assignMember", [text(name), key(value)]),
        Member::Assign {
            name,
            value,
            default: Some(default),
        } => node("assignMember", [text(name), key(value), operand(default)]),
        Member::Clone => node("cloneMembers", []),
        Member::CloneExpanded => node("cloneMembersWithExpansion", []),
        Member::Remove(name) => node("removeMember", [member_name(name)]),
    }
}
