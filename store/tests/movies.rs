//! Real data: the movies of `examples/movies`, saved, queried, read again.

use std::path::Path;

use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Value, escjson};

fn movies() -> Vec<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/movies/files/data/movies.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match escjson::parse_plain(&text).expect("movies.json is JSON") {
        Value::Array(movies) => movies,
        other => panic!("movies.json holds a {}", other.kind()),
    }
}

fn count(db: &Database, query: &str) -> usize {
    let pipeline = Pipeline::parse(query).expect(query);
    let results = db.query(&pipeline, &QueryOptions::default()).expect(query);
    results
        .inspect(|item| assert!(item.is_ok(), "{query}"))
        .count()
}

#[test]
fn movies_are_saved_and_found_again() {
    let folder = tempfile::tempdir().expect("scratch");
    let movies = movies();
    let total = movies.len();
    let of_title = |test: fn(&Value) -> bool| movies.iter().filter(|movie| test(movie)).count();
    let comedies =
        of_title(|movie| movie.get("Major Genre").and_then(Value::as_str) == Some("Comedy"));
    let good = of_title(|movie| {
        movie
            .get("IMDB Rating")
            .and_then(Value::as_float)
            .is_some_and(|rating| rating >= 8.0)
    });
    let rated = of_title(|movie| {
        movie
            .get("IMDB Rating")
            .is_some_and(|rating| !rating.is_null())
    });
    let open = || Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let db = open();
    for batch in movies.chunks(100) {
        db.save(batch.to_vec(), &SaveOptions::default())
            .expect("saves");
    }
    let check = |db: &Database| {
        assert_eq!(count(db, ""), total);
        assert_eq!(count(db, "\"Major Genre\" == \"Comedy\""), comedies);
        assert_eq!(count(db, "\"IMDB Rating\" >= 8"), good);
        assert_eq!(
            count(db, "\"IMDB Rating\" != null and exists \"IMDB Rating\""),
            rated
        );
        assert!(db.view().check().is_empty());
    };
    check(&db);
    drop(db);
    check(&open());
}
