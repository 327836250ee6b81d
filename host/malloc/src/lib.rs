//! The allocator of `mixer`, and what it is told at the start of a process.
//!
//! A server hands its work from thread to thread: what one has allocated another one frees. The allocator of
//! glibc takes locks for that, and keeps what was freed in arenas. mimalloc gives blocks back to the thread they came
//! from without a lock; it is the allocator of each program that links this crate. It is built so that it does not ask
//! the system for huge pages, because most of the regions that it begins are never filled.
//! [`return_memory_soon`] has it give free pages back after a moment instead of some seconds, so that
//! a server at rest holds what it uses.

use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long free pages are kept for what is allocated next, in milliseconds; regions of many pages ten times as long.
const PURGE_DELAY: c_long = 1;

/// `mi_option_purge_delay` of mimalloc 3, which its bindings have no name for.
const OPTION: libmimalloc_sys::mi_option_t = 15;

/// Has free memory go back to the system soon, unless the environment (`MIMALLOC_PURGE_DELAY`) says
/// when. To be called before there are other threads.
pub fn return_memory_soon() {
    // SAFETY: the call sets a number among the options of the allocator, if the environment has not set it. It is not to
    // be made by two threads at once, which the caller sees to.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set_default(OPTION, PURGE_DELAY);
    }
}
