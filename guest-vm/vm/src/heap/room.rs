//! Growing values by much: where there is no memory for it, the program fails with `RT_MEMORY`.
//!
//! In a component whose host sets no limit nothing fails before memory itself ends, and an allocation that
//! cannot be made ends the instance, with all other runs in it. So what can become large in one step is asked for
//! first. For small steps the allocator of components holds something back, and says when it has come to that
//! ([`MemoryLimit::Reserve`](crate::MemoryLimit)).

use crate::failure::Failure;

/// Smaller blocks are not asked for.
const LARGE: usize = 1 << 20;

/// There is no more memory.
#[must_use]
pub fn exhausted() -> Failure {
    Failure::new("RT_MEMORY", "memory limit exceeded")
}

/// Fails if no block of so many bytes can be had now.
pub fn check(bytes: usize) -> Result<(), Failure> {
    if bytes < LARGE {
        return Ok(());
    }
    let asked = Vec::<u8>::new().try_reserve_exact(bytes);
    asked.map_err(|_| exhausted())
}

/// Fails if no block for so many values can be had now.
pub fn check_values<T>(count: usize) -> Result<(), Failure> {
    check(count.saturating_mul(size_of::<T>()))
}

/// Makes room for more items, with some to spare if that can be had.
pub fn reserve<T>(items: &mut Vec<T>, more: usize) -> Result<(), Failure> {
    items
        .try_reserve(more)
        .or_else(|_| items.try_reserve_exact(more))
        .map_err(|_| exhausted())
}

/// The same for a text.
pub fn reserve_text(text: &mut String, more: usize) -> Result<(), Failure> {
    text.try_reserve(more)
        .or_else(|_| text.try_reserve_exact(more))
        .map_err(|_| exhausted())
}

/// Adds an item.
pub fn push<T>(items: &mut Vec<T>, item: T) -> Result<(), Failure> {
    if items.len() == items.capacity() {
        reserve(items, 1)?;
    }
    items.push(item);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_a_failure() {
        assert!(check(1 << 24).is_ok());
        for bytes in [isize::MAX as usize + 1, usize::MAX] {
            let failure = check(bytes).expect_err("too much");
            assert_eq!(failure.code(), "RT_MEMORY");
        }
        assert!(check_values::<u64>(usize::MAX / 4).is_err());
        let mut items = vec![1u64];
        assert!(reserve(&mut items, usize::MAX / 8).is_err());
        push(&mut items, 2).expect("room");
        assert_eq!(items, [1, 2]);
    }
}
