use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Bytes, Segment};
use crate::index::rows::Rows;
use crate::index::segment::{Cache, Part, SegmentWriter, Sink, TermCursor};

const GENERATION: [u8; 8] = *b"k3f9a0Zq";

fn term(number: u32) -> Vec<u8> {
    format!("term {number:06}").into_bytes()
}

/// A segment of several levels; the term of number n has n % 40 + 1 rows.
fn segment(terms: u32) -> Segment {
    let sink = Sink::Memory(Vec::new());
    let mut writer = SegmentWriter::new(sink, GENERATION, 5, 100, 105).expect("memory");
    for number in 0..terms {
        let rows: Vec<u32> = (5..6 + number % 40).collect();
        let part = if number % 3 == 0 {
            Part::Past
        } else {
            Part::Present
        };
        writer
            .add(part, &term(number), Rows::Few(&rows))
            .expect("memory");
    }
    let Ok(Sink::Memory(bytes)) = writer.finish(&[(7, 3)], &RoaringBitmap::new()) else {
        panic!("not in memory");
    };
    let cache = Arc::new(Cache::new(1 << 20));
    let opened = Segment::open("idx-5-100.seg", Bytes::Memory(bytes), GENERATION, &cache);
    opened.expect("memory").expect("a segment")
}

#[test]
fn terms_are_found_in_trees_of_every_height() {
    for terms in [0, 1, 2, 300, 3_000, 60_000] {
        let segment = segment(terms);
        segment.verify().expect("as it was written");
        let mut seen = 0;
        for part in Part::BOTH {
            segment
                .scan(part, b"", b"u", &mut |_| true, &mut |found, rows| {
                    let number: u32 = std::str::from_utf8(&found[5..])
                        .expect("digits")
                        .parse()
                        .expect("a number");
                    assert_eq!(rows.to_bitmap().len(), u64::from(number % 40 + 1));
                    seen += 1;
                })
                .expect("reads");
        }
        assert_eq!(seen, terms);
        for number in (0..terms).step_by(97) {
            let mut found = RoaringBitmap::new();
            for part in Part::BOTH {
                let add = &mut |rows: Rows<'_>| found |= rows.to_bitmap();
                segment.get(part, &term(number), add).expect("reads");
            }
            assert_eq!(found.len(), u64::from(number % 40 + 1));
        }
    }
}

#[test]
fn cursors_go_through_a_range_from_both_ends() {
    for terms in [0, 1, 40, 3_000, 60_000] {
        let segment = Arc::new(segment(terms));
        let here: Vec<u32> = (0..terms).filter(|number| number % 3 != 0).collect();
        for (from, to) in [
            (0, terms),
            (terms / 8, terms / 3 * 2),
            (7, 8),
            (8, 7),
            (2, terms + 9),
        ] {
            let wanted: Vec<u32> = here
                .iter()
                .copied()
                .filter(|number| (from..to).contains(number))
                .collect();
            for descending in [false, true] {
                let mut cursor = TermCursor::new(
                    Arc::clone(&segment),
                    Part::Present,
                    &term(from).into(),
                    &term(to).into(),
                    descending,
                );
                let mut found = Vec::new();
                while cursor.fill().expect("reads") {
                    let name = cursor.term().expect("is there").to_vec();
                    let number: u32 = std::str::from_utf8(&name[5..])
                        .expect("digits")
                        .parse()
                        .expect("a number");
                    cursor
                        .rows(&mut |rows| {
                            assert_eq!(rows.to_bitmap().len(), u64::from(number % 40 + 1));
                        })
                        .expect("reads");
                    found.push(number);
                    cursor.advance();
                }
                if descending {
                    found.reverse();
                }
                assert_eq!(found, wanted, "{from}..{to} of {terms}");
            }
            let mut count = 0;
            let (low, high) = (term(from), term(to.max(from)));
            segment
                .rows_between(Part::Present, &low, &high, &mut |rows| {
                    count += match rows {
                        Rows::Few(rows) => rows.len() as u64,
                        Rows::Many(rows) => rows.len(),
                    };
                })
                .expect("reads");
            let rows = wanted.iter().map(|number| u64::from(number % 40 + 1));
            assert_eq!(count, rows.sum::<u64>(), "{from}..{to} of {terms}");
            let any = segment.has_between(Part::Present, &term(from), &term(to.max(from)));
            assert_eq!(
                any.expect("reads"),
                !wanted.is_empty(),
                "{from}..{to} of {terms}"
            );
        }
    }
}
