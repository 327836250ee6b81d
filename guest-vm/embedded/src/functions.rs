//! Foreign functions: those of families `core` and `crypto`, then those of the host.

use std::cell::RefCell;
use std::rc::Rc;

use mix_plugin_sdk::{Bytes, Failure, Map, Value, functions, private};
use mix_vm::{Host, HostFailure, Linked};

use crate::bindings::mix::embed::functions as host;
use crate::{cipher, clock, compress, digest, environment, log, pure, random, report, signature};

/// Numbers of functions of the host begin here.
pub const OF_HOST: u32 = 1 << 24;

functions! { OWN;
    /// As in family `core`.
    call "$core_now" = clock::now();
    /// As in family `core`.
    call "$core_monotonic" = clock::monotonic();
    /// As in family `core`.
    call "$core_sleep" = sleep(f64);
    /// As in family `core`.
    call "$core_log" = log::log(String, String);
    /// As in family `core`.
    call "$core_debug" = log::debug(String);
    /// As in family `core`.
    call "$core_env_current" = environment::current();
    /// As in family `core`.
    call "$core_env_initial" = environment::initial();
    /// As in family `core`.
    call "$binary_compress" = compress::compress(String, Bytes);
    /// As in family `core`.
    call "$binary_decompress" = compress::decompress(String, Bytes);
    /// As in family `core`.
    call "$decode_error" = report::decode(Value);
    /// As in family `core`.
    call "$core_tz_at_utc" = pure::tz_at_utc(String, f64);
    /// As in family `core`.
    call "$core_tz_at_wall" = pure::tz_at_wall(String, f64);
    /// As in family `core`.
    call "$xml_parse" = pure::xml_parse(Map, String);
    /// As in family `core`.
    call "$xml_format" = pure::xml_format(Value);
    /// As in family `core`.
    call "$xml_html_entities" = pure::xml_html_entities();
    /// As in family `crypto`.
    call "$crypto_md5" = digest::md5(Bytes);
    /// As in family `crypto`.
    call "$crypto_sha1" = digest::sha1(Bytes);
    /// As in family `crypto`.
    call "$crypto_sha256" = digest::sha256(Bytes);
    /// As in family `crypto`.
    call "$crypto_hmac_sha1" = digest::hmac_sha1(Bytes, Bytes);
    /// As in family `crypto`.
    call "$crypto_hmac_sha256" = digest::hmac_sha256(Bytes, Bytes);
    /// As in family `crypto`.
    call "$crypto_rsa_sha256" = signature::rsa_sha256(Bytes, Bytes);
    /// As in family `crypto`.
    call "$crypto_aes_gcm_encrypt" = cipher::encrypt(Bytes, Bytes, Bytes);
    /// As in family `crypto`.
    call "$crypto_aes_gcm_decrypt" = cipher::decrypt(Bytes, Bytes, Bytes);
    /// As in family `crypto`.
    call "$crypto_random_bytes" = random::bytes(i64);
}

/// Nothing else can go on meanwhile.
fn sleep(seconds: f64) -> Result<(), Failure> {
    std::thread::sleep(clock::duration(seconds)?);
    Ok(())
}

/// The function of that name that is part of this component.
pub fn own(name: &str) -> Option<Linked> {
    let place = OWN.iter().position(|function| function.name == name)?;
    Some(Linked {
        index: u32::try_from(place).ok()?,
        params: OWN[place].params,
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
    fn call(&mut self, function: u32, args: &[u8]) -> Result<Vec<u8>, HostFailure> {
        match function.checked_sub(OF_HOST) {
            None => {
                private::call(OWN, || Ok(Rc::new(())), function, args.to_vec()).map_err(|failure| {
                    HostFailure {
                        code: failure.code,
                        message: failure.message,
                        detail: failure.detail,
                    }
                })
            }
            Some(place) => of_host(place, args),
        }
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
