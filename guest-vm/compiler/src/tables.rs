//! Hash tables of the compiler: names and places are looked up all the time, so the hash is a quick
//! one. It is seeded by the process; what hostile text could gain by collisions is bounded by the
//! limits of its size.

use foldhash::fast::RandomState;

/// A hash map.
pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// A hash set.
pub type HashSet<T> = std::collections::HashSet<T, RandomState>;
