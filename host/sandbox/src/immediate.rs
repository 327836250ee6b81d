//! WASI without anything that waits, for plugins that compute.
//!
//! A plugin that imports nothing but this is called in place ([`crate::instance`]): inside the
//! host function of the VM, on the same stack, without a task and without a pause. Its streams
//! are the pipe for standard output and error and a standard input that is closed, so whoever
//! waits for one of them is never kept waiting. A plugin that imports more (files, HTTP, timers,
//! anything `async`) does not fit this linker and is called by the task of its run instead.

use crate::state::GuestState;
use anyhow::Result;
use futures::FutureExt;
use std::sync::LazyLock;
use std::time::Instant;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceType};
use wasmtime::{Engine, format_err};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, IoError, StreamError, StreamResult,
};
use wasmtime_wasi::random::WasiRandom;

/// The linker for plugins that are called in place.
pub fn linker(engine: &Engine) -> Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    let all = &mut linker;
    add_what_computes(all)?;
    // Of the other clock the time alone: what subscribes to it wants to wait.
    let mut monotonic = all.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    monotonic.func_wrap("now", |_, (): ()| Ok((nanoseconds(),)))?;
    monotonic.func_wrap("resolution", |_, (): ()| Ok((1u64,)))?;
    poll::add_to_linker::<_, Immediate>(all, immediate)?;
    streams::add_to_linker::<_, Immediate>(all, immediate)?;
    Ok(linker)
}

/// What needs no stream and no pause.
pub(crate) fn add_what_computes(all: &mut Linker<GuestState>) -> Result<()> {
    cli::environment::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(all, GuestState::cli)?;
    random::random::add_to_linker::<_, WasiRandom>(all, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<_, WasiRandom>(all, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(all, |state| state.ctx().ctx.random())?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(all, GuestState::clocks)?;
    let mut errors = all.instance("wasi:io/error@0.2.12")?;
    errors.resource(
        "error",
        ResourceType::host::<IoError>(),
        |mut store, error| {
            table(store.data_mut()).delete(Resource::<IoError>::new_own(error))?;
            Ok(())
        },
    )?;
    errors.func_wrap(
        "[method]error.to-debug-string",
        |mut store, (error,): (Resource<IoError>,)| {
            Ok((format!("{:?}", table(store.data_mut()).get(&error)?),))
        },
    )?;
    Ok(())
}

/// Since the first question of the process.
pub(crate) fn nanoseconds() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// What handles of the guest stand for.
pub(crate) fn table(state: &mut GuestState) -> &mut ResourceTable {
    state.ctx().table
}

/// Streams that are always ready.
struct Immediate;

impl HasData for Immediate {
    type Data<'a> = Handles<'a>;
}

struct Handles<'a>(&'a mut ResourceTable);

fn immediate(state: &mut GuestState) -> Handles<'_> {
    Handles(table(state))
}

/// Most bytes of a write that waits until it is flushed, by the text of WASI.
const MOST_AT_ONCE: usize = 4096;

fn too_much() -> StreamError {
    StreamError::Trap(format_err!("a write of more than {MOST_AT_ONCE} bytes"))
}

impl Handles<'_> {
    fn write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        if bytes.len() > MOST_AT_ONCE {
            return Err(too_much());
        }
        let stream = self.0.get_mut(&stream)?;
        at_once(stream.blocking_write_and_flush(bytes.into()))
    }
}

/// The result of what does not wait.
pub(crate) fn at_once<T>(work: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    match work.now_or_never() {
        Some(result) => result,
        None => Err(StreamError::Trap(format_err!(
            "a stream that is always ready was not"
        ))),
    }
}

impl poll::Host for Handles<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(format_err!("empty poll list"));
        }
        for pollable in &pollables {
            self.0.get(pollable)?;
        }
        Ok((0..).take(pollables.len()).collect())
    }
}

impl poll::HostPollable for Handles<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.0.get(&pollable)?;
        Ok(true)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.0.get(&pollable)?;
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}

impl streams::Host for Handles<'_> {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.0, error)
    }
}

impl streams::HostOutputStream for Handles<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(self.0, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        streams::HostOutputStream::write(self.0, stream, bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.write_and_flush(stream, bytes)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let stream = self.0.get_mut(&stream)?;
        stream.flush()?;
        at_once(stream.write_ready()).map(drop)
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, count: u64) -> StreamResult<()> {
        streams::HostOutputStream::write_zeroes(self.0, stream, count)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        count: u64,
    ) -> StreamResult<()> {
        // Before a buffer of that size is made.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MOST_AT_ONCE {
            return Err(too_much());
        }
        self.write_and_flush(stream, vec![0; count])
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::splice(self.0, to, from, count)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::splice(self.0, to, from, count)
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }
}

impl streams::HostInputStream for Handles<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::read(self.0, stream, count)
    }

    fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::read(self.0, stream, count)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        streams::HostInputStream::skip(self.0, stream, count)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        streams::HostInputStream::skip(self.0, stream, count)
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(self.0, stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }
}
