//! Who runs programs.

use mix_vm::{Action, Event, Issue};

/// Runs programs and sessions of them, in the shapes of `wit/vm/vm.wit`.
pub trait Machine {
    /// Loads a program for the sessions that are opened from now on; open ones go on with theirs.
    fn load(&mut self, executable: &[u8]) -> Result<(), Box<Issue>>;

    /// Opens a session of the program loaded last.
    fn open(&mut self) -> u64;

    /// Does one action and gives what the session tells until it is done, the event `Done` left out.
    fn act(&mut self, session: u64, action: Action) -> Vec<Event>;

    /// What the session has told by itself since: live cells, routines in the background. Waits no
    /// longer than it takes to see that nothing follows.
    fn told(&mut self, session: u64) -> Vec<Event>;

    /// Ends a session.
    fn close(&mut self, session: u64);
}
