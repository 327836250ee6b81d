//! Turns of those who read something and change it: of two who change the same, one waits.

use std::hash::{BuildHasher, Hash, RandomState};
use tokio::sync::{Mutex, MutexGuard};

/// How many can be at it at once.
const LANES: usize = 64;

/// A bounded number of locks for any number of things.
pub struct Lanes {
    hasher: RandomState,
    lanes: [Mutex<()>; LANES],
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes {
            hasher: RandomState::new(),
            lanes: std::array::from_fn(|_| Mutex::new(())),
        }
    }
}

impl Lanes {
    /// Waits for the turn at one thing. Whoever has it takes no other.
    pub async fn of(&self, what: impl Hash) -> MutexGuard<'_, ()> {
        let lane = self.hasher.hash_one(what) as usize % LANES;
        self.lanes[lane].lock().await
    }
}
