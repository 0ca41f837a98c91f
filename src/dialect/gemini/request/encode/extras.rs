//! Fields that only this dialect knows, on their way back to an upstream of it.

use serde_json::{Map, Value};

use super::{super::super::ID, Writer};
use crate::dialect::{Severity, canonical::Extra};

impl Writer<'_> {
    /// Puts the fields into `object`, into objects within it too; notes those of another dialect.
    pub(super) fn extra(&mut self, extra: &Extra, object: &mut Map<String, Value>) {
        let Some(fields) = extra.get() else { return };
        if fields.dialect != ID {
            return extra.lose(&mut self.losses);
        }
        for (key, value) in fields.fields.iter().filter(|it| !it.0.starts_with(Extra::NOTE)) {
            merge(object, key, value);
        }
    }

    /// The same for the request's own fields.
    pub(super) fn request_extra(&mut self, body: &mut Map<String, Value>) {
        let extra = &self.request.extra;
        let Some(fields) = extra.get() else { return };
        if fields.dialect != ID {
            return self.foreign_extra();
        }
        let mut left = fields.fields.clone();
        if !body.contains_key("tools") {
            // What is said of how to call functions is for those there are.
            let config = left.get_mut("toolConfig").and_then(Value::as_object_mut);
            if config.is_some_and(|it| it.shift_remove("functionCallingConfig").is_some()) {
                self.drop(
                    "/toolConfig/functionCallingConfig",
                    Severity::Cosmetic,
                    "there are no functions to call",
                );
            }
        }
        self.odd_thinking(&mut left, body);
        self.extra(&Extra::new(ID, fields.at.clone(), left), body);
    }

    /// A level and a budget are refused together: what was told first stays alone.
    fn odd_thinking(&mut self, left: &mut Map<String, Value>, body: &Map<String, Value>) {
        let Some(Value::Object(config)) = left.get_mut("generationConfig") else { return };
        let told = body.get("generationConfig").and_then(|it| it.get("thinkingConfig"));
        let told = told.and_then(Value::as_object);
        let says = |key: &str| told.is_some_and(|it| it.contains_key(key));
        let Some(Value::Object(thinking)) = config.get_mut("thinkingConfig") else { return };
        let twice = says("thinkingLevel") || says("thinkingBudget");
        let before = thinking.len();
        if twice {
            thinking.shift_remove("thinkingBudget");
            thinking.shift_remove("thinkingLevel");
        }
        let fewer = thinking.len() < before;
        if thinking.is_empty() {
            config.shift_remove("thinkingConfig");
        }
        if fewer {
            let reason = "a model takes a level or a budget of thinking, not both";
            self.drop("/generationConfig/thinkingConfig", Severity::Cosmetic, reason);
        }
    }

    /// Notes the fields of another dialect, but for those that ask for what happens anyway.
    fn foreign_extra(&mut self) {
        let Some(fields) = self.request.extra.get() else { return };
        let mut left = fields.fields.clone();
        left.retain(|key, value| key != "store" || *value != Value::Bool(false));
        Extra::new(fields.dialect, fields.at.clone(), left).lose(&mut self.losses);
    }
}

/// Adds a field; never overwrites, but goes into objects.
fn merge(object: &mut Map<String, Value>, key: &str, value: &Value) {
    match (object.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                merge(old, key, value);
            }
        }
        (Some(_), _) => {}
        (None, value) => drop(object.insert(key.to_owned(), value.clone())),
    }
}
