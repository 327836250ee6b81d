//! The files of an app as they lie on disk.
//!
//! Every segment of a path is stored percent-encoded, so that no path means anything to the
//! system but its own file. Links are never followed. A file is written beside its place, synced
//! and moved there: a reader sees the old content or the new one, never a part.
//!
//! # Main types
//!
//! * [`FilePath`], [`FolderPath`]: checked paths.
//! * [`AppFiles`]: the folder of an app's files.
//! * [`Draft`]: a file that is being written.
//! * [`Facts`]: size, time and tag of a file.
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

mod error;
mod folder;
mod folder_name;

pub use error::{FilesError, Result};
pub use folder::{AppFiles, Draft, Facts, Item, Listing};
pub use folder_name::{app_of_folder, folder_name};
pub use mix_file_path::{BadPath, FilePath, FolderPath};
