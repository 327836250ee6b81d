//! The family `core`: what every agent needs of its surroundings and the VM cannot know by
//! itself.
//!
//! Most of it is crate `mix-core-functions`, which other components share; here is what waits:
//!
//! * sleeping;
//! * [`host`]: what only other hosts can do.
//!
//! All state is that of the instance, which works for one run.

mod host;

use mix_core_functions::clock;
use mix_plugin_sdk::{Map, Value, family};

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

family! {
    bound;
    table mix_core_functions::FUNCTIONS;
    /// Suspends the calling routine for a number of seconds.
    start "$core_sleep" = clock::sleep(f64);
    /// Runs a program of the host.
    start "$cmd_execute" = host::execute(String, Vec<Value>, Map, Map);
    /// Runs an agent of this app.
    start "$core_agent_call" = host::agent_call(Map, Map, Value);
    /// Shows a cell of another runtime.
    call "$outputWithVersion" = host::output_with_version(String, f64, Value);
}
