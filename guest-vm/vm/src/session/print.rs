//! Values as a REPL prints them (language 8).

use crate::heap::Value;
use crate::machine::Machine;

impl Machine {
    /// A value as a REPL prints it.
    pub(crate) fn printed(&self, value: &Value) -> String {
        match value {
            Value::Function(_) => "<function>".into(),
            Value::Stream(_) => "<stream>".into(),
            Value::Token(_) => "<token>".into(),
            Value::Link(id) => {
                let name = self.sheet.cell_name(&self.loaded, *id);
                // The module of a session has no name of its own.
                format!("<link {}>", name.trim_start_matches("<session>."))
            }
            Value::Instance(id) => {
                let sheet = &self.sheet;
                let module = sheet.instances.get(id.0 as usize).map(|i| i.module);
                let name = module.map_or("", |module| {
                    &*self.loaded.program.modules[module.index()].name
                });
                format!("<module {name}>")
            }
            Value::Appstate | Value::Handle(_) | Value::Opaque(_) => "<opaque>".into(),
            value => crate::text_form::format_esc_json(value)
                .unwrap_or_else(|_| crate::text_form::log_text(value)),
        }
    }
}
