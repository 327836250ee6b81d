//! The clock of WASI 0.3 for components that `mixer` calls in place.
//!
//! A store that imports one function which waits must be entered by a task, whatever is called in
//! it. `wait-for` of `wasi:clocks` is such a function. This component stands before it: it has
//! the functions that wait itself, and asks the host for a future (`wit/host`), which
//! the host gives at once.

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/deps/clocks.wit", "../../wit/host"],
        inline: r"
            package mix:host-clock;
            world clock {
                import mix:host/timer@0.1.0;
                export wasi:clocks/monotonic-clock@0.3.0;
            }
        ",
        world: "mix:host-clock/clock",
        generate_all,
    });
}

use bindings::exports::wasi::clocks::monotonic_clock::{Duration, Guest, Mark};
use bindings::mix::host::timer;

struct Clock;

impl Guest for Clock {
    fn now() -> Mark {
        timer::now()
    }

    fn get_resolution() -> Duration {
        1
    }

    async fn wait_until(when: Mark) {
        timer::after(when.saturating_sub(timer::now())).await;
    }

    async fn wait_for(how_long: Duration) {
        timer::after(how_long).await;
    }
}

#[allow(unsafe_code)]
mod export {
    use super::{Clock, bindings};
    bindings::export!(Clock with_types_in bindings);
}
