//! Waiting for time to pass.

use std::time::Duration;

use crate::bindings::clock::wasi::clocks::monotonic_clock;

/// Waits; other functions of the instance run meanwhile.
pub async fn sleep(duration: Duration) {
    monotonic_clock::wait_for(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
}
