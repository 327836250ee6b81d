//! Dropping nested values without recursion of the stack.
//!
//! A list of a million nested arrays, or a chain of a million closures, is a
//! legal value. Each heap node hands its children to [`release`] when it is
//! dropped; beyond a fixed depth they are parked and dropped by the outermost
//! call, so the stack stays shallow.

use std::cell::{Cell, RefCell};

use super::map::Tree;
use super::value::Value;

/// Nodes dropped inside one another before children are parked.
const DEPTH: u32 = 64;

thread_local! {
    static NESTING: Cell<u32> = const { Cell::new(0) };
    static PARKED: RefCell<Vec<Parked>> = const { RefCell::new(Vec::new()) };
}

enum Parked {
    Values(#[allow(dead_code, reason = "held to be dropped")] Vec<Value>),
    Tree(#[allow(dead_code, reason = "held to be dropped")] Tree),
}

/// Drops the children of a node.
pub(crate) fn release(values: Vec<Value>) {
    if values.iter().any(Value::is_nested) {
        run(Parked::Values(values));
    }
}

/// Drops the entries of a big map.
pub(super) fn release_tree(tree: Tree) {
    run(Parked::Tree(tree));
}

fn run(parked: Parked) {
    let depth = NESTING.get();
    if depth >= DEPTH {
        PARKED.with_borrow_mut(|list| list.push(parked));
        return;
    }
    NESTING.set(depth + 1);
    drop(parked);
    if depth == 0 {
        while let Some(parked) = PARKED.with_borrow_mut(Vec::pop) {
            drop(parked);
        }
    }
    NESTING.set(depth);
}
