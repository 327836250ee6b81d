//! Propagation against a model that recomputes everything, and its cost (language 4.12).

mod support;

use std::collections::HashMap;
use std::fmt::Write;

use mix_vm::{Action, Event, Session};
use proptest::prelude::*;
use support::{events, load, text, told, value};

/// A formula: the sum of some earlier cells, and a constant.
#[derive(Clone, Debug)]
struct Formula {
    reads: Vec<usize>,
    plus: i64,
}

/// A graph of cells: first var cells, then formulas that read cells before them.
#[derive(Clone, Debug)]
struct Graph {
    inputs: Vec<i64>,
    formulas: Vec<Formula>,
    /// For each observer the cell it watches, and a divisor: it does nothing for values that
    /// are no multiples.
    observers: Vec<(usize, i64)>,
    /// Order in which the formulas stand in the text.
    order: Vec<usize>,
}

/// What is done with the cells.
#[derive(Clone, Debug)]
enum Change {
    /// Input to a var cell.
    Input(usize, i64),
    /// An action that assigns several, one of them twice.
    Action(Vec<usize>, i64),
    /// An action that assigns and then fails.
    Failing(usize, i64),
}

/// What a naive spreadsheet knows.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    values: Vec<i64>,
    versions: Vec<u64>,
    runs: Vec<i64>,
}

impl Graph {
    fn name(&self, cell: usize) -> String {
        format!("c{cell}")
    }

    fn source(&self) -> String {
        let mut text = String::from("module m\n");
        let inputs = self.inputs.len();
        for (index, input) in self.inputs.iter().enumerate() {
            let _ = writeln!(text, "  var cell c{index} : number = {input}");
        }
        for index in 0..self.formulas.len() {
            let _ = writeln!(text, "  cell c{} : number", inputs + index);
        }
        for index in &self.order {
            let formula = &self.formulas[*index];
            let mut sum = format!("{}", formula.plus);
            for read in &formula.reads {
                let _ = write!(sum, " + {}", self.name(*read));
            }
            let _ = writeln!(text, "  cell c{} = {sum}", inputs + index);
        }
        for cell in 0..inputs + self.formulas.len() {
            let _ = writeln!(text, "  cell v{cell} = cellVersion(c{cell})");
        }
        for (index, (cell, divisor)) in self.observers.iter().enumerate() {
            let name = self.name(*cell);
            let _ = writeln!(text, "  var cell o{index} = 0");
            let _ = writeln!(
                text,
                "  on {name} when {name} % {divisor} == 0 do {{ o{index} = o{index} + 1 }}"
            );
        }
        for index in 0..inputs {
            let _ = writeln!(
                text,
                "  private cell set{index} = action (v) {{ c{index} = v; fail(\"no\") }}"
            );
        }
        let _ = writeln!(text, "  private cell all = action (v) {{");
        for index in 0..inputs {
            let _ = writeln!(
                text,
                "    if (array.contains({index}, v.which)) {{ c{index} = v.value - 1; c{index} = v.value }}"
            );
        }
        text.push_str("  }\nmodule end\n");
        text
    }

    /// The cells that a change of some reaches, themselves included.
    fn reached(&self, changed: &[usize]) -> Vec<bool> {
        let inputs = self.inputs.len();
        let mut reached = vec![false; inputs + self.formulas.len()];
        for cell in changed {
            reached[*cell] = true;
        }
        for (index, formula) in self.formulas.iter().enumerate() {
            reached[inputs + index] |= formula.reads.iter().any(|read| reached[*read]);
        }
        reached
    }

    fn recompute(&self, values: &mut [i64]) {
        let inputs = self.inputs.len();
        for (index, formula) in self.formulas.iter().enumerate() {
            let sum: i64 = formula.reads.iter().map(|read| values[*read]).sum();
            values[inputs + index] = formula.plus + sum;
        }
    }

    fn fire(&self, model: &mut Model, updated: &[bool]) {
        for (index, (cell, divisor)) in self.observers.iter().enumerate() {
            if updated[*cell] && model.values[*cell] % divisor == 0 {
                model.runs[index] += 1;
            }
        }
    }

    fn start(&self) -> Model {
        let cells = self.inputs.len() + self.formulas.len();
        let mut model = Model {
            values: vec![0; cells],
            versions: vec![1; cells],
            runs: vec![0; self.observers.len()],
        };
        model.values[..self.inputs.len()].copy_from_slice(&self.inputs);
        self.recompute(&mut model.values);
        self.fire(&mut model, &vec![true; cells]);
        model
    }

    fn apply(&self, model: &mut Model, change: &Change) {
        let assigned: Vec<(usize, i64)> = match change {
            Change::Input(cell, value) => vec![(*cell, *value)],
            Change::Action(cells, value) => cells.iter().map(|cell| (*cell, *value)).collect(),
            Change::Failing(..) => return,
        };
        let changed: Vec<usize> = assigned.iter().map(|(cell, _)| *cell).collect();
        for (cell, value) in assigned {
            model.values[cell] = value;
        }
        let reached = self.reached(&changed);
        self.recompute(&mut model.values);
        for (version, reached) in model.versions.iter_mut().zip(&reached) {
            *version += u64::from(*reached);
        }
        self.fire(model, &reached);
    }
}

fn graphs() -> impl Strategy<Value = Graph> {
    (1_usize..6, 0_usize..14).prop_flat_map(|(inputs, formulas)| {
        let cells = inputs + formulas;
        let formula = (
            proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
            -9_i64..9,
        );
        (
            proptest::collection::vec(-9_i64..9, inputs),
            proptest::collection::vec(formula, formulas),
            proptest::collection::vec((0..cells, 1_i64..4), 0..4),
            Just((0..formulas).collect::<Vec<_>>()).prop_shuffle(),
        )
            .prop_map(move |(values, formulas, observers, order)| Graph {
                formulas: formulas
                    .into_iter()
                    .enumerate()
                    .map(|(index, (reads, plus))| Formula {
                        reads: reads
                            .iter()
                            .map(|read| read.index(inputs + index))
                            .collect(),
                        plus,
                    })
                    .collect(),
                inputs: values,
                observers,
                order,
            })
    })
}

fn changes(inputs: usize) -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (0..inputs, -9_i64..9).prop_map(|(cell, value)| Change::Input(cell, value)),
        2 => (proptest::sample::subsequence((0..inputs).collect::<Vec<_>>(), 1..=inputs), -9_i64..9)
            .prop_map(|(cells, value)| Change::Action(cells, value)),
        1 => (0..inputs, -9_i64..9).prop_map(|(cell, value)| Change::Failing(cell, value)),
    ];
    proptest::collection::vec(change, 1..8)
}

fn perform(session: &mut Session, change: &Change) -> Vec<Event> {
    let invoke = |name: String, arg: &str| Action::Invoke {
        name,
        env: "$agent_environment".into(),
        arg: value(arg),
        next_actions: value("[]"),
    };
    session.act(match change {
        Change::Input(cell, number) => Action::Input {
            cell: format!("c{cell}"),
            value: value(&number.to_string()),
        },
        Change::Action(cells, number) => invoke(
            "m.all".into(),
            &format!("{{\"which\":{cells:?},\"value\":{number}}}"),
        ),
        Change::Failing(cell, number) => invoke(format!("m.set{cell}"), &number.to_string()),
    });
    events(session)
}

/// Takes over what the session tells.
fn note(known: &mut HashMap<String, i64>, events: &[Event]) {
    for event in events {
        if let Event::Output { cell, value, .. } = event
            && let Ok(number) = text(value).parse()
        {
            known.insert(cell.clone(), number);
        }
    }
}

fn compare(known: &HashMap<String, i64>, model: &Model) -> Result<(), TestCaseError> {
    let get = |name: String| known.get(&name).copied();
    for (cell, value) in model.values.iter().enumerate() {
        prop_assert_eq!(get(format!("c{cell}")), Some(*value), "c{}", cell);
        let version = i64::try_from(model.versions[cell]).ok();
        prop_assert_eq!(get(format!("v{cell}")), version, "version of c{}", cell);
    }
    for (index, runs) in model.runs.iter().enumerate() {
        prop_assert_eq!(get(format!("o{index}")), Some(*runs), "observer {}", index);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Values, versions and observer runs are those of the model after each change.
    #[test]
    fn agrees_with_recomputing_everything(
        (graph, changes) in graphs().prop_flat_map(|graph| {
            let inputs = graph.inputs.len();
            (Just(graph), changes(inputs))
        })
    ) {
        let mut session = load(&graph.source());
        let mut known = HashMap::new();
        let mut model = graph.start();
        session.act(Action::Load { module: "m".into(), args: value("[]") });
        note(&mut known, &events(&mut session));
        compare(&known, &model)?;
        for change in &changes {
            let told_events = perform(&mut session, change);
            if matches!(change, Change::Failing(..)) {
                prop_assert_eq!(told(&told_events), "!RT_FAIL no");
            }
            note(&mut known, &told_events);
            graph.apply(&mut model, change);
            compare(&known, &model)?;
        }
    }
}

fn loaded(source: &str) -> Session {
    let mut session = load(source);
    session.act(Action::Load {
        module: "m".into(),
        args: value("[]"),
    });
    let first = events(&mut session);
    assert!(
        !first.iter().any(|event| matches!(event, Event::Issue(_))),
        "{}",
        told(&first)
    );
    session
}

fn input(session: &mut Session, cell: &str, number: i64) -> String {
    session.act(Action::Input {
        cell: cell.into(),
        value: value(&number.to_string()),
    });
    told(&events(session))
}

#[test]
fn a_change_costs_what_it_reaches() {
    let mut source = String::from("module m\n  var cell a = 1\n  var cell b = 1\n");
    for index in 0..1000 {
        let _ = writeln!(source, "  private cell f{index} = a + {index}");
    }
    source.push_str("  cell small = b + 1\n  cell smaller = small + b\nmodule end\n");
    let mut session = loaded(&source);
    let before = session.evaluations();
    assert_eq!(
        input(&mut session, "b", 5),
        "b = 5 ; small = 6 ; smaller = 11"
    );
    assert_eq!(session.evaluations() - before, 2);
    let before = session.evaluations();
    assert_eq!(input(&mut session, "a", 5), "a = 5");
    assert_eq!(session.evaluations() - before, 1000);
}

#[test]
fn diamonds_are_evaluated_once() {
    // 40 levels of diamonds have 2^40 paths.
    let mut source = String::from("module m\n  var cell d0 = 1\n");
    for level in 0..40 {
        let _ = writeln!(source, "  private cell l{level} = d{level} % 1000");
        let _ = writeln!(source, "  private cell r{level} = d{level} % 1000");
        let _ = writeln!(
            source,
            "  private cell d{} = l{level} + r{level}",
            level + 1
        );
    }
    source.push_str("  cell last = d40\nmodule end\n");
    let mut session = loaded(&source);
    let before = session.evaluations();
    input(&mut session, "d0", 3);
    assert_eq!(session.evaluations() - before, 121);
}

#[test]
fn a_hundred_thousand_cells() {
    // A chain in the order of the text, and one instance for each of many rows.
    let rows = 50_000;
    let source = format!(
        "module Row(k:number, base:link(number))
           alias b = base
           cell v = b + k
         module end
         module m
           import Row
           var cell base = 1
           var cell other = 1
           def rows = array.initialize({rows}, k -> Row(k, base))
           cell last = other + array.length(rows)
         module end"
    );
    let mut session = loaded(&source);
    let before = session.evaluations();
    assert!(input(&mut session, "other", 2).starts_with("other = 2 ; last = 5000"));
    assert_eq!(session.evaluations() - before, 1);
    let before = session.evaluations();
    assert_eq!(input(&mut session, "base", 7), "base = 7");
    assert!(session.evaluations() - before >= 100_000);
}

#[test]
fn a_long_chain_against_the_order_of_the_text() {
    // Each cell reads one that is defined after it, so that forcing goes deep.
    let count = 20_000;
    let mut source = String::from("module m\n  var cell first = 1\n");
    for index in 0..count {
        let _ = writeln!(source, "  private cell c{index} : number");
    }
    for index in 0..count - 1 {
        let _ = writeln!(source, "  private cell c{index} = c{} + 1", index + 1);
    }
    let _ = writeln!(source, "  private cell c{} = first", count - 1);
    source.push_str("  cell out = c0\nmodule end\n");
    let mut session = loaded(&source);
    let before = session.evaluations();
    assert_eq!(
        input(&mut session, "first", 5),
        format!("first = 5 ; out = {}", count + 4)
    );
    assert_eq!(session.evaluations() - before, count + 1);
}
