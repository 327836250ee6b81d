//! Time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::Failure;

/// Longest sleep: a hundred years. Longer ones end the same way, with the run.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Seconds since 1970, to the microsecond.
pub fn now() -> f64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as f64 / 1e6,
        Err(before) => -(before.duration().as_micros() as f64 / 1e6),
    }
}

/// Seconds since the first call of the instance.
pub fn monotonic() -> f64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Waits for a number of seconds; zero and negative numbers let others run and return.
pub async fn sleep(seconds: f64) -> Result<(), Failure> {
    mix_plugin_sdk::sleep(duration(seconds)?).await;
    Ok(())
}

/// A number of seconds that can be waited for.
pub fn duration(seconds: f64) -> Result<Duration, Failure> {
    if seconds.is_nan() {
        return Err(Failure::range("cannot sleep NaN seconds"));
    }
    Ok(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_are_bounded() {
        assert_eq!(duration(-1.0).unwrap(), Duration::ZERO);
        assert_eq!(duration(0.25).unwrap(), Duration::from_millis(250));
        assert_eq!(
            duration(f64::INFINITY).unwrap(),
            Duration::from_secs_f64(LONGEST_SECONDS)
        );
        assert_eq!(duration(f64::NAN).unwrap_err().code, "ERR_RANGE");
    }

    #[test]
    fn clocks_advance() {
        assert!(now() > 1.7e9);
        let first = monotonic();
        assert!(monotonic() >= first);
    }
}
