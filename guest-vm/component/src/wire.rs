//! Shapes of the machine and of the contract.

use crate::bindings::exports::mix::vm::session as contract;
use crate::bindings::mix::ffi::types as ffi;
use crate::bindings::mix::vm::types as shapes;

/// An action for the machine.
pub fn action(action: contract::Action) -> mix_vm::Action {
    use contract::Action as From;
    use mix_vm::Action as To;
    match action {
        From::RunAgent(contract::AgentCall { agent, params }) => To::RunAgent { agent, params },
        From::Load(contract::Push { module, args }) => To::Load { module, args },
        From::Push(contract::Push { module, args }) => To::Push { module, args },
        From::Pop => To::Pop,
        From::Input(contract::Input { cell, value }) => To::Input { cell, value },
        From::Invoke(contract::Invocation {
            name,
            env,
            arg,
            next_actions,
        }) => To::of_invocation(name, env, arg, next_actions),
    }
}

/// An event for the driver of the session.
pub fn event(event: mix_vm::Event) -> contract::Event {
    use contract::Event as To;
    use mix_vm::Event as From;
    match event {
        From::Output {
            cell,
            version,
            value,
        } => To::Output(contract::Output {
            cell,
            version,
            value,
        }),
        From::Log(line) => To::Log(line),
        From::ClientActions(actions) => To::ClientActions(actions),
        From::Result(value) => To::Result(value),
        // Only asked for by drivers that link the machine natively; for people in any case.
        From::Evaluated(text) => To::Log(text),
        From::IdleActions(actions) => To::IdleActions(actions),
        From::Issue(found) => To::Issue(issue(found)),
        From::Done(number) => To::Done(number),
    }
}

/// An issue.
pub fn issue(issue: mix_vm::Issue) -> shapes::Issue {
    let location = |place: mix_vm::Location| shapes::Location {
        file: place.file,
        start_line: place.start_line,
        start_column: place.start_column,
        end_line: place.end_line,
        end_column: place.end_column,
    };
    let frame = |frame: mix_vm::TraceFrame| shapes::Frame {
        module: frame.module,
        function: frame.function,
        line: frame.line,
    };
    shapes::Issue {
        code: issue.code,
        class: issue.class,
        message: issue.message,
        params: issue.params,
        location: issue.location.map(location),
        mix_stack: issue.mix_stack.into_iter().map(frame).collect(),
    }
}

/// An issue of the driver itself.
pub fn driver_issue(code: &str, message: &str) -> shapes::Issue {
    shapes::Issue {
        code: code.to_string(),
        class: "runtime".to_string(),
        message: message.to_string(),
        // An empty map.
        params: vec![0x80],
        location: None,
        mix_stack: Vec::new(),
    }
}

/// What a program offers.
pub fn summary(summary: mix_vm::Summary) -> shapes::Summary {
    let module = |module: mix_vm::ModuleInfo| shapes::ModuleInfo {
        name: module.name,
        params: module.params,
        agent: module.agent,
    };
    shapes::Summary {
        modules: summary.modules.into_iter().map(module).collect(),
        foreign: summary.foreign,
    }
}

/// Why a call failed. Inlined, so that results need not be in memory for it.
#[inline(always)]
pub fn boxed(failure: ffi::Failure) -> Box<mix_vm::HostFailure> {
    Box::new(self::failure(failure))
}

/// Why a foreign function gave no result.
pub fn failure(failure: ffi::Failure) -> mix_vm::HostFailure {
    mix_vm::HostFailure {
        code: failure.code,
        message: failure.message,
        detail: failure.detail,
    }
}
