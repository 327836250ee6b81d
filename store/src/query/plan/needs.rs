//! Which members of a stored record a run of steps looks at, so that the rest
//! need not be decoded.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Barrier, Base, Build, Compute, Condition, Step};

/// Members of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Needs {
    /// All.
    All,
    /// Only these.
    Members(BTreeSet<Arc<str>>),
}

impl Needs {
    /// Whether a member is among them.
    pub(in super::super) fn includes(&self, member: &str) -> bool {
        match self {
            Needs::All => true,
            Needs::Members(names) => names.contains(member),
        }
    }

    /// What steps look at until the record is replaced by something else.
    pub(super) fn of(steps: &[Step], barrier: Option<&Barrier>) -> Needs {
        let mut collect = Collect {
            all: false,
            names: BTreeSet::new(),
        };
        let mut replaced = false;
        for step in steps {
            match step {
                Step::Keep(condition) => collect.condition(condition, true),
                Step::Map(compute) => {
                    collect.compute(compute, true);
                    replaced = true;
                    break;
                }
                Step::Skip(_) | Step::Limit(_) => {}
            }
        }
        if !replaced && let Some(Barrier::Group(key) | Barrier::Order { key, .. }) = barrier {
            collect.compute(key, true);
        }
        if collect.all {
            Needs::All
        } else {
            Needs::Members(collect.names)
        }
    }
}

struct Collect {
    all: bool,
    names: BTreeSet<Arc<str>>,
}

impl Collect {
    /// `outer`: the current object is the record itself.
    fn condition(&mut self, condition: &Condition, outer: bool) {
        match condition {
            Condition::Always | Condition::After(_) => {}
            Condition::Compare(_, left, right) => {
                self.compute(left, outer);
                self.compute(right, outer);
            }
            Condition::Within(_, key, _) | Condition::Exists(key) => self.compute(key, outer),
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().for_each(|part| self.condition(part, outer));
            }
            Condition::Not(inner) => self.condition(inner, outer),
            Condition::Subquery(key, parts) => {
                self.compute(key, outer);
                parts.iter().for_each(|part| self.condition(part, false));
            }
        }
    }

    fn compute(&mut self, compute: &Compute, outer: bool) {
        match compute {
            Compute::Path(base, steps) => {
                if *base == Base::Root || outer {
                    self.names.extend(steps.first().cloned());
                }
            }
            Compute::Step(of, _) | Compute::Follow(of) => self.compute(of, outer),
            Compute::Constant(_) => {}
            Compute::Calculation(_, left, right) => {
                self.compute(left, outer);
                self.compute(right, outer);
            }
            Compute::Object(members) => self.members(members, outer),
        }
    }

    fn members(&mut self, members: &[Build], outer: bool) {
        for member in members {
            match member {
                Build::Set { value, default, .. } => {
                    self.compute(value, outer);
                    if let Some(default) = default {
                        self.compute(default, outer);
                    }
                }
                Build::Nested {
                    name,
                    members,
                    default,
                } => {
                    if outer {
                        self.names.insert(name.clone());
                    }
                    self.members(members, false);
                    if let Some(default) = default {
                        self.compute(default, outer);
                    }
                }
                Build::Copy => self.all |= outer,
                Build::Expand => {
                    self.all |= outer;
                    // The record's own id, to recognise a ref back to it.
                    self.names.insert("_rmx_id".into());
                }
                Build::Remove(_) => {}
            }
        }
    }
}
