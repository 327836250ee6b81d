//! Names of a folder, of which the last changes may not be on the disk yet.

use std::collections::BTreeMap;
use std::io;

use super::Dice;

/// What each name stands for, by its number.
#[derive(Default)]
pub struct Names {
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Naming>,
}

enum Naming {
    Set(String, usize),
    Remove(String),
}

impl Names {
    /// Names that are all on the disk.
    pub fn durable(names: BTreeMap<String, usize>) -> Names {
        Names {
            now: names.clone(),
            durable: names,
            pending: Vec::new(),
        }
    }

    /// Those of now.
    pub fn now(&self) -> &BTreeMap<String, usize> {
        &self.now
    }

    pub fn get(&self, name: &str) -> io::Result<usize> {
        self.now.get(name).copied().ok_or_else(not_found)
    }

    pub fn has(&self, name: &str) -> bool {
        self.now.contains_key(name)
    }

    pub fn set(&mut self, name: &str, number: usize) {
        self.now.insert(name.to_owned(), number);
        self.pending.push(Naming::Set(name.to_owned(), number));
    }

    pub fn remove(&mut self, name: &str) -> io::Result<usize> {
        let number = self.now.remove(name).ok_or_else(not_found)?;
        self.pending.push(Naming::Remove(name.to_owned()));
        Ok(number)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let number = self.remove(from)?;
        self.set(to, number);
        Ok(())
    }

    pub fn sync(&mut self) {
        self.durable = self.now.clone();
        self.pending.clear();
    }

    /// Those that a power cut leaves: the synced ones and, in order, as many of the later changes as the dice say.
    pub fn after_power_cut(&self, dice: &mut Dice) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        let kept = dice.below(self.pending.len() as u64 + 1) as usize;
        for naming in &self.pending[..kept] {
            match naming {
                Naming::Set(name, number) => names.insert(name.clone(), *number),
                Naming::Remove(name) => names.remove(name),
            };
        }
        names
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}
