//! What stands in a configuration and is not in force.

use super::fields::{COMPILED, LEFT_OUT, OWN, REFUSED};
use super::text::{Field, Value};
use super::worker::Reading;
use crate::session::nearest::Nearest;

impl Reading<'_> {
    /// What stands in environments that are not asked for is nobody's business today, but a slip of the fingers is told.
    pub(super) fn look_at_others(&mut self, config: &Value) {
        let environments = config.get("env").map(Value::fields).unwrap_or_default();
        let others = environments.iter().filter(|field| Some(field.name.as_str()) != self.environment);
        for environment in others {
            for Field { at, name, .. } in environment.value.fields() {
                let known = || COMPILED.iter().chain(&OWN).chain(&LEFT_OUT).copied();
                let is_refused = REFUSED.iter().any(|(refused, _)| refused == name);
                if is_refused || known().any(|known| known == name) || self.without.contains(name) {
                    continue;
                }
                let what = format!("`{name}` is no field that this jackfield knows");
                let why = format!(
                    "the environment `{}`, which is not used now, cannot be run with it",
                    environment.name
                );
                self.warnings.add_near(*at..*at, what, why, Nearest::of(name, known()).0);
            }
        }
    }
}
