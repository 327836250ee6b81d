//! Module `random`: a generator that is good for programs but not for secrets,
//! and the choice of characters by random bytes of the host.

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;

/// Longest random text.
const MAX_LENGTH: usize = 1_000_000;

/// Random bytes asked for at once.
const MAX_DRAW: usize = 65_536;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#random_int" => random_int,
        "#random_float" => |surroundings, _| Ok(Value::Float(unit(surroundings))),
        "#random_string" => random_string,
        "#random_draw_count" => draw_count,
        "#random_choose" => choose,
        _ => return None,
    })
}

/// The next 64 bits: SplitMix64.
fn next(surroundings: &mut Surroundings) -> u64 {
    surroundings.random = surroundings.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = surroundings.random;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number below `bound`, without bias; `bound` is at least 1.
fn below(surroundings: &mut Surroundings, bound: u64) -> u64 {
    // Values from here on would make small results likelier.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let bits = next(surroundings);
        if bits < limit || limit == 0 {
            return bits % bound;
        }
    }
}

/// A float strictly between 0 and 1.
fn unit(surroundings: &mut Surroundings) -> f64 {
    ((next(surroundings) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

fn random_int(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (least, greatest) = (args::integral(&args[0])?, args::integral(&args[1])?);
    if least > greatest {
        return Err(Failure::range(format!(
            "{least} is greater than {greatest}"
        )));
    }
    let span = least.abs_diff(greatest);
    let offset = match span.checked_add(1) {
        Some(bound) => below(surroundings, bound),
        None => next(surroundings),
    };
    Ok(Value::Int(least.wrapping_add_unsigned(offset)))
}

/// The characters and the length that are asked for.
fn wanted(args: &[Value]) -> Result<(Vec<char>, usize), Failure> {
    let alphabet: Vec<char> = args::text(&args[0])?.chars().collect();
    let length = args::integral(&args[1])?;
    match usize::try_from(length) {
        Ok(length) if length > MAX_LENGTH => Err(Failure::new(
            "ERR_TOO_LARGE",
            "a random text has at most 1000000 characters",
        )),
        Ok(length) if length == 0 || !alphabet.is_empty() => Ok((alphabet, length)),
        Ok(_) => Err(Failure::range("there is no character to choose")),
        Err(_) => Err(Failure::range(format!("{length} is not a length"))),
    }
}

fn random_string(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (alphabet, length) = wanted(args)?;
    let mut out = String::new();
    for _ in 0..length {
        out.push(alphabet[below(surroundings, alphabet.len() as u64) as usize]);
    }
    Ok(Value::text(out))
}

/// How many random bytes to draw for a text; four choose one character.
fn draw_count(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (_, length) = wanted(args)?;
    Ok(Value::Int((length * 4).min(MAX_DRAW) as i64))
}

/// `(alphabet, length, bytes)`: the characters that the bytes choose.
fn choose(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (alphabet, length) = wanted(args)?;
    let size = alphabet.len() as u64;
    let range = u64::from(u32::MAX) + 1;
    let mut out = String::new();
    for bytes in args::binary(&args[2])?.chunks_exact(4).take(length) {
        let number = bytes
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // Numbers beyond the last whole multiple would favour some characters.
        if size > 0 && number < range - range % size {
            out.push(alphabet[(number % size) as usize]);
        }
    }
    Ok(Value::text(out))
}
