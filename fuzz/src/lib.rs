//! What several fuzz targets do.

pub mod files;
pub mod tree;

use mix_allocator::Counted;
use mix_vm::{Action, Event, MemoryLimit, NoFunctions, NoHost, Options, Step, Vm};

/// Steps of a program.
const BUDGET: u64 = 20_000;

/// Memory of a program, as a server gives it to an agent. A single instruction may take as much
/// as a value has at most beyond it.
const MEMORY: usize = 256 << 20;

#[global_allocator]
static ALLOCATED: Counted = Counted::new();

fn options() -> Options {
    Options {
        memory: Some(MemoryLimit::Counted {
            used: || ALLOCATED.used(),
            most: MEMORY,
        }),
        ..Options::default()
    }
}

/// Loads an executable and runs every module and its expression for a while. With
/// `loads` it must not be refused, as foreign functions apart nothing can be wrong with it.
pub fn run(executable: &[u8], loads: bool) {
    let vm = match Vm::load(executable, &NoFunctions, &options()) {
        Ok(vm) => vm,
        Err(issue) => {
            assert!(!loads || issue.code == "ERR_FFI_MISSING", "{issue}");
            return;
        }
    };
    let null = vec![0xc0];
    let mut actions = vec![Action::Evaluate];
    for module in &vm.summary().modules {
        // An array of as many nulls as there are parameters, in MessagePack.
        let params = module.params.min(15) as usize;
        let mut args = vec![0x90 | params as u8];
        args.resize(1 + params, 0xc0);
        actions.push(Action::RunAgent {
            agent: module.name.clone(),
            params: null.clone(),
        });
        actions.push(Action::Load {
            module: module.name.clone(),
            args,
        });
    }
    for action in actions {
        let mut session = vm.session();
        session.set_budget(Some(BUDGET));
        session.act(action);
        for _ in 0..1_000 {
            match session.run(&mut NoHost, 5_000) {
                Step::Event(Event::Issue(issue)) => {
                    assert!(!loads || issue.code != "RT_INTERNAL", "{issue}");
                }
                Step::Event(_) | Step::Ready => {}
                _ => break,
            }
        }
    }
}
