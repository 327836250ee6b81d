//! A pipeline ready to run: parameters filled in, keys resolved into steps,
//! everything checked that needs no data.

mod compile;
mod lookup;
mod needs;

use std::sync::Arc;

use mix_value::{Ref, Value};

use super::ast::{ArithmeticOp, CompareOp, ListOp};

pub(super) use compile::compile;
pub(super) use lookup::Lookup;
pub(super) use needs::Needs;

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Root,
    Current,
}

#[derive(Debug)]
pub(super) enum Compute {
    Path(Base, Vec<Arc<str>>),
    Step(Box<Compute>, Arc<str>),
    Constant(Value),
    Calculation(ArithmeticOp, Box<Compute>, Box<Compute>),
    Follow(Box<Compute>),
    Object(Vec<Build>),
}

#[derive(Debug)]
pub(super) enum Build {
    Set {
        name: Arc<str>,
        value: Compute,
        default: Option<Compute>,
    },
    Nested {
        name: Arc<str>,
        members: Vec<Build>,
        default: Option<Compute>,
    },
    Copy,
    Expand,
    Remove(Arc<str>),
}

#[derive(Debug)]
pub(super) enum Condition {
    Always,
    Compare(CompareOp, Compute, Compute),
    Within(ListOp, Compute, Lookup),
    Exists(Compute),
    /// Rows from that of the mark with this index on.
    After(usize),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Subquery(Compute, Vec<Condition>),
}

/// Where `after` begins. All but `Row` need the source to tell.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// First row.
    Row(u64),
    Watermark {
        generation: String,
        rows: u64,
    },
    /// The row after that of a revision.
    Revision(Ref),
}

/// What is done with each value on its way.
#[derive(Debug)]
pub(super) enum Step {
    Keep(Condition),
    Map(Compute),
    Skip(u64),
    Limit(u64),
}

/// What needs the whole stream before it can go on.
#[derive(Debug)]
pub(super) enum Barrier {
    Count,
    Group(Compute),
    Order { key: Compute, descending: bool },
    Reverse,
}

/// Steps up to a barrier or to the end.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) steps: Vec<Step>,
    pub(super) barrier: Option<Barrier>,
    /// What of a stored row these steps look at.
    pub(super) needs: Needs,
}

#[derive(Debug)]
pub(super) struct Plan {
    /// At least one; only the last has no barrier.
    pub(super) segments: Vec<Segment>,
    pub(super) marks: Vec<Mark>,
}

impl Plan {
    /// The conditions before anything else is done.
    pub(super) fn leading(&self) -> impl Iterator<Item = &Condition> {
        let steps = self.segments.first().map_or(&[][..], |first| &first.steps);
        steps.iter().map_while(|step| match step {
            Step::Keep(condition) => Some(condition),
            _ => None,
        })
    }
}
