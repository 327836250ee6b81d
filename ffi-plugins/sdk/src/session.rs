//! The sessions of a family whose one instance serves many runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::Failure;

/// The open sessions of an instance, by number.
#[derive(Debug)]
pub struct Sessions<S> {
    inner: RefCell<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    /// Few at a time, so that to find one takes less than to make a hash of its number.
    open: BTreeMap<u64, Rc<S>>,
    last: u64,
    /// Serves the `family` interface, which has no sessions.
    own: Option<(u64, Rc<S>)>,
}

impl<S> Default for Sessions<S> {
    fn default() -> Sessions<S> {
        Sessions {
            inner: RefCell::new(Inner {
                open: BTreeMap::new(),
                last: 0,
                own: None,
            }),
        }
    }
}

impl<S> Sessions<S> {
    /// Opens a session and gives its number.
    pub fn open(&self, session: S) -> u64 {
        let mut inner = self.inner.borrow_mut();
        inner.last += 1;
        let number = inner.last;
        inner.open.insert(number, Rc::new(session));
        number
    }

    /// Ends a session. Functions in flight keep it until they end.
    pub fn close(&self, number: u64) {
        // Dropped after the borrow has ended: dropping a session may run the author's code.
        let closed = self.inner.borrow_mut().open.remove(&number);
        drop(closed);
    }

    /// An open session.
    pub fn get(&self, number: u64) -> Result<Rc<S>, Failure> {
        let session = self.inner.borrow().open.get(&number).cloned();
        session.ok_or_else(|| Failure::internal(format!("no session {number} is open")))
    }

    /// The session of the instance itself, opened when first needed and anew when the
    /// instance is bound to somebody else: `binding` is another number then.
    pub fn own(&self, binding: u64, open: impl FnOnce() -> S) -> Rc<S> {
        if let Some((bound, session)) = &self.inner.borrow().own
            && *bound == binding
        {
            return session.clone();
        }
        let session = Rc::new(open());
        let own = (binding, session.clone());
        let previous = self.inner.borrow_mut().own.replace(own);
        drop(previous);
        session
    }
}
