//! From the AST to a plan.

use std::sync::Arc;

use mix_value::{Map, Ref, Value};

use super::super::ast::{
    Arithmetic, Filter, Function, Key, List, Member, Operand, Pipeline, Stage, ValueNode,
};
use super::super::error::{QueryError, QueryErrorCode};
use super::{Barrier, Base, Build, Compute, Condition, Lookup, Mark, Needs, Plan, Segment, Step};

type Result<T> = std::result::Result<T, QueryError>;

/// Compiles a pipeline. `skip` and `limit` apply after all of it.
pub(in super::super) fn compile(
    pipeline: &Pipeline,
    params: &Map,
    skip: u64,
    limit: Option<u64>,
) -> Result<Plan> {
    if let Some(name) = pipeline
        .params()
        .into_iter()
        .find(|name| !params.contains_key(name))
    {
        return Err(QueryError::in_param(
            QueryErrorCode::MissingParam,
            &name,
            "missing",
        ));
    }
    let mut compiler = Compiler {
        params,
        marks: Vec::new(),
        rows: true,
        projecting: false,
    };
    let mut segments = Vec::new();
    let mut steps = Vec::new();
    for stage in &pipeline.stages {
        let barrier = match compiler.stage(stage)? {
            Compiled::Step(step) => {
                steps.push(step);
                continue;
            }
            Compiled::Barrier(barrier) => barrier,
        };
        segments.push(segment(std::mem::take(&mut steps), Some(barrier)));
    }
    if skip > 0 {
        steps.push(Step::Skip(skip));
    }
    steps.extend(limit.map(Step::Limit));
    segments.push(segment(steps, None));
    Ok(Plan {
        segments,
        marks: compiler.marks,
    })
}

fn segment(steps: Vec<Step>, barrier: Option<Barrier>) -> Segment {
    let needs = Needs::of(&steps, barrier.as_ref());
    Segment {
        steps,
        barrier,
        needs,
    }
}

enum Compiled {
    Step(Step),
    Barrier(Barrier),
}

struct Compiler<'a> {
    params: &'a Map,
    marks: Vec<Mark>,
    /// The stream still consists of rows.
    rows: bool,
    /// Inside a projection, where a parameter may stand for a key.
    projecting: bool,
}

impl Compiler<'_> {
    fn stage(&mut self, stage: &Stage) -> Result<Compiled> {
        Ok(match stage {
            Stage::Filter(filter) => Compiled::Step(Step::Keep(self.filter(filter)?)),
            Stage::Value(node) => {
                self.rows = false;
                self.projecting = true;
                let compute = self.node(node)?;
                self.projecting = false;
                Compiled::Step(Step::Map(compute))
            }
            Stage::Invoke(function) => match function {
                Function::Count => {
                    self.rows = false;
                    Compiled::Barrier(Barrier::Count)
                }
                Function::Group(key) => {
                    self.rows = false;
                    Compiled::Barrier(Barrier::Group(self.key(key)?))
                }
                Function::Order(key, flag) => {
                    let Some(Value::Bool(descending)) = self.constant(flag) else {
                        return Err(QueryError::type_error(
                            "the flag of order must be true (descending) or false",
                        ));
                    };
                    Compiled::Barrier(Barrier::Order {
                        key: self.key(key)?,
                        descending,
                    })
                }
                Function::Reverse => Compiled::Barrier(Barrier::Reverse),
                Function::Skip(n) => Compiled::Step(Step::Skip(self.count("skip", n)?)),
                Function::Limit(n) => Compiled::Step(Step::Limit(self.count("limit", n)?)),
            },
        })
    }

    /// The value of an operand that must be known without data.
    fn constant(&self, operand: &Operand) -> Option<Value> {
        match operand {
            Operand::Literal(value) => Some(value.clone()),
            Operand::Node(node) => match &**node {
                ValueNode::Param(name) => self.params.get(name).cloned(),
                ValueNode::Scalar(constant) => Some(constant.value().clone()),
                _ => None,
            },
        }
    }

    fn count(&self, function: &str, operand: &Operand) -> Result<u64> {
        self.constant(operand)
            .and_then(|value| value.as_int())
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| QueryError::type_error(format!("{function} needs an int from 0 on")))
    }

    fn filter(&mut self, filter: &Filter) -> Result<Condition> {
        Ok(match filter {
            Filter::All => Condition::Always,
            Filter::Compare(op, key, value) => {
                Condition::Compare(*op, self.key(key)?, self.operand(value)?)
            }
            Filter::Within(op, key, list) => {
                Condition::Within(*op, self.key(key)?, Lookup::new(self.list(list)?))
            }
            Filter::Exists(key) => Condition::Exists(self.key(key)?),
            Filter::After(mark) => {
                let mark = self.mark(mark)?;
                self.after(mark)?
            }
            Filter::AfterRow(row) => self.after(after_row(*row))?,
            Filter::And(parts) => Condition::And(self.filters(parts)?),
            Filter::Or(parts) => Condition::Or(self.filters(parts)?),
            Filter::Not(inner) => Condition::Not(Box::new(self.filter(inner)?)),
            Filter::Subquery(key, parts) => {
                Condition::Subquery(self.key(key)?, self.filters(parts)?)
            }
        })
    }

    fn filters(&mut self, parts: &[Filter]) -> Result<Vec<Condition>> {
        parts.iter().map(|part| self.filter(part)).collect()
    }

    fn after(&mut self, mark: Mark) -> Result<Condition> {
        if !self.rows {
            return Err(QueryError::type_error(
                "after must come before the first projection, count and group",
            ));
        }
        self.marks.push(mark);
        Ok(Condition::After(self.marks.len() - 1))
    }

    fn mark(&self, operand: &Operand) -> Result<Mark> {
        let refused =
            || QueryError::type_error("after needs a watermark, a revision or a row number");
        match self.constant(operand).ok_or_else(refused)? {
            Value::Ref(revision) => Ok(Mark::Revision(revision)),
            Value::String(text) => match text.split_once('.') {
                Some((generation, rows))
                    if !rows.is_empty() && rows.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    Ok(Mark::Watermark {
                        generation: generation.to_owned(),
                        // A number beyond 64 bits is after every row.
                        rows: rows.parse().unwrap_or(u64::MAX),
                    })
                }
                Some(_) => Err(refused()),
                None => Ref::new(&text)
                    .ok()
                    .filter(Ref::is_well_formed)
                    .map(Mark::Revision)
                    .ok_or_else(refused),
            },
            value => value.as_int().map(after_row).ok_or_else(refused),
        }
    }

    fn key(&mut self, key: &Key) -> Result<Compute> {
        match key {
            Key::Path(path) => Ok(Compute::Path(
                Base::Current,
                path.split('.').map(Arc::from).collect(),
            )),
            Key::Node(node) => match &**node {
                ValueNode::Param(_) if !self.projecting => Err(QueryError::type_error(
                    "a parameter can be a key in projections only",
                )),
                node => self.node(node),
            },
        }
    }

    fn operand(&mut self, operand: &Operand) -> Result<Compute> {
        match operand {
            Operand::Literal(value) => Ok(Compute::Constant(value.clone())),
            Operand::Node(node) => self.node(node),
        }
    }

    fn list(&self, list: &List) -> Result<Vec<Value>> {
        match list {
            List::Literal(items) => Ok(items.clone()),
            List::Constant(constant) => Ok(constant.items().to_vec()),
            List::Param(name) => match self.params.get(name) {
                Some(Value::Array(items)) => Ok(items.clone()),
                _ => Err(QueryError::in_param(
                    QueryErrorCode::Type,
                    name,
                    "a list expected",
                )),
            },
        }
    }

    fn node(&mut self, node: &ValueNode) -> Result<Compute> {
        Ok(match node {
            ValueNode::Token(name) => Compute::Path(Base::Current, vec![name.clone()]),
            ValueNode::Member(None, name) => {
                Compute::Path(Base::Root, vec![name.as_shared().clone()])
            }
            ValueNode::Member(Some(key), name) => match self.key(key)? {
                Compute::Path(base, mut steps) => {
                    steps.push(name.as_shared().clone());
                    Compute::Path(base, steps)
                }
                other => Compute::Step(Box::new(other), name.as_shared().clone()),
            },
            // Missing parameters have been refused before.
            ValueNode::Param(name) => {
                Compute::Constant(self.params.get(name).cloned().unwrap_or_default())
            }
            ValueNode::Scalar(constant) => Compute::Constant(constant.value().clone()),
            ValueNode::List(constant) => Compute::Constant(Value::Array(constant.items().to_vec())),
            ValueNode::Calculation(calculation) => self.arithmetic(calculation)?,
            ValueNode::FollowRef(key) => Compute::Follow(Box::new(self.key(key)?)),
            ValueNode::Object(members) => Compute::Object(self.members(members)?),
        })
    }

    fn arithmetic(&mut self, calculation: &Arithmetic) -> Result<Compute> {
        match calculation {
            Arithmetic::Operand(operand) => self.operand(operand),
            Arithmetic::Operation(op, left, right) => Ok(Compute::Calculation(
                *op,
                Box::new(self.arithmetic(left)?),
                Box::new(self.arithmetic(right)?),
            )),
        }
    }

    fn members(&mut self, members: &[Member]) -> Result<Vec<Build>> {
        let projecting = std::mem::replace(&mut self.projecting, true);
        let built = members.iter().map(|member| self.member(member)).collect();
        self.projecting = projecting;
        built
    }

    fn member(&mut self, member: &Member) -> Result<Build> {
        Ok(match member {
            Member::Assign {
                name,
                value,
                default,
            } => {
                let default = match default {
                    Some(default) => Some(self.operand(default)?),
                    None => None,
                };
                let name = name.clone();
                if let Key::Node(node) = value
                    && let ValueNode::Object(members) = &**node
                {
                    return Ok(Build::Nested {
                        name,
                        members: self.members(members)?,
                        default,
                    });
                }
                // An assignment is inside a projection wherever it stands.
                Build::Set {
                    name,
                    value: self.key(value)?,
                    default,
                }
            }
            Member::Clone => Build::Copy,
            Member::CloneExpanded => Build::Expand,
            Member::Remove(name) => Build::Remove(name.as_shared().clone()),
        })
    }
}

/// Rows with a greater number than `row`.
fn after_row(row: i64) -> Mark {
    Mark::Row(u64::try_from(row.saturating_add(1)).unwrap_or(0))
}
