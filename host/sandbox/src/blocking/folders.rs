//! Folders whose files are worked on where they are asked for.

use super::Handles;
use futures::FutureExt;
use wasmtime::component::Resource;
use wasmtime::format_err;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types as asynchronous;
use wasmtime_wasi::p2::bindings::sync::filesystem::types;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream,
    ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{Error, InputStream, OutputStream};
use wasmtime_wasi::p2::{FsError, FsResult};

/// The result of what does not wait, because the store may block its thread.
fn done<T>(work: impl Future<Output = FsResult<T>>) -> FsResult<T> {
    match work.now_or_never() {
        Some(result) => result,
        None => Err(FsError::trap(format_err!(
            "a file was left to another thread"
        ))),
    }
}

/// A function of descriptors, done at once.
macro_rules! at_once {
    ($handles:ident.$function:ident($($argument:expr),*)) => {
        done(asynchronous::HostDescriptor::$function(
            &mut $handles.state.filesystem(),
            $($argument),*
        ))
    };
}

impl types::Host for Handles<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.state.filesystem(), error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.state.filesystem(), error)
    }
}

impl types::HostDescriptor for Handles<'_> {
    fn advise(
        &mut self,
        of: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> FsResult<()> {
        at_once!(self.advise(of, offset, length, advice.into()))
    }

    fn sync_data(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        at_once!(self.sync_data(of))
    }

    fn get_flags(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        at_once!(self.get_flags(of)).map(Into::into)
    }

    fn get_type(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorType> {
        at_once!(self.get_type(of)).map(Into::into)
    }

    fn set_size(&mut self, of: Resource<Descriptor>, size: u64) -> FsResult<()> {
        at_once!(self.set_size(of, size))
    }

    fn set_times(
        &mut self,
        of: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        at_once!(self.set_times(of, accessed.into(), modified.into()))
    }

    fn read(
        &mut self,
        of: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> FsResult<(Vec<u8>, bool)> {
        at_once!(self.read(of, length, offset))
    }

    fn write(&mut self, of: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        at_once!(self.write(of, bytes, offset))
    }

    fn read_directory(
        &mut self,
        of: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        at_once!(self.read_directory(of))
    }

    fn sync(&mut self, of: Resource<Descriptor>) -> FsResult<()> {
        at_once!(self.sync(of))
    }

    fn create_directory_at(&mut self, of: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_once!(self.create_directory_at(of, path))
    }

    fn stat(&mut self, of: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        at_once!(self.stat(of)).map(Into::into)
    }

    fn stat_at(
        &mut self,
        of: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        at_once!(self.stat_at(of, flags.into(), path)).map(Into::into)
    }

    fn set_times_at(
        &mut self,
        of: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        at_once!(self.set_times_at(of, flags.into(), path, accessed.into(), modified.into()))
    }

    fn link_at(
        &mut self,
        of: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        to: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        at_once!(self.link_at(of, flags.into(), path, to, new_path))
    }

    fn open_at(
        &mut self,
        of: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        wanted: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        at_once!(self.open_at(of, flags.into(), path, open.into(), wanted.into()))
    }

    fn drop(&mut self, of: Resource<Descriptor>) -> wasmtime::Result<()> {
        types::HostDescriptor::drop(&mut self.state.filesystem(), of)
    }

    fn readlink_at(&mut self, of: Resource<Descriptor>, path: String) -> FsResult<String> {
        at_once!(self.readlink_at(of, path))
    }

    fn remove_directory_at(&mut self, of: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_once!(self.remove_directory_at(of, path))
    }

    fn rename_at(
        &mut self,
        of: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        at_once!(self.rename_at(of, path, to, new_path))
    }

    fn symlink_at(
        &mut self,
        of: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        at_once!(self.symlink_at(of, target, path))
    }

    fn unlink_file_at(&mut self, of: Resource<Descriptor>, path: String) -> FsResult<()> {
        at_once!(self.unlink_file_at(of, path))
    }

    fn read_via_stream(
        &mut self,
        of: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<InputStream>> {
        types::HostDescriptor::read_via_stream(&mut self.state.filesystem(), of, offset)
    }

    fn write_via_stream(
        &mut self,
        of: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<OutputStream>> {
        types::HostDescriptor::write_via_stream(&mut self.state.filesystem(), of, offset)
    }

    fn append_via_stream(&mut self, of: Resource<Descriptor>) -> FsResult<Resource<OutputStream>> {
        types::HostDescriptor::append_via_stream(&mut self.state.filesystem(), of)
    }

    fn is_same_object(
        &mut self,
        of: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let mut folders = self.state.filesystem();
        let same = asynchronous::HostDescriptor::is_same_object(&mut folders, of, other);
        same.now_or_never()
            .unwrap_or_else(|| Err(format_err!("a file was left to another thread")))
    }

    fn metadata_hash(&mut self, of: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        at_once!(self.metadata_hash(of)).map(Into::into)
    }

    fn metadata_hash_at(
        &mut self,
        of: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        at_once!(self.metadata_hash_at(of, flags.into(), path)).map(Into::into)
    }
}

impl types::HostDirectoryEntryStream for Handles<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let mut folders = self.state.filesystem();
        let entry =
            asynchronous::HostDirectoryEntryStream::read_directory_entry(&mut folders, stream);
        done(entry).map(|entry| entry.map(Into::into))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        types::HostDirectoryEntryStream::drop(&mut self.state.filesystem(), stream)
    }
}
