//! Handles of what is loaded. They are those of one instance of this component, so of one run.

use std::cell::RefCell;
use std::collections::HashMap;

use mix_plugin_sdk::{Failure, Handle};

use crate::limits::{MOST_MODULES, wasm};
use crate::sandbox::Sandbox;

#[derive(Default)]
struct Table {
    sandboxes: HashMap<Handle, Sandbox>,
    last: u64,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Keeps a module.
pub fn add(sandbox: Sandbox) -> Result<Handle, Failure> {
    TABLE.with_borrow_mut(|table| {
        if table.sandboxes.len() >= MOST_MODULES {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!("{MOST_MODULES} modules are loaded already: shut one down first"),
            ));
        }
        table.last += 1;
        let handle = Handle(table.last);
        table.sandboxes.insert(handle, sandbox);
        Ok(handle)
    })
}

/// Works with a module. Calls of one instance come one after another: nothing in here waits.
pub fn with<T>(
    handle: Handle,
    work: impl FnOnce(&mut Sandbox) -> Result<T, Failure>,
) -> Result<T, Failure> {
    TABLE.with_borrow_mut(|table| match table.sandboxes.get_mut(&handle) {
        Some(sandbox) => work(sandbox),
        None => Err(wasm("the module was shut down")),
    })
}

/// Forgets a module; one that is forgotten already stays so.
pub fn remove(handle: Handle) {
    TABLE.with_borrow_mut(|table| table.sandboxes.remove(&handle));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_end_with_shutdown() {
        let module = wat::parse_str("(module)").unwrap();
        let handle = add(Sandbox::library(&module).unwrap()).unwrap();
        assert!(!with(handle, |sandbox| sandbox.has("f")).unwrap());
        remove(handle);
        remove(handle);
        assert_eq!(with(handle, |_| Ok(())).unwrap_err().code, "ERR_WASM");
    }

    #[test]
    fn the_table_is_bounded() {
        let module = wat::parse_str("(module)").unwrap();
        for _ in 0..MOST_MODULES {
            add(Sandbox::library(&module).unwrap()).unwrap();
        }
        let failure = add(Sandbox::library(&module).unwrap()).unwrap_err();
        assert_eq!(failure.code, "ERR_TOO_LARGE");
    }
}
