//! A process of its own: the bound is for all of its threads.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::sync::Barrier;

/// Each arena but the first begins at a multiple of this.
const HEAP: u64 = 64 << 20;

/// Arenas beside the first one.
fn arenas() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the memory of this process");
    let begins = maps.lines().filter(|line| line.contains(" rw-p "));
    let begins = begins.filter_map(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
    begins.filter(|begin| begin % HEAP == 0).count()
}

#[test]
fn many_threads_share_as_many_arenas_as_there_are_cores() {
    let Some(most) = mix_malloc::bound_arenas() else {
        // The environment has decided.
        return;
    };
    let threads = most * 16;
    let barrier = Barrier::new(threads + 1);
    let found = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let held = vec![1u8; 50_000];
                barrier.wait();
                barrier.wait();
                drop(held);
            });
        }
        barrier.wait();
        let found = arenas();
        barrier.wait();
        found
    });
    // Stacks of threads may begin there by chance.
    assert!(found <= most + 2, "{found} arenas, {most} are allowed");
}
