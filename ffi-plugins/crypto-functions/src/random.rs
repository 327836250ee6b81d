//! Random bytes.

use mix_plugin_sdk::Failure;

/// Most bytes of one call.
const MOST: i64 = 1 << 20;

/// A number of bytes of the system's generator.
pub fn bytes(count: i64) -> Result<Vec<u8>, Failure> {
    if !(0..=MOST).contains(&count) {
        return Err(Failure::range(format!(
            "between 0 and {MOST} random bytes, not {count}"
        )));
    }
    let mut bytes = vec![0; count as usize];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills a buffer from the system's generator.
pub fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::getrandom(bytes).map_err(|error| {
        Failure::new(
            "ERR_CRYPTO",
            format!("no random bytes from the system: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_as_many_as_asked() {
        assert_eq!(bytes(0).unwrap().len(), 0);
        assert_eq!(bytes(MOST).unwrap().len(), 1 << 20);
        assert_ne!(bytes(32).unwrap(), bytes(32).unwrap());
        for count in [-1, MOST + 1, i64::MIN, i64::MAX] {
            assert_eq!(bytes(count).unwrap_err().code, "ERR_RANGE");
        }
    }
}
