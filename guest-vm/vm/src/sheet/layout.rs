//! What can be said about the cells of a module before there are instances:
//! which cells read which, and which observers watch which.
//!
//! These tables belong to the program, so that an instance needs no lists of
//! its own: a cell of an instance is found with the number of its slot.

use mix_bytecode::{CellKind, Module, SlotKind};

/// The tables of a module, by slot number.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    dependents: Lists,
    watchers: Lists,
}

/// Lists of numbers, one after the other.
#[derive(Debug, Default)]
struct Lists {
    starts: Box<[u32]>,
    items: Box<[u32]>,
}

impl Layout {
    /// The tables of a verified module.
    pub fn of(module: &Module) -> Self {
        let slots = module.slots.len();
        let reads = module.slots.iter().enumerate().flat_map(|(own, slot)| {
            let cell = match &slot.kind {
                // The formula of a var cell runs once.
                SlotKind::Cell(cell) if cell.kind != CellKind::Var => Some(cell),
                _ => None,
            };
            let dependencies = cell.map_or(&[][..], |cell| &cell.dependencies[..]);
            dependencies
                .iter()
                .map(move |source| (source.index(), own))
                .filter(|(source, own)| source != own)
        });
        let watches = module
            .observers
            .iter()
            .enumerate()
            .flat_map(|(number, observer)| {
                observer
                    .watched
                    .iter()
                    .map(move |slot| (slot.index(), number))
            });
        Self {
            dependents: Lists::new(slots, reads.collect()),
            watchers: Lists::new(slots, watches.collect()),
        }
    }

    /// Slots of the cells whose formula reads this one.
    pub fn dependents(&self, slot: u32) -> &[u32] {
        self.dependents.get(slot)
    }

    /// Positions of the observers that watch this cell.
    pub fn watchers(&self, slot: u32) -> &[u32] {
        self.watchers.get(slot)
    }
}

impl Lists {
    fn new(keys: usize, mut pairs: Vec<(usize, usize)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = Vec::with_capacity(keys + 1);
        let mut at = 0;
        for key in 0..=keys {
            while pairs.get(at).is_some_and(|(first, _)| *first < key) {
                at += 1;
            }
            // A verified program has fewer than 2^32 of anything.
            starts.push(at as u32);
        }
        Self {
            starts: starts.into(),
            items: pairs.into_iter().map(|(_, item)| item as u32).collect(),
        }
    }

    fn get(&self, key: u32) -> &[u32] {
        let key = key as usize;
        match (self.starts.get(key), self.starts.get(key + 1)) {
            (Some(from), Some(to)) => &self.items[*from as usize..*to as usize],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lists;

    #[test]
    fn lists_are_found_by_key() {
        let lists = Lists::new(4, vec![(2, 7), (0, 1), (2, 3), (2, 7)]);
        assert_eq!(lists.get(0), [1]);
        assert!(lists.get(1).is_empty());
        assert_eq!(lists.get(2), [3, 7]);
        assert!(lists.get(3).is_empty());
        assert!(lists.get(9).is_empty());
    }
}
