//! Texts of numbers and the step between their two representations.

/// Decimal text of an integer.
pub fn format_int(number: i64) -> String {
    number.to_string()
}

/// Text of a float by the ECMAScript Number-to-string rule: the shortest
/// digits that read back, `3` for 3.0, `1e+21`, `0` for -0.0, `NaN`,
/// `Infinity`, `-Infinity`.
pub fn format_float(number: f64) -> String {
    let mut buffer = ryu_js::Buffer::new();
    buffer.format(number).to_owned()
}

/// Appends the text of [`format_float`].
pub fn write_float(out: &mut String, number: f64) {
    let mut buffer = ryu_js::Buffer::new();
    out.push_str(buffer.format(number));
}

/// The integer a float is equal to, if it is integral and fits 64 bits.
pub fn float_to_int(number: f64) -> Option<i64> {
    // 2^63 is a float, 2^63-1 is not: the half-open range is exact.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        Some(number as i64)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_texts_follow_ecmascript() {
        for (number, text) in [
            (3.0, "3"),
            (2.5, "2.5"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(format_float(number), text);
        }
    }

    #[test]
    fn floats_turn_into_ints_only_when_equal() {
        assert_eq!(float_to_int(3.0), Some(3));
        assert_eq!(float_to_int(-0.0), Some(0));
        assert_eq!(float_to_int(3.5), None);
        assert_eq!(float_to_int(-9_223_372_036_854_775_808.0), Some(i64::MIN));
        assert_eq!(float_to_int(9_223_372_036_854_775_808.0), None);
        assert_eq!(float_to_int(f64::NAN), None);
        assert_eq!(float_to_int(f64::INFINITY), None);
    }
}
