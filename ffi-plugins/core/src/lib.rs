//! The family `core`: what every agent needs of its surroundings and the VM cannot know by
//! itself.
//!
//! * [`clock`]: present time and sleeping;
//! * [`log`]: lines for the operator, on standard error;
//! * [`environment`]: the variables a run sees, from the WASI environment and from `bind`;
//! * [`compress`]: gzip, zlib, deflate;
//! * [`pure`]: time zones and XML;
//! * [`host`]: what only other hosts can do;
//! * [`report`]: the stack of a reported error.
//!
//! All state is that of the instance, which works for one run.

mod clock;
mod compress;
mod environment;
mod host;
mod log;
mod pure;
mod report;

use mix_plugin_sdk::{Bytes, Map, Value, family};

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

family! {
    bound;
    /// Seconds since 1970 UTC, with a fraction down to microseconds.
    call "$core_now" = clock::now();
    /// Seconds since some fixed moment; never decreases.
    call "$core_monotonic" = clock::monotonic();
    /// Suspends the calling routine for a number of seconds.
    start "$core_sleep" = clock::sleep(f64);
    /// Writes a line of a severity to the log.
    call "$core_log" = log::log(String, String);
    /// Writes a line of `debug` to the log.
    call "$core_debug" = log::debug(String);
    /// The environment variables of the run.
    call "$core_env_current" = environment::current();
    /// The environment variables that the run began with.
    call "$core_env_initial" = environment::initial();
    /// Compresses a binary; the format is gzip, deflate (with zlib header) or deflate-raw.
    call "$binary_compress" = compress::compress(String, Bytes);
    /// Undoes `$binary_compress`.
    call "$binary_decompress" = compress::decompress(String, Bytes);
    /// The `mixStack` of a raw backtrace.
    call "$decode_error" = report::decode(Value);
    /// The offset of a time zone at an instant.
    call "$core_tz_at_utc" = pure::tz_at_utc(String, f64);
    /// The offset of a time zone at a wall time.
    call "$core_tz_at_wall" = pure::tz_at_wall(String, f64);
    /// The root element of an XML text.
    call "$xml_parse" = pure::xml_parse(Map, String);
    /// The XML text of a node.
    call "$xml_format" = pure::xml_format(Value);
    /// The named characters of HTML.
    call "$xml_html_entities" = pure::xml_html_entities();
    /// Runs a program of the host.
    start "$cmd_execute" = host::execute(String, Vec<Value>, Map, Map);
    /// Runs an agent of this app.
    start "$core_agent_call" = host::agent_call(Map, Map, Value);
    /// Shows a cell of another runtime.
    call "$outputWithVersion" = host::output_with_version(String, f64, Value);
}
