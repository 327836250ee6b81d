//! What an index knows about one condition: the rows that surely pass it, and
//! those that must be read to know.

mod path;

use mix_value::Value;
use roaring::RoaringBitmap;

use super::Snapshot;
use super::term::{Flag, Key, KeyRange, Path, key_of, text_of_key, value_of};
use crate::error::Result;
use crate::fields;
use crate::query::ast::{CompareOp, ListOp};
use crate::query::{Atom, AtomTest, Sets};
use path::{PathView, Prefix};

/// Most distinct records behind the refs of one path that a condition looks at.
const MAX_TARGETS: usize = 10_000;

impl Snapshot {
    /// The rows for which the truth of an atom is `want`; none if the index
    /// knows nothing about its path.
    pub fn sets(&self, atom: &Atom, want: bool) -> Result<Option<Sets>> {
        let Some(view) = self.path(&atom.path)? else {
            return Ok(None);
        };
        let mut sets = match &atom.test {
            AtomTest::Exists => view.exists(want)?,
            AtomTest::Compare(op, value) => view.compare(*op, value, want)?,
            AtomTest::Within(op, items) => view.within(*op, items, want)?,
            AtomTest::Between(..) if !want => return Ok(None),
            AtomTest::Between(above, from, below, to) => {
                match view.between(*above, from, *below, to)? {
                    Some(sets) => sets,
                    None => return Ok(None),
                }
            }
        };
        if !view.through_refs(atom, want, &mut sets)? {
            return Ok(None);
        }
        sets.sure -= &view.unsure;
        sets.maybe |= &view.unsure;
        sets.sure.remove_range(self.bound..);
        sets.maybe.remove_range(self.bound..);
        sets.maybe -= &sets.sure;
        Ok(Some(sets))
    }

    /// Rows among which all lie that have, somewhere at the path, a value that
    /// passes the test; none if the index cannot tell.
    pub fn somewhere(&self, atom: &Atom) -> Result<Option<RoaringBitmap>> {
        let Some(view) = self.path(&atom.path)? else {
            return Ok(None);
        };
        let ranges = match &atom.test {
            AtomTest::Compare(CompareOp::Eq, value) => match key_of(value) {
                Key::Exact(key) | Key::Rough(key) => vec![KeyRange::only(key)],
                _ => return Ok(None),
            },
            AtomTest::Compare(CompareOp::Like, Value::String(prefix)) => {
                vec![KeyRange::prefix(prefix)]
            }
            AtomTest::Compare(
                op @ (CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge),
                value @ (Value::Int(_) | Value::Float(_) | Value::String(_) | Value::Bool(_)),
            ) => match ordered(*op, value) {
                // Null is below everything.
                Some((ranges, rough)) => {
                    let null = matches!(op, CompareOp::Lt | CompareOp::Le).then(KeyRange::null);
                    ranges.into_iter().chain(rough).chain(null).collect()
                }
                None => return Ok(None),
            },
            AtomTest::Within(ListOp::In, items) => {
                let mut ranges = Vec::with_capacity(items.len());
                for item in items {
                    match key_of(item) {
                        Key::Exact(key) | Key::Rough(key) => ranges.push(KeyRange::only(key)),
                        Key::Never => {}
                        _ => return Ok(None),
                    }
                }
                ranges
            }
            _ => return Ok(None),
        };
        let mut rows = RoaringBitmap::new();
        for range in ranges {
            rows |= view.values(&range)?;
            rows |= view.elements(&range)?;
        }
        for flag in [Flag::Long, Flag::OtherElement] {
            rows |= view.flag(flag)?;
        }
        rows |= &view.unsure;
        rows |= view.nested()?;
        for prefix in &view.prefixes {
            rows |= prefix.refs(self)?;
        }
        Ok(Some(rows))
    }

    /// The row a ref stands for.
    fn target(&self, id: &str) -> Result<Option<u32>> {
        let row_of = |field: &str| -> Result<RoaringBitmap> {
            let Some(key) = super::term::ref_key(id) else {
                return Ok(RoaringBitmap::new());
            };
            let mut path = Path::default();
            path.push(field);
            let mut rows = self.all_rows(&path.value(&key))?;
            rows.remove_range(self.bound..);
            Ok(rows)
        };
        if let Some(row) = row_of(fields::ID)?.max()
            && !self.deleted.contains(row)
        {
            return Ok(Some(row));
        }
        Ok(row_of(fields::REV)?.max())
    }
}

impl PathView<'_> {
    fn exists(&self, want: bool) -> Result<Sets> {
        let mut sure = self.defined()?;
        if !want {
            let mut all = RoaringBitmap::new();
            all.insert_range(0..self.index.bound);
            sure = all - sure;
        }
        Ok(Sets::sure(sure))
    }

    /// What is false where it is neither true nor perhaps true, of all that is defined.
    fn complement(&self, truth: Sets, want: bool) -> Result<Sets> {
        if want {
            return Ok(truth);
        }
        Ok(Sets {
            sure: self.defined()? - truth.sure - &truth.maybe,
            maybe: truth.maybe,
        })
    }

    fn compare(&self, op: CompareOp, value: &Value, want: bool) -> Result<Sets> {
        match op {
            CompareOp::Eq => self.equal(value, want),
            CompareOp::Ne => self.equal(value, !want),
            CompareOp::Like => {
                let Value::String(prefix) = value else {
                    return Ok(Sets::default());
                };
                let found = KeyRange::prefix(prefix);
                let sure = if want {
                    self.values(&found)?
                } else {
                    let strings = KeyRange::strings();
                    self.values(&KeyRange::new(strings.from, found.from))?
                        | self.values(&KeyRange::new(found.to, strings.to))?
                };
                Ok(Sets {
                    sure,
                    maybe: self.flag(Flag::Long)?,
                })
            }
            CompareOp::Contains => {
                let Value::String(part) = value else {
                    return Ok(Sets::default());
                };
                let strings = KeyRange::strings();
                let skip = self.path.values_len();
                let sure = self.index.rows_that(
                    &self.path.value(&strings.from),
                    &self.path.value(&strings.to),
                    &mut |term| {
                        let text = term.get(skip..).and_then(text_of_key);
                        text.is_some_and(|text| text.contains(&**part) == want)
                    },
                )?;
                Ok(Sets {
                    sure,
                    maybe: self.flag(Flag::Long)?,
                })
            }
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
                self.relation(op, value, want)
            }
        }
    }

    fn equal(&self, value: &Value, want: bool) -> Result<Sets> {
        let truth = match key_of(value) {
            Key::Exact(key) => Sets::sure(self.values(&KeyRange::only(key))?),
            Key::Rough(key) => Sets::maybe(self.values(&KeyRange::only(key))?),
            Key::Long => Sets::maybe(self.flag(Flag::Long)?),
            Key::Array => Sets::maybe(self.whole_arrays()?),
            Key::Other => Sets::maybe(self.flag(Flag::Other)?),
            Key::Never if matches!(value, Value::Float(_)) => Sets::default(),
            // Unknown whatever the row has.
            Key::Never => return Ok(Sets::default()),
        };
        self.complement(truth, want)
    }

    fn relation(&self, op: CompareOp, value: &Value, want: bool) -> Result<Sets> {
        let less = matches!(op, CompareOp::Lt | CompareOp::Le);
        let nulls = self.values(&KeyRange::null())?;
        if value.is_null() {
            // Null is below everything, and all is comparable with it.
            let truth = match op {
                CompareOp::Lt => RoaringBitmap::new(),
                CompareOp::Le => nulls,
                CompareOp::Gt => self.defined()? - nulls,
                _ => self.defined()?,
            };
            return self.complement(Sets::sure(truth), want);
        }
        let mut sets = Sets::default();
        if less == want {
            sets.sure = nulls;
        }
        match value {
            Value::Float(number) if number.is_nan() => {
                // Every comparison of numbers with it is false.
                if !want {
                    sets.sure |= self.values(&KeyRange::numbers())?;
                    sets.sure |= self.values(&KeyRange::nan())?;
                }
            }
            Value::Array(_) => sets.maybe = self.whole_arrays()?,
            Value::Case(_) => {
                sets.maybe = self.values(&KeyRange::cases())? | self.flag(Flag::Other)?;
            }
            Value::Map(_) | Value::Binary(_) => sets.maybe = self.flag(Flag::Other)?,
            Value::Undefined | Value::Token(_) | Value::Handle(_) => return Ok(Sets::default()),
            value => {
                let op = if want { op } else { opposite(op) };
                match ordered(op, value) {
                    Some((ranges, rough)) => {
                        for range in ranges {
                            sets.sure |= self.values(&range)?;
                        }
                        if let Some(rough) = rough {
                            let rough = self.values(&rough)?;
                            sets.sure -= &rough;
                            sets.maybe |= rough;
                        }
                    }
                    None => sets.maybe = self.values(&KeyRange::refs())?,
                }
                match value {
                    Value::String(_) => sets.maybe |= self.flag(Flag::Long)?,
                    Value::Ref(_) => sets.maybe |= self.flag(Flag::Other)?,
                    Value::Int(_) | Value::Float(_) | Value::BigInt(_) if !want => {
                        sets.sure |= self.values(&KeyRange::nan())?;
                    }
                    _ => {}
                }
            }
        }
        Ok(sets)
    }

    /// Rows between two constants; null is not among them, as it is below both.
    fn between(
        &self,
        above: CompareOp,
        from: &Value,
        below: CompareOp,
        to: &Value,
    ) -> Result<Option<Sets>> {
        let (Some((low, rough_low)), Some((high, rough_high))) =
            (ordered(above, from), ordered(below, to))
        else {
            return Ok(None);
        };
        let (Some(low), Some(high)) = (low.into_iter().next(), high.into_iter().next()) else {
            return Ok(None);
        };
        let mut sets = Sets::sure(self.values(&KeyRange::new(low.from, high.to))?);
        for rough in [rough_low, rough_high].into_iter().flatten() {
            let rough = self.values(&rough)?;
            sets.sure -= &rough;
            sets.maybe |= rough;
        }
        if matches!(from, Value::String(_)) {
            sets.maybe |= self.flag(Flag::Long)?;
        }
        Ok(Some(sets))
    }

    fn within(&self, op: ListOp, items: &[Value], want: bool) -> Result<Sets> {
        let (all, want) = match op {
            ListOp::In => (false, want),
            ListOp::NotIn => (false, !want),
            ListOp::AllIn => (true, want),
            ListOp::NotAllIn => (true, !want),
        };
        let mut truth = if all {
            Sets::sure(self.defined()?)
        } else {
            Sets::default()
        };
        for item in items {
            let found = self.has_value(item)?;
            if all {
                truth.and(found);
            } else {
                truth.or(found);
            }
        }
        self.complement(truth, want)
    }

    /// Rows whose value, or an element of it if it is an array, is equal to `item`.
    fn has_value(&self, item: &Value) -> Result<Sets> {
        let both = |key: Vec<u8>| -> Result<RoaringBitmap> {
            let range = KeyRange::only(key);
            Ok(self.values(&range)? | self.elements(&range)?)
        };
        Ok(match key_of(item) {
            Key::Exact(key) => Sets::sure(both(key)?),
            Key::Rough(key) => Sets::maybe(both(key)?),
            Key::Never => Sets::default(),
            Key::Array => Sets::maybe(self.flag(Flag::OtherElement)? | self.nested()?),
            Key::Long => Sets::maybe(self.flag(Flag::Long)? | self.flag(Flag::OtherElement)?),
            Key::Other => Sets::maybe(self.flag(Flag::Other)? | self.flag(Flag::OtherElement)?),
        })
    }

    /// Adds the rows whose path leads through a ref into another record; false
    /// if there are too many such records.
    fn through_refs(&self, atom: &Atom, want: bool, sets: &mut Sets) -> Result<bool> {
        for (
            index,
            Prefix {
                path: prefix,
                kinds,
            },
        ) in self.prefixes.iter().enumerate()
        {
            if !kinds.has_refs() {
                continue;
            }
            let range = KeyRange::refs();
            let (from, to) = (prefix.value(&range.from), prefix.value(&range.to));
            let skip = prefix.values_len();
            let mut targets = Vec::new();
            let crossing = self.index.rows_that(&from, &to, &mut |term| {
                if targets.len() <= MAX_TARGETS {
                    targets.push(term.to_vec());
                }
                true
            })?;
            if crossing.is_empty() {
                continue;
            }
            sets.sure -= &crossing;
            sets.maybe -= &crossing;
            if targets.len() > MAX_TARGETS {
                sets.maybe |= crossing;
                continue;
            }
            targets.sort_unstable();
            targets.dedup();
            let inner = Atom {
                path: atom.path[index + 1..].to_vec(),
                test: atom.test.clone(),
            };
            let Some(inner) = self.index.sets(&inner, want)? else {
                return Ok(false);
            };
            for term in targets {
                let rows = self.index.rows(&term)?;
                let id = match term.get(skip..).and_then(value_of) {
                    Some(Value::Ref(id)) => id,
                    _ => {
                        sets.maybe |= rows;
                        continue;
                    }
                };
                match self.index.target(id.as_str())? {
                    // The record behind it has no value there.
                    None if atom.test == AtomTest::Exists && !want => sets.sure |= rows,
                    None => {}
                    Some(target) if !self.index.covers(target) => sets.maybe |= rows,
                    Some(target) if inner.sure.contains(target) => sets.sure |= rows,
                    Some(target) if inner.maybe.contains(target) => sets.maybe |= rows,
                    Some(_) => {}
                }
            }
        }
        Ok(true)
    }
}

fn opposite(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Ge,
        CompareOp::Le => CompareOp::Gt,
        CompareOp::Gt => CompareOp::Le,
        CompareOp::Ge => CompareOp::Lt,
        other => other,
    }
}

/// The keys of the constant's kind for which `op` holds, and among them the
/// ones for which it holds perhaps; none for a constant without a key.
fn ordered(op: CompareOp, value: &Value) -> Option<(Vec<KeyRange>, Option<KeyRange>)> {
    let kind = match value {
        Value::Bool(_) => KeyRange::bools(),
        Value::Int(_) | Value::Float(_) | Value::BigInt(_) => KeyRange::numbers(),
        Value::String(_) => KeyRange::strings(),
        Value::Ref(_) => KeyRange::refs(),
        _ => return None,
    };
    let (key, rough) = match (key_of(value), value) {
        (Key::Exact(key), _) => (key, false),
        (Key::Rough(key), _) => (key, true),
        // Compares with keys, although it has none itself.
        (Key::Long, Value::String(text)) => (super::term::string_key(text), false),
        _ => return None,
    };
    let only = KeyRange::only(key);
    let range = match op {
        CompareOp::Lt => KeyRange::new(kind.from, only.from.clone()),
        CompareOp::Le => KeyRange::new(kind.from, only.to.clone()),
        CompareOp::Gt => KeyRange::new(only.to.clone(), kind.to),
        _ => KeyRange::new(only.from.clone(), kind.to),
    };
    Some((vec![range], rough.then_some(only)))
}
