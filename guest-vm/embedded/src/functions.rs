//! Foreign functions: those of families `core` and `crypto`, then those of the host.

use std::cell::RefCell;
use std::rc::Rc;

use mix_core_functions::clock;
use mix_plugin_sdk::{Failure, Tables, functions, private};
use mix_vm::{ForeignCall, Host, HostFailure, Linked};

use crate::bindings::mix::embed::functions as host;

/// Numbers of functions of the host begin here.
pub const OF_HOST: u32 = 1 << 24;

functions! {
    SLEEPING;
    /// As in family `core`.
    call "$core_sleep" = sleep(f64);
}

/// The functions that are part of this component.
static OWN: Tables<()> = &[
    &mix_core_functions::FUNCTIONS,
    &mix_crypto_functions::FUNCTIONS,
    &SLEEPING,
];

/// Nothing else can go on meanwhile.
fn sleep(seconds: f64) -> Result<(), Failure> {
    std::thread::sleep(clock::duration(seconds)?);
    Ok(())
}

/// The function of that name that is part of this component.
pub fn own(name: &str) -> Option<Linked> {
    let mut all = (0..).zip(OWN.iter().flat_map(|table| table.iter()));
    let (index, function) = all.find(|(_, function)| function.name == name)?;
    Some(Linked {
        index,
        params: function.params,
        waits: false,
        family: 0,
    })
}

/// Names and numbers of arguments of functions.
type Described = Rc<[(String, u8)]>;

thread_local! {
    /// Functions of the host by their numbers here.
    static EXPECTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What the host has, once it was asked.
    static DESCRIBED: RefCell<Option<Described>> = const { RefCell::new(None) };
}

/// Keeps the names of the functions that the program wants of the host.
pub fn expect_of_host(names: Vec<String>) {
    EXPECTED.set(names);
}

/// The foreign functions of a run.
pub struct Functions;

impl Host for Functions {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        let ForeignCall { function, args, .. } = *call;
        let answer =
            match function.checked_sub(OF_HOST) {
                None => private::call(OWN, || Ok(Rc::new(())), function, args.to_vec()).map_err(
                    |failure| HostFailure {
                        code: failure.code,
                        message: failure.message,
                        detail: failure.detail,
                    },
                ),
                Some(place) => of_host(place, args),
            };
        call.answer = answer.map_err(Box::new)?.into();
        Ok(())
    }
}

fn of_host(place: u32, args: &[u8]) -> Result<Vec<u8>, HostFailure> {
    let name = EXPECTED.with_borrow(|names| names.get(place as usize).cloned());
    let name = name.unwrap_or_default();
    let described = DESCRIBED.with_borrow_mut(|described| {
        let ask = || {
            host::describe()
                .into_iter()
                .map(|function| (function.name, function.params))
        };
        described.get_or_insert_with(|| ask().collect()).clone()
    });
    let Some(number) = described.iter().position(|(own, _)| *own == name) else {
        return Err(HostFailure {
            code: "ERR_FFI_MISSING".to_string(),
            message: format!(
                "foreign function {name} is missing: neither this component nor the program that embeds it has it"
            ),
            detail: None,
        });
    };
    // A list of functions is never so long.
    host::call(number as u32, args).map_err(|failure| HostFailure {
        code: failure.code,
        message: failure.message,
        detail: failure.detail,
    })
}
