//! A VM that has its program from the start.
//!
//! Loading a program is done once, in an instance of the VM's core module that reaches nothing: all
//! of its imports refuse ([`loading`]). What memory and globals hold then is the state that others
//! begin with. As nothing could be asked before, no random number, no time, no variable and no
//! secret is part of it.
//!
//! * [`component`]: the state becomes the initial state of a component, for `mixer build`.
//! * [`images`]: in `mixer` itself it becomes a memory that runs are given copy-on-write. The VM is taken
//!   apart for that ([`parts`]): its code is compiled once and imports its memory, and the memory is a module of
//!   its own, without code, one for each program.
//! * [`shape`], [`sections`]: reading and writing of modules.
//!
//! ```text
//! VM component ─► parts ─┬─ code ───── compiled once ─┐
//!                        ├─ memory ─► loading ─► image ┼─► instance of a run
//!                        └─ the rest ─ compiled once ─┘
//! ```

pub mod component;
pub mod images;
pub mod loading;
pub mod parts;
pub mod sections;
pub mod shape;
