//! The families in the slots, and the imported one.
//!
//! A function of slot `s` has the number `(s + 1) << 24` plus its number there, one of the
//! imported family its own number. Numbers from `255 << 24` on are of functions that the imported family
//! has not told yet when the program is loaded: their names are looked up when they are called.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};

use mix_value::packed::{Block, Packed, Received, with_blocks};
use mix_vm::{ForeignCall, HostFailure};

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Function};
use crate::bindings::mix::packed::types as packed;
use crate::imported;
use crate::requests::Started;
use crate::wire::boxed;

/// Bits of a number that count within a slot.
const BITS: u32 = 24;

/// Arguments and answers of at most so many bytes cross a slot as bytes, longer ones in blocks.
const SHORT: usize = 32;

/// The place of a slot for functions that are looked up when they are called.
const LATER: u32 = 254;

thread_local! {
    /// Names of these functions by their numbers.
    static NAMES: RefCell<BTreeMap<u32, String>> = const { RefCell::new(BTreeMap::new()) };
    /// Of each slot the functions whose last answers were no short ones: a bit for all whose numbers are
    /// equal modulo 64. A guess that is wrong costs time, nothing else.
    static LONG: [Cell<u64>; SLOTS as usize] = const { [const { Cell::new(0) }; SLOTS as usize] };
    /// The functions of the imported family, once it was asked: number and whether they wait.
    static TOLD: OnceCell<HashMap<String, (u32, bool)>> = const { OnceCell::new() };
}

/// Keeps the name of a function if that is how it will be found.
pub fn look_up_later(number: u32, name: &str) {
    if number >> BITS == LATER + 1 {
        NAMES.with_borrow_mut(|names| names.insert(number, name.to_string()));
    }
}

/// Number of such a function in the imported family, and whether it waits.
fn look_up(number: u32) -> Result<(u32, bool), Failure> {
    let name = NAMES.with_borrow(|names| names.get(&number).cloned());
    let name = name.unwrap_or_default();
    let found = TOLD.with(|told| {
        let told = told.get_or_init(|| {
            let mut all = HashMap::new();
            for (number, function) in (0..).zip(family::describe()) {
                // Of several with one name the first one.
                all.entry(function.name).or_insert((number, function.waits));
            }
            all
        });
        told.get(&name).copied()
    });
    found.ok_or_else(|| Failure {
        code: "ERR_FFI_MISSING".to_string(),
        message: format!(
            "foreign function {name} is missing: neither this component nor the program that embeds it has it"
        ),
        detail: None,
    })
}

/// Which family has the function of that number: 0 is the imported one, the slots come after it.
pub fn family_of(function: u32) -> u32 {
    function >> BITS
}

/// All functions with their numbers.
pub fn describe() -> Vec<(u32, Function)> {
    let slots = (0..SLOTS).flat_map(|slot| {
        let first = (slot + 1) << BITS;
        (first..).zip(describe_slot(slot))
    });
    slots.chain((0..).zip(family::describe())).collect()
}

/// Calls a function that never waits.
pub fn call(call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
    match (call.function >> BITS).checked_sub(1) {
        None => imported::call(call),
        Some(LATER) => {
            call.function = look_up(call.function).map_err(boxed)?.0;
            imported::call(call)
        }
        Some(slot) => call_composed(slot, call),
    }
}

/// Starts a function that may wait.
pub async fn start(function: u32, args: Vec<u8>) -> Result<Started, Failure> {
    match (function >> BITS).checked_sub(1) {
        None => family::start(function, args).await.map(Started::from),
        Some(LATER) => match look_up(function)? {
            (number, true) => family::start(number, args).await.map(Started::from),
            (number, false) => family::call(number, &args).map(|value| Started::One(value.into())),
        },
        Some(slot) => start_slot(slot, function & ((1 << BITS) - 1), args).await,
    }
}

fn unknown(slot: u32) -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("there is no slot {slot}: the VM has {SLOTS}"),
        detail: None,
    }
}

/// Calls a function of a family that is composed with this VM.
fn call_composed(slot: u32, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
    let ForeignCall { args, .. } = *call;
    let function = call.function & ((1 << BITS) - 1);
    let bit = 1 << (function % u64::BITS);
    LONG.with(|long| {
        let Some(long) = long.get(slot as usize) else {
            return Err(boxed(unknown(slot)));
        };
        match args.len() <= SHORT && long.get() & bit == 0 {
            true => call_slot(slot, function, args, &mut call.answer)?,
            false => with_blocks(args, |size, blocks| {
                call_slot_packed(slot, function, size, blocks, &mut call.answer)
            })?,
        }
        match call.answer.len() <= SHORT {
            true => long.set(long.get() & !bit),
            false => long.set(long.get() | bit),
        }
        Ok(())
    })
}

/// Puts an answer where it belongs.
#[inline(always)]
fn keep(
    answer: Result<impl Into<Received>, Failure>,
    place: &mut Received,
) -> Result<(), Box<HostFailure>> {
    match answer {
        Ok(answer) => {
            *place = answer.into();
            Ok(())
        }
        Err(failure) => Err(boxed(failure)),
    }
}

fn received(value: packed::Packed) -> Result<Packed, Failure> {
    Packed::received(value.size, value.blocks).map_err(|error| Failure {
        code: "ERR_INTERNAL".to_string(),
        message: error.to_string(),
        detail: None,
    })
}

/// The one place that names the imports.
macro_rules! slots {
    ($count:literal: $($number:literal $slot:ident),+) => {
        const SLOTS: u32 = $count;

        fn describe_slot(slot: u32) -> Vec<Function> {
            match slot {
                $($number => crate::bindings::$slot::describe(),)+
                _ => Vec::new(),
            }
        }

        #[inline(always)]
        fn call_slot(
            slot: u32,
            function: u32,
            args: &[u8],
            answer: &mut Received,
        ) -> Result<(), Box<HostFailure>> {
            match slot {
                $($number => keep(crate::bindings::$slot::call(function, args), answer),)+
                _ => Err(boxed(unknown(slot))),
            }
        }

        fn call_slot_packed(
            slot: u32,
            function: u32,
            size: u32,
            args: &[Block],
            answer: &mut Received,
        ) -> Result<(), Box<HostFailure>> {
            let value = match slot {
                $($number => crate::bindings::$slot::call_packed(function, size, args),)+
                _ => Err(unknown(slot)),
            };
            keep(value.and_then(received), answer)
        }

        async fn start_slot(slot: u32, function: u32, args: Vec<u8>) -> Result<Started, Failure> {
            let (size, blocks) = Packed::new(&args).into_parts();
            drop(args);
            let args = packed::Packed { size, blocks };
            let reply = match slot {
                $($number => crate::bindings::$slot::start(function, args).await,)+
                _ => Err(unknown(slot)),
            };
            match reply? {
                packed::Reply::One(value) => Ok(Started::One(received(value)?.into())),
                packed::Reply::Many(items) => Ok(Started::Many(items)),
            }
        }
    };
}

slots! {8: 0 slot0, 1 slot1, 2 slot2, 3 slot3, 4 slot4, 5 slot5, 6 slot6, 7 slot7}
