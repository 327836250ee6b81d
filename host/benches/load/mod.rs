//! Many connections at once.

use crate::client::Client;
use std::time::{Duration, Instant};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// What a load came to.
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
}

/// Sixteen connections for three seconds, after one to warm up.
pub fn load(address: &str, path: &str, body: &str) -> Done<Load> {
    let begin = Instant::now() + Duration::from_secs(1);
    let end = begin + Duration::from_secs(3);
    let mut workers = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(address)?;
        let (path, body) = (path.to_owned(), body.to_owned());
        workers.push(std::thread::spawn(move || {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                client
                    .post(&path, &body)
                    .map_err(|error| error.to_string())?;
                if start >= begin {
                    times.push(start.elapsed());
                }
            }
            Ok::<_, String>(times)
        }));
    }
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.join().map_err(|_| "a client panicked")??);
    }
    all.sort_unstable();
    let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Load {
        rate: all.len() as f64 / 3.0,
        p99,
    })
}
