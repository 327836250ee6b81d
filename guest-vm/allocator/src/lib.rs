//! The allocator of components.
//!
//! A crossing between components allocates a few small blocks on each side and frees them at
//! once, and so does the heap of the VM. [`Blocks`] keeps freed blocks of up to 4 KiB in
//! lists, one for each size, and hands them out again in a few instructions; all else, and what
//! a list cannot take, goes to the allocator of the system. A list holds 64 KiB at most, so that
//! memory of one size comes back for others.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();
//! ```
//!
//! Components have one thread. Where there are several ([`Blocks`] on another target than
//! WebAssembly), everything goes to the system.
//!
//! Beside it, components that have this crate compare bytes eight at a time (`compare`).
//!
//! [`Blocks::with_reserve`] is for those that run programs: it holds back what they need to end one that has filled memory.
//!
//! [`Counted`] is for programs that run the VM natively and limit its memory themselves.

#[allow(unsafe_code)]
mod blocks;
#[cfg(any(target_arch = "wasm32", test))]
#[allow(unsafe_code)]
mod compare;
#[allow(unsafe_code)]
mod counted;
#[allow(unsafe_code)]
pub mod reserve;

pub use blocks::Blocks;
pub use counted::Counted;
