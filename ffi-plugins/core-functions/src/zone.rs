//! Offsets of time zones in seconds east of UTC.
//!
//! A zone is an IANA name in its usual spelling, `UTC`, or `UTC±hh:mm`.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::Refusal;

/// 1970-01-01T00:00.
const EPOCH: civil::DateTime = civil::datetime(1970, 1, 1, 0, 0, 0, 0);

/// A zone by its name.
enum Zone {
    Fixed(i64),
    Named(TimeZone),
}

/// `±hh:mm` in seconds.
fn fixed(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let &[sign, h1, h2, b':', m1, m2] = bytes else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let hours = digit(h1)? * 10 + digit(h2)?;
    let minutes = digit(m1)? * 10 + digit(m2)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn find(name: &str) -> Result<Zone, Refusal> {
    let unknown = || Refusal::Range(format!("there is no time zone {name:?}"));
    if name == "UTC" {
        return Ok(Zone::Fixed(0));
    }
    if let Some(offset) = name.strip_prefix("UTC") {
        return fixed(offset).map(Zone::Fixed).ok_or_else(unknown);
    }
    let zone = jiff::tz::TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| unknown())?;
    // The database does not look at case; names are compared in programs.
    if zone.iana_name() != Some(name) {
        return Err(unknown());
    }
    Ok(Zone::Named(zone))
}

fn out_of_range(seconds: f64) -> Refusal {
    Refusal::Range(format!("{seconds} seconds are beyond the calendar"))
}

/// Whole seconds within what the calendar holds.
fn whole(seconds: f64) -> Result<i64, Refusal> {
    // Years 1 to 9999, with a day to spare for offsets.
    const LEAST: f64 = -62_135_700_000.0;
    const MOST: f64 = 253_402_400_000.0;
    if (LEAST..=MOST).contains(&seconds) {
        Ok(seconds.floor() as i64)
    } else {
        Err(out_of_range(seconds))
    }
}

/// The offset of a zone at an instant, given in seconds since 1970 UTC.
pub fn at_utc(zone: &str, seconds: f64) -> Result<i64, Refusal> {
    let zone = find(zone)?;
    let instant = whole(seconds)?;
    match zone {
        Zone::Fixed(offset) => Ok(offset),
        Zone::Named(zone) => {
            let instant = Timestamp::from_second(instant).map_err(|_| out_of_range(seconds))?;
            Ok(i64::from(zone.to_offset(instant).seconds()))
        }
    }
}

/// The offset of a zone at a wall time, given in seconds since 1970-01-01T00:00. A wall time
/// that a change skips has the offset before the change, one that occurs twice the first.
pub fn at_wall(zone: &str, seconds: f64) -> Result<i64, Refusal> {
    let zone = find(zone)?;
    let wall = whole(seconds)?;
    match zone {
        Zone::Fixed(offset) => Ok(offset),
        Zone::Named(zone) => {
            let wall = EPOCH
                .checked_add(jiff::SignedDuration::from_secs(wall))
                .map_err(|_| out_of_range(seconds))?;
            let offset = match zone.to_ambiguous_timestamp(wall).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset,
                AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
                    before
                }
            };
            Ok(i64::from(offset.seconds()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a date and time.
    fn seconds(text: &str) -> Result<f64, jiff::Error> {
        let at: civil::DateTime = text.parse()?;
        (at - EPOCH).total((jiff::Unit::Second, EPOCH))
    }

    #[test]
    fn offsets() -> Result<(), Box<dyn std::error::Error>> {
        for (zone, at, expected) in [
            ("Europe/Berlin", "2024-01-01T00:00", 3600),
            ("Europe/Berlin", "2024-07-01T00:00", 7200),
            ("Europe/Berlin", "1890-01-01T00:00", 3208),
            ("Asia/Kathmandu", "2024-01-01T00:00", 20_700),
            ("America/New_York", "2024-03-10T07:00", -14_400),
            ("America/New_York", "2024-03-10T06:59:59", -18_000),
            ("UTC", "2024-01-01T00:00", 0),
            ("UTC-03:30", "2024-01-01T00:00", -12_600),
        ] {
            assert_eq!(at_utc(zone, seconds(at)?)?, expected, "{zone} {at}");
        }
        for (zone, at, expected) in [
            // Skipped: the offset before the change.
            ("Europe/Berlin", "2024-03-31T02:30", 3600),
            ("Europe/Berlin", "2024-03-31T03:00", 7200),
            // Twice: the first.
            ("Europe/Berlin", "2024-10-27T02:30", 7200),
            ("Europe/Berlin", "2024-10-27T03:00", 3600),
            ("Pacific/Apia", "2011-12-30T12:00", -36_000),
        ] {
            assert_eq!(at_wall(zone, seconds(at)?)?, expected, "{zone} {at}");
        }
        Ok(())
    }

    #[test]
    fn unknown_zones_and_times() {
        for zone in [
            "Europe/Nowhere",
            "europe/berlin",
            "",
            "UTC+1:00",
            "UTC+24:00",
            "utc",
            "../etc/passwd",
        ] {
            assert!(at_utc(zone, 0.0).is_err(), "{zone}");
            assert!(at_wall(zone, 0.0).is_err(), "{zone}");
        }
        for seconds in [f64::NAN, f64::INFINITY, 1e18, -1e18] {
            assert!(at_utc("Europe/Berlin", seconds).is_err());
            assert!(at_wall("UTC", seconds).is_err());
        }
        assert!(at_wall("Asia/Tokyo", 253_402_300_799.0).is_ok());
        assert!(at_utc("Pacific/Kiritimati", -62_135_596_800.0).is_ok());
    }
}
