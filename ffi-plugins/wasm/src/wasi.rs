//! What a program finds around it: WASI preview 1 without files and sockets.
//!
//! Arguments, environment, standard streams, clock and random bytes are there; every other
//! function of WASI says that it is not supported.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::Failure;
use wasmi::{Caller, Error, ExternType, Linker, Module, StoreLimits, Val, ValType};

use crate::limits::{self, LONGEST_TEXT, wasm};

const WASI: &str = "wasi_snapshot_preview1";

/// Error numbers of WASI.
mod errno {
    pub const SUCCESS: i32 = 0;
    pub const BADF: i32 = 8;
    pub const FAULT: i32 = 21;
    pub const INVAL: i32 = 28;
    pub const IO: i32 = 29;
    pub const NOSYS: i32 = 52;
    pub const SPIPE: i32 = 70;
}

/// The file type of standard streams.
const CHARACTER_DEVICE: u8 = 2;

/// Bytes of the place and size of a piece.
const PIECE: usize = 8;

/// Most pieces of one read or write, and most random bytes at once.
const MOST_PIECES: u32 = 1024;
const MOST_RANDOM: u32 = 1 << 20;

/// Data of an instance.
pub struct World {
    /// What the instance may hold.
    pub limits: StoreLimits,
    /// What was written to standard output.
    pub stdout: Vec<u8>,
    /// What was written to standard error.
    pub stderr: Vec<u8>,
    stdin: Vec<u8>,
    read: usize,
    arguments: Vec<String>,
    environment: Vec<String>,
    began: Instant,
}

impl Default for World {
    fn default() -> World {
        World::new(Vec::new(), vec!["library".to_owned()], Vec::new())
    }
}

impl World {
    /// Standard input, arguments with the name of the program, `NAME=value`s.
    pub fn new(stdin: Vec<u8>, arguments: Vec<String>, environment: Vec<String>) -> World {
        World {
            limits: limits::of_store(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            stdin,
            read: 0,
            arguments,
            environment,
            began: Instant::now(),
        }
    }
}

type Here<'a> = Caller<'a, World>;

/// A number of [`errno`], or the end of the program.
type Outcome = Result<i32, Error>;

/// Bytes that a function moves cost the module as if it moved them itself. Otherwise it could keep busy for hours
/// between two looks at the clock.
fn charge(here: &mut Here<'_>, bytes: usize) -> Result<(), Error> {
    let left = here.get_fuel()?;
    here.set_fuel(left.saturating_sub(bytes as u64))
}

/// Gives a module what it imports, and refuses what nobody offers.
pub fn add_to(linker: &mut Linker<World>, module: &Module) -> Result<(), Failure> {
    define(linker).map_err(|error| Failure::internal(limits::first_line(&error)))?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let ExternType::Func(wanted) = import.ty() else {
            return Err(wasm(format!(
                "the module imports {from}.{name}: a module may import functions of WASI only"
            )));
        };
        if from != WASI {
            return Err(wasm(format!(
                "the module imports {from}.{name}: a module may import functions of WASI only ({WASI})"
            )));
        }
        if OFFERED.contains(&name) || wanted.results() != [ValType::I32] {
            continue;
        }
        let defined = linker.func_new(WASI, name, wanted.clone(), |_, _, results| {
            results[0] = Val::I32(errno::NOSYS);
            Ok(())
        });
        defined.map_err(|error| wasm(limits::first_line(&error)))?;
    }
    Ok(())
}

/// Functions that do something.
const OFFERED: [&str; 19] = [
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "clock_time_get",
    "clock_res_get",
    "random_get",
    "fd_read",
    "fd_write",
    "fd_close",
    "fd_seek",
    "fd_tell",
    "fd_filestat_get",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_prestat_get",
    "fd_prestat_dir_name",
    "sched_yield",
    "proc_exit",
];

fn define(linker: &mut Linker<World>) -> Result<(), Error> {
    linker.func_wrap(WASI, "args_get", |here: Here<'_>, list: u32, text: u32| {
        let texts = here.data().arguments.clone();
        put_texts(here, &texts, list, text)
    })?;
    linker.func_wrap(
        WASI,
        "args_sizes_get",
        |here: Here<'_>, count: u32, size: u32| {
            let texts = here.data().arguments.clone();
            put_sizes(here, &texts, count, size)
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_get",
        |here: Here<'_>, list: u32, text: u32| {
            let texts = here.data().environment.clone();
            put_texts(here, &texts, list, text)
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |here: Here<'_>, count: u32, size: u32| {
            let texts = here.data().environment.clone();
            put_sizes(here, &texts, count, size)
        },
    )?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |here: Here<'_>, clock: u32, _precision: u64, place: u32| -> Outcome {
            let time = match clock {
                0 => SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO),
                1..=3 => here.data().began.elapsed(),
                _ => return Ok(errno::INVAL),
            };
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            put(here, place, &nanoseconds.to_le_bytes())
        },
    )?;
    linker.func_wrap(
        WASI,
        "clock_res_get",
        |here: Here<'_>, clock: u32, place: u32| -> Outcome {
            match clock {
                0..=3 => put(here, place, &1_000u64.to_le_bytes()),
                _ => Ok(errno::INVAL),
            }
        },
    )?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut here: Here<'_>, place: u32, size: u32| -> Outcome {
            if size > MOST_RANDOM {
                return Ok(errno::INVAL);
            }
            charge(&mut here, size as usize)?;
            let mut bytes = vec![0; size as usize];
            match getrandom::getrandom(&mut bytes) {
                Ok(()) => put(here, place, &bytes),
                Err(_) => Ok(errno::IO),
            }
        },
    )?;
    linker.func_wrap(WASI, "fd_read", read)?;
    linker.func_wrap(WASI, "fd_write", write)?;
    linker.func_wrap(WASI, "fd_close", |_: Here<'_>, descriptor: u32| {
        standard(descriptor)
    })?;
    linker.func_wrap(
        WASI,
        "fd_seek",
        |_: Here<'_>, descriptor: u32, _offset: i64, _whence: u32, _place: u32| {
            no_place(descriptor)
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_tell",
        |_: Here<'_>, descriptor: u32, _place: u32| no_place(descriptor),
    )?;
    linker.func_wrap(
        WASI,
        "fd_filestat_get",
        |here: Here<'_>, descriptor: u32, place: u32| -> Outcome {
            if descriptor > 2 {
                return Ok(errno::BADF);
            }
            let mut status = [0; 64];
            status[16] = CHARACTER_DEVICE;
            put(here, place, &status)
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_fdstat_get",
        |here: Here<'_>, descriptor: u32, place: u32| -> Outcome {
            if descriptor > 2 {
                return Ok(errno::BADF);
            }
            // No flags, the rights to read and write.
            let mut status = [0; 24];
            status[0] = CHARACTER_DEVICE;
            status[8] = 0b100_0010;
            put(here, place, &status)
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_fdstat_set_flags",
        |_: Here<'_>, descriptor: u32, _flags: u32| standard(descriptor),
    )?;
    linker.func_wrap(WASI, "fd_prestat_get", |_: Here<'_>, _: u32, _: u32| {
        errno::BADF
    })?;
    linker.func_wrap(
        WASI,
        "fd_prestat_dir_name",
        |_: Here<'_>, _: u32, _: u32, _: u32| errno::BADF,
    )?;
    linker.func_wrap(WASI, "sched_yield", |_: Here<'_>| errno::SUCCESS)?;
    linker.func_wrap(
        WASI,
        "proc_exit",
        |_: Here<'_>, code: i32| -> Result<(), Error> { Err(Error::i32_exit(code)) },
    )?;
    Ok(())
}

fn standard(descriptor: u32) -> i32 {
    match descriptor {
        0..=2 => errno::SUCCESS,
        _ => errno::BADF,
    }
}

/// Standard streams have no place that one could go to.
fn no_place(descriptor: u32) -> i32 {
    match descriptor {
        0..=2 => errno::SPIPE,
        _ => errno::BADF,
    }
}

fn read(mut here: Here<'_>, descriptor: u32, pieces: u32, count: u32, place: u32) -> Outcome {
    if descriptor != 0 {
        return Ok(errno::BADF);
    }
    let Some(pieces) = pieces_of(&mut here, pieces, count)? else {
        return Ok(errno::FAULT);
    };
    let Some(memory) = memory(&here) else {
        return Ok(errno::FAULT);
    };
    let mut total = 0u32;
    for (start, size) in pieces {
        let (bytes, world) = memory.data_and_store_mut(&mut here);
        let rest = &world.stdin[world.read..];
        let size = rest.len().min(size as usize);
        let Some(target) = span(start, size).and_then(|span| bytes.get_mut(span)) else {
            return Ok(errno::FAULT);
        };
        target.copy_from_slice(&rest[..size]);
        world.read += size;
        total += size as u32;
    }
    charge(&mut here, total as usize)?;
    put(here, place, &total.to_le_bytes())
}

fn write(mut here: Here<'_>, descriptor: u32, pieces: u32, count: u32, place: u32) -> Outcome {
    if !(1..=2).contains(&descriptor) {
        return Ok(errno::BADF);
    }
    let Some(pieces) = pieces_of(&mut here, pieces, count)? else {
        return Ok(errno::FAULT);
    };
    let Some(memory) = memory(&here) else {
        return Ok(errno::FAULT);
    };
    let mut total = 0u32;
    for (start, size) in pieces {
        let (bytes, world) = memory.data_and_store_mut(&mut here);
        let Some(source) = span(start, size as usize).and_then(|span| bytes.get(span)) else {
            return Ok(errno::FAULT);
        };
        let output = match descriptor {
            1 => &mut world.stdout,
            _ => &mut world.stderr,
        };
        if output.len() + source.len() > LONGEST_TEXT {
            return Err(Error::new(format!(
                "it wrote more than {LONGEST_TEXT} bytes"
            )));
        }
        output.extend_from_slice(source);
        total = total.saturating_add(size);
    }
    charge(&mut here, total as usize)?;
    put(here, place, &total.to_le_bytes())
}

fn memory(here: &Here<'_>) -> Option<wasmi::Memory> {
    here.get_export("memory")?.into_memory()
}

fn span(start: u32, size: usize) -> Option<std::ops::Range<usize>> {
    let start = start as usize;
    Some(start..start.checked_add(size)?)
}

fn put(mut here: Here<'_>, place: u32, bytes: &[u8]) -> Outcome {
    let written =
        memory(&here).is_some_and(|memory| memory.write(&mut here, place as usize, bytes).is_ok());
    Ok(if written {
        errno::SUCCESS
    } else {
        errno::FAULT
    })
}

/// Places and sizes of the pieces of a read or a write.
fn pieces_of(here: &mut Here<'_>, list: u32, count: u32) -> Result<Option<Vec<(u32, u32)>>, Error> {
    if count > MOST_PIECES {
        return Ok(None);
    }
    charge(here, count as usize * PIECE)?;
    Ok(memory(here).and_then(|memory| {
        let bytes = memory.data(&*here);
        let list = bytes.get(span(list, count as usize * PIECE)?)?;
        let word = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
        list.chunks_exact(PIECE)
            .map(|piece| Some((word(&piece[..4])?, word(&piece[4..])?)))
            .collect()
    }))
}

/// Texts one after another, each with a NUL, and where each of them is.
fn put_texts(mut here: Here<'_>, texts: &[String], list: u32, text: u32) -> Outcome {
    let (mut places, mut content) = (Vec::new(), Vec::new());
    for one in texts {
        places.extend(text.wrapping_add(content.len() as u32).to_le_bytes());
        content.extend(one.as_bytes());
        content.push(0);
    }
    charge(&mut here, places.len() + content.len())?;
    let Some(memory) = memory(&here) else {
        return Ok(errno::FAULT);
    };
    let written = memory.write(&mut here, list as usize, &places).is_ok()
        && memory.write(&mut here, text as usize, &content).is_ok();
    Ok(if written {
        errno::SUCCESS
    } else {
        errno::FAULT
    })
}

fn put_sizes(mut here: Here<'_>, texts: &[String], count: u32, size: u32) -> Outcome {
    let total: usize = texts.iter().map(|text| text.len() + 1).sum();
    charge(&mut here, total)?;
    let Some(memory) = memory(&here) else {
        return Ok(errno::FAULT);
    };
    let written = memory
        .write(
            &mut here,
            count as usize,
            &(texts.len() as u32).to_le_bytes(),
        )
        .is_ok()
        && memory
            .write(&mut here, size as usize, &(total as u32).to_le_bytes())
            .is_ok();
    Ok(if written {
        errno::SUCCESS
    } else {
        errno::FAULT
    })
}
