//! One path in an index: the rows that have this or that at it.

use std::sync::Arc;

use mix_value::Value;
use roaring::RoaringBitmap;

use crate::error::Result;
use crate::fields;
use crate::index::term::{Flag, Key, KeyRange, Path, key_of};
use crate::index::{Kinds, Snapshot};

impl Snapshot {
    /// The terms of a path; none if it is not indexed.
    pub(in crate::index) fn path<'a>(
        &'a self,
        steps: &'a [Arc<str>],
    ) -> Result<Option<PathView<'a>>> {
        if let [step, ..] = steps
            && matches!(&**step, fields::CONTENT_HASH | fields::ROW)
        {
            return Ok(None);
        }
        let Some(path) = Path::of(steps) else {
            return Ok(None);
        };
        let kinds = self.kinds(&path)?;
        let root = Prefix::new(self, Path::default())?;
        let mut view = PathView {
            index: self,
            steps,
            path,
            kinds,
            unsure: root.flag(self, Flag::Unindexed)?,
            arrays: RoaringBitmap::new(),
            prefixes: (1..steps.len())
                .filter_map(|len| Path::of(&steps[..len]))
                .map(|path| Prefix::new(self, path))
                .collect::<Result<_>>()?,
        };
        for prefix in &view.prefixes {
            view.unsure |= prefix.flag(self, Flag::RefInside)?;
            view.arrays |= prefix.flag(self, Flag::Array)?;
        }
        Ok(Some(view))
    }
}

/// A path on the way to another one.
pub(in crate::index) struct Prefix {
    pub(super) path: Path,
    pub(super) kinds: Kinds,
}

impl Prefix {
    fn new(index: &Snapshot, path: Path) -> Result<Prefix> {
        let kinds = index.kinds(&path)?;
        Ok(Prefix { path, kinds })
    }

    fn flag(&self, index: &Snapshot, flag: Flag) -> Result<RoaringBitmap> {
        if !self.kinds.has_flag(flag) {
            return Ok(RoaringBitmap::new());
        }
        index.rows(&self.path.flag(flag))
    }

    /// Rows in which it leads into another record.
    pub(in crate::index) fn refs(&self, index: &Snapshot) -> Result<RoaringBitmap> {
        if !self.kinds.has_refs() {
            return Ok(RoaringBitmap::new());
        }
        let range = KeyRange::refs();
        index.rows_between(&self.path.value(&range.from), &self.path.value(&range.to))
    }
}

/// One path in an index.
pub(in crate::index) struct PathView<'a> {
    pub(super) index: &'a Snapshot,
    pub(super) steps: &'a [Arc<str>],
    pub(in crate::index) path: Path,
    pub(in crate::index) kinds: Kinds,
    /// The paths on the way, without the empty one.
    pub(in crate::index) prefixes: Vec<Prefix>,
    /// Rows about which the index knows too little.
    pub(in crate::index) unsure: RoaringBitmap,
    /// Rows with an array on the way: the value at the path is an array.
    pub(super) arrays: RoaringBitmap,
}

impl PathView<'_> {
    pub(in crate::index) fn is_superseded(&self) -> bool {
        matches!(self.steps, [step] if &**step == fields::SUPERSEDED)
    }

    pub(in crate::index) fn flag(&self, flag: Flag) -> Result<RoaringBitmap> {
        if self.is_superseded() {
            return Ok(match flag {
                Flag::Exists => (*self.index.superseded).clone(),
                _ => RoaringBitmap::new(),
            });
        }
        if !self.kinds.has_flag(flag) {
            return Ok(RoaringBitmap::new());
        }
        self.index.rows(&self.path.flag(flag))
    }

    pub(in crate::index) fn values(&self, range: &KeyRange) -> Result<RoaringBitmap> {
        if self.is_superseded() {
            let Key::Exact(set) = key_of(&Value::Bool(true)) else {
                return Ok(RoaringBitmap::new());
            };
            return Ok(if range.from <= set && set < range.to {
                (*self.index.superseded).clone()
            } else {
                RoaringBitmap::new()
            });
        }
        if !self.kinds.may_have(range) {
            return Ok(RoaringBitmap::new());
        }
        let from = self.path.value(&range.from);
        if range.is_only() {
            return self.index.rows(&from);
        }
        self.index.rows_between(&from, &self.path.value(&range.to))
    }

    pub(in crate::index) fn elements(&self, range: &KeyRange) -> Result<RoaringBitmap> {
        if !self.kinds.has_elements() {
            return Ok(RoaringBitmap::new());
        }
        let from = self.path.element(&range.from);
        if range.is_only() {
            return self.index.rows(&from);
        }
        self.index
            .rows_between(&from, &self.path.element(&range.to))
    }

    /// Rows with a value at the path that is an array.
    pub(in crate::index) fn whole_arrays(&self) -> Result<RoaringBitmap> {
        Ok(self.flag(Flag::Array)? | &self.arrays)
    }

    /// Rows with an array inside an array on the way.
    pub(in crate::index) fn nested(&self) -> Result<RoaringBitmap> {
        let mut rows = RoaringBitmap::new();
        for prefix in &self.prefixes {
            rows |= prefix.flag(self.index, Flag::Nested)?;
        }
        Ok(rows)
    }

    pub(in crate::index) fn defined(&self) -> Result<RoaringBitmap> {
        Ok(self.flag(Flag::Exists)? | &self.arrays)
    }
}
