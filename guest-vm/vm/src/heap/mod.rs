//! Values of a running program: reference-counted, immutable to programs,
//! changed in place when uniquely owned, dropped without recursion.

pub mod map;
mod release;
pub mod room;
mod seen;
pub mod stream;
pub mod text;
pub mod value;

pub(crate) use release::release;
pub(crate) use seen::Seen;

pub use map::{Map, MapIter, Shape};
pub use stream::Stream;
pub use text::Text;
pub use value::{Array, Callable, Case, CellId, Function, InstanceId, Opaque, Value};
