//! The conformance files of the language and the library, run by the VM component.
//!
//! The same blocks as natively, read, compiled and compared by `mix-conformance`; here the
//! program is loaded through `mix:vm/program` and its commands go through `mix:vm/session`,
//! each block in an instance of its own. Behind the VM are the families `core` and `crypto`,
//! and for a block that uses them also `db`, on a folder of its own, and `files` in memory.
//!
//! A block stays out for one of the reasons in [`Outside`], and each reason has a limit, so
//! that none takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mix_compiler::{CompileOptions, SourceFile, compile};
use mix_component_tests::vm_contract::{
    Action, AgentCall, Event, Input, Invocation, Issue, Output, Push,
};
use mix_component_tests::{Machine, Surroundings, component, compose_vm, guest};
use mix_conformance::case_file::{self, Block};
use mix_conformance::example::{self, Place};
use mix_conformance::expect::{Outcome, Problem};
use mix_conformance::session::{self, Compiled, Did, Run, Told};
use wasmtime::component::Component;

/// Why a block is run natively only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outside {
    /// It uses connections; the native runner has a server that answers.
    Connection,
    /// It asks for the environment of the run.
    Environment,
    /// It counts on the clock of the native runner, which goes on when it is read.
    Clock,
    /// It runs until a limit of the driver ends it.
    Limit,
}

/// Most blocks that may stay out for each reason.
const LIMITS: &[(Outside, usize)] = &[
    (Outside::Connection, 40),
    (Outside::Environment, 50),
    (Outside::Clock, 10),
    (Outside::Limit, 3),
];

/// No block waits this long; one that does would stop the suite.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is told of the run: the native runner has a fixed one, the real family that of the process.
const ENVIRONMENT: &str = "$core_env_";

/// Functions of families that are there for those who use them.
const STATEFUL: &[&str] = &["$db_", "$file_"];

/// Saves the records that the native runner begins with.
const PREPARE: &str = r#"
module prepare(p:data)
  foreign def save : data -> array(data) -> array(data) = "$db_save_a"
  var cell m_params = p
  def rows = [{kind: "t", n: "a", v: 1}, {kind: "t", n: "b"}, {kind: "u", n: "c", v: 3}]
  cell output = do {
    let _ = save({type: "rmx", scope: "session", db: "examples"}, rows);
    return 1
  }
module end
"#;

fn imports(program: &mix_bytecode::Program, prefixes: &[&str]) -> bool {
    let begins = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    program.imports.iter().any(|import| begins(&import.name))
}

fn outside(block: &Block, program: &mix_bytecode::Program) -> Option<Outside> {
    let expects = |code: &str| {
        block
            .expected
            .iter()
            .chain(block.commands.iter().map(|(_, expected)| expected))
            .any(|expected| expected.contains(code))
    };
    if imports(program, &["$http_"]) {
        return Some(Outside::Connection);
    }
    // Records and files look at the environment for the name of the app only.
    if imports(program, &[ENVIRONMENT]) && !imports(program, STATEFUL) {
        return Some(Outside::Environment);
    }
    let runs_timer = block.source.contains("metrics.startTimer");
    if runs_timer && !expects("!ERR_") {
        return Some(Outside::Clock);
    }
    expects("!RT_TIMEOUT").then_some(Outside::Limit)
}

/// The shapes of the contract for an action of the machine; `None` if it has none.
fn to_contract(action: &mix_vm::Action) -> Option<Action> {
    Some(match action.clone() {
        mix_vm::Action::RunAgent { agent, params } => Action::RunAgent(AgentCall { agent, params }),
        mix_vm::Action::Load { module, args } => Action::Load(Push { module, args }),
        mix_vm::Action::Push { module, args } => Action::Push(Push { module, args }),
        mix_vm::Action::Pop => Action::Pop,
        mix_vm::Action::Input { cell, value } => Action::Input(Input { cell, value }),
        mix_vm::Action::Invoke {
            name,
            env,
            arg,
            next_actions,
        } => Action::Invoke(Invocation {
            name,
            env,
            arg,
            next_actions,
        }),
        other => {
            let (name, env, arg) = other.as_invocation()?;
            Action::Invoke(Invocation {
                name: name.to_owned(),
                env,
                arg,
                // An empty array.
                next_actions: vec![0x90],
            })
        }
    })
}

fn issue(issue: Issue) -> mix_vm::Issue {
    mix_vm::Issue {
        code: issue.code,
        class: issue.class,
        message: issue.message,
        params: issue.params,
        location: issue.location.map(|at| mix_vm::Location {
            file: at.file,
            start_line: at.start_line,
            start_column: at.start_column,
            end_line: at.end_line,
            end_column: at.end_column,
        }),
        mix_stack: issue
            .mix_stack
            .into_iter()
            .map(|frame| mix_vm::TraceFrame {
                module: frame.module,
                function: frame.function,
                line: frame.line,
            })
            .collect(),
    }
}

fn from_contract(event: Event) -> mix_vm::Event {
    match event {
        Event::Output(Output {
            cell,
            version,
            value,
        }) => mix_vm::Event::Output {
            cell,
            version,
            value,
        },
        Event::Log(line) => mix_vm::Event::Log(line),
        Event::ClientActions(list) => mix_vm::Event::ClientActions(list),
        Event::Result(value) => mix_vm::Event::Result(value),
        Event::IdleActions(list) => mix_vm::Event::IdleActions(list),
        Event::Issue(found) => mix_vm::Event::Issue(issue(found)),
        Event::Done(number) => mix_vm::Event::Done(number),
    }
}

/// The VM with the families of most blocks, and with those that keep something as well.
struct Vms {
    plain: Component,
    stateful: Component,
}

impl Vms {
    fn composed() -> Result<Vms> {
        let mut families = vec![guest("mix_plugin_core"), guest("mix_plugin_crypto")];
        let plain = component(&compose_vm(&families)?)?;
        families.extend([guest("mix_plugin_db"), guest("mix_plugin_files_memory")]);
        let stateful = component(&compose_vm(&families)?)?;
        Ok(Vms { plain, stateful })
    }
}

/// Compiles a block and runs it in a fresh instance.
async fn run(vms: &Vms, block: &Block) -> Result<std::result::Result<Run, Outside>> {
    let (program, warnings) = match session::compiled(block)? {
        Compiled::Program(program, warnings) => (program, warnings),
        Compiled::Refused(problem, warnings) => {
            return Ok(Ok(Run::refused(block, problem, warnings)));
        }
    };
    if let Some(reason) = outside(block, &program) {
        return Ok(Err(reason));
    }
    let evaluates = block.expected.is_some() && program.expression.is_some();
    let folder;
    let mut folders = Vec::new();
    let component = match imports(&program, STATEFUL) {
        true => {
            folder = tempfile::tempdir()?;
            folders.push((folder.path(), "/app"));
            &vms.stateful
        }
        false => &vms.plain,
    };
    let surroundings = Surroundings {
        folders: &folders,
        own_thread: true,
        ..Surroundings::default()
    };
    let mut machine = Machine::of(component, &surroundings).await?;
    if !folders.is_empty() {
        prepare(&mut machine).await?;
    }
    if let Err(refused) = machine.load(&mix_bytecode::encode(&program)).await? {
        let problem = session::problem_of(&issue(refused));
        return Ok(Ok(Run::refused(block, problem, warnings)));
    }
    let mut actions = Vec::new();
    if evaluates {
        // The expression of a program is an agent without a name.
        actions.push(mix_vm::Action::RunAgent {
            agent: String::new(),
            params: mix_value::msgpack::encode(&mix_value::Value::Null)?,
        });
    }
    for (command, _) in &block.commands {
        let action = session::parse_command(command);
        actions.push(action.with_context(|| format!("command {command}"))?);
    }
    let given = actions
        .iter()
        .map(|action| to_contract(action).context("the contract has no such action"))
        .collect::<Result<Vec<_>>>()?;
    let mut told: Vec<Told> = actions.iter().map(Told::of).collect();
    let mut now = 0;
    for event in machine.run(given).await? {
        match from_contract(event) {
            mix_vm::Event::Done(_) => now += 1,
            // Live cells go on after the last action, as long as the driver listens.
            _ if now >= told.len() => {}
            event => told[now].add(event)?,
        }
    }
    let mut did = told
        .into_iter()
        .map(Told::did)
        .collect::<Result<Vec<_>>>()?;
    let source = match evaluates {
        true => Some(printed(block, did.remove(0))),
        false => block.expected.is_some().then(|| Outcome::Compiled.into()),
    };
    Ok(Ok(Run {
        source,
        commands: did,
        warnings,
    }))
}

/// Puts into the databases of an instance what the native runner begins with.
async fn prepare(machine: &mut Machine) -> Result<()> {
    let files = [SourceFile::new("prepare.mix", PREPARE)];
    let compilation = compile(&files, &CompileOptions::default());
    let program = compilation
        .program
        .context("the program does not compile")?;
    let loaded = machine.load(&mix_bytecode::encode(&program)).await?;
    loaded.map_err(|issue| anyhow!("{}: {}", issue.code, issue.message))?;
    let params = mix_value::msgpack::encode(&mix_value::Value::Null)?;
    let agent = "prepare".to_owned();
    let events = machine.run(vec![Action::RunAgent(AgentCall { agent, params })]);
    let saved = |event: &Event| matches!(event, Event::Result(_));
    match events.await?.iter().any(saved) {
        true => Ok(()),
        false => Err(anyhow!("the records cannot be saved")),
    }
}

/// A session prints what is no data as `<function>`; a result has no form for it.
fn printed(block: &Block, did: Did) -> Did {
    match (&block.expected, &did.outcome) {
        (Some(expected), Outcome::Error(Problem { code, .. }))
            if expected.starts_with('<') && code == "ERR_NOT_SERIALIZABLE" =>
        {
            Outcome::Value(expected.clone()).into()
        }
        _ => did,
    }
}

#[tokio::test]
async fn the_component_conforms() -> Result<()> {
    let vms = Vms::composed()?;
    let gaps = mix_conformance::known_gaps()?;
    let mut left_out: BTreeMap<Outside, usize> = BTreeMap::new();
    let (mut passed, mut wrong) = (0, Vec::new());
    for file in mix_conformance::files()? {
        let text = std::fs::read_to_string(&file)?;
        for block in case_file::parse(&text) {
            let id = mix_conformance::id(&file, &block);
            if gaps.contains_key(&id) {
                continue;
            }
            let ran = tokio::time::timeout(PATIENCE, run(&vms, &block)).await;
            let difference = match ran.unwrap_or_else(|_| Err(anyhow!("it does not end"))) {
                Ok(Ok(run)) => mix_conformance::compare(&block, &run),
                Ok(Err(reason)) => {
                    *left_out.entry(reason).or_default() += 1;
                    continue;
                }
                Err(error) => Some(format!("{error:#}")),
            };
            match difference {
                None => passed += 1,
                Some(difference) => wrong.push(format!("{id}\n     {difference}")),
            }
        }
    }
    println!("{passed} blocks passed, left out {left_out:?}");
    assert!(
        wrong.is_empty(),
        "{passed} passed, but:\n{}",
        wrong.join("\n")
    );
    for (reason, count) in left_out {
        let most = LIMITS.iter().find(|(limited, _)| *limited == reason);
        assert!(
            most.is_some_and(|(_, most)| count <= *most),
            "{reason:?}: {count}"
        );
    }
    Ok(())
}

/// Examples of the library that the native runs cannot run for want of a family.
#[tokio::test]
async fn examples_that_need_families_are_right() -> Result<()> {
    let vms = Vms::composed()?;
    let (mut passed, mut wrong) = (0, Vec::new());
    for example in example::all() {
        if example::place(&example.text)? != Place::Component {
            continue;
        }
        for block in example::blocks(&example.text) {
            let ran = tokio::time::timeout(PATIENCE, run(&vms, &block)).await;
            let difference = match ran.unwrap_or_else(|_| Err(anyhow!("it does not end"))) {
                Ok(Ok(run)) => mix_conformance::compare(&block, &run),
                Ok(Err(reason)) => Some(format!("it stays out: {reason:?}")),
                Err(error) => Some(format!("{error:#}")),
            };
            match difference {
                None => passed += 1,
                Some(difference) => wrong.push(format!("{}\n     {difference}", example.of)),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{passed} passed, but:\n{}",
        wrong.join("\n")
    );
    assert!(passed > 15, "only {passed} examples");
    Ok(())
}
