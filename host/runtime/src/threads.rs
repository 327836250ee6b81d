//! Threads of the record stores.

use std::sync::OnceLock;
use tokio::runtime::{Handle, Runtime};

/// Shared instances wait for the disk; they do it on threads of their own, so that runs and connections go on.
pub fn of_shared(shared: bool) -> Option<Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    if !shared {
        return None;
    }
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("records")
            .enable_all()
            .build()
            .inspect_err(|error| tracing::error!(%error, "no threads for the record stores"))
            .ok()
    });
    runtime.as_ref().map(|runtime| runtime.handle().clone())
}
