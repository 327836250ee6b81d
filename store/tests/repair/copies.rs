//! Copies, images and recovered databases, and what others may find of them.

use super::*;

/// Names of the files that begin like that.
fn names(path: &Path, prefix: &str) -> Vec<String> {
    let files = fs::read_dir(path.join("v2")).expect("lists");
    let names = files.map(|entry| entry.expect("a file").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn copies_and_recovered_databases_have_their_index() {
    let folder = tempfile::tempdir().expect("scratch");
    let db = open(folder.path());
    for _ in 0..5 {
        // More rows than are indexed at once.
        let batch = (0..4_000).map(|n| Value::map([("n", Value::Int(n))]));
        db.save(batch.collect(), &SaveOptions::default())
            .expect("saves");
    }
    let (copy, fixed) = (
        tempfile::tempdir().expect("scratch"),
        tempfile::tempdir().expect("scratch"),
    );
    db.copy_to(copy.path()).expect("copies");
    fix(folder.path(), fixed.path()).expect("recovers");
    for path in [copy.path(), fixed.path()] {
        assert_eq!(check(path).expect("checks"), []);
        assert!(!names(path, "idx-").is_empty());
        assert_eq!(names(path, "tmp-"), [""; 0]);
        let other = open(path);
        assert_eq!(other.take_warnings(), [""; 0]);
        let pipeline = Pipeline::parse("n == 7 | count()").expect("parses");
        let found: Vec<_> = other
            .query(&pipeline, &QueryOptions::default())
            .expect("runs")
            .map(|item| item.expect("a count").into_value().expect("decodes"))
            .collect();
        assert_eq!(found, [Value::Int(5)]);
        assert_eq!(other.view().records_read(), 0);
    }
}

#[test]
fn what_dead_writers_left_is_removed_in_time() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let left = [
        "idx-0-999.seg",
        "flags-999.rbm",
        "tmp-Q4f7x2Pa",
        "LEASE.0",
        "db.state.0",
    ];
    let fresh = "tmp-aaaaaaaa";
    for name in left.iter().chain([&fresh]) {
        fs::write(folder.path().join("v2").join(name), "x").expect("writes");
    }
    let hour = std::time::Duration::from_secs(3600);
    let before = std::time::SystemTime::now() - hour;
    for name in left {
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join("v2").join(name))
            .expect("opens");
        file.set_modified(before).expect("dates back");
    }
    let db = open(folder.path());
    let sound = rows(&db);
    save(&db, 30, None);
    db.flush().expect("flushes");
    for name in left {
        assert!(!folder.path().join("v2").join(name).exists(), "{name}");
    }
    assert!(folder.path().join("v2").join(fresh).exists());
    drop(db);
    assert_eq!(check(folder.path()).expect("checks"), []);
    let now = rows(&open(folder.path()));
    assert!(sound.iter().all(|(row, record)| now[row] == *record));
}

#[test]
fn copies_and_images_are_the_database_again() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let db = open(folder.path());
    let sound = rows(&db);
    let copy = tempfile::tempdir().expect("scratch");
    db.copy_to(copy.path()).expect("copies");
    let image = tempfile::tempdir().expect("scratch");
    db.export_image(image.path()).expect("exports");
    assert!(!image.path().join("write.log.1").exists());
    let target = tempfile::tempdir().expect("scratch");
    assert_eq!(
        import_image(image.path(), target.path()).expect("imports"),
        sound.len() as u64
    );
    for path in [copy.path(), target.path()] {
        assert_eq!(check(path).expect("checks"), []);
        let other = open(path);
        assert_eq!(rows(&other), sound);
        assert_eq!(other.watermark(), db.watermark());
        assert_eq!(other.name(), Some("tree"));
        assert_eq!(
            other.view().rows(0, 99).expect("rows"),
            db.view().rows(0, 99).expect("rows")
        );
    }
    assert_eq!(
        import_image(image.path(), target.path())
            .expect_err("only new")
            .code(),
        "exists"
    );
    let dat = image.path().join("db.dat");
    let mut bytes = fs::read(&dat).expect("reads");
    bytes[40] ^= 1;
    fs::write(&dat, bytes).expect("writes");
    let spoilt = tempfile::tempdir().expect("scratch");
    let error = import_image(image.path(), spoilt.path()).expect_err("damaged");
    assert_eq!(error.code(), "db_corrupt");
    assert!(
        !spoilt.path().join("v2").exists(),
        "nothing was moved into place"
    );
}

#[test]
fn what_is_refused_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let db = open(folder.path());
    let scratch = tempfile::tempdir().expect("scratch");
    let at = |name: &str| scratch.path().join(name);
    let image = at("image");
    db.export_image(&image).expect("exports");
    drop(db);
    let dat = image.join("db.dat");
    let mut bytes = fs::read(&dat).expect("reads");
    bytes[40] ^= 1;
    fs::write(&dat, bytes).expect("writes");
    // The folders around it go too, but for those that were there.
    fs::create_dir(at("was")).expect("creates");
    for path in [at("new"), at("new/in/new"), at("was/new")] {
        let error = import_image(&image, &path).expect_err("damaged");
        assert_eq!(error.code(), "db_corrupt");
    }
    let error = import_image(&at("nowhere"), &at("new")).expect_err("no image");
    assert_eq!(error.code(), "no_such_db");
    let damaged = folder.path().join("v2/db.dat");
    let whole = fs::read(&damaged).expect("reads");
    let mut bytes = whole.clone();
    bytes[40] ^= 1;
    fs::write(&damaged, bytes).expect("writes");
    let read = open(folder.path());
    let refused = [
        read.copy_to(&at("new/copy")),
        read.export_image(&at("new/image")),
    ];
    for refused in refused {
        assert_eq!(refused.expect_err("damaged").code(), "db_corrupt");
    }
    // Nor is anything of it in the way of the next one, beside what was there.
    fs::write(at("was/note"), "mine").expect("writes");
    read.export_image(&at("was")).expect_err("damaged");
    let names: Vec<_> = fs::read_dir(at("was"))
        .expect("lists")
        .map(|item| item.expect("lists").file_name())
        .collect();
    assert_eq!(names, ["note"]);
    assert!(!at("new").exists());
    drop(read);
    fs::write(&damaged, whole).expect("writes");
    let db = open(folder.path());
    db.export_image(&at("was")).expect("exports");
    import_image(&at("was"), &at("new")).expect("imports");
    assert_eq!(rows(&open(&at("new"))), rows(&db));
}

#[test]
fn nothing_new_takes_the_place_of_a_database_under_another_name() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let db = open(folder.path());
    let image = tempfile::tempdir().expect("scratch");
    db.export_image(image.path()).expect("exports");
    // As a compaction leaves it that was interrupted between its two renames.
    for (name, is_complete) in [("v2.old", false), ("v2.new", true)] {
        let target = tempfile::tempdir().expect("scratch");
        build(target.path());
        let sound = rows(&open(target.path()));
        let renamed = target.path().join(name);
        fs::rename(target.path().join("v2"), &renamed).expect("renames");
        if is_complete {
            fs::write(renamed.join("COMPLETE"), "").expect("writes");
        }
        let refused = [
            import_image(image.path(), target.path()).map(drop),
            db.copy_to(target.path()),
            fix(folder.path(), target.path()).map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.expect_err("is there").code(), "exists", "{name}");
        }
        assert_eq!(rows(&open(target.path())), sound, "{name}");
    }
}

#[test]
fn a_copy_that_was_interrupted_is_no_database() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let db = open(folder.path());
    let target = tempfile::tempdir().expect("scratch");
    let part = target.path().join("v2.new");
    fs::create_dir(&part).expect("creates");
    for name in ["db.dat", "db.off", "db.crc"] {
        fs::copy(folder.path().join("v2").join(name), part.join(name)).expect("copies");
    }
    // It may be the work of another program that goes on.
    assert!(read_only(target.path()).is_err());
    db.copy_to(target.path()).expect("copies");
    assert_eq!(check(target.path()).expect("checks"), []);
    assert_eq!(rows(&open(target.path())), rows(&db));
    assert!(!part.exists());
    // Nobody else may be at work there.
    let other = tempfile::tempdir().expect("scratch");
    let lock = fs::File::create(other.path().join("LOCK")).expect("creates");
    lock.lock().expect("locks");
    assert_eq!(
        db.copy_to(other.path()).expect_err("locked").code(),
        "db_locked"
    );
}
