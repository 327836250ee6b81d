//! How a query finds its rows.

use mix_value::Value;
use roaring::RoaringBitmap;

use super::plan::{Condition, Mark, Plan};
use super::run::first_row;
use super::select::{Selector, atom_of};
use super::source::{AtomTest, RecordSource};

/// Null if the source has no index.
pub(super) fn explain<S: RecordSource>(plan: &Plan, source: &S) -> Result<Value, S::Error> {
    let first_rows = plan
        .marks
        .iter()
        .map(|mark: &Mark| first_row(source, mark))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(selector) = Selector::new(source, &first_rows)? else {
        return Ok(Value::Null);
    };
    let mut atoms = Vec::new();
    for condition in plan.leading() {
        describe(condition, true, &selector, &mut atoms)?;
    }
    let all = selector.all(plan.leading())?;
    Ok(Value::map([
        ("atoms", Value::Array(atoms)),
        ("sure", count(all.sure.len())),
        ("read", count(all.maybe.len())),
        ("visible", count(selector.visible().len())),
    ]))
}

fn count(rows: u64) -> Value {
    Value::Int(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// Adds the conditions of which a condition consists, each with its row sets;
/// `want` is the truth that keeps a row.
fn describe<S: RecordSource>(
    condition: &Condition,
    want: bool,
    selector: &Selector<'_, S>,
    atoms: &mut Vec<Value>,
) -> Result<(), S::Error> {
    let (path, test) = match condition {
        Condition::And(parts) | Condition::Or(parts) => {
            return parts
                .iter()
                .try_for_each(|part| describe(part, want, selector, atoms));
        }
        Condition::Not(inner) => return describe(inner, !want, selector, atoms),
        Condition::Always => return Ok(()),
        Condition::After(_) => (Value::Null, "after"),
        Condition::Subquery(..) => (Value::Null, "subquery"),
        condition => match atom_of(condition) {
            Some(atom) => {
                let steps = atom.path.iter().map(|step| Value::String(step.clone()));
                let name = match &atom.test {
                    AtomTest::Compare(op, _) => op.name(),
                    AtomTest::Within(op, _) => op.name(),
                    AtomTest::Between(..) => "between",
                    AtomTest::Exists => "exists",
                };
                (Value::Array(steps.collect()), name)
            }
            None => (Value::Null, "calculation"),
        },
    };
    let visible = selector.visible();
    let truth = selector.sets(condition, true)?;
    let falsehood = selector.sets(condition, false)?;
    let unread = if want { &truth } else { &falsehood };
    let seen = |rows: &RoaringBitmap| count(rows.intersection_len(visible));
    atoms.push(Value::map([
        ("path", path),
        ("test", Value::from(test)),
        ("t", seen(&truth.sure)),
        ("f", seen(&falsehood.sure)),
        ("m", seen(&(&unread.maybe - &unread.sure))),
    ]));
    Ok(())
}
