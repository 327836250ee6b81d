//! Durations, sizes, counts and switches on the command line.

use std::str::FromStr;
use std::time::Duration;

/// The longest duration, in seconds: ten thousand days.
const LONGEST: f64 = 864e6;

/// `500ms`, `60s`, `5m`, `2h`, `90d`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(format!("{text:?} is no duration (500ms, 60s, 5m, 2h, 90d)")),
    };
    match number.parse::<f64>() {
        // No timer goes by less, and none of them adds up beyond what clocks have.
        Ok(number) if (0.001..=LONGEST).contains(&(number * scale)) => {
            Ok(Duration::from_secs_f64(number * scale))
        }
        Ok(_) => Err("it must be between 1ms and 10000d".to_owned()),
        Err(_) => Err(format!("{text:?} is no duration (500ms, 60s, 5m, 2h, 90d)")),
    }
}

/// `256MiB`, `64KiB`, `1GiB`; a bare number is bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" | "kb" => 10,
        "m" | "mib" | "mb" => 20,
        "g" | "gib" | "gb" => 30,
        _ => return Err(format!("{text:?} is no size (512, 64KiB, 256MiB, 1GiB)")),
    };
    match number.parse::<u64>() {
        Ok(number) if number > 0 && number.leading_zeros() > shift => Ok(number << shift),
        Ok(0) => Err("it must be 1 byte at least".to_owned()),
        Ok(_) => Err(format!("{text:?} is more bytes than there can be")),
        Err(_) => Err(format!("{text:?} is no size (512, 64KiB, 256MiB, 1GiB)")),
    }
}

/// A size from so many MiB on: with less, what it is for does not even start.
pub fn size_from(least: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match size(text)? {
        size if size >= least << 20 => Ok(size),
        _ => Err(format!("it must be {least}MiB at least")),
    }
}

/// A number of bytes, or 0 for none.
pub fn size_or_none(text: &str) -> Result<u64, String> {
    match text.trim() {
        "0" => Ok(0),
        text => size(text),
    }
}

/// A number of which there has to be one.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("it must be a number from 1 on".to_owned()),
    }
}

/// A number that may be 0.
pub fn count<N: FromStr>(text: &str) -> Result<N, String> {
    let wrong = |_| "it must be a whole number from 0 on, and not too large".to_owned();
    text.parse().map_err(wrong)
}

/// What a variable says of a flag without a value.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("it must be true, false, 1 or 0".to_owned()),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("10000d"), Ok(Duration::from_secs(864_000_000)));
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("7"), Ok(7));
        assert_eq!((size_or_none("0"), size_or_none("7")), (Ok(0), Ok(7)));
        assert_eq!((at_least_one("1"), switch("1")), (Ok(1), Ok(true)));
        assert!(at_least_one("0").is_err() && switch("yes").is_err());
        assert_eq!(size_from(4)("4096KiB"), Ok(4 << 20));
        assert!(size_from(4)("4095KiB").is_err() && size_from(4)("x").is_err());
        for bad in ["", "x", "0", "-1s", "1y", "99999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "1.5MiB", "5 parsecs", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!((count::<u32>("0"), count("7")), (Ok(0), Ok(7_usize)));
    }

    #[test]
    fn a_number_that_cannot_be_meant_is_told_with_its_bounds() {
        for text in ["0s", "0.0000000001s", "10001d", "99999999999999999999d"] {
            assert_eq!(
                duration(text),
                Err("it must be between 1ms and 10000d".to_owned())
            );
        }
        for text in ["-1s", "x", "1.2.3s", "1y", ""] {
            assert!(duration(text).expect_err(text).contains("is no duration"));
        }
        assert_eq!(size("0"), Err("it must be 1 byte at least".to_owned()));
        let large = size("99999999999999GiB").expect_err("more than a number holds");
        assert!(large.contains("more bytes"), "{large}");
        for text in ["-1", "4294967296", "x"] {
            assert!(count::<u32>(text).is_err(), "{text}");
        }
    }
}
