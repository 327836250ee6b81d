//! Module `calendar`: the proleptic Gregorian calendar in microseconds of wall
//! time since 1970-01-01T00:00, and its texts.

use super::Builtin;
use super::args::{self, pass_undefined};
use super::calendar_format;
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;
use mix_value::time::{date_of_days, days_of_date};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#calendar_make" => make,
        "#calendar_micros" => micros,
        "#calendar_text" => text,
        "#calendar_fields" => fields,
        "#calendar_parse" => parse,
        "#calendar_format" => format,
        _ => return None,
    })
}

/// Number of days of a month.
pub(super) fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A wall time taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micro: i64,
    /// Days since 1970-01-01.
    pub days: i64,
}

impl Fields {
    pub(super) fn of(micros: i64) -> Fields {
        let days = micros.div_euclid(DAY);
        let rest = micros.rem_euclid(DAY);
        let (year, month, day) = date_of_days(days);
        Fields {
            year,
            month,
            day,
            hour: rest / (3600 * SECOND),
            minute: rest / (60 * SECOND) % 60,
            second: rest / SECOND % 60,
            micro: rest % SECOND,
            days,
        }
    }

    /// Days since the start of the year, from 0.
    pub(super) fn day_of_year(&self) -> i64 {
        self.days - days_of_date(self.year, 1, 1)
    }

    /// 0 for Sunday to 6.
    pub(super) fn weekday(&self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }
}

fn out_of_range() -> Failure {
    Failure::range("a date of the years 1 to 9999 is needed")
}

/// A wall time within the years 1 to 9999.
fn checked(micros: i128) -> Result<i64, Failure> {
    let first = i128::from(days_of_date(1, 1, 1)) * i128::from(DAY);
    let end = i128::from(days_of_date(10_000, 1, 1)) * i128::from(DAY);
    if (first..end).contains(&micros) {
        i64::try_from(micros).map_err(|_| out_of_range())
    } else {
        Err(out_of_range())
    }
}

/// The microseconds of a number of seconds.
fn seconds(value: &Value) -> Result<i64, Failure> {
    let seconds = args::number(value)?.float();
    if seconds.is_finite() && seconds.abs() < 1e12 {
        Ok((seconds * 1e6).round() as i64)
    } else {
        Err(out_of_range())
    }
}

/// `(mode, year, month, day, hour, minute, second)`: the wall time, for
/// impossible fields by mode 0 an error, 1 undefined, 2 carried over.
fn make(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mode = args::integral(&args[0])?;
    let mut numbers = [0_i64; 5];
    for (number, value) in numbers.iter_mut().zip(&args[1..6]) {
        *number = args::integral(value)?;
        if number.unsigned_abs() > 1_000_000_000 {
            return if mode == 1 {
                Ok(Value::Undefined)
            } else {
                Err(out_of_range())
            };
        }
    }
    let [year, month, day, hour, minute] = numbers;
    let second = seconds(&args[6])?;
    let possible = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60 * SECOND).contains(&second);
    if !possible && mode == 1 {
        return Ok(Value::Undefined);
    }
    if !possible && mode == 0 {
        return Err(Failure::range(format!(
            "there is no {year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}",
            second / SECOND
        )));
    }
    let carried = month - 1;
    let days = days_of_date(year + carried.div_euclid(12), carried.rem_euclid(12) + 1, 1) + day - 1;
    let micros = i128::from(days) * i128::from(DAY)
        + i128::from(hour * 3600 + minute * 60) * i128::from(SECOND)
        + i128::from(second);
    checked(micros).map(Value::Int)
}

/// Decimal digits at the start of a text, between `least` and `most`.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < least {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

/// `hh:mm[:ss[.f]]`; a comma may stand for the point.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = digits(text, 2, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
    let (mut second, mut micro) = (0, 0);
    if let Some(tail) = rest.strip_prefix(':') {
        (second, rest) = digits(tail, 2, 2)?;
        if let Some(tail) = rest.strip_prefix(['.', ',']) {
            let count = tail.bytes().take_while(u8::is_ascii_digit).count();
            if count == 0 {
                return None;
            }
            // Digits beyond the sixth are cut.
            let kept = &tail[..count.min(6)];
            micro = format!("{kept:0<6}").parse().ok()?;
            rest = &tail[count..];
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * SECOND + micro, rest))
}

/// `YYYY-MM-DD`, as days.
fn date(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2, 2)?;
    let possible =
        year >= 1 && (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    possible.then(|| (days_of_date(year, month, day), rest))
}

/// `Z`, `±hh`, `±hhmm`, `±hh:mm` as seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let (minutes, rest) = match rest {
        "" => (0, ""),
        rest => digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2)?,
    };
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

fn unreadable(text: &str) -> Failure {
    let shown: String = text.chars().take(40).collect();
    Failure::new("ERR_PARSE", format!("not a date or time: {shown:?}"))
}

/// The wall time of an index text: a date, a date with time, or a time.
fn micros(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let text = args::text(&args[0])?;
    let read = || -> Option<i64> {
        if let Some((time, "")) = time_of_day(text) {
            return Some(time);
        }
        let (days, rest) = date(text)?;
        let time = match rest {
            "" => 0,
            rest => match time_of_day(rest.strip_prefix('T')?)? {
                (time, "") => time,
                _ => return None,
            },
        };
        Some(days * DAY + time)
    };
    read().map(Value::Int).ok_or_else(|| unreadable(text))
}

/// `(kind, micros)`: the index text of a date (0), date with time (1) or time (2).
fn text(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let kind = args::integral(&args[0])?;
    let micros = args::integral(&args[1])?;
    let fields = Fields::of(if kind == 2 {
        micros
    } else {
        checked(i128::from(micros))?
    });
    let mut out = String::new();
    if kind != 2 {
        out.push_str(&format!(
            "{:04}-{:02}-{:02}",
            fields.year, fields.month, fields.day
        ));
    }
    if kind == 1 {
        out.push('T');
    }
    if kind != 0 {
        out.push_str(&format!(
            "{:02}:{:02}:{:02}",
            fields.hour, fields.minute, fields.second
        ));
        if fields.micro != 0 {
            out.push_str(format!(".{:06}", fields.micro).trim_end_matches('0'));
        }
    }
    Ok(Value::text(out))
}

/// `[year, month, day, hour, minute, second, micro, day of the year from 1, weekday from Sunday 0]`
fn fields(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let fields = Fields::of(args::integral(&args[0])?);
    let numbers = [
        fields.year,
        fields.month,
        fields.day,
        fields.hour,
        fields.minute,
        fields.second,
        fields.micro,
        fields.day_of_year() + 1,
        fields.weekday(),
    ];
    Ok(Value::array(numbers.map(Value::Int).to_vec()))
}

/// ISO 8601 text: `[kind, micros, offset]`; kind 0 a date, 1 a date with time,
/// 3 with an offset, which is null for the others.
fn parse(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?;
    let read = || -> Option<(i64, i64, Value)> {
        let (days, rest) = date(text)?;
        if rest.is_empty() {
            return Some((0, days * DAY, Value::Null));
        }
        let (time, rest) = time_of_day(rest.strip_prefix(['T', ' '])?)?;
        let micros = days * DAY + time;
        match rest {
            "" => Some((1, micros, Value::Null)),
            zone => Some((3, micros, Value::Int(offset(zone)?))),
        }
    };
    let (kind, micros, offset) = read().ok_or_else(|| unreadable(text))?;
    Ok(Value::array(vec![
        Value::Int(kind),
        Value::Int(micros),
        offset,
    ]))
}

/// `(pattern, micros, offset or null, zone or null)`: a text as strftime makes it.
fn format(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let pattern = args::text(&args[0])?;
    let micros = args::integral(&args[1])?;
    let zone = match (&args[2], &args[3]) {
        (Value::Null, _) => None,
        (offset, name) => Some((args::integral(offset)?, args::text(name)?.as_str())),
    };
    calendar_format::format(pattern, micros, zone).map(Value::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_their_month() {
        for days in (-719_162..2_932_896).step_by(37) {
            let (year, month, day) = date_of_days(days);
            assert!((1..=days_of_month(year, month)).contains(&day));
        }
    }
}
