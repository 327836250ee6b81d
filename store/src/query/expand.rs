//! `**`: refs replaced by the records they name, recursively.

use std::borrow::Cow;
use std::sync::Arc;

use mix_value::{Map, Ref, Value};

use super::budget::{VALUE_SIZE, entry_size};
use super::error::{QueryError, QueryErrorCode};
use super::eval::Evaluator;
use super::source::RecordSource;

const MAX_LEVELS: usize = 16;
const MAX_EXPANSIONS: usize = 10_000;
const ENGINE_PREFIX: &str = "_rmx_";
const ID: &str = "_rmx_id";

/// One expansion of one object.
pub(super) struct Expansion<'e, S: RecordSource> {
    evaluator: &'e Evaluator<S>,
    /// Ids of the records from the outermost to the present one.
    path: Vec<Ref>,
    levels: usize,
}

impl<'e, S: RecordSource> Expansion<'e, S> {
    /// Begins at `current`, inside `root`.
    pub(super) fn new(
        evaluator: &'e Evaluator<S>,
        root: &Value,
        current: &Map,
    ) -> Expansion<'e, S> {
        let mut path = Vec::new();
        for id in [root.get(ID), current.get(ID)] {
            if let Some(Value::Ref(id)) = id
                && !path.contains(id)
            {
                path.push(id.clone());
            }
        }
        Expansion {
            evaluator,
            path,
            levels: 0,
        }
    }

    pub(super) fn map(&mut self, map: &Map) -> Result<Map, S::Error> {
        let evaluator = self.evaluator;
        let _deeper = evaluator.budget.descend()?;
        let mut expanded = Map::new();
        for (key, value) in map {
            evaluator.budget.charge(entry_size(key))?;
            let value = if key.starts_with(ENGINE_PREFIX) {
                evaluator.own(Cow::Borrowed(value))?
            } else {
                self.value(value)?
            };
            expanded.insert(Arc::clone(key), value);
        }
        Ok(expanded)
    }

    fn value(&mut self, value: &Value) -> Result<Value, S::Error> {
        let evaluator = self.evaluator;
        match value {
            Value::Ref(reference) => self.reference(reference),
            Value::Array(items) => {
                let _deeper = evaluator.budget.descend()?;
                evaluator
                    .budget
                    .charge(items.len().saturating_mul(VALUE_SIZE))?;
                items
                    .iter()
                    .map(|item| self.value(item))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Value::Array)
            }
            Value::Map(map) => self.map(map).map(Value::Map),
            value => evaluator.own(Cow::Borrowed(value)),
        }
    }

    fn reference(&mut self, reference: &Ref) -> Result<Value, S::Error> {
        let unchanged = || Ok(Value::Ref(reference.clone()));
        let Some(record) = self.evaluator.resolve(reference)? else {
            return unchanged();
        };
        let Value::Map(map) = &*record else {
            return unchanged();
        };
        // A revision names the same record as the id.
        let id = match map.get(ID) {
            Some(Value::Ref(id)) => id,
            _ => reference,
        };
        if self.path.contains(id) {
            return unchanged();
        }
        if self.levels >= MAX_LEVELS {
            return Err(limit("more than 16 levels of records").into());
        }
        if !self.evaluator.budget.count_expansion(MAX_EXPANSIONS) {
            return Err(limit("more than 10000 records in one result").into());
        }
        self.path.push(id.clone());
        self.levels += 1;
        let expanded = self.map(map)?;
        self.levels -= 1;
        self.path.pop();
        Ok(Value::Map(expanded))
    }
}

fn limit(what: &str) -> QueryError {
    QueryError::new(QueryErrorCode::ExpansionLimit, format!("`**` found {what}"))
}
