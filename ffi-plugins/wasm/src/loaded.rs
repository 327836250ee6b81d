//! Handles of what is loaded.
//!
//! Nobody tells when a program has forgotten a handle, and in a composed component one instance serves many
//! runs. So the modules that were not used for the longest time make room for new ones.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use futures::lock::Mutex;
use mix_plugin_sdk::{Failure, Handle};

use crate::limits::{self, MOST_MODULES, wasm};
use crate::sandbox::Sandbox;

/// A module behind a handle. Its calls come one after another, those of others meanwhile.
pub struct Loaded {
    /// The module, for whoever works with it.
    pub sandbox: Mutex<Sandbox>,
    /// Functions that values can be passed to.
    functions: Vec<String>,
    /// When it was used last, as a number that grows with each use.
    used: Cell<u64>,
}

impl Loaded {
    /// True if there is a function of that name that takes and gives values.
    pub fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function == name)
    }

    /// Bytes that its instance holds; none while somebody works with it.
    fn held(&self) -> usize {
        self.sandbox.try_lock().map_or(0, |sandbox| sandbox.held())
    }
}

#[derive(Default)]
struct Table {
    modules: HashMap<Handle, Rc<Loaded>>,
    last: u64,
    uses: u64,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Gives up what stands in the way of one more module.
pub fn make_room() {
    TABLE.with_borrow_mut(Table::make_room);
}

/// Keeps a module.
pub fn add(sandbox: Sandbox) -> Handle {
    TABLE.with_borrow_mut(|table| {
        table.make_room();
        table.last += 1;
        table.uses += 1;
        let handle = Handle(table.last);
        let loaded = Loaded {
            functions: sandbox.value_functions(),
            sandbox: Mutex::new(sandbox),
            used: Cell::new(table.uses),
        };
        table.modules.insert(handle, Rc::new(loaded));
        handle
    })
}

/// The module of a handle.
pub fn find(handle: Handle) -> Result<Rc<Loaded>, Failure> {
    TABLE.with_borrow_mut(|table| {
        table.uses += 1;
        let loaded = table.modules.get(&handle).cloned().ok_or_else(|| {
            wasm(format!(
                "the module was shut down, or made room for others: the {MOST_MODULES} that were used last are kept"
            ))
        })?;
        loaded.used.set(table.uses);
        Ok(loaded)
    })
}

/// Forgets a module; one that is forgotten already stays so.
pub fn remove(handle: Handle) {
    TABLE.with_borrow_mut(|table| table.modules.remove(&handle));
}

impl Table {
    /// For one more module.
    fn make_room(&mut self) {
        let mut held: usize = self.modules.values().map(|loaded| loaded.held()).sum();
        while self.modules.len() >= MOST_MODULES || held > limits::memory_of_all() {
            let oldest = self
                .modules
                .iter()
                .min_by_key(|(_, loaded)| loaded.used.get());
            let Some((&handle, loaded)) = oldest else {
                return;
            };
            held = held.saturating_sub(loaded.held());
            self.modules.remove(&handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::finished;

    fn loaded(text: &str) -> Handle {
        let module = wat::parse_str(text).unwrap();
        add(finished(Sandbox::library(&module)).unwrap())
    }

    #[test]
    fn handles_end_with_shutdown() {
        let handle = loaded("(module)");
        assert!(!find(handle).unwrap().has("f"));
        remove(handle);
        remove(handle);
        assert_eq!(find(handle).err().unwrap().code, "ERR_WASM");
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let handles: Vec<Handle> = (0..MOST_MODULES).map(|_| loaded("(module)")).collect();
        find(handles[0]).unwrap();
        let more = loaded("(module)");
        assert!(find(handles[0]).is_ok() && find(more).is_ok());
        let failure = find(handles[1]).err().unwrap();
        assert!(failure.to_string().starts_with("ERR_WASM: "), "{failure}");
        assert!(find(handles[2]).is_ok());
    }

    #[test]
    fn memory_of_modules_makes_room_too() {
        let pages = limits::memory() / 65_536;
        let large = format!("(module (memory (export \"memory\") {pages}))");
        let [first, second, third] = [(); 3].map(|()| loaded(&large));
        // The last one came when there was room for it.
        let fourth = loaded("(module)");
        assert!(find(first).is_err());
        for kept in [second, third, fourth] {
            assert!(find(kept).is_ok());
        }
    }
}
