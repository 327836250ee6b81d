//! The one engine configuration and the one ticker.
//!
//! Every engine of the program is made by [`engine`] from [`config`]: native
//! code is cached on disk under a key that includes the configuration, so a
//! second configuration would silently cost a recompile at each start.

use anyhow::{Context, Result};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// Time between two ticks of the epoch: how late a spinning guest is noticed.
pub const TICK: Duration = Duration::from_millis(10);

/// Largest linear memory that any guest can be given.
pub const MAX_MEMORY: usize = 4 << 30;

/// Fewest instances that have room at the same time, over all stores.
const POOL: u32 = 1_000;

/// Instances of a run that does much: its VM, the plugins that serve it alone, and those of the run
/// that may go on behind it after its answer.
pub const INSTANCES_OF_RUN: u32 = 8;

/// Core instances, and tables, that there is room for beside each instance.
pub const INNER_INSTANCES: u32 = 4;

/// Most runs at once that the engine can be made for: each instance has its range of addresses, and
/// half of the addresses of a process are enough for these.
pub const MOST_RUNS: usize = 2_000;

/// Runs at once that were asked for.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// Makes room for so many runs at once (at most [`MOST_RUNS`]), before the first engine is made.
pub fn make_room_for(runs: usize) {
    let runs = u32::try_from(runs.min(MOST_RUNS)).unwrap_or(u32::MAX);
    RUNS.fetch_max(runs, Ordering::Relaxed);
}

/// The configuration of every engine.
pub fn config() -> Result<Config> {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    // Backtraces go to the log only; a few frames say enough.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config.cache(cache()?);
    Ok(config)
}

fn pool() -> PoolingAllocationConfig {
    let instances = POOL.max(INSTANCES_OF_RUN * RUNS.load(Ordering::Relaxed));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances * INNER_INSTANCES);
    pool.total_memories(instances);
    pool.total_tables(instances * INNER_INSTANCES);
    pool.total_stacks(instances);
    // A composed component counts all of its inner instances, adapters included.
    pool.max_core_instances_per_component(200);
    pool.max_memories_per_component(40);
    pool.max_tables_per_component(100);
    pool.max_component_instance_size(4 << 20);
    pool.max_core_instance_size(1 << 20);
    pool.max_memory_size(MAX_MEMORY);
    pool.table_elements(20_000);
    // Pages kept for the next run instead of returned to the system: cheaper than faulting them in again.
    pool.linear_memory_keep_resident(1 << 20);
    // Where the kernel can tell which pages were written, only those are reset after a run; the rest stays mapped.
    pool.pagemap_scan(Enabled::Auto);
    pool.table_keep_resident(16 << 10);
    pool.async_stack_keep_resident(64 << 10);
    pool.max_unused_warm_slots(64);
    pool
}

/// Native code is kept in `MIXER_CACHE_DIR`, else in the user's cache folder if that can be used; without either it is
/// made anew.
fn cache() -> Result<Option<Cache>> {
    let Some(folder) = cache_folder() else {
        return Ok(None);
    };
    let mut config = CacheConfig::new();
    config.with_directory(folder.join("native"));
    match Cache::new(config) {
        Ok(cache) => Ok(Some(cache)),
        Err(error) if is_named() => Err(anyhow::Error::from(error))
            .context("the cache folder cannot be used (MIXER_CACHE_DIR names it)"),
        // Nobody has asked for this one, and services often have a home that is none.
        Err(error) => {
            tracing::info!(error = %format!("{error:#}"), "native code is not kept: the cache folder cannot be used (MIXER_CACHE_DIR names another one)");
            Ok(None)
        }
    }
}

/// Whether the user has said where the cache is.
fn is_named() -> bool {
    std::env::var_os("MIXER_CACHE_DIR").is_some_and(|value| !value.is_empty())
}

/// Folder for everything that can be made again.
pub fn cache_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MIXER_CACHE_DIR").filter(|value| !value.is_empty()) {
        return Some(std::path::absolute(folder).ok()?.to_path_buf());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(std::env::var_os("HOME").filter(|value| !value.is_empty())?)
            .join(".cache"),
    };
    base.is_absolute().then(|| base.join("mixer"))
}

/// The engine of this process, with its ticker.
pub fn engine() -> Result<Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine.clone());
    }
    let made = Engine::new(&config()?)
        .map_err(anyhow::Error::from)
        .context("the engine cannot start")?;
    let engine = ENGINE.get_or_init(|| {
        start_ticker(&made);
        made
    });
    Ok(engine.clone())
}

/// A thread of its own: a spinning guest can wedge the worker that drives the timers of the async runtime.
fn start_ticker(engine: &Engine) {
    let weak = Arc::new(engine.weak());
    let started = std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
    if let Err(error) = started {
        // Without it no guest could be interrupted, so nothing may run.
        tracing::error!(%error, "the epoch ticker cannot start");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::Component;

    #[test]
    fn code_of_one_engine_fits_another() {
        let first = Engine::new(&config().expect("configuration")).expect("first engine");
        // Whatever there is room for.
        make_room_for(200);
        let second = Engine::new(&config().expect("configuration")).expect("second engine");
        assert_eq!(
            hash(&first),
            hash(&second),
            "engines of one process must share native code"
        );
        // The shortest component: magic number and version of the component layer.
        Component::new(&first, b"\0asm\x0d\0\x01\0").expect("a component compiles");
    }

    fn hash(engine: &Engine) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }
}
