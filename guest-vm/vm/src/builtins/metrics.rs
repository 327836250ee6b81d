//! Module `metrics`: what the VM counts and measures.

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Map, Value};
use crate::metrics::{Efforts, Metrics, SPREADSHEET, Severity};
use crate::surroundings::Surroundings;
use crate::text_form;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#metrics_counters" => |surroundings, _| Ok(counters(&surroundings.metrics)),
        "#metrics_clear" => |surroundings, _| {
            surroundings.metrics.clear();
            Ok(Value::Null)
        },
        "#metrics_profiling" => |surroundings, args| {
            surroundings.metrics.profiling = args::boolean(&args[0])?;
            Ok(Value::Null)
        },
        "#metrics_profile" => |surroundings, _| Ok(profile(&surroundings.metrics)),
        "#metrics_profile_clear" => |surroundings, _| {
            surroundings.metrics.profile = Default::default();
            Ok(Value::Null)
        },
        "#metrics_tracing" => |surroundings, args| {
            surroundings.metrics.mute(!args::boolean(&args[0])?);
            follow_level(surroundings)
        },
        "#metrics_set_levels" => set_levels,
        "#metrics_levels" => |surroundings, _| {
            let levels = surroundings.metrics.levels();
            Ok(Value::array(
                levels.map(|level| Value::Int(level.into())).collect(),
            ))
        },
        "#metrics_is_level" => |surroundings, args| {
            let level = level(&args[0])?;
            Ok(Value::Bool(surroundings.metrics.is_on(level)))
        },
        "#metrics_log_level" => log_level,
        "#metrics_note" => note,
        _ => return None,
    })
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut map = Map::new();
    for (name, value) in entries {
        map.insert(name.into(), value);
    }
    Value::Map(map)
}

/// A count that no run reaches stays the greatest int.
fn count(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn counters(metrics: &Metrics) -> Value {
    map([
        ("actions", count(metrics.actions)),
        ("allocations", count(metrics.allocations())),
        ("cellEvaluations", count(metrics.cell_evaluations)),
        ("ffiCalls", count(metrics.foreign_calls)),
    ])
}

fn profile(metrics: &Metrics) -> Value {
    let profile = &metrics.profile;
    map([
        ("actions", efforts(&profile.actions)),
        ("cells", efforts(&profile.cells)),
        ("views", efforts(&profile.views)),
    ])
}

/// The longest time first.
fn efforts(efforts: &Efforts) -> Value {
    let mut sorted: Vec<_> = efforts.iter().collect();
    sorted.sort_by_key(|(_, effort)| std::cmp::Reverse(effort.time));
    let entries = sorted.into_iter().map(|(name, effort)| {
        map([
            ("count", count(effort.count)),
            ("name", Value::text(name.as_str())),
            ("time", Value::Float(effort.time.as_secs_f64())),
        ])
    });
    Value::array(entries.collect())
}

fn level(value: &Value) -> Result<u32, Failure> {
    let level = args::integral(value)?;
    u32::try_from(level)
        .ok()
        .filter(|level| *level < 32)
        .ok_or_else(|| Failure::range("levels of tracing are 0 to 31"))
}

/// The spreadsheet writes its lines while its level is on.
fn follow_level(surroundings: &mut Surroundings) -> Result<Value, Failure> {
    surroundings.trace = surroundings.metrics.shows(SPREADSHEET);
    Ok(Value::Null)
}

fn set_levels(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let levels: Result<Vec<u32>, Failure> =
        args::array(&args[0])?.items().iter().map(level).collect();
    surroundings.metrics.set_levels(levels?.into_iter());
    follow_level(surroundings)
}

fn log_level(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    surroundings.metrics.severity = match args::text(&args[0])?.as_str() {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        other => {
            return Err(Failure::range(format!(
                "{other:?} is none of \"info\", \"warning\", \"error\""
            )));
        }
    };
    follow_level(surroundings)
}

/// `(level, what, value)`
fn note(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    if surroundings.metrics.shows(level(&args[0])?) {
        let what = args::text(&args[1])?.as_str();
        let line = format!("{what} {}", text_form::log_text(&args[2]));
        surroundings.log(line);
    }
    Ok(Value::Null)
}
