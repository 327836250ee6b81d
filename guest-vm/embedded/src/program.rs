//! The program of the component.

use std::cell::RefCell;

use mix_vm::{Linked, MemoryLimit, Options, Vm};

use crate::bindings::exports::mix::embed::preparation::{Foreign, Guest};
use crate::{Component, functions};

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

/// The program, which is there unless the component was not finished.
pub fn loaded() -> Option<Vm> {
    PROGRAM.with_borrow(Clone::clone)
}

impl Guest for Component {
    fn load(executable: Vec<u8>, foreign: Vec<Foreign>) -> Result<(), String> {
        let of_host: Vec<Foreign> = foreign
            .into_iter()
            .filter(|function| functions::own(&function.name).is_none())
            .collect();
        let find = |name: &str| {
            functions::own(name).or_else(|| {
                let place = of_host.iter().position(|function| function.name == name)?;
                Some(Linked {
                    index: functions::OF_HOST + u32::try_from(place).ok()?,
                    params: of_host[place].params,
                    waits: false,
                    family: 1,
                })
            })
        };
        let vm = Vm::load(&executable, &find, &options())
            .map_err(|issue| format!("{}: {}", issue.code, issue.message))?;
        functions::expect_of_host(
            of_host
                .iter()
                .map(|function| function.name.clone())
                .collect(),
        );
        PROGRAM.set(Some(vm));
        Ok(())
    }
}
