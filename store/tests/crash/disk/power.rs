//! What goes wrong on a disk, and when.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This operation and all later ones fail: the power is gone.
    PowerCut,
    /// Only this operation fails.
    Once,
    /// This operation and the ones after it fail, so many in all.
    Several(u64),
    /// Only this operation fails, and if it is a write it has written everything.
    Late,
    /// This operation and the next ones that need room find the disk full.
    Full,
}

/// Counts changing operations and plans faults, for all folders of one disk; clones are the same one.
#[derive(Clone, Default)]
pub struct Power(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    operations: u64,
    fault: Option<(u64, Fault)>,
}

impl Power {
    fn locked(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().expect("no test panics while holding it")
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.locked().operations
    }

    /// Plans a fault `after` more operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        let mut plan = self.locked();
        plan.fault = Some((plan.operations + after, fault));
    }

    /// Nothing goes wrong any more.
    pub fn free(&self) {
        self.locked().fault = None;
    }

    pub fn is_late(&self) -> bool {
        matches!(self.locked().fault, Some((_, Fault::Late)))
    }

    /// Counts an operation and fails if that is planned.
    pub fn count(&self) -> io::Result<()> {
        let mut plan = self.locked();
        plan.operations += 1;
        let Some((at, fault)) = plan.fault else {
            return Ok(());
        };
        let now = plan.operations;
        let last = match fault {
            Fault::PowerCut | Fault::Full => u64::MAX,
            Fault::Several(count) => at + count - 1,
            Fault::Once | Fault::Late => at,
        };
        if !(at..=last).contains(&now) {
            return Ok(());
        }
        Err(match fault {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            Fault::PowerCut => io::ErrorKind::NotConnected.into(),
            _ => io::Error::other("planned fault"),
        })
    }
}

/// Something that runs before the next operation of a name, once; clones are the same one.
#[derive(Clone, Default)]
pub struct Hook(Arc<Mutex<Option<Planned>>>);

type Planned = (&'static str, Box<dyn FnOnce() + Send>);

impl Hook {
    fn locked(&self) -> MutexGuard<'_, Option<Planned>> {
        self.0.lock().expect("no test panics while holding it")
    }

    pub fn set(&self, operation: &'static str, hook: impl FnOnce() + Send + 'static) {
        *self.locked() = Some((operation, Box::new(hook)));
    }

    /// Forgets a hook that was not needed.
    pub fn forget(&self) {
        *self.locked() = None;
    }

    /// Runs it if it was meant for this operation. What it does may come here again.
    pub fn run(&self, operation: &'static str) {
        let planned = self.locked().take_if(|(wanted, _)| *wanted == operation);
        if let Some((_, hook)) = planned {
            hook();
        }
    }
}
