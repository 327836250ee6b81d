//! Records of a workspace within what it may store.

use crate::assembly::Assembly;
use crate::bindings::Failure;
use crate::instance::{failure, failure_of};
use mix_app_files::FilesError;
use mix_value::{Value, msgpack};

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
