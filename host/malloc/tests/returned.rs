//! A process of its own: what its allocator holds is measured.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

/// Memory of this process that no file has, in bytes.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the state of this process");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    number.expect("a number of KiB") << 10
}

#[test]
fn memory_that_other_threads_have_freed_goes_back_to_the_system() {
    const BLOCK: usize = 5_000;
    const BLOCKS: usize = 20_000;
    mix_malloc::return_memory_soon();
    let before = held();
    let (send, blocks) = std::sync::mpsc::channel();
    let made = std::thread::spawn(move || {
        for number in 0..BLOCKS {
            send.send(vec![number as u8; BLOCK])
                .expect("somebody receives");
        }
    });
    let blocks: Vec<Vec<u8>> = blocks.into_iter().collect();
    made.join().expect("the blocks are made");
    let full = held();
    assert!(
        full - before > (BLOCK * BLOCKS) as u64 / 2,
        "{before} {full}"
    );
    drop(blocks);
    let begin = Instant::now();
    while held() - before > (BLOCK * BLOCKS) as u64 / 10 {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{before} {full} {}",
            held()
        );
        // Whoever allocates cleans up.
        drop(std::hint::black_box(vec![1u8; 3 * BLOCK]));
        std::thread::sleep(Duration::from_millis(10));
    }
}
