//! Indexes over top-level fields, built when a query first asks for one.
//!
//! An index only proposes rows: every row among which the wanted ones lie, and
//! some more. The query decides each of them by reading it, so an index can
//! never change a result. It lives in memory beside the table and grows with
//! it; old rows never change, so nothing is ever taken out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mix_value::msgpack::{Reader, Token};
use mix_value::{BigInt, Value};

use crate::error::Result;
use crate::fields;
use crate::ids::id_of;
use crate::query::{Atom, AtomTest};
use crate::raw;
use crate::table::{NONE, Table};

/// Longest string that has a key of its own.
const MAX_STRING: usize = 256;
/// Most bytes of all indexes of a table, as far as they can be estimated.
const MAX_BYTES: usize = 128 << 20;
/// What a key takes beside its own bytes: tree slot, allocations, first row.
const KEY_OVERHEAD: usize = 120;
/// A query adds at most so many rows to an index; until it has all of them the
/// rows are scanned, so that no query waits for a whole big table to be indexed.
const SLICE: u32 = 100_000;

/// The indexes of a table.
#[derive(Default)]
pub(crate) struct Indexes {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    fields: HashMap<Arc<str>, Field>,
    /// Fields whose index is too big for the limit even alone.
    refused: HashSet<Arc<str>>,
    bytes: usize,
    uses: u64,
}

/// The index of one field. All row lists ascend.
#[derive(Default)]
struct Field {
    /// Rows below are contained.
    covered: u32,
    /// Estimated bytes.
    bytes: usize,
    /// When it was last asked.
    used: u64,
    /// Scalars: the value itself, or an element of it if it is an array.
    keys: BTreeMap<Vec<u8>, Vec<u32>>,
    /// Rows whose value, or an element of it, has no key.
    other: Vec<u32>,
    /// Rows whose value is an array.
    arrays: Vec<u32>,
    /// Rows that have a value.
    defined: Vec<u32>,
}

impl Indexes {
    /// Rows below `bound` among which all lie that pass every atom; none if
    /// reading all rows is no worse.
    pub fn candidates(
        &self,
        table: &Table,
        atoms: &[Atom],
        bound: u32,
    ) -> Result<Option<Vec<u64>>> {
        let mut best: Option<Vec<u32>> = None;
        for atom in atoms {
            if let Some(rows) = self.rows_of(table, atom, bound)?
                && best.as_ref().is_none_or(|best| rows.len() < best.len())
            {
                best = Some(rows);
            }
        }
        let worth = |rows: &Vec<u32>| rows.len() < (bound / 2) as usize || bound < 16;
        Ok(best
            .filter(worth)
            .map(|rows| rows.into_iter().map(u64::from).collect()))
    }

    fn rows_of(&self, table: &Table, atom: &Atom, bound: u32) -> Result<Option<Vec<u32>>> {
        // A longer path may lead through a ref into another record.
        let [field] = atom.path.as_slice() else {
            return Ok(None);
        };
        match (&**field, &atom.test) {
            // Not in the stored bytes, or overruled by the row's position.
            (fields::SUPERSEDED | fields::ROW, _) => Ok(None),
            (fields::ID, AtomTest::Equal(Value::Ref(id))) => {
                Ok(Some(versions(table, id.as_str(), bound)))
            }
            (fields::REV, AtomTest::Equal(Value::Ref(rev))) => {
                let row = id_of(rev.as_str()).and_then(|rev| table.revision(&rev, bound));
                Ok(Some(row.into_iter().collect()))
            }
            (_, test) => {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(index) = inner.extended(table, field, bound)? else {
                    return Ok(None);
                };
                let mut rows = index.lookup(test);
                rows.retain(|row| *row < bound);
                Ok(Some(rows))
            }
        }
    }
}

/// All rows of an id, ascending.
fn versions(table: &Table, id: &str, bound: u32) -> Vec<u32> {
    let mut rows = Vec::new();
    let mut next = id_of(id).and_then(|id| table.newest(&id, bound));
    while let Some(row) = next {
        rows.push(row);
        next = table
            .meta(row)
            .map(|meta| meta.previous)
            .filter(|previous| *previous != NONE);
    }
    rows.reverse();
    rows
}

impl Inner {
    /// The index of a field, containing all rows below `bound`; none if it does not (yet).
    fn extended(&mut self, table: &Table, name: &Arc<str>, bound: u32) -> Result<Option<&Field>> {
        if self.refused.contains(name) {
            return Ok(None);
        }
        self.uses += 1;
        let field = self.fields.entry(name.clone()).or_default();
        field.used = self.uses;
        let until = bound.min(field.covered.saturating_add(SLICE));
        while field.covered < until {
            let row = field.covered;
            let body = table.body(row)?;
            if let Some(encoded) = raw::member(&body, name) {
                let added = field.add(row, encoded);
                field.bytes += added;
                self.bytes += added;
            }
            field.covered += 1;
            if field.bytes > MAX_BYTES {
                self.bytes -= field.bytes;
                self.fields.remove(name);
                self.refused.insert(name.clone());
                return Ok(None);
            }
        }
        self.make_room(name);
        Ok(self.fields.get(name).filter(|field| field.covered >= bound))
    }

    /// Drops the indexes that were not asked for longest, but not that of `keep`.
    fn make_room(&mut self, keep: &Arc<str>) {
        while self.bytes > MAX_BYTES {
            let others = self.fields.iter().filter(|(name, _)| *name != keep);
            let Some(oldest) = others
                .min_by_key(|(_, field)| field.used)
                .map(|(name, _)| name.clone())
            else {
                return;
            };
            if let Some(dropped) = self.fields.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(dropped.bytes);
            }
        }
    }
}

impl Field {
    /// Adds the encoded value of a row; gives the bytes that took, about.
    fn add(&mut self, row: u32, encoded: &[u8]) -> usize {
        self.defined.push(row);
        let mut reader = Reader::new(encoded);
        let mut bytes = 8;
        match reader.next() {
            Ok(Token::ArrayStart(count)) => {
                self.arrays.push(row);
                for _ in 0..count {
                    let position = reader.position();
                    if reader.skip_value().is_err() {
                        break;
                    }
                    let key = Reader::new(&encoded[position..])
                        .next()
                        .ok()
                        .and_then(|token| key_of_token(&token));
                    bytes += self.enter(key, row);
                }
            }
            Ok(token) => {
                bytes += self.enter(key_of_token(&token), row);
            }
            // The row passed its checksum, so this does not happen; reading it will tell.
            Err(_) => bytes += self.enter(None, row),
        }
        bytes
    }

    fn enter(&mut self, key: Option<Vec<u8>>, row: u32) -> usize {
        let mut bytes = 4;
        let rows = match key {
            Some(key) => {
                let key_bytes = key.len() + KEY_OVERHEAD;
                self.keys.entry(key).or_insert_with(|| {
                    bytes += key_bytes;
                    Vec::new()
                })
            }
            None => &mut self.other,
        };
        // An array may hold the same element twice.
        if rows.last() != Some(&row) {
            rows.push(row);
        }
        bytes
    }

    fn lookup(&self, test: &AtomTest) -> Vec<u32> {
        match test {
            AtomTest::Exists => self.defined.clone(),
            AtomTest::Equal(value) => self.equal(value),
            AtomTest::OneOf(values) => merged(values.iter().map(|value| self.equal(value))),
            AtomTest::Prefix(prefix) if prefix.len() <= MAX_STRING => {
                let from = string_key(prefix);
                let found = self
                    .keys
                    .range(from.clone()..)
                    .take_while(|(key, _)| key.starts_with(&from));
                merged(
                    found
                        .map(|(_, rows)| rows.clone())
                        .chain([self.other.clone()]),
                )
            }
            AtomTest::Prefix(_) => self.other.clone(),
        }
    }

    fn equal(&self, value: &Value) -> Vec<u32> {
        match key_of_value(value) {
            Some(key) => self.keys.get(&key).cloned().unwrap_or_default(),
            None => merged([self.other.clone(), self.arrays.clone()]),
        }
    }
}

/// The union of ascending lists.
fn merged(lists: impl IntoIterator<Item = Vec<u32>>) -> Vec<u32> {
    let mut all: Vec<u32> = lists.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn string_key(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 1);
    key.push(0x30);
    key.extend_from_slice(text.as_bytes());
    key
}

fn ref_key(id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 1);
    key.push(0x40);
    key.extend_from_slice(id.as_bytes());
    key
}

/// Numbers by their nearest float: equal ones share a key, and a few others
/// beyond 2^53 do too.
fn number_key(number: f64) -> Vec<u8> {
    let number = if number == 0.0 { 0.0 } else { number };
    let mut key = vec![0x60];
    key.extend(number.to_bits().to_be_bytes());
    key
}

fn big_key(big: &BigInt) -> Vec<u8> {
    number_key(big.to_f64())
}

/// The key of a scalar; none for what has no key.
fn key_of_value(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(vec![0x10]),
        Value::Bool(set) => Some(vec![0x20 + u8::from(*set)]),
        Value::String(text) if text.len() <= MAX_STRING => Some(string_key(text)),
        Value::Ref(id) => Some(ref_key(id.as_str())),
        Value::Int(number) => Some(number_key(*number as f64)),
        Value::Float(number) => Some(number_key(*number)),
        Value::BigInt(big) => Some(big_key(big)),
        _ => None,
    }
}

fn key_of_token(token: &Token<'_>) -> Option<Vec<u8>> {
    match token {
        Token::Null => Some(vec![0x10]),
        Token::Bool(set) => Some(vec![0x20 + u8::from(*set)]),
        Token::Str(text) if text.len() <= MAX_STRING => Some(string_key(text)),
        Token::Ref(id) => Some(ref_key(id)),
        Token::Int(number) => Some(number_key(*number as f64)),
        Token::Float(number) => Some(number_key(*number)),
        Token::BigInt(big) => Some(big_key(big)),
        _ => None,
    }
}
