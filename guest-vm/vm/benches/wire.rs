//! Micro-benchmarks: values of programs from and to their wire form.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use mix_value::{escjson, msgpack};
use mix_vm::wire::{Decoder, encode};

fn main() {
    divan::main();
}

/// The films of the example, each in its wire form.
fn films() -> Vec<Vec<u8>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/movies/files/data/movies.json"
    );
    let text = std::fs::read_to_string(path).expect("the films of the example");
    let films = escjson::parse_plain(&text).expect("JSON");
    let films = films.as_array().expect("a list of films");
    let encoded = films.iter().map(msgpack::encode);
    encoded.collect::<Result<_, _>>().expect("encoded films")
}

#[divan::bench]
fn decode_records(bencher: Bencher<'_, '_>) {
    let films = films();
    let mut decoder = Decoder::default();
    let count = ItemsCount::new(films.len());
    bencher.counter(count).bench_local(|| {
        for film in &films {
            black_box(decoder.decode(film).expect("a film"));
        }
    });
}

#[divan::bench]
fn encode_records(bencher: Bencher<'_, '_>) {
    let films = films();
    let mut decoder = Decoder::default();
    let decoded = films.iter().map(|film| decoder.decode(film));
    let decoded: Vec<_> = decoded.collect::<Result<_, _>>().expect("films");
    let count = ItemsCount::new(decoded.len());
    bencher.counter(count).bench_local(|| {
        for film in &decoded {
            black_box(encode(film).expect("encoded"));
        }
    });
}
