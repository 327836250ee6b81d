//! What the allocator of the system is told at the start of a process.
//!
//! The allocator of glibc gives threads arenas of their own, eight for each core, and keeps in each
//! what was freed there. A server hands its work from thread to thread, so that after a while every
//! arena holds as much free memory as one of them ever needed: a server whose live data are 12 MiB keeps
//! some 200 MiB. [`bound_arenas`] leaves one arena for each core. Threads have caches of small blocks
//! beside them, so they rarely wait for each other.

/// Variables with which an operator decides about arenas instead.
const DECIDED: [&str; 2] = ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"];

/// Bounds the arenas of the allocator by the number of cores, unless the environment decides about
/// them. To be called before there are other threads; says how many there may be, if that is known.
pub fn bound_arenas() -> Option<usize> {
    if DECIDED.iter().any(|name| std::env::var_os(name).is_some()) {
        return None;
    }
    let cores = std::thread::available_parallelism().ok()?.get();
    bound_to(cores).then_some(cores)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn bound_to(arenas: usize) -> bool {
    let Ok(arenas) = i32::try_from(arenas) else {
        return false;
    };
    // SAFETY: `mallopt` takes two numbers and changes a limit that the allocator reads under its lock.
    #[allow(unsafe_code)]
    let done = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    done == 1
}

/// Other allocators have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn bound_to(_: usize) -> bool {
    false
}
