//! Programs in components.
//!
//! A component that is made of an app carries the app's executables too, each in a custom section
//! [`SECTION`] of its own, so that whoever has the VM runs the programs without the rest of the component:
//!
//! ```text
//! byte 0; varint size of what follows; varint 11; "mix-program"; the executable (`.mixexe`)
//! ```
//!
//! They are linked: they use no libraries. What is inside of parts of the component does not count.

use thiserror::Error;

/// Name of the sections.
pub const SECTION: &str = "mix-program";

/// How a component begins.
const HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// Id of custom sections.
const CUSTOM: u8 = 0;
/// Programs of a component at most.
const MAX_PROGRAMS: usize = 1000;

/// Why the programs of a component cannot be found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CarriedError {
    /// It is something else.
    #[error("it is no WebAssembly component")]
    NoComponent,
    /// Its sections do not fit into it.
    #[error("the component is damaged: a section ends behind its end")]
    Damaged,
    /// Nobody makes so many.
    #[error("the component carries more than {MAX_PROGRAMS} programs")]
    TooMany,
}

/// The executables that a component carries, in the order of its sections.
pub fn carried(component: &[u8]) -> Result<Vec<&[u8]>, CarriedError> {
    let mut rest = component
        .strip_prefix(&HEAD)
        .ok_or(CarriedError::NoComponent)?;
    let mut found = Vec::new();
    while let Some((&id, after)) = rest.split_first() {
        let (content, after) = sized(after).ok_or(CarriedError::Damaged)?;
        rest = after;
        if id != CUSTOM {
            continue;
        }
        let (name, executable) = sized(content).ok_or(CarriedError::Damaged)?;
        if name != SECTION.as_bytes() {
            continue;
        }
        if found.len() == MAX_PROGRAMS {
            return Err(CarriedError::TooMany);
        }
        found.push(executable);
    }
    Ok(found)
}

/// Appends an executable to a component.
pub fn carry(component: &mut Vec<u8>, executable: &[u8]) {
    let mut content = Vec::new();
    write_size(&mut content, SECTION.len());
    content.extend(SECTION.as_bytes());
    content.extend(executable);
    component.push(CUSTOM);
    write_size(component, content.len());
    component.extend(content);
}

/// Bytes behind their number, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut size = 0_u64;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        size |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes[place + 1..].split_at_checked(usize::try_from(size).ok()?);
        }
    }
    None
}

fn write_size(out: &mut Vec<u8>, mut size: usize) {
    while size > 0x7f {
        out.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_come_back_from_a_component() {
        let mut component = HEAD.to_vec();
        assert_eq!(carried(&component), Ok(Vec::new()));
        // A part that has such a section itself.
        let mut part = HEAD.to_vec();
        carry(&mut part, b"of the part");
        component.push(4);
        write_size(&mut component, part.len());
        component.extend(&part);
        let large = vec![7; 70_000];
        carry(&mut component, b"one");
        carry(&mut component, &large);
        assert_eq!(carried(&component), Ok(vec![&b"one"[..], &large]));
        for length in 0..component.len() {
            if let Ok(found) = carried(&component[..length]) {
                assert!(found.len() < 2);
            }
        }
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for other in [&b""[..], b"text", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01"] {
            assert_eq!(carried(other), Err(CarriedError::NoComponent));
        }
        for damaged in [
            &[0][..],
            &[0, 0],
            &[0, 5, 1],
            &[0, 1, 2],
            &[1, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ] {
            let component = [&HEAD, damaged].concat();
            assert_eq!(
                carried(&component),
                Err(CarriedError::Damaged),
                "{damaged:?}"
            );
        }
        let mut many = HEAD.to_vec();
        for _ in 0..=MAX_PROGRAMS {
            carry(&mut many, b"");
        }
        assert_eq!(carried(&many), Err(CarriedError::TooMany));
    }
}
