//! `number.format`: numbers printed by a pattern such as `-#,##0.00`.

use crate::failure::Failure;

/// Most digits that a pattern may ask for, so that a short pattern cannot
/// make an unbounded text.
const MAX_DIGITS: usize = 1000;

/// The texts that a pattern puts around digits.
#[derive(Debug, Clone)]
pub(crate) struct Signs<'a> {
    pub decimal: &'a str,
    pub group: &'a str,
    pub plus: &'a str,
    pub minus: &'a str,
}

impl Default for Signs<'_> {
    fn default() -> Self {
        Signs {
            decimal: ".",
            group: ",",
            plus: "+",
            minus: "-",
        }
    }
}

/// The pattern that is used when none is given.
pub(crate) const DEFAULT_PATTERN: &str = "-#,##0.###";

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `+` and `-` in their order.
    signs: Vec<char>,
    /// Least number of integer digits.
    integer: usize,
    /// Digits of a group, 0 without grouping.
    group: usize,
    /// Least number of fraction digits.
    fraction_min: usize,
    /// Greatest number of fraction digits.
    fraction_max: usize,
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, Failure> {
        let bad = |why: &str| Failure::new("ERR_PARSE", format!("number pattern {text:?}: {why}"));
        let mut pattern = Pattern {
            signs: Vec::new(),
            integer: 0,
            group: 0,
            fraction_min: 0,
            fraction_max: 0,
        };
        let mut rest = text;
        while let Some(sign @ ('+' | '-')) = rest.chars().next() {
            if pattern.signs.contains(&sign) {
                return Err(bad("a sign occurs twice"));
            }
            pattern.signs.push(sign);
            rest = &rest[1..];
        }
        let (whole, fraction) = match rest.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (rest, ""),
        };
        let mut positions = 0;
        let mut since_comma = None;
        for c in whole.chars() {
            match c {
                '#' if pattern.integer > 0 => return Err(bad("# after 0 in the integer part")),
                '#' | '0' => {
                    pattern.integer += usize::from(c == '0');
                    positions += 1;
                    since_comma = since_comma.map(|count: usize| count + 1);
                }
                ',' => since_comma = Some(0),
                _ => return Err(bad("unexpected character")),
            }
        }
        match since_comma {
            Some(0) => return Err(bad("no digit follows the last comma")),
            Some(count) => pattern.group = count,
            None => {}
        }
        for c in fraction.chars() {
            match c {
                '0' if pattern.fraction_max > pattern.fraction_min => {
                    return Err(bad("0 after # in the fraction"));
                }
                '0' => {
                    pattern.fraction_min += 1;
                    pattern.fraction_max += 1;
                }
                '#' => pattern.fraction_max += 1,
                _ => return Err(bad("unexpected character")),
            }
        }
        if positions.max(pattern.fraction_max) > MAX_DIGITS {
            return Err(Failure::range(
                "a number pattern has at most 1000 digit positions",
            ));
        }
        Ok(pattern)
    }
}

/// The decimal digits of a finite number: integer part and fraction, without sign.
fn digits(text: &str) -> (Vec<u8>, Vec<u8>) {
    let (mantissa, exponent) = match text.split_once('e') {
        // The text form of a float has a small decimal exponent.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (text, 0),
    };
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut whole: Vec<u8> = whole.bytes().map(|b| b - b'0').collect();
    let mut fraction: Vec<u8> = fraction.bytes().map(|b| b - b'0').collect();
    for _ in 0..exponent.max(0) {
        whole.push(if fraction.is_empty() {
            0
        } else {
            fraction.remove(0)
        });
    }
    for _ in exponent.min(0)..0 {
        fraction.insert(0, whole.pop().unwrap_or(0));
    }
    while whole.first() == Some(&0) {
        whole.remove(0);
    }
    (whole, fraction)
}

/// Adds one to the last digit.
fn increment(whole: &mut Vec<u8>, fraction: &mut [u8]) {
    for digit in fraction.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    for digit in whole.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    whole.insert(0, 1);
}

/// Prints a number, given in its text form (language 3.2), by a pattern.
pub(crate) fn format(pattern: &str, signs: &Signs<'_>, text: &str) -> Result<String, Failure> {
    let pattern = Pattern::parse(pattern)?;
    if text == "NaN" {
        return Ok("NaN".to_owned());
    }
    let mut negative = text.starts_with('-');
    let mut body = String::new();
    if text.trim_start_matches('-') == "Infinity" {
        body.push_str("Infinity");
    } else {
        let (mut whole, mut fraction) = digits(text);
        if fraction.len() > pattern.fraction_max {
            let up = fraction[pattern.fraction_max] >= 5;
            fraction.truncate(pattern.fraction_max);
            if up {
                increment(&mut whole, &mut fraction);
            }
        }
        while fraction.len() > pattern.fraction_min && fraction.last() == Some(&0) {
            fraction.pop();
        }
        while fraction.len() < pattern.fraction_min {
            fraction.push(0);
        }
        negative = negative && whole.iter().chain(&fraction).any(|digit| *digit != 0);
        while whole.len() < pattern.integer {
            whole.insert(0, 0);
        }
        let count = whole.len();
        for (index, digit) in whole.iter().enumerate() {
            if index > 0 && pattern.group > 0 && (count - index).is_multiple_of(pattern.group) {
                body.push_str(signs.group);
            }
            body.push(char::from(b'0' + digit));
        }
        if !fraction.is_empty() {
            body.push_str(signs.decimal);
            body.extend(fraction.iter().map(|digit| char::from(b'0' + digit)));
        }
    }
    let mut out = String::new();
    for sign in &pattern.signs {
        match (sign, negative) {
            ('-', true) => out.push_str(signs.minus),
            ('+', false) => out.push_str(signs.plus),
            _ => {}
        }
    }
    out.push_str(&body);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pattern: &str, text: &str) -> String {
        match format(pattern, &Signs::default(), text) {
            Ok(text) => text,
            Err(failure) => failure.code().to_owned(),
        }
    }

    #[test]
    fn follows_the_pattern() {
        for (pattern, number, expected) in [
            ("-0.00", "-1.005", "-1.01"),
            ("#.00", "0.5", ".50"),
            ("-0.0", "-0.04", "0.0"),
            (DEFAULT_PATTERN, "-1234.5678", "-1,234.568"),
            (DEFAULT_PATTERN, "1234567.89123", "1,234,567.891"),
            ("#,##0.0##", "9876543.21", "9,876,543.21"),
            ("0,000", "7", "0,007"),
            ("0.00", "-3", "3.00"),
            ("0", "9.5", "10"),
            ("0.0", "9.96", "10.0"),
            ("#", "0", ""),
            ("-#,##0", "1e+21", "1,000,000,000,000,000,000,000"),
            ("-0.0000000", "-1.5e-7", "-0.0000002"),
            ("+-0", "0", "+0"),
            ("-0", "-Infinity", "-Infinity"),
            ("+0", "Infinity", "+Infinity"),
            ("0", "NaN", "NaN"),
            ("#,#", "12345", "1,2,3,4,5"),
            ("0,0,00", "12345", "1,23,45"),
        ] {
            assert_eq!(show(pattern, number), expected, "{pattern} of {number}");
        }
    }

    #[test]
    fn refuses_other_patterns() {
        for pattern in ["--0", "0#", "0.#0", "$0", "#,", "0.0.0", "0 ", "0-"] {
            assert_eq!(show(pattern, "1"), "ERR_PARSE", "{pattern}");
        }
        assert_eq!(show(&"0".repeat(2000), "1"), "ERR_RANGE");
    }
}
