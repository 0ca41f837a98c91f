//! Fields that only this dialect knows, on their way back to an upstream of it.
//!
//! Anthropic answers 400 to a field it does not know, and a clone to one of Anthropic's newer ones; many clones ignore both.

use serde_json::{Map, Value};

use super::{super::ID, Writer};
use crate::{
    catalog::{Abilities, model::ThinkingControl},
    dialect::{Severity, canonical::Extra},
};

/// What kind of object the fields stood in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Request,
    Turn,
    Part,
    Tool,
}

/// Fields of the first Messages interface, which clones know too.
const COMMON: [&str; 2] = ["metadata", "type"];

/// Anthropic's documented fields, as far as they are not read into the canonical form.
fn documented(level: Level) -> &'static [&'static str] {
    match level {
        Level::Request => &[
            "cache_control",
            "container",
            "context_management",
            "diagnostics",
            "fallbacks",
            "inference_geo",
            "mcp_servers",
            "output_config",
            "speed",
            "thinking",
            "thread",
        ],
        Level::Turn => &["output_config"],
        Level::Part => &["cache_control", "caller", "citations", "context", "title", "transformations"],
        Level::Tool => &[
            "allowed_callers",
            "cache_control",
            "defer_loading",
            "eager_input_streaming",
            "input_examples",
            "output_schema",
        ],
    }
}

/// Whether the upstream may be told a field. One without cache marks is a clone: it knows the common fields alone.
fn is_known(level: Level, key: &str, abilities: &Abilities) -> bool {
    abilities.unknown_fields
        || COMMON.contains(&key)
        || (abilities.cache_control && documented(level).contains(&key))
}

/// The beta switches a body carried; they belong in the `anthropic-beta` header.
pub(super) fn betas(extra: &Extra) -> Vec<String> {
    let betas = extra.field(ID, "betas").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    betas.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Writer<'_> {
    /// Puts the fields into `object` as far as the upstream knows them; notes the others.
    pub(super) fn extra(&mut self, extra: &Extra, level: Level, object: &mut Map<String, Value>) {
        let Some(fields) = extra.get() else { return };
        if fields.dialect != ID {
            return extra.lose(&mut self.losses);
        }
        for (key, value) in &fields.fields {
            if is_known(level, key, self.abilities) {
                merge(object, key, value);
            } else {
                let at = format!("{}/{key}", fields.at);
                self.drop(at, Severity::Cosmetic, format!("the upstream does not know `{key}`"));
            }
        }
    }

    /// The same for the request's own fields, of which some were said elsewhere.
    pub(super) fn request_extra(&mut self, body: &mut Map<String, Value>) {
        let extra = &self.request.extra;
        let Some(fields) = extra.get().filter(|it| it.dialect == ID) else {
            return self.foreign_extra();
        };
        let mut left = fields.fields.clone();
        left.shift_remove("betas");
        // The effort was said beside the thinking.
        if let Some(Value::Object(config)) = left.get_mut("output_config") {
            config.shift_remove("effort");
            if config.is_empty() {
                left.shift_remove("output_config");
            }
        }
        self.odd_thinking(&mut left, body);
        self.extra(&Extra::new(ID, fields.at.clone(), left), Level::Request, body);
    }

    /// Notes the fields of another dialect, but for those that were told all the same or ask for what happens anyway.
    fn foreign_extra(&mut self) {
        let Some(fields) = self.request.extra.get() else { return };
        let user = self.request.end_user.as_deref();
        let mut left = fields.fields.clone();
        left.retain(|key, value| match key.as_str() {
            "safety_identifier" => value.as_str() != user,
            "store" => *value != Value::Bool(false),
            _ => true,
        });
        Extra::new(fields.dialect, fields.at.clone(), left).lose(&mut self.losses);
    }

    /// What `thinking` said beyond its mode goes where its mode went; a mode we do not know goes to a model that thinks.
    fn odd_thinking(&mut self, left: &mut Map<String, Value>, body: &Map<String, Value>) {
        let Some(thinking) = left.get("thinking") else { return };
        let whole = thinking.get("type").is_some() && self.abilities.thinking != ThinkingControl::None;
        if !whole && !body.contains_key("thinking") {
            left.shift_remove("thinking");
            self.drop("/thinking", Severity::Cosmetic, "the model cannot be told how to think");
        }
    }
}

/// Adds a field; never overwrites, but goes into objects. A cache mark that says more than ours takes its place.
fn merge(object: &mut Map<String, Value>, key: &str, value: &Value) {
    let is_mark = key == "cache_control";
    match (object.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) if !is_mark => {
            for (key, value) in new {
                merge(old, key, value);
            }
        }
        (Some(_), _) if !is_mark => {}
        _ => drop(object.insert(key.to_owned(), value.clone())),
    }
}
