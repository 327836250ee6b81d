//! What authors of plugins and of function libraries begin with, and what their builds ask of `mixer`.
//!
//! A project is a list of files ([`Project`]) that is written into a folder of its own: [`plugin`] has
//! those of the four languages, [`library`] that of `mixer wasm`. They build with the ordinary tools of their
//! language. For C two of these tools are here, so that a compiler and a libc are all that an author
//! installs:
//!
//! ```text
//! wit/ ──c_bindings──▶ bindings/*.c, *.h, type of the component (.o)
//!                           │ clang
//!                           ▼
//!                      demo.core.wasm ──component──▶ demo.wasm
//! ```
//!
//! [`c_bindings`] writes the C side of a WIT world, [`component`](component()) makes a component of the module that the
//! compiler has linked. Both go by the component model alone and know nothing of Mix.

mod bindings;
mod component;
pub mod library;
pub mod plugin;
mod project;

pub use bindings::{BindingsError, c_bindings};
pub use component::{ComponentError, component};
pub use project::{Project, WriteError, is_name};
