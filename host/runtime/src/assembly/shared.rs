//! Instances that all runs of an app share: its record store, open as long as somebody asks for its records.

use super::Assembly;
use crate::bindings::Caller;
use crate::instance::Instance;
use crate::instance::job::Address;
use crate::workspace::Place;
use anyhow::Result;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Time for the calls that are under way when the records of an app are closed.
const RETIREMENT: Duration = Duration::from_secs(2);

/// Apps whose record instance is kept.
const MAX_SHARED: usize = 256;

/// The instances of apps, by the number of their plugin and the folder of the app.
pub(super) type Slots = HashMap<(usize, PathBuf), Arc<Shared>>;

/// The place of an app's instance: locked while one is made, so that only its own app waits.
pub(super) struct Shared {
    instance: Mutex<Option<Arc<Instance>>>,
    last_used: StdMutex<Instant>,
    /// Nothing of it is on disk, so it stays until the process ends.
    in_memory: bool,
}

impl Shared {
    fn note_use(&self, now: Instant) {
        let mut last_used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last_used = now;
    }
}

impl Assembly {
    /// The instance that all runs of an app share.
    pub async fn shared(
        &self,
        plugin: usize,
        place: &Place,
        who: &Caller,
    ) -> Result<Arc<Instance>> {
        let slot = self.slot(plugin, place);
        let mut instance = slot.instance.lock().await;
        if let Some(found) = instance.as_ref().filter(|found| !found.is_dead()) {
            return Ok(found.clone());
        }
        // The dead one first: it may hold what the new one needs.
        *instance = None;
        // What it serves is of many runs.
        let made = self.instantiate(plugin, place, who, None).await?;
        *instance = Some(made.clone());
        Ok(made)
    }

    /// The same if it is there, and nobody makes or closes it.
    pub fn shared_at_hand(&self, plugin: usize, place: &Place) -> Option<Arc<Instance>> {
        let slot = self.slots().get(&(plugin, place.folder()))?.clone();
        slot.note_use(Instant::now());
        let instance = slot.instance.try_lock().ok()?;
        instance.clone().filter(|found| !found.is_dead())
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, plugin: usize, place: &Place) -> Arc<Shared> {
        let now = Instant::now();
        let mut shared = self.slots();
        if shared.len() >= MAX_SHARED {
            // Only what nobody holds may go.
            let idle = |entry: &Arc<Shared>| {
                !entry.in_memory
                    && Arc::strong_count(entry) == 1
                    && entry.instance.try_lock().is_ok_and(|instance| {
                        instance
                            .as_ref()
                            .is_none_or(|instance| Arc::strong_count(instance) == 1)
                    })
            };
            let oldest = shared
                .iter()
                .filter(|(_, entry)| idle(entry))
                .min_by_key(|(_, entry)| {
                    *entry
                        .last_used
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                })
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                shared.remove(&oldest);
            }
        }
        let slot = shared.entry((plugin, place.folder())).or_insert_with(|| {
            Arc::new(Shared {
                instance: Mutex::new(None),
                last_used: StdMutex::new(now),
                in_memory: place.is_memory(),
            })
        });
        slot.note_use(now);
        slot.clone()
    }

    /// Flushes and drops all shared instances; the program is about to end.
    pub async fn flush(&self) {
        self.close(Path::new("")).await;
    }

    /// Flushes and drops the shared instances of the apps in or below a folder.
    pub async fn close(&self, folder: &Path) {
        let slots: Vec<(usize, Arc<Shared>)> = self
            .slots()
            .extract_if(|(_, place), _| place.starts_with(folder))
            .map(|((plugin, _), slot)| (plugin, slot))
            .collect();
        for (plugin, slot) in slots {
            if let Some(instance) = slot.instance.lock().await.take() {
                if !slot.in_memory {
                    self.flush_one(plugin, &instance).await;
                }
                if !instance.is_dead() {
                    instance.settle().await;
                }
            }
        }
    }

    /// Does work for which nobody else may have the records of an app open. Runs that want them
    /// wait.
    pub async fn closed<T>(&self, place: &Place, work: impl Future<Output = T>) -> T {
        let mut slots = Vec::new();
        for (plugin, code) in self.plugins.iter().enumerate() {
            if code.is_shared() {
                slots.push((plugin, self.slot(plugin, place)));
            }
        }
        let mut held = Vec::new();
        for (plugin, slot) in &slots {
            let mut instance = slot.instance.lock().await;
            if let Some(instance) = instance.take() {
                self.flush_one(*plugin, &instance).await;
                instance.retire(RETIREMENT).await;
            }
            held.push(instance);
        }
        work.await
    }

    /// Makes the records of the apps in or below a folder durable; they stay open.
    pub async fn checkpoint(&self, folder: &Path) {
        let slots: Vec<(usize, Arc<Shared>)> = self
            .slots()
            .iter()
            .filter(|((_, place), slot)| place.starts_with(folder) && !slot.in_memory)
            .map(|((plugin, _), slot)| (*plugin, slot.clone()))
            .collect();
        for (plugin, slot) in slots {
            let instance = slot.instance.lock().await.clone();
            if let Some(instance) = instance {
                self.flush_one(plugin, &instance).await;
            }
        }
    }

    async fn flush_one(&self, plugin: usize, instance: &Arc<Instance>) {
        let flush = self.plugins[plugin]
            .functions
            .iter()
            .position(|function| function.name == "$db_flush");
        let (Some(function), false) = (flush, instance.is_dead()) else {
            return;
        };
        let who = Caller {
            workspace: String::new(),
            app: String::new(),
            agent: String::new(),
            user: "_rmx_system".to_owned(),
            deadline: 0,
        };
        let Ok(session) = instance.open(who).await else {
            return;
        };
        let address = Address {
            session,
            function: function as u32,
            // An array with null: the app's own database.
            args: vec![0x91, 0xc0],
        };
        let started = instance.start(address, None).await;
        let flushed = started.unwrap_or_else(|_| Err(instance.failure(function as u32)));
        if let Err(failure) = flushed {
            tracing::error!(code = %failure.code, "records are not flushed: {}", failure.message);
        }
        instance.close(session).await;
    }
}
