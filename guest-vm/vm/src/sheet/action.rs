//! Action values and their invocation (language 4.15).

use mix_bytecode::SlotKind;

use super::Environment;
use crate::failure::Failure;
use crate::heap::{Callable, Function, InstanceId, Map, Value};
use crate::machine::{Machine, Native, Next, Routine};

/// Environment name under which outsiders invoke action cells.
const AGENT_ENVIRONMENT: &str = "$agent_environment";

/// Most action values of a view: all live as long as the view.
const MAX_ENVIRONMENTS: usize = 10_000_000;

/// Value of `_rmx_type` of an action.
pub(crate) const INVOKE: &str = "msg_view_invoke";

/// `RT_NO_ACTION`.
fn no_action(name: &str) -> Failure {
    Failure::new("RT_NO_ACTION", format!("unknown action {name}")).with("name", name)
}

impl Machine {
    /// The value of an action expression; keeps what it needs in the view.
    pub fn make_action(
        &mut self,
        function: u32,
        instance: InstanceId,
        captures: Vec<Value>,
    ) -> Result<Value, Failure> {
        let name = self.loaded.program.functions[function as usize]
            .action
            .clone();
        let number = match self.sheet.view_mut() {
            Some(view) if view.environments.len() >= MAX_ENVIRONMENTS => {
                return Err(crate::heap::room::exhausted());
            }
            Some(view) => {
                view.environments.push(Environment {
                    function,
                    instance,
                    captures,
                });
                view.environments.len()
            }
            None => 0,
        };
        Ok(Value::Map(Map::of_entries(vec![
            ("_rmx_type".into(), Value::text(INVOKE)),
            ("env".into(), Value::text(format!("$cloenv_{number}"))),
            (
                "name".into(),
                Value::text(name.as_deref().unwrap_or_default()),
            ),
        ])))
    }

    /// Starts the body of an action; its value goes to the topmost native.
    pub fn invoke(
        &mut self,
        routine: &mut Routine,
        name: &str,
        env: &str,
        argument: Value,
    ) -> Result<Next, Failure> {
        let environment = self.find_action(name, env).ok_or_else(|| no_action(name))?;
        if let Some(line) = self
            .surroundings
            .metrics
            .action_begins(&self.loaded.program.functions[environment.function as usize].name)
        {
            self.surroundings.log(line);
        }
        let closure = Function {
            arity: 1,
            target: Callable::Closure {
                function: environment.function,
                instance: environment.instance,
                captures: environment.captures,
            },
        };
        let closure = std::rc::Rc::new(closure);
        self.enter(
            routine,
            environment.function,
            environment.instance,
            Some(closure),
            vec![argument],
            Native::RET,
        )
    }

    fn find_action(&self, name: &str, env: &str) -> Option<Environment> {
        let view = self.sheet.view()?;
        let functions = &self.loaded.program.functions;
        if env == AGENT_ENVIRONMENT {
            let (module_name, cell_name) = name.split_once('.')?;
            let top = view.top?;
            let module = &self.loaded.program.modules
                [self.sheet.instances.get(top.0 as usize)?.module.index()];
            if &*module.name != module_name {
                return None;
            }
            let slot = module.cell(cell_name)?;
            let SlotKind::Cell(cell) = &module.slots[slot.index()].kind else {
                return None;
            };
            let function = cell.action?.0;
            return Some(Environment {
                function,
                instance: top,
                captures: Vec::new(),
            });
        }
        let number: usize = env.strip_prefix("$cloenv_")?.parse().ok()?;
        let environment = view.environments.get(number.checked_sub(1)?)?;
        let action = functions[environment.function as usize].action.as_deref();
        (action == Some(name)).then(|| environment.clone())
    }
}
