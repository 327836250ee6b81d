//! Records of a workspace within what it may store.

use crate::assembly::Assembly;
use crate::bindings::Failure;
use crate::instance::{failure, failure_of};
use crate::workspace::Place;
use mix_app_files::FilesError;
use mix_value::{Value, msgpack};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Fewest bytes that are tried to be written where a write has failed.
const TRIAL: u64 = 4 << 20;
/// Most of them: the largest commit.
const LARGEST_TRIAL: u64 = 64 << 20;
/// What a record may grow to, of which an upsert brings a few members only.
const RECORD: u64 = 16 << 20;
/// The fields that the store adds to a record, and what it writes for one that is deleted, are at
/// most that many times as long as the shortest record or id in a call.
const GROWTH: u64 = 16;

/// Functions of the record store that add to what is stored.
const GROWING: [&str; 6] = [
    "$db_save_one",
    "$db_save_a",
    "$db_save_ar",
    "$db_upsert_a",
    "$db_upsert_ar",
    "$db_http_save",
];

/// Fails if a call would store more than its workspace may.
pub async fn check(
    assembly: &Assembly,
    workspace: &str,
    function: &str,
    args: &[u8],
) -> Result<(), Failure> {
    let Some(files) = &assembly.files else {
        return Ok(());
    };
    if !files.usage.is_limited() {
        return Ok(());
    }
    let size = args.len() as u64;
    if !GROWING.contains(&function) || files.usage.add_at_once(workspace, size) {
        return Ok(());
    }
    if function == "$db_http_save" && is_deletion(args) {
        return Ok(());
    }
    let (files, workspace) = (files.clone(), workspace.to_owned());
    let added = tokio::task::spawn_blocking(move || files.usage.add(&workspace, size)).await;
    match added {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error @ FilesError::Full { .. })) => {
            Err(failure_of("ERR_IO", "db_full", format!("db_full: {error}")))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "what a workspace stores cannot be counted");
            Ok(())
        }
        Err(error) => {
            tracing::error!(%error, "what a workspace stores cannot be counted");
            let message = "the workspace cannot be counted";
            Err(failure("ERR_INTERNAL", message.to_owned()))
        }
    }
}

/// The failure of a call of the record store with so many bytes of arguments, with its cause if that is want of room: in a component a
/// file says of a write no more than that it failed.
pub async fn judged(place: &Place, function: &str, size: usize, failure: Failure) -> Failure {
    if place.is_memory() || !is_io(&failure) {
        return failure;
    }
    let (folder, trial) = (place.folder(), trial(function, size as u64));
    let trying = tokio::task::spawn_blocking(move || is_full(&folder, trial));
    caused(failure, trying.await.unwrap_or(false))
}

fn caused(failure: Failure, is_full: bool) -> Failure {
    match is_full {
        true => failure_of(
            "ERR_IO",
            "disk_full",
            "disk_full: the disk is full".to_owned(),
        ),
        false => failure,
    }
}

/// True if the record store could not read or write.
fn is_io(failure: &Failure) -> bool {
    let detail = failure
        .detail
        .as_deref()
        .and_then(|detail| msgpack::decode(detail).ok());
    let code = detail.as_ref().and_then(|detail| detail.get("code"));
    code.and_then(Value::as_str) == Some("db_io")
}

/// How many bytes a call may have tried to write.
fn trial(function: &str, size: u64) -> u64 {
    let least = match function {
        "$db_upsert_a" | "$db_upsert_ar" | "$db_http_save" => RECORD.saturating_add(TRIAL),
        _ => TRIAL,
    };
    size.saturating_mul(GROWTH).clamp(least, LARGEST_TRIAL)
}

/// True if there is no room for so many bytes on the disk of a folder, which may be gone.
fn is_full(folder: &Path, trial: u64) -> bool {
    let Some(there) = folder.ancestors().find(|folder| folder.is_dir()) else {
        return false;
    };
    let tried = tempfile::tempfile_in(there)
        .and_then(|mut file| std::io::copy(&mut std::io::repeat(0).take(trial), &mut file));
    tried.is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        )
    })
}

/// The function of HTTP endpoints deletes too.
fn is_deletion(args: &[u8]) -> bool {
    let Ok(Value::Array(values)) = msgpack::decode(args) else {
        return false;
    };
    let operation = values.get(1).and_then(|request| request.get("op"));
    operation.and_then(Value::as_str) == Some("delete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_found_no_room_says_so() {
        let write = failure_of("ERR_IO", "db_io", "db_io: writing the write log".to_owned());
        assert!(is_io(&write) && !is_io(&failure("ERR_IO", "db_io".to_owned())));
        assert!(!is_io(&failure_of("ERR_IO", "db_failed", String::new())));
        assert_eq!(caused(write.clone(), false).message, write.message);
        let full = caused(write, true);
        assert_eq!(
            (&*full.code, &*full.message),
            ("ERR_IO", "disk_full: the disk is full")
        );
        assert!(!is_io(&full));
        let scratch = tempfile::tempdir().expect("a folder");
        assert!(!is_full(&scratch.path().join("gone/v2"), 1));
    }

    #[test]
    fn as_much_is_tried_as_a_call_may_have_written() {
        assert_eq!(trial("$db_save_a", 100), TRIAL);
        assert_eq!(trial("$db_save_a", 6 << 20), LARGEST_TRIAL);
        assert_eq!(trial("$db_save_a", u64::MAX), LARGEST_TRIAL);
        assert!(trial("$db_upsert_a", 100) > RECORD);
        assert!(trial("$db_save_one", 1 << 20) >= 16 << 20);
    }

    #[test]
    fn deletions_are_told_from_records() {
        let args = |op: &str| {
            let request = Value::map([
                ("records", Value::Array(Vec::new())),
                ("op", Value::from(op)),
            ]);
            msgpack::encode(&Value::Array(vec![Value::Null, request])).expect("encodes")
        };
        assert!(is_deletion(&args("delete")));
        assert!(!is_deletion(&args("save")));
        assert!(!is_deletion(&[0xc1]));
    }
}
