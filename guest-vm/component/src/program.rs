//! Loading a program.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use mix_vm::{FunctionTable, Linked, MemoryLimit, Options, Vm};

use crate::bindings::exports::mix::vm::{built_in, linking, program};
use crate::{Component, families, wire};

thread_local! {
    static PROGRAM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// A program has as much memory as there is, and ends when that is filled.
fn options() -> Options {
    Options {
        memory: Some(MemoryLimit::Reserve {
            used: mix_allocator::reserve::used(),
        }),
        ..Options::default()
    }
}

/// The program that new sessions run.
pub fn loaded() -> Option<Vm> {
    PROGRAM.with_borrow(Clone::clone)
}

impl program::Guest for Component {
    fn load(executable: Vec<u8>) -> Result<program::Summary, program::Issue> {
        load(&executable, &Family::default())
    }
}

impl linking::Guest for Component {
    fn load_linked(
        executable: Vec<u8>,
        functions: Vec<linking::Link>,
    ) -> Result<program::Summary, program::Issue> {
        for link in &functions {
            families::look_up_later(link.number, &link.name);
        }
        // Lists are as short as the program needs; names are looked up once each.
        let find = |name: &str| {
            let link = functions.iter().find(|link| link.name == name)?;
            Some(Linked {
                index: link.number,
                params: link.params,
                waits: link.waits,
                // Whoever links has seen to it that a short way belongs to its function, wherever both are.
                family: 0,
            })
        };
        load(&executable, &find)
    }
}

impl built_in::Guest for Component {
    fn loaded() -> Option<built_in::Summary> {
        loaded().map(|vm| wire::summary(vm.summary()))
    }
}

// The shape of the contract; once per program.
#[allow(clippy::result_large_err)]
fn load(
    executable: &[u8],
    functions: &dyn FunctionTable,
) -> Result<program::Summary, program::Issue> {
    let vm = Vm::load(executable, functions, &options()).map_err(wire::issue)?;
    let summary = wire::summary(vm.summary());
    // Running sessions keep the program they began with.
    PROGRAM.set(Some(vm));
    Ok(summary)
}

/// The imported family by name. It is asked for its functions when the first name is
/// looked up: a program without foreign functions costs no crossing.
#[derive(Default)]
struct Family {
    functions: OnceCell<HashMap<String, Linked>>,
}

impl FunctionTable for Family {
    fn find(&self, name: &str) -> Option<Linked> {
        let functions = self.functions.get_or_init(|| {
            // Of several with one name the first one.
            let described = families::describe().into_iter().rev();
            described
                .map(|(index, function)| {
                    let linked = Linked {
                        index,
                        params: function.params,
                        waits: function.waits,
                        family: families::family_of(index),
                    };
                    (function.name, linked)
                })
                .collect()
        });
        functions.get(name).copied()
    }
}
