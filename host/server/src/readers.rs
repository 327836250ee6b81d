//! How many connections that last somebody has open: event streams, sessions.

use super::identity::Admitted;
use super::rate::network;
use mix_http_api::ApiError;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections of one kind, by who has them.
#[derive(Clone)]
pub struct Readers {
    open: Arc<Mutex<HashMap<Reader, usize>>>,
    limits: Limits,
}

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one user.
    pub user: usize,
    /// Of one address without a token.
    pub address: usize,
    /// Of the runs of one workspace.
    pub runs: usize,
    /// Of all.
    pub total: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reader {
    User(String),
    Address(IpAddr),
    /// The runs of a workspace, which have limits of their own beside.
    Runs(String),
}

/// One open connection, over when dropped.
pub struct Seat {
    readers: Readers,
    reader: Reader,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.readers.lock();
        if let Some(count) = open.get_mut(&self.reader) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.reader);
            }
        }
    }
}

impl Readers {
    /// Nobody is there.
    pub fn new(limits: Limits) -> Readers {
        Readers {
            open: Arc::default(),
            limits,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Reader, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.lock().values().sum()
    }

    /// One more for this caller.
    pub fn enter(&self, who: &Admitted, client: IpAddr) -> Result<Seat, ApiError> {
        let (reader, most) = match &who.caller.user {
            Some(_) => (Reader::User(who.principal()), self.limits.user),
            None => (Reader::Address(network(client)), self.limits.address),
        };
        self.seat(reader, most)
    }

    /// One more for a run of this workspace: each has its share, so that those of one leave room for
    /// everybody else.
    pub fn enter_run(&self, workspace: &str) -> Result<Seat, ApiError> {
        self.seat(Reader::Runs(workspace.to_owned()), self.limits.runs)
    }

    fn seat(&self, reader: Reader, most: usize) -> Result<Seat, ApiError> {
        let mut open = self.lock();
        if open.values().sum::<usize>() >= self.limits.total {
            let message = "the server has as many connections of this kind as it may";
            return Err(ApiError::new(503, "busy", message));
        }
        let held = open.get(&reader).copied().unwrap_or_default();
        if held >= most {
            let message = format!("{most} of them are open already; close one");
            return Err(ApiError::new(429, "rate_limited", message));
        }
        open.insert(reader.clone(), held + 1);
        drop(open);
        Ok(Seat {
            readers: self.clone(),
            reader,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_limit_and_all_together_theirs() {
        let readers = Readers::new(Limits {
            user: 2,
            address: 1,
            runs: 1,
            total: 2,
        });
        let nobody = Admitted::anonymous(false);
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = readers.enter(&nobody, here).expect("room");
        let code = |client| readers.enter(&nobody, client).err().map(|error| error.code);
        assert_eq!(code(here), Some("rate_limited"));
        let second = readers.enter(&nobody, there).expect("room");
        assert_eq!(code(IpAddr::from([10, 0, 0, 3])), Some("busy"));
        drop(second);
        let run = readers.enter_run("one").expect("room");
        let code = |ws| readers.enter_run(ws).err().map(|error| error.code);
        assert_eq!(code("two"), Some("busy"));
        drop((first, run));
        assert_eq!(readers.len(), 0);
    }

    #[test]
    fn who_has_a_network_has_one_place() {
        let readers = Readers::new(Limits {
            user: 1,
            address: 1,
            runs: 1,
            total: 8,
        });
        let nobody = Admitted::anonymous(false);
        let enter = |text: &str| readers.enter(&nobody, text.parse().expect("an address"));
        let _seat = enter("2001:db8:1:2::1").expect("room");
        assert!(enter("2001:db8:1:2:ffff::7").is_err());
        assert!(enter("2001:db8:1:3::1").is_ok());
    }

    #[test]
    fn the_runs_of_one_workspace_leave_room_for_those_of_others() {
        let readers = Readers::new(Limits {
            user: 1,
            address: 1,
            runs: 2,
            total: 8,
        });
        let held: Vec<Seat> = std::iter::from_fn(|| readers.enter_run("greedy").ok()).collect();
        assert_eq!(held.len(), 2);
        let refused = readers.enter_run("greedy").err().map(|error| error.code);
        assert_eq!(refused, Some("rate_limited"));
        assert!(readers.enter_run("other").is_ok());
        let client = IpAddr::from([10, 0, 0, 1]);
        assert!(readers.enter(&Admitted::anonymous(false), client).is_ok());
        drop(held);
        assert!(readers.enter_run("greedy").is_ok());
    }
}
