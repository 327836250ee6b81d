//! Streams of files and pauses.

use super::Handles;
use crate::immediate::at_once;
use crate::state::while_others_work;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

/// Most bytes of one step.
const STEP: u64 = 64 << 10;

impl poll::Host for Handles<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let table = self.table();
        while_others_work(|| poll::Host::poll(table, pollables))
    }
}

impl poll::HostPollable for Handles<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let table = self.table();
        while_others_work(|| poll::HostPollable::ready(table, pollable))
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let table = self.table();
        while_others_work(|| poll::HostPollable::block(table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table(), pollable)
    }
}

impl streams::Host for Handles<'_> {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table(), error)
    }
}

impl streams::HostInputStream for Handles<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<Vec<u8>> {
        let stream = self.table().get_mut(&stream)?;
        let count = count.min(STEP) as usize;
        at_once(stream.blocking_read(count)).map(|bytes| bytes.to_vec())
    }

    fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<Vec<u8>> {
        self.read(stream, count)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        self.read(stream, count).map(|bytes| bytes.len() as u64)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        self.skip(stream, count)
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(self.table(), stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.table().delete(stream)?;
        Ok(())
    }
}

impl streams::HostOutputStream for Handles<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(self.table(), stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let stream = self.table().get_mut(&stream)?;
        at_once(stream.blocking_write_and_flush(bytes.into()))
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.write(stream, bytes)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(self.table(), stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let stream = self.table().get_mut(&stream)?;
        stream.flush()?;
        at_once(stream.write_ready()).map(drop)
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(self.table(), stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, count: u64) -> StreamResult<()> {
        if count > STEP {
            let reason = wasmtime::format_err!("a write of more than {STEP} bytes");
            return Err(StreamError::Trap(reason));
        }
        self.write(stream, vec![0; count as usize])
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        count: u64,
    ) -> StreamResult<()> {
        self.write_zeroes(stream, count)
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        let bytes = streams::HostInputStream::read(self, from, count)?;
        let length = bytes.len() as u64;
        streams::HostOutputStream::write(self, to, bytes).map(|()| length)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        self.splice(to, from, count)
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.table().delete(stream)?;
        Ok(())
    }
}
