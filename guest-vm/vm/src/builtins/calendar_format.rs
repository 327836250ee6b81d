//! `calendar.format`: strftime in English.

use super::calendar::Fields;
use crate::failure::Failure;

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// ISO year and week of a date.
fn iso_week(fields: &Fields) -> (i64, i64) {
    let weekday = (fields.weekday() + 6) % 7;
    // The Thursday of a week lies in the year that the week belongs to.
    let thursday = Fields::of((fields.days - weekday + 3) * 86_400_000_000);
    (thursday.year, thursday.day_of_year() / 7 + 1)
}

/// Prints wall time by a pattern; `zone` is the offset in seconds and the name.
pub(super) fn format(
    pattern: &str,
    micros: i64,
    zone: Option<(i64, &str)>,
) -> Result<String, Failure> {
    let fields = Fields::of(micros);
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = chars.next();
        let plain = directive == Some('-');
        if plain {
            directive = chars.next();
        }
        let Some(directive) = directive else {
            return Err(Failure::new(
                "ERR_PARSE",
                "the pattern ends inside a directive",
            ));
        };
        let text = expand(directive, &fields, micros, zone)
            .ok_or_else(|| Failure::new("ERR_PARSE", format!("unknown directive %{directive}")))?;
        if plain {
            let bare = text.trim_start_matches(['0', ' ']);
            out.push_str(if bare.is_empty() && !text.is_empty() {
                "0"
            } else {
                bare
            });
        } else {
            out.push_str(&text);
        }
    }
    Ok(out)
}

fn expand(
    directive: char,
    fields: &Fields,
    micros: i64,
    zone: Option<(i64, &str)>,
) -> Option<String> {
    let two = |number: i64| format!("{number:02}");
    // Fields are within their ranges, so the indices are too.
    let day_name = DAYS[fields.weekday() as usize];
    let month_name = MONTHS[(fields.month - 1) as usize];
    let hour12 = (fields.hour + 11) % 12 + 1;
    let recurse = |pattern: &str| format(pattern, micros, zone).ok();
    Some(match directive {
        'a' => day_name[..3].to_owned(),
        'A' => day_name.to_owned(),
        'b' => month_name[..3].to_owned(),
        'B' => month_name.to_owned(),
        'd' => two(fields.day),
        'e' => format!("{:2}", fields.day),
        'j' => format!("{:03}", fields.day_of_year() + 1),
        'm' => two(fields.month),
        'y' => two(fields.year % 100),
        'Y' => format!("{:04}", fields.year),
        'H' => two(fields.hour),
        'I' => two(hour12),
        'M' => two(fields.minute),
        'S' => two(fields.second),
        'p' => if fields.hour < 12 { "AM" } else { "PM" }.to_owned(),
        'f' => format!("{:06}", fields.micro),
        'u' => ((fields.weekday() + 6) % 7 + 1).to_string(),
        'w' => fields.weekday().to_string(),
        'G' => format!("{:04}", iso_week(fields).0),
        'V' => two(iso_week(fields).1),
        'U' => two((fields.day_of_year() + 7 - fields.weekday()) / 7),
        'F' => recurse("%Y-%m-%d")?,
        'T' => recurse("%H:%M:%S")?,
        'R' => recurse("%H:%M")?,
        'D' => recurse("%m/%d/%y")?,
        'z' => zone.map_or(String::new(), |(offset, _)| {
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.abs() / 60;
            format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
        }),
        'Z' => zone.map_or(String::new(), |(_, name)| name.to_owned()),
        's' => {
            let offset = zone.map_or(0, |(offset, _)| offset);
            (micros.div_euclid(1_000_000) - offset).to_string()
        }
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        '%' => "%".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives() -> Result<(), Failure> {
        // 2024-02-29T13:05:09.000001
        let micros = 1_709_211_909_000_001;
        for (pattern, expected) in [
            ("%a %-d %b %Y, %j", "Thu 29 Feb 2024, 060"),
            ("%A %B %e", "Thursday February 29"),
            ("%F %T %R %D", "2024-02-29 13:05:09 13:05 02/29/24"),
            ("%I:%M %p %-I", "01:05 PM 1"),
            ("%G-W%V-%u %w %U", "2024-W09-4 4 08"),
            ("%f %-S %%", "000001 9 %"),
            ("%z%Z|%s", "|1709211909"),
        ] {
            assert_eq!(format(pattern, micros, None)?, expected);
        }
        assert_eq!(
            format("%z %Z %s", micros, Some((-5400, "X")))?,
            "-0130 X 1709217309"
        );
        assert!(format("%Q", micros, None).is_err());
        assert!(format("%", micros, None).is_err());
        Ok(())
    }
}
