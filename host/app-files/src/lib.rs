//! The files of an app: where they lie, and what is told of them.
//!
//! On disk every segment of a path is stored percent-encoded, so that no path means anything to the
//! system but its own file. Links are never followed. A file is written beside its place, synced
//! and moved there: a reader sees the old content or the new one, never a part. With a bucket
//! ([`Storage::on`]) all but programs are objects of it, with the same promise.
//!
//! # Main types
//!
//! * [`FilePath`], [`FolderPath`]: checked paths.
//! * [`AppFiles`]: the files of an app; [`Storage`] says where those of all apps lie.
//! * [`Draft`]: a file that is being written.
//! * [`Facts`]: size, time and tag of a file.
//! * [`Shelves`], [`Shelf`]: files as users and agents see them, with addresses ([`Signer`]), registrations and tickets for
//!   uploads, within what a workspace may store ([`Usage`]).
//!
//! Everything here blocks; it is called from threads that may.
//!
//! ```
//! use mix_app_files::{AppFiles, FilePath};
//! use std::io::Write;
//!
//! let folder = tempfile::tempdir()?;
//! let files = AppFiles::new(folder.path().join("files"));
//! let mut draft = files.draft()?;
//! draft.write_all(b"hello")?;
//! let path = FilePath::parse("/notes/a b.txt")?;
//! assert!(files.put(&path, draft, false)?);
//! assert_eq!(files.stat(&path)?.size, 5);
//! assert!(folder.path().join("files/notes/a%20b.txt").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod disk;
mod entry;
mod error;
mod files;
mod path_locks;
mod registered;
mod remote;
mod shelf;
mod signature;
mod storage;
mod tickets;
mod usage;

pub use disk::{Disk, Draft};
pub use entry::{Facts, Item, Listing, media_type};
pub use error::{FilesError, Result};
pub use files::{AppFiles, Condition, Opened};
pub use mix_file_path::{BadPath, FilePath, FolderPath, app_of_folder, folder_name};
pub use mix_object_store::{Bucket, Settings as BucketSettings, SettingsError, StoreError};
pub use path_locks::Held;
pub use remote::Object;
pub use shelf::{Shelf, Shelves};
pub use signature::Signer;
pub use storage::Storage;
pub use tickets::Claim;
pub use usage::Usage;
