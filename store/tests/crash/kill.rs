//! A real process, killed while it writes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mix_store::{Database, OpenOptions, SaveOptions};

use crate::{record, revisions};

const FOLDER: &str = "MIX_STORE_KILL_TEST_FOLDER";

/// The child: saves for ever and says after each save what it saved.
#[test]
fn child_process_of_the_kill_test() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let db = Database::open(Path::new(&folder), OpenOptions::default()).expect("opens");
    println!("ready");
    for number in 0.. {
        let saved = db
            .save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
        println!("saved {}", saved[0].rev().expect("rev"));
        if number % 50 == 49 {
            db.flush().expect("flushes");
        }
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("scratch");
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "kill::child_process_of_the_kill_test",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines
            .by_ref()
            .any(|line| line.is_ok_and(|line| line.contains("ready")));
        assert!(
            ready,
            "round {round}: the child could not open the database"
        );
        std::thread::sleep(Duration::from_millis(40 + 37 * round));
        child.kill().expect("kill -9");
        child.wait().expect("is dead");
        // The pipe still holds what the child said before it died.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("saved ")
                .filter(|rev| rev.len() == 32)
                .map(str::to_owned)
        }));
        let db = Database::open(folder.path(), OpenOptions::default()).expect("opens again");
        let found = revisions(&db);
        assert!(found.len() >= acknowledged.len());
        assert_eq!(found[..acknowledged.len()], acknowledged, "round {round}");
        acknowledged = found;
    }
    assert!(acknowledged.len() > 8, "the child had time to save");
}
