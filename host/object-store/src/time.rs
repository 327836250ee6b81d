//! Times as the protocol writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// `YYYYMMDDTHHMMSSZ`.
pub fn basic(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month, day) = date_of(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// A time like `2026-01-31T12:00:00.000Z`.
pub fn parse(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if !text.ends_with('Z')
        || separators
            .iter()
            .any(|(at, sign)| text.get(*at..at + 1) != Some(sign))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let milliseconds = match text.get(19..20)? {
        "." => format!("{:0<3}", text.get(20..text.len() - 1)?)
            .get(..3)?
            .parse()
            .ok()?,
        _ => 0,
    };
    let seconds = days_until(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(milliseconds))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first of January 1970 until a date.
fn days_until(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

/// The date so many days after the first of January 1970.
fn date_of(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 1;
    while days >= days_of(year, month) {
        days -= days_of(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (text, form) in [
            ("1970-01-01T00:00:00Z", "19700101T000000Z"),
            ("2013-05-24T00:00:00.000Z", "20130524T000000Z"),
            ("2000-02-29T23:59:59.999Z", "20000229T235959Z"),
            ("2100-03-01T01:02:03.5Z", "21000301T010203Z"),
            ("2024-12-31T12:00:00.123456Z", "20241231T120000Z"),
        ] {
            assert_eq!(basic(parse(text).expect(text)), form);
        }
        let time = parse("2024-01-01T00:00:00.25Z").expect("a time");
        let since = time.duration_since(UNIX_EPOCH).expect("later");
        assert_eq!(since.subsec_millis(), 250);
        for wrong in [
            "",
            "2024",
            "2024-13-01T00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00",
            "é024-01-01T00:00:00Z",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
