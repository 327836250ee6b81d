//! Hexadecimal floating-point texts such as `0x1.8p+1`.

/// Parses `[+-]0x<hex>[.<hex>][p[+-]<decimal>]`, rounding to nearest even.
/// None for other texts and for numbers beyond the floats.
pub(super) fn parse(text: &str) -> Option<f64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest
        .strip_prefix("0x")
        .or_else(|| rest.strip_prefix("0X"))?;
    let (digits, exponent) = match rest.find(['p', 'P']) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The mantissa keeps 60 bits exactly; whatever follows only matters as
    // "something is there", which the lowest bit records for the rounding.
    let mut mantissa = 0_u64;
    let mut scale = exponent;
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        let fractional = index >= whole.len();
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            scale = scale.saturating_sub(if fractional { 4 } else { 0 });
        } else {
            mantissa |= u64::from(digit != 0);
            scale = scale.saturating_add(if fractional { 0 } else { 4 });
        }
    }
    let magnitude = compose(mantissa, scale);
    magnitude
        .is_finite()
        .then_some(if negative { -magnitude } else { magnitude })
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // An absurd exponent saturates; it is an underflow or out of range anyway.
    let number: i64 = digits.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

/// `mantissa * 2^scale` with one rounding.
fn compose(mantissa: u64, scale: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    // Exponent of the leading bit decides how many bits the result has.
    let top = scale.saturating_add(63 - i64::from(mantissa.leading_zeros()));
    if top > 1023 {
        return f64::INFINITY;
    }
    if top < -1080 {
        return 0.0;
    }
    let lowest = (top - 52).max(-1074);
    let drop = lowest - scale;
    let rounded = if drop <= 0 {
        // Exact: at most 53 bits remain after the shift.
        mantissa << (-drop).min(63)
    } else if drop > 64 {
        0
    } else {
        let wide = u128::from(mantissa);
        let kept = wide >> drop;
        let rest = wide & ((1 << drop) - 1);
        let half = 1_u128 << (drop - 1);
        let up = rest > half || rest == half && kept & 1 == 1;
        (kept + u128::from(up)) as u64
    };
    // Two exact scalings: 2^lowest may be subnormal, the product is not rounded.
    let factor = |power: i64| f64::from_bits(((power + 1023) as u64) << 52);
    let half = lowest / 2;
    rounded as f64 * factor(half) * factor(lowest - half)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_hexadecimal_floats() {
        for (text, number) in [
            ("0x1.8p+1", 3.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffffp+1023", f64::MAX),
            ("0x1.0000000000000p-1022", f64::MIN_POSITIVE),
            ("0x1.999999999999ap-4", 0.1),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0x1.000000000000080000000001p0", 1.0 + f64::EPSILON),
            ("0x100000000000000000000p0", 2_f64.powi(80)),
            ("0xff", 255.0),
            ("0x.8", 0.5),
            ("0x0p99999999999999999999", 0.0),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
            assert_eq!(parse(&format!("-{text}")), Some(-number), "-{text}");
        }
        for text in [
            "",
            "-",
            "1.5",
            "0x",
            "0x.",
            "0xg",
            "0x1p",
            "0x1p+",
            "0x1.8p1.0",
            "0x1p1024",
            "0x1p99999999999999999999",
            "nan",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
