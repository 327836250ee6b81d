//! How often somebody may ask: a client address without a token, all callers of a workspace.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Askers that are kept in mind.
const MOST: usize = 100_000;

/// So many requests a minute for each asker, none beyond them for a while.
pub struct Rate<K> {
    per_minute: u32,
    clients: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    /// Requests that may come at once.
    left: f64,
    seen: Instant,
}

impl<K: Eq + Hash> Rate<K> {
    /// `per_minute` requests; 0: any number.
    pub fn new(per_minute: u32) -> Rate<K> {
        Rate {
            per_minute,
            clients: Mutex::default(),
        }
    }

    /// Counts a request; if it is one too many, the time after which the next one is not.
    pub fn count(&self, asker: impl FnOnce() -> K, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let asker = asker();
        let most = f64::from(self.per_minute);
        let per_second = most / 60.0;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST && !clients.contains_key(&asker) {
            // Who has not asked for a minute has everything left again.
            clients.retain(|_, bucket| now.duration_since(bucket.seen) < Duration::from_secs(60));
            if clients.len() >= MOST {
                clients.clear();
            }
        }
        let bucket = clients.entry(asker).or_insert(Bucket {
            left: most,
            seen: now,
        });
        let passed = now.saturating_duration_since(bucket.seen).as_secs_f64();
        bucket.left = (bucket.left + passed * per_second).min(most);
        bucket.seen = now;
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / per_second));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// Whoever has an address of version 6 has a whole network of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => {
                let mut parts = six.segments();
                parts[4..].fill(0);
                IpAddr::from(parts)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_and_others_do_not() {
        let rate = Rate::new(60);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        for _ in 0..60 {
            assert!(rate.count(|| a, start).is_ok());
        }
        let wait = rate.count(|| a, start).expect_err("one too many");
        assert!(wait <= Duration::from_secs(1) && !wait.is_zero());
        assert!(rate.count(|| b, start).is_ok());
        assert!(rate.count(|| a, start + Duration::from_secs(1)).is_ok());
        assert!(rate.count(|| a, start + Duration::from_secs(1)).is_err());
        let none = Rate::new(0);
        assert!((0..1000).all(|_| none.count(|| a, start).is_ok()));
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let one: IpAddr = "2001:db8::1".parse().expect("an address");
        let two: IpAddr = "2001:db8::ffff:2".parse().expect("an address");
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("an address");
        assert_eq!(network(one), network(two));
        assert_eq!(network(mapped), IpAddr::from([10, 0, 0, 1]));
    }
}
