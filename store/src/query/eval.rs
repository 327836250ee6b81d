//! Values and truth of a plan's parts for one value of the stream.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use mix_value::{Map, Ref, Relation, Value, equal, relate};

use super::arithmetic::calculate;
use super::ast::{CompareOp, ListOp};
use super::budget::{Budget, VALUE_SIZE, entry_size, footprint};
use super::cache::Cache;
use super::decode::{Failure, decode_row};
use super::expand::Expansion;
use super::plan::{Base, Build, Compute, Condition, Needs};
use super::source::{RecordSource, StoredRow};

static UNDEFINED: Value = Value::Undefined;

/// What names refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'v> {
    pub(super) root: &'v Value,
    pub(super) current: &'v Value,
    /// Row number of the root, if it is a stored row.
    pub(super) row: Option<u64>,
}

/// Evaluates over one source within one budget.
pub(super) struct Evaluator<S: RecordSource> {
    pub(super) source: S,
    pub(super) budget: Budget,
    /// First rows of the plan's marks.
    pub(super) first_rows: Vec<u64>,
    cache: RefCell<Cache>,
}

impl<S: RecordSource> Evaluator<S> {
    pub(super) fn new(source: S, budget: Budget) -> Evaluator<S> {
        Evaluator {
            source,
            budget,
            first_rows: Vec::new(),
            cache: RefCell::new(Cache::default()),
        }
    }

    /// Decodes the members `needs` of a row.
    pub(super) fn decode(&self, row: &StoredRow, needs: &Needs) -> Result<Value, S::Error> {
        decode_row(row, needs, &self.budget).map_err(|failure| match failure {
            Failure::Corrupt(error) => self.source.corrupt(row.row, error),
            Failure::Query(error) => error.into(),
        })
    }

    /// The record behind a ref.
    pub(super) fn resolve(&self, reference: &Ref) -> Result<Option<Arc<Value>>, S::Error> {
        self.budget.tick()?;
        if let Some(known) = self.cache.borrow().get(reference) {
            return Ok(known);
        }
        let (record, size) = self
            .budget
            .measured(|| match self.source.resolve(reference)? {
                Some(row) => self
                    .decode(&row, &Needs::All)
                    .map(|record| Some(Arc::new(record))),
                None => Ok(None),
            });
        let record = record?;
        self.cache
            .borrow_mut()
            .put(reference.clone(), record.clone(), size);
        Ok(record)
    }

    /// Owns a value, counting the memory of a copy.
    pub(super) fn own(&self, value: Cow<'_, Value>) -> Result<Value, S::Error> {
        match value {
            Cow::Owned(value) => Ok(value),
            Cow::Borrowed(value) => {
                self.budget.charge(footprint(value)?)?;
                Ok(value.clone())
            }
        }
    }

    /// Follows member names from a value: through maps, over arrays, across refs.
    pub(super) fn walk<'v>(
        &self,
        from: &'v Value,
        steps: &[Arc<str>],
    ) -> Result<Cow<'v, Value>, S::Error> {
        let mut current = from;
        for (index, step) in steps.iter().enumerate() {
            let rest = &steps[index..];
            match current {
                Value::Map(map) => match map.get(step) {
                    Some(member) => current = member,
                    None => return Ok(Cow::Borrowed(&UNDEFINED)),
                },
                Value::Ref(reference) => {
                    let Some(record) = self.resolve(reference)? else {
                        return Ok(Cow::Borrowed(&UNDEFINED));
                    };
                    let found = self.walk(&record, rest)?;
                    return self.own(found).map(Cow::Owned);
                }
                Value::Array(items) => {
                    let _deeper = self.budget.descend()?;
                    let mut results = Vec::new();
                    for item in items {
                        self.budget.tick()?;
                        let found = self.walk(item, rest)?;
                        if !found.is_undefined() {
                            self.budget.charge(VALUE_SIZE)?;
                            results.push(self.own(found)?);
                        }
                    }
                    return Ok(Cow::Owned(Value::Array(results)));
                }
                _ => return Ok(Cow::Borrowed(&UNDEFINED)),
            }
        }
        Ok(Cow::Borrowed(current))
    }

    /// The truth of a condition; none if it is unknown.
    pub(super) fn test(
        &self,
        condition: &Condition,
        scope: Scope<'_>,
    ) -> Result<Option<bool>, S::Error> {
        Ok(match condition {
            Condition::Always => Some(true),
            Condition::Compare(op, left, right) => {
                let left = self.compute(left, scope)?;
                let right = self.compute(right, scope)?;
                compare(*op, &left, &right)
            }
            Condition::Within(op, key, list) => {
                let value = self.compute(key, scope)?;
                if value.is_undefined() {
                    return Ok(None);
                }
                let values = value.as_array().unwrap_or(std::slice::from_ref(&*value));
                let found = match op {
                    ListOp::In | ListOp::NotIn => values.iter().any(|value| list.contains(value)),
                    ListOp::AllIn | ListOp::NotAllIn => list.all_among(values),
                };
                Some(found == matches!(op, ListOp::In | ListOp::AllIn))
            }
            Condition::Exists(key) => Some(!self.compute(key, scope)?.is_undefined()),
            Condition::After(mark) => {
                let first = self.first_rows.get(*mark).copied().unwrap_or(0);
                Some(scope.row.is_some_and(|row| row >= first))
            }
            Condition::And(parts) => self.all(parts, scope)?,
            Condition::Or(parts) => {
                let mut truth = Some(false);
                for part in parts {
                    match self.test(part, scope)? {
                        Some(true) => return Ok(Some(true)),
                        Some(false) => {}
                        None => truth = None,
                    }
                }
                truth
            }
            Condition::Not(inner) => self.test(inner, scope)?.map(|truth| !truth),
            Condition::Subquery(key, parts) => {
                let value = self.compute(key, scope)?;
                match &*value {
                    Value::Array(items) => {
                        let mut truth = Some(false);
                        for item in items {
                            self.budget.tick()?;
                            match self.test_object(item, parts, scope)? {
                                Some(true) => return Ok(Some(true)),
                                Some(false) => {}
                                None => truth = None,
                            }
                        }
                        truth
                    }
                    value => self.test_object(value, parts, scope)?,
                }
            }
        })
    }

    fn all(&self, parts: &[Condition], scope: Scope<'_>) -> Result<Option<bool>, S::Error> {
        let mut truth = Some(true);
        for part in parts {
            match self.test(part, scope)? {
                Some(false) => return Ok(Some(false)),
                Some(true) => {}
                None => truth = None,
            }
        }
        Ok(truth)
    }

    /// All parts with a nested object as the current one.
    fn test_object(
        &self,
        object: &Value,
        parts: &[Condition],
        scope: Scope<'_>,
    ) -> Result<Option<bool>, S::Error> {
        match object {
            Value::Map(_) => self.all(
                parts,
                Scope {
                    current: object,
                    ..scope
                },
            ),
            Value::Ref(reference) => match self.resolve(reference)? {
                Some(record) => self.all(
                    parts,
                    Scope {
                        current: &record,
                        root: scope.root,
                        row: scope.row,
                    },
                ),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    pub(super) fn compute<'v>(
        &self,
        compute: &'v Compute,
        scope: Scope<'v>,
    ) -> Result<Cow<'v, Value>, S::Error> {
        match compute {
            Compute::Path(Base::Root, steps) => self.walk(scope.root, steps),
            Compute::Path(Base::Current, steps) => self.walk(scope.current, steps),
            Compute::Step(of, name) => {
                let value = self.compute(of, scope)?;
                let found = self.walk(&value, std::slice::from_ref(name))?;
                self.own(found).map(Cow::Owned)
            }
            Compute::Constant(value) => Ok(Cow::Borrowed(value)),
            Compute::Calculation(op, left, right) => {
                let left = self.compute(left, scope)?;
                let right = self.compute(right, scope)?;
                Ok(Cow::Owned(calculate(*op, left, right, &self.budget)?))
            }
            Compute::Follow(key) => {
                let value = self.compute(key, scope)?;
                self.follow(value)
            }
            Compute::Object(members) => Ok(Cow::Owned(Value::Map(self.object(members, scope)?))),
        }
    }

    /// The record behind a ref, element by element in an array; other values unchanged.
    fn follow<'v>(&self, value: Cow<'v, Value>) -> Result<Cow<'v, Value>, S::Error> {
        match &*value {
            Value::Ref(reference) => match self.resolve(reference)? {
                Some(record) => self.own(Cow::Borrowed(&record)).map(Cow::Owned),
                None => Ok(Cow::Owned(Value::Null)),
            },
            Value::Array(items) => {
                let _deeper = self.budget.descend()?;
                self.budget.charge(items.len().saturating_mul(VALUE_SIZE))?;
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    let followed = self.follow(Cow::Borrowed(item))?;
                    results.push(self.own(followed)?);
                }
                Ok(Cow::Owned(Value::Array(results)))
            }
            _ => Ok(value),
        }
    }

    /// Builds a map, member by member.
    fn object(&self, members: &[Build], scope: Scope<'_>) -> Result<Map, S::Error> {
        let mut map = Map::new();
        for member in members {
            match member {
                Build::Set {
                    name,
                    value,
                    default,
                } => {
                    let value = self.compute(value, scope)?;
                    let value = self.own(value)?;
                    self.set(&mut map, name, value, default.as_ref(), scope)?;
                }
                Build::Nested {
                    name,
                    members,
                    default,
                } => {
                    let inner = self.walk(scope.current, std::slice::from_ref(name))?;
                    let value = self.nested(&inner, members, scope)?;
                    self.set(&mut map, name, value, default.as_ref(), scope)?;
                }
                Build::Copy => self.with_current_map(scope, |current| {
                    for (key, value) in current {
                        self.budget.charge(entry_size(key))?;
                        let value = self.own(Cow::Borrowed(value))?;
                        map.insert(key.clone(), value);
                    }
                    Ok(())
                })?,
                Build::Expand => self.with_current_map(scope, |current| {
                    let mut expansion = Expansion::new(self, scope.root, current);
                    map.append(&mut expansion.map(current)?);
                    Ok(())
                })?,
                Build::Remove(name) => {
                    map.remove(name);
                }
            }
        }
        Ok(map)
    }

    /// Gives the current object if it is a map, or a ref to a record.
    fn with_current_map(
        &self,
        scope: Scope<'_>,
        run: impl FnOnce(&Map) -> Result<(), S::Error>,
    ) -> Result<(), S::Error> {
        match scope.current {
            Value::Map(map) => run(map),
            Value::Ref(reference) => match self.resolve(reference)?.as_deref() {
                Some(Value::Map(map)) => run(map),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn set(
        &self,
        map: &mut Map,
        name: &Arc<str>,
        value: Value,
        default: Option<&Compute>,
        scope: Scope<'_>,
    ) -> Result<(), S::Error> {
        let value = match default {
            Some(default) if value.is_undefined() => {
                let value = self.compute(default, scope)?;
                self.own(value)?
            }
            _ => value,
        };
        if value.is_undefined() {
            map.remove(name);
        } else {
            self.budget.charge(entry_size(name))?;
            map.insert(name.clone(), value);
        }
        Ok(())
    }

    /// A nested object on what the current object has in its place.
    fn nested(
        &self,
        inner: &Value,
        members: &[Build],
        scope: Scope<'_>,
    ) -> Result<Value, S::Error> {
        match inner {
            Value::Map(_) => Ok(Value::Map(self.object(
                members,
                Scope {
                    current: inner,
                    ..scope
                },
            )?)),
            Value::Ref(reference) => match self.resolve(reference)? {
                Some(record) => {
                    let scope = Scope {
                        current: &record,
                        root: scope.root,
                        row: scope.row,
                    };
                    Ok(Value::Map(self.object(members, scope)?))
                }
                None => self.nested(&UNDEFINED, members, scope),
            },
            Value::Array(items) => {
                let _deeper = self.budget.descend()?;
                let mut results = Vec::new();
                for item in items {
                    self.budget.tick()?;
                    let value = self.nested(item, members, scope)?;
                    if !value.is_undefined() {
                        self.budget.charge(VALUE_SIZE)?;
                        results.push(value);
                    }
                }
                Ok(Value::Array(results))
            }
            _ => {
                let map = self.object(
                    members,
                    Scope {
                        current: &UNDEFINED,
                        ..scope
                    },
                )?;
                Ok(if map.is_empty() {
                    Value::Undefined
                } else {
                    Value::Map(map)
                })
            }
        }
    }
}

fn compare(op: CompareOp, left: &Value, right: &Value) -> Option<bool> {
    match op {
        CompareOp::Eq => equal(left, right),
        CompareOp::Ne => equal(left, right).map(|equal| !equal),
        CompareOp::Contains => Some(left.as_str()?.contains(right.as_str()?)),
        CompareOp::Like => Some(left.as_str()?.starts_with(right.as_str()?)),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
            let (less, equal, greater) = match op {
                CompareOp::Lt => (true, false, false),
                CompareOp::Le => (true, true, false),
                CompareOp::Gt => (false, false, true),
                _ => (false, true, true),
            };
            match relate(left, right) {
                Relation::Less => Some(less),
                Relation::Equal => Some(equal),
                Relation::Greater => Some(greater),
                Relation::Unordered => Some(false),
                Relation::Incomparable => None,
            }
        }
    }
}
