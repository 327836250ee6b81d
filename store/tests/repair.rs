//! Damage is found and named, never served; what is intact is recovered.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use mix_store::folder::NativeFolder;
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, Record, SaveOptions, check, check_in, fix, import_image};
use mix_value::{Ref, Value};

#[path = "repair/copies.rs"]
mod copies;

fn open(path: &Path) -> Database {
    Database::open(path, OpenOptions::default()).expect("opens")
}

fn save(db: &Database, number: i64, id: Option<&Ref>) -> Ref {
    let mut pairs = vec![
        ("n", Value::Int(number)),
        (
            "text",
            Value::from("some text ".repeat(number as usize % 5)),
        ),
    ];
    pairs.extend(id.map(|id| ("_rmx_id", Value::Ref(id.clone()))));
    let saved = db
        .save(vec![Value::map(pairs)], &SaveOptions::default())
        .expect("saves");
    saved[0].id().expect("id")
}

/// A database with checkpointed rows, flags, a generation before, and commits in the log.
fn build(path: &Path) {
    let options = OpenOptions {
        name: Some("tree".into()),
        ..OpenOptions::default()
    };
    let db = Database::open(path, options).expect("new");
    let ids: Vec<Ref> = (0..6).map(|number| save(&db, number, None)).collect();
    save(&db, 10, Some(&ids[0]));
    db.delete(&ids[1..2], "x").expect("deletes");
    db.prune(0).expect("a new generation");
    db.set_flags(&[(2, true)], &[]).expect("sets");
    db.flush().expect("flushes");
    save(&db, 20, Some(&ids[2]));
    save(&db, 21, None);
    save(&db, 22, None);
}

/// All rows by their number.
fn rows(db: &Database) -> HashMap<u32, Record> {
    let view = db.view().including(true, true);
    let rows = view.rows(0, usize::MAX).expect("rows");
    rows.into_iter()
        .filter_map(|row| Some((row, view.record(row).ok()?)))
        .collect()
}

/// The files that count.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut newest: HashMap<String, (u64, PathBuf)> = HashMap::new();
    for entry in fs::read_dir(path.join("v2")).expect("lists") {
        let path = entry.expect("entry").path();
        let name = path
            .file_name()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        if name == "name.txt" || name.starts_with("LEASE") {
            continue;
        }
        // Of numbered files only the newest is read.
        let (stem, number) = match name.rsplit_once('.') {
            Some((stem, digits)) if digits.parse::<u64>().is_ok() => {
                (stem.to_owned(), digits.parse().expect("number"))
            }
            _ => (name.clone(), 0),
        };
        let known = newest.entry(stem).or_insert((number, path.clone()));
        if number >= known.0 {
            *known = (number, path);
        }
    }
    newest.into_values().map(|(_, path)| path).collect()
}

#[test]
fn a_sound_database_has_no_findings() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    assert_eq!(check(folder.path()).expect("checks"), []);
    drop(open(folder.path()));
    assert_eq!(check(folder.path()).expect("checks"), []);
    open(folder.path()).close().expect("checkpoint");
    assert_eq!(check(folder.path()).expect("checks"), []);
}

/// Copies of a database that are damaged at the same time: whoever opens a damaged one waits
/// now and then for a writer that might be at work, and does nothing meanwhile.
const COPIES: usize = 16;

fn read_only(path: &Path) -> mix_store::Result<Database> {
    let options = OpenOptions {
        read_only: true,
        damaged: true,
        ..OpenOptions::default()
    };
    Database::open(path, options)
}

/// The same files in another folder.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("entry");
        let copy = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_files(&entry.path(), &copy),
            false => drop(fs::copy(entry.path(), copy).expect("copies")),
        }
    }
}

/// Names and bytes of the files that count.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    let files = files(path).into_iter();
    files
        .map(|path| {
            let name = path.file_name().expect("name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("reads"))
        })
        .collect()
}

/// Flips a bit of one byte and looks what is found and what is served.
fn flip(path: &Path, name: &str, bytes: &[u8], at: usize, sound: &HashMap<u32, Record>) {
    let mut damaged = bytes.to_vec();
    damaged[at] ^= 1 << (at % 8);
    fs::write(path.join("v2").join(name), &damaged).expect("writes");
    let findings = check_in(&NativeFolder::new(path.join("v2"))).expect("checks");
    assert!(
        findings.iter().any(|finding| finding.file == name),
        "{name} byte {at}: {findings:?}"
    );
    let db = read_only(path).unwrap_or_else(|error| panic!("{name} byte {at}: {error}"));
    let found = rows(&db);
    // What one bit can hit: a row or a commit, a checksum, an end of one row and the start of the next.
    let hit = match name {
        "db.dat" | "db.crc" => 1,
        "db.off" => 2,
        _ => usize::from(name.starts_with("write.log")),
    };
    assert!(
        found.len() + hit >= sound.len(),
        "{name} byte {at}: {} of {}",
        found.len(),
        sound.len()
    );
    for (row, record) in &found {
        let rev = record.rev().expect("rev");
        let mut known = sound.iter();
        let (number, expected) = known
            .find(|(_, record)| record.rev().expect("rev") == rev)
            .expect("no row comes from nowhere");
        let plain = |record: &Record| {
            let mut value = record.value().expect("decodes");
            if let Value::Map(map) = &mut value {
                // Flags set by hand are derived anew where their file is damaged.
                map.remove("_rmx_superseded");
                // The row goes by its place, which a lost one before it changes.
                assert_eq!(
                    map.remove("_rmx_row"),
                    Some(Value::Int(record.row().into()))
                );
            }
            value
        };
        assert_eq!(plain(record), plain(expected), "{name} byte {at}");
        assert!(row <= number, "{name} byte {at}");
        assert!(
            row == number || found.len() < sound.len(),
            "{name} byte {at}"
        );
    }
}

#[test]
fn every_flipped_bit_is_found_named_and_never_served() {
    let folder = tempfile::tempdir().expect("scratch");
    let original = folder.path().join("original");
    build(&original);
    let sound = rows(&read_only(&original).expect("opens"));
    assert_eq!(sound.len(), 11);
    let files = contents(&original);
    assert_eq!(files.len(), 8);
    let (files, sound) = (&files, &sound);
    std::thread::scope(|scope| {
        for number in 0..COPIES {
            let path = folder.path().join(format!("copy{number}"));
            copy_files(&original, &path);
            scope.spawn(move || {
                for (name, bytes) in files {
                    for at in (number..bytes.len()).step_by(COPIES) {
                        flip(&path, name, bytes, at, sound);
                    }
                    fs::write(path.join("v2").join(name), bytes).expect("writes");
                }
                assert_eq!(check(&path).expect("checks"), []);
            });
        }
    });
}

#[test]
fn damage_to_a_log_that_only_overtaken_writers_follow_is_named_too() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let sound = rows(&read_only(folder.path()).expect("opens")).len();
    let logs = fs::read_dir(folder.path().join("v2")).expect("lists");
    let mut logs: Vec<String> = logs
        .map(|log| log.expect("entry").file_name().to_string_lossy().into())
        .filter(|name: &String| name.starts_with("write.log."))
        .collect();
    logs.sort_unstable();
    // The one through which the folders were exchanged, and the present one.
    assert_eq!(logs.len(), 2, "{logs:?}");
    let path = folder.path().join("v2").join(&logs[0]);
    let bytes = fs::read(&path).expect("reads");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).expect("writes");
        let findings = check(folder.path()).expect("checks");
        assert_eq!(findings.len(), 1, "byte {at}: {findings:?}");
        assert_eq!(findings[0].file, logs[0]);
    }
    assert_eq!(rows(&read_only(folder.path()).expect("opens")).len(), sound);
    fs::write(&path, bytes).expect("writes");
    assert_eq!(check(folder.path()).expect("checks"), []);
}

/// The revisions of all rows, in the order of their numbers.
fn revs(db: &Database) -> Vec<String> {
    let mut rows: Vec<_> = rows(db).into_iter().collect();
    rows.sort_by_key(|(row, _)| *row);
    rows.iter()
        .map(|(_, record)| record.rev().expect("rev").to_string())
        .collect()
}

/// Flips a bit of one byte and recovers what is left.
fn fix_flipped(path: &Path, name: &str, bytes: &[u8], at: usize, sound: &[String]) {
    // Of a damaged row, or commit, nothing is left.
    let rows_hit = usize::from(name == "db.dat" || name.starts_with("write.log"));
    let mut damaged = bytes.to_vec();
    damaged[at] ^= 1 << (at % 8);
    let file = path.join("v2").join(name);
    fs::write(&file, &damaged).expect("writes");
    let out = tempfile::tempdir().expect("scratch");
    let fixed = fix(path, out.path()).expect("fixes");
    assert_eq!(check(out.path()).expect("checks"), [], "{name} byte {at}");
    let db = open(out.path());
    let found = revs(&db);
    assert_eq!(fixed.kept, found.len() as u64);
    let said = fixed.findings.iter().filter(|finding| {
        // The end of a log may also be a commit that was never finished.
        finding.lost || finding.what.contains("unfinished")
    });
    assert!(
        said.count() >= sound.len() - found.len(),
        "{name} byte {at}: what is lost is said"
    );
    assert!(
        found.len() + rows_hit >= sound.len(),
        "{name} byte {at}: {} of {}: {:?}",
        found.len(),
        sound.len(),
        fixed.findings
    );
    let mut all = sound.iter();
    assert!(
        found.iter().all(|rev| all.any(|other| other == rev)),
        "{name} byte {at}"
    );
    assert_eq!(
        fs::read(&file).expect("reads"),
        damaged,
        "the original is left as it is"
    );
    save(&db, 1, None);
}

/// Who only reads gets what is intact of a database that is not opened otherwise.
#[test]
fn a_damaged_database_can_be_read() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let sound = read_only(folder.path()).expect("opens");
    let (all, watermark) = (revs(&sound), sound.watermark());
    for (name, bytes) in contents(folder.path()) {
        // In the second of three commits: a torn tail is not damage.
        let (at, lost) = match name.as_str() {
            name if name.starts_with("db.state") => (20, 0),
            name if name.starts_with("write.log") => (bytes.len() / 2, 1),
            _ => continue,
        };
        let path = folder.path().join("v2").join(&name);
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&path, &damaged).expect("writes");
        for read_only in [false, true] {
            let options = OpenOptions {
                read_only,
                ..OpenOptions::default()
            };
            let refused = Database::open(folder.path(), options).expect_err("damaged");
            assert_eq!(refused.code(), "db_corrupt", "{name}");
        }
        let db = read_only(folder.path()).expect("reads");
        let warnings = db.take_warnings();
        assert!(
            warnings.iter().any(|warning| warning.contains("fix")),
            "{name}: {warnings:?}"
        );
        let shown = revs(&db);
        assert_eq!(shown.len() + lost, all.len(), "{name}");
        let pipeline = Pipeline::parse("n == 22 | ._rmx_row").expect("parses");
        let options = QueryOptions::default();
        let found: Result<Vec<_>, _> = db.query(&pipeline, &options).expect("asks").collect();
        assert_eq!(found.expect("answers").len(), 1, "{name}");
        // Rows that moved are of another generation.
        let moved = lost > 0 || name.starts_with("db.state");
        assert_eq!(db.watermark() != watermark, moved, "{name}");
        assert_eq!(fs::read(&path).expect("reads"), damaged, "left as it is");
        fs::write(&path, bytes).expect("writes");
    }
}

/// Nobody is shown less than was saved because a file is not there any more.
#[test]
fn a_file_that_is_gone_is_damage_for_whoever_reads() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let sound = read_only(folder.path()).expect("opens");
    let all = revs(&sound);
    for (name, bytes) in contents(folder.path()) {
        let derived = name.ends_with(".seg") || name.starts_with("flags-");
        if derived || name == "prev.rbm" {
            continue;
        }
        let path = folder.path().join("v2").join(&name);
        fs::remove_file(&path).expect("removes");
        for read_only in [true, false] {
            let options = OpenOptions {
                read_only,
                create: false,
                ..OpenOptions::default()
            };
            match Database::open(folder.path(), options) {
                Ok(db) => assert_eq!(revs(&db), all, "{name} {read_only}"),
                Err(error) => assert_eq!(error.code(), "db_corrupt", "{name} {read_only}"),
            }
        }
        assert_ne!(check(folder.path()).expect("checks"), [], "{name}");
        let left: Vec<PathBuf> = files(folder.path());
        for file in left.iter().filter(|file| contents_of(file).is_empty()) {
            // What was announced in vain.
            fs::remove_file(file).expect("removes");
        }
        fs::write(&path, bytes).expect("writes");
    }
    assert_eq!(revs(&read_only(folder.path()).expect("opens")), all);
}

fn contents_of(path: &Path) -> Vec<u8> {
    fs::read(path).expect("reads")
}

#[test]
fn fix_recovers_every_row_that_is_intact() {
    let folder = tempfile::tempdir().expect("scratch");
    let original = folder.path().join("original");
    build(&original);
    let sound = revs(&read_only(&original).expect("opens"));
    let files = contents(&original);
    let (files, sound) = (&files, &sound);
    std::thread::scope(|scope| {
        for number in 0..COPIES {
            let path = folder.path().join(format!("copy{number}"));
            copy_files(&original, &path);
            scope.spawn(move || {
                for (name, bytes) in files {
                    let all = (0..bytes.len()).step_by(13);
                    for at in all.skip(number).step_by(COPIES) {
                        fix_flipped(&path, name, bytes, at, sound);
                    }
                    fs::write(path.join("v2").join(name), bytes).expect("writes");
                }
            });
        }
    });
    for name in ["db.crc", "db.off"] {
        let path = original.join("v2").join(name);
        let bytes = fs::read(&path).expect("reads");
        fs::remove_file(&path).expect("removes");
        let out = tempfile::tempdir().expect("scratch");
        fix(&original, out.path()).expect("fixes");
        assert_eq!(revs(&open(out.path())), *sound, "without {name}");
        fs::write(&path, &bytes).expect("writes");
    }
    let error = fix(&original, &original).expect_err("never over a database");
    assert_eq!(error.code(), "exists");
}

fn below(state: &mut u64, limit: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
}

#[test]
fn mangled_files_end_in_errors_not_in_panics() {
    let folder = tempfile::tempdir().expect("scratch");
    build(folder.path());
    let files = files(folder.path());
    let sound: Vec<Vec<u8>> = files
        .iter()
        .map(|path| fs::read(path).expect("reads"))
        .collect();
    let read_only = || OpenOptions {
        read_only: true,
        damaged: true,
        ..OpenOptions::default()
    };
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..400 {
        for _ in 0..=below(&mut state, 3) {
            let at = below(&mut state, files.len());
            let mut bytes = fs::read(&files[at]).expect("reads");
            let from = below(&mut state, bytes.len() + 1);
            match below(&mut state, 5) {
                0 => bytes.truncate(from),
                1 => bytes.extend(vec![0; from]),
                2 => {
                    let to = (from + below(&mut state, 40)).min(bytes.len());
                    bytes[from..to].fill(below(&mut state, 256) as u8);
                }
                3 => {
                    // Another file's bytes in the middle of this one.
                    let other = &sound[below(&mut state, sound.len())];
                    let to = below(&mut state, other.len() + 1);
                    bytes.splice(from..from, other[..to].iter().copied());
                }
                _ => {
                    let to = (from + below(&mut state, 90)).min(bytes.len());
                    bytes.drain(from..to);
                }
            }
            fs::write(&files[at], bytes).expect("writes");
        }
        if let Ok(db) = Database::open(folder.path(), read_only()) {
            rows(&db);
        }
        check_in(&NativeFolder::new(folder.path().join("v2"))).expect("checks");
        if round % 8 == 0 {
            let out = tempfile::tempdir().expect("scratch");
            fix(folder.path(), out.path()).expect("fixes");
            rows(&open(out.path()));
        }
        for (path, bytes) in files.iter().zip(&sound) {
            fs::write(path, bytes).expect("writes");
        }
    }
    assert_eq!(check(folder.path()).expect("checks"), []);
}

/// Files whose checksums are right and whose numbers are not: somebody made them.
#[test]
fn forged_numbers_are_found_soon_and_do_no_harm() {
    let folder = tempfile::tempdir().expect("scratch");
    let sound = folder.path().join("sound");
    build(&sound);
    let newest = |prefix: &str| {
        let files = files(&sound).into_iter().map(|path| {
            let name = path.file_name().expect("a name").to_os_string();
            name.into_string().expect("UTF-8")
        });
        let mut found = files.filter(|name| name.starts_with(prefix));
        found.next().expect("the file")
    };
    let (state_name, log_name) = (newest("db.state."), newest("write.log."));
    let state = fs::read_to_string(sound.join("v2").join(&state_name)).expect("the state");
    let state = state.lines().next().expect("a line").to_owned();
    let log = fs::read(sound.join("v2").join(&log_name)).expect("the log");
    let opened = folder.path().join("opened");
    copy_files(&sound, &opened);
    let expected = rows(&open(&opened)).len();
    let mut forged = Vec::new();
    for (name, value) in [
        ("rows", i64::from(u32::MAX)),
        ("dat_len", i64::MAX),
        ("seq", i64::MAX),
        ("time", i64::MAX),
        ("time", i64::MIN),
    ] {
        let at = state.find(&format!("\"{name}\":")).expect("the member") + name.len() + 3;
        let end = at + state[at..].find([',', '}']).expect("an end");
        let line = format!("{}{value}{}", &state[..at], &state[end..]);
        let text = format!("{line}\n{:08x}\n", crc32c::crc32c(line.as_bytes()));
        forged.push((
            &state_name,
            text.into_bytes(),
            format!("{name} of the state"),
        ));
    }
    for (at, what) in [(8, "fence"), (16, "previous"), (24, "seal"), (32, "base")] {
        for number in [u64::MAX, 1 << 53] {
            let mut bytes = log.clone();
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            let sum = crc32c::crc32c(&bytes[..52]);
            bytes[52..56].copy_from_slice(&sum.to_le_bytes());
            forged.push((&log_name, bytes, format!("{what} of the log")));
        }
    }
    for (number, (name, bytes, what)) in forged.into_iter().enumerate() {
        let path = folder.path().join(format!("forged-{number}"));
        copy_files(&sound, &path);
        fs::write(path.join("v2").join(name), bytes).expect("writes");
        let findings = check(&path).expect("checks");
        // A wrong time alone is no damage to anything.
        assert!(!findings.is_empty() || what.starts_with("time"), "{what}");
        assert!(findings.len() < 20, "{what}: {findings:?}");
        let fixed = fix(&path, &folder.path().join(format!("fixed-{number}"))).expect("fixes");
        assert!(fixed.kept as usize <= expected, "{what}");
        // It opens, or says why not.
        if let Ok(db) = Database::open(&path, OpenOptions::default()) {
            save(&db, 99, None);
        }
    }
}
