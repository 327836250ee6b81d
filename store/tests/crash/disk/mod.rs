//! A disk that forgets: what was not synced may be lost when the power goes. Names survive in order, contents in any.

mod app;
mod dice;
mod folder;
mod names;
mod power;

pub use app::ForgetfulApp;
pub use dice::Dice;
pub use folder::ForgetfulFolder;
pub use power::Fault;
