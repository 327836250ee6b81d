//! Writes a pipeline as text.
//!
//! Text says less than JSON: there are nodes that no text stands for, such as names with spaces
//! taken whole or lists that claim to be indexed. Each node is written in the form that the parser reads
//! it from, whether there is one or not; what the whole text is read as then decides.

use mix_value::{Value, escjson};

use super::ast::{
    Arithmetic, ArithmeticOp, Filter, Function, Key, List, ListOp, Member, MemberName, Operand,
    Pipeline, Stage, ValueNode,
};
use super::lexer;

/// The text that is read as this pipeline, if there is one.
pub(super) fn write(pipeline: &Pipeline) -> Option<String> {
    let mut writer = Writer {
        out: String::new(),
        nested: false,
    };
    writer.pipeline(pipeline)?;
    let read = Pipeline::parse(&writer.out);
    (read.as_ref() == Ok(pipeline)).then_some(writer.out)
}

/// `None`: a value that has no text.
type Written = Option<()>;

struct Writer {
    out: String,
    /// Inside a nested object or a subquery, as in the parser.
    nested: bool,
}

/// How tightly the parts of a condition hold together.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Bond {
    Or,
    And,
    Not,
}

impl Writer {
    fn pipeline(&mut self, pipeline: &Pipeline) -> Written {
        if pipeline.stages == [Stage::Filter(Filter::All)] {
            return Some(());
        }
        for (at, stage) in pipeline.stages.iter().enumerate() {
            if at > 0 {
                self.out.push_str(" | ");
            }
            match stage {
                Stage::Filter(filter) => self.filter(filter, Bond::Or)?,
                Stage::Value(node) => self.node(node)?,
                Stage::Invoke(function) => self.function(function)?,
            }
        }
        Some(())
    }

    fn function(&mut self, function: &Function) -> Written {
        match function {
            Function::Count => self.out.push_str("count()"),
            Function::Reverse => self.out.push_str("reverse()"),
            Function::Group(key) => {
                self.out.push_str("group(");
                self.key(key)?;
                self.out.push(')');
            }
            Function::Order(key, Operand::Literal(Value::Bool(descending))) => {
                let name = if *descending {
                    "orderDesc("
                } else {
                    "orderAsc("
                };
                self.out.push_str(name);
                self.key(key)?;
                self.out.push(')');
            }
            Function::Order(key, flag) => {
                self.out.push_str("order(");
                self.key(key)?;
                self.out.push_str(", ");
                self.operand(flag)?;
                self.out.push(')');
            }
            Function::Skip(count) => {
                self.out.push_str("skip(");
                self.operand(count)?;
                self.out.push(')');
            }
            Function::Limit(count) => {
                self.out.push_str("limit(");
                self.operand(count)?;
                self.out.push(')');
            }
        }
        Some(())
    }

    /// A condition, in parentheses if it holds together less than `bond`.
    fn filter(&mut self, filter: &Filter, bond: Bond) -> Written {
        let own = match filter {
            Filter::Or(_) => Bond::Or,
            Filter::And(_) => Bond::And,
            _ => Bond::Not,
        };
        if own < bond {
            self.out.push('(');
            self.filter(filter, Bond::Or)?;
            self.out.push(')');
            return Some(());
        }
        match filter {
            Filter::All => self.out.push_str("true"),
            Filter::Not(inner) if **inner == Filter::All => self.out.push_str("false"),
            Filter::Not(inner) => {
                self.out.push_str("not ");
                self.filter(inner, Bond::Not)?;
            }
            Filter::Or(parts) => self.parts(parts, " or ", Bond::And)?,
            Filter::And(parts) => self.parts(parts, " and ", Bond::Not)?,
            Filter::Compare(op, left, right) => {
                self.key(left)?;
                self.out.push_str(&format!(" {} ", op.name()));
                self.operand(right)?;
            }
            Filter::Within(op, left, list) => {
                self.key(left)?;
                self.out.push_str(match op {
                    ListOp::In => " in ",
                    ListOp::AllIn => " all in ",
                    ListOp::NotIn => " not in ",
                    ListOp::NotAllIn => " not all in ",
                });
                match list {
                    List::Literal(items) => self.list(items)?,
                    List::Constant(constant) => self.list(constant.items())?,
                    List::Param(name) => self.param(name),
                }
            }
            Filter::Exists(key) => {
                self.out.push_str("exists ");
                self.key(key)?;
            }
            Filter::After(mark) => {
                self.out.push_str("after ");
                self.operand(mark)?;
            }
            Filter::AfterRow(row) => self.out.push_str(&format!("after {row}")),
            Filter::Subquery(key, parts) => {
                self.key(key)?;
                self.out.push_str(".(");
                let outer = std::mem::replace(&mut self.nested, true);
                match parts.as_slice() {
                    [part] => self.filter(part, Bond::Or)?,
                    parts => self.parts(parts, " and ", Bond::Not)?,
                }
                self.nested = outer;
                self.out.push(')');
            }
        }
        Some(())
    }

    fn parts(&mut self, parts: &[Filter], between: &str, bond: Bond) -> Written {
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.out.push_str(between);
            }
            self.filter(part, bond)?;
        }
        Some(())
    }

    fn key(&mut self, key: &Key) -> Written {
        match key {
            Key::Path(path) => self.quoted(path),
            Key::Node(node) => self.node(node),
        }
    }

    fn operand(&mut self, operand: &Operand) -> Written {
        match operand {
            Operand::Literal(value) => self.value(value),
            Operand::Node(node) => self.node(node),
        }
    }

    fn node(&mut self, node: &ValueNode) -> Written {
        match node {
            ValueNode::Token(name) => self.out.push_str(name),
            ValueNode::Member(base, name) => {
                match base {
                    None => {}
                    // What a bare word begins with where nothing is nested.
                    Some(Key::Node(first)) if !self.nested => match &**first {
                        ValueNode::Member(None, MemberName::Plain(name)) => {
                            self.out.push_str(name);
                        }
                        first => self.node(first)?,
                    },
                    Some(base) => self.key(base)?,
                }
                self.out.push('.');
                self.name(name.as_shared())?;
            }
            ValueNode::Param(name) => self.param(name),
            ValueNode::Scalar(constant) => self.value(constant.value())?,
            ValueNode::List(constant) => self.list(constant.items())?,
            ValueNode::Calculation(Arithmetic::Operand(Operand::Node(node)))
                if matches!(**node, ValueNode::Object(_)) =>
            {
                self.out.push('(');
                self.node(node)?;
                self.out.push(')');
            }
            ValueNode::Calculation(calculation) => self.arithmetic(calculation, 0)?,
            ValueNode::FollowRef(key) => {
                self.out.push('+');
                self.key(key)?;
            }
            ValueNode::Object(members) => self.object(members)?,
        }
        Some(())
    }

    /// Arithmetic, in parentheses if it holds together less than `bond`.
    fn arithmetic(&mut self, calculation: &Arithmetic, bond: u8) -> Written {
        match calculation {
            Arithmetic::Operand(Operand::Node(node)) => match &**node {
                ValueNode::Object(_) | ValueNode::Calculation(_) => {
                    self.out.push('(');
                    self.node(node)?;
                    self.out.push(')');
                }
                node => self.node(node)?,
            },
            Arithmetic::Operand(operand) => self.operand(operand)?,
            Arithmetic::Operation(op, left, right) => {
                let own = match op {
                    ArithmeticOp::Add | ArithmeticOp::Sub => 1,
                    ArithmeticOp::Mul | ArithmeticOp::Div | ArithmeticOp::Rem => 2,
                };
                if own < bond {
                    self.out.push('(');
                }
                self.arithmetic(left, own)?;
                self.out.push_str(&format!(" {} ", op.name()));
                self.arithmetic(right, own + 1)?;
                if own < bond {
                    self.out.push(')');
                }
            }
        }
        Some(())
    }

    fn object(&mut self, members: &[Member]) -> Written {
        self.out.push('{');
        for (at, member) in members.iter().enumerate() {
            self.out.push_str(if at == 0 { " " } else { ", " });
            self.member(member)?;
        }
        self.out
            .push_str(if members.is_empty() { "}" } else { " }" });
        Some(())
    }

    fn member(&mut self, member: &Member) -> Written {
        let (name, value, default) = match member {
            Member::Clone => {
                self.out.push('*');
                return Some(());
            }
            Member::CloneExpanded => {
                self.out.push_str("**");
                return Some(());
            }
            Member::Remove(name) => {
                self.out.push('-');
                return self.name(name.as_shared());
            }
            Member::Assign {
                name,
                value,
                default,
            } => (name, value, default),
        };
        self.name(name)?;
        match value {
            // The member of the same name has no more to say.
            Key::Path(path) if path == name => {}
            Key::Path(_) => return None,
            Key::Node(node) => {
                self.out.push_str(": ");
                let is_object = matches!(**node, ValueNode::Object(_));
                let outer = self.nested;
                self.nested |= is_object;
                self.node(node)?;
                self.nested = outer;
            }
        }
        if let Some(default) = default {
            self.out.push_str(" ?? ");
            self.operand(default)?;
        }
        Some(())
    }

    /// A name, quoted if it is no word.
    fn name(&mut self, name: &str) -> Written {
        if lexer::is_word(name) {
            self.out.push_str(name);
            return Some(());
        }
        self.quoted(name)
    }

    fn param(&mut self, name: &str) {
        self.out.push('$');
        self.out.push_str(name);
    }

    fn quoted(&mut self, text: &str) -> Written {
        self.value(&Value::from(text))
    }

    fn list(&mut self, items: &[Value]) -> Written {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            self.value(item)?;
        }
        self.out.push(']');
        Some(())
    }

    fn value(&mut self, value: &Value) -> Written {
        match value {
            Value::Undefined => self.out.push_str("undefined"),
            Value::Array(items) => self.list(items)?,
            Value::Ref(id) => {
                self.out.push_str("ref(");
                self.quoted(id.as_str())?;
                self.out.push(')');
            }
            // With a point or an exponent it stays a float.
            Value::Float(number) if number.is_finite() => {
                self.out.push_str(&format!("{number:?}"));
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => {
                self.out.push_str(&escjson::format_plain(value).ok()?);
            }
            _ => return None,
        }
        Some(())
    }
}
