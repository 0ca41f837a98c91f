//! References: only those into `$defs` at the root are followed, so what else is referred to is brought there.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::walk;
use crate::dialect::{Loss, Severity};

/// How much is brought into `$defs` from elsewhere, in bytes: twice what the service takes as a whole.
const MOST_MOVED: usize = 240_000;

/// Brings what is referred to elsewhere in the document into `$defs`: only references into it are followed.
pub(super) fn gather(root: &mut Map<String, Value>, losses: &mut Vec<Loss>) {
    let whole = Value::Object(root.clone());
    let mut moved: HashMap<String, Option<String>> = HashMap::new();
    let mut size = 0;
    loop {
        let mut found = Vec::new();
        walk::each(root, &mut |place, _| {
            if let Some(Value::String(it)) = place.get("$ref")
                && !(it == "#" || is_definition(&whole, it) || moved.contains_key(it))
            {
                found.push(it.clone());
            }
        });
        if found.is_empty() {
            break;
        }
        for reference in found {
            if moved.contains_key(&reference) {
                continue;
            }
            let target = target(&whole, &reference);
            size += reference.len() + target.map_or(0, |it| it.to_string().len());
            if size > MOST_MOVED {
                // Too large for the service in any form: it says so itself.
                return;
            }
            let name = target.map(|it| define(root, &reference, it));
            moved.insert(reference, name);
        }
    }
    if moved.is_empty() {
        return;
    }
    walk::each(root, &mut |place, at| {
        let Some(Value::String(it)) = place.get("$ref") else { return };
        match moved.get(it) {
            Some(Some(name)) => {
                place.insert("$ref".to_owned(), format!("#/$defs/{name}").into());
            }
            Some(None) => {
                place.shift_remove("$ref");
                let reason = "it leads nowhere in the schema";
                losses.push(Loss::dropped(format!("{at}/$ref"), Severity::Semantic, reason));
            }
            None => {}
        }
    });
    root.shift_remove("definitions");
}

fn is_definition(whole: &Value, reference: &str) -> bool {
    reference.starts_with("#/$defs/")
        && !reference.contains(['~', '%'])
        && whole.pointer(&reference[1..]).is_some_and(Value::is_object)
}

fn target<'a>(whole: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = percent_encoding::percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
    whole.pointer(&pointer).filter(|it| it.is_object())
}

/// Puts a schema among the definitions, under a name that no other has.
fn define(root: &mut Map<String, Value>, reference: &str, schema: &Value) -> String {
    let last = reference.rsplit('/').next().unwrap_or_default();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    let base: String = last.chars().map(|it| if is_plain(it) { it } else { '_' }).collect();
    let defined = root.entry("$defs").or_insert_with(|| json!({}));
    if !defined.is_object() {
        *defined = json!({});
    }
    let Value::Object(defined) = defined else { return base };
    let mut name = base.clone();
    let mut number = 1;
    while name.is_empty() || defined.contains_key(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    defined.insert(name.clone(), schema.clone());
    name
}
