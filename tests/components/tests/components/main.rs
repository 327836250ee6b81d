//! The components at their boundary, in one program: the engine's part of each would cost
//! more to compile than the tests take.

mod conformance;
mod contracts;
mod families;
mod machine;
mod parts;
mod sealed;
mod stateful;
mod vectors;
