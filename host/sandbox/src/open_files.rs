//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the system allows: what is usual at the start of a process is not enough for the
/// files of all guests and the connections of all callers. Says how many that are, if there is a limit.
pub fn make_room() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        // It goes on with what it has.
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_allowed_is_taken() {
        let room = make_room();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((current, room), (maximum, maximum));
    }
}
