//! Where schemas stand within a schema: one walk for all who put schemas right in place.
//!
//! The walk knows where a schema stands and where a name does: a property called `pattern` is no keyword.

use serde_json::{Map, Value};

/// How deep a schema is walked; what lies deeper is left as it is.
const DEEPEST: usize = 64;

/// Keywords that hold one schema.
const ONE: [&str; 11] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
];
/// Keywords that hold a list of schemas.
const LIST: [&str; 5] = ["anyOf", "oneOf", "allOf", "prefixItems", "items"];
/// Keywords that hold schemas by name.
pub(in crate::dialect) const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Visits the schema and each one in it, the outer before the inner: what a visit changes is walked as it then is.
/// The second argument is the place, a JSON pointer from the root.
pub(in crate::dialect) fn each(
    root: &mut Map<String, Value>,
    visit: &mut impl FnMut(&mut Map<String, Value>, &str),
) {
    each_under(root, |_| true, visit);
}

/// The same for those schemas alone that stand under keywords of which `enters` says yes.
pub(super) fn each_under(
    root: &mut Map<String, Value>,
    enters: fn(&str) -> bool,
    visit: &mut impl FnMut(&mut Map<String, Value>, &str),
) {
    descend(root, "", 0, enters, visit);
}

fn descend(
    schema: &mut Map<String, Value>,
    at: &str,
    depth: usize,
    enters: fn(&str) -> bool,
    visit: &mut impl FnMut(&mut Map<String, Value>, &str),
) {
    if depth > DEEPEST {
        return;
    }
    visit(schema, at);
    for key in ONE.into_iter().filter(|it| enters(it)) {
        if let Some(Value::Object(it)) = schema.get_mut(key) {
            descend(it, &format!("{at}/{key}"), depth + 1, enters, visit);
        }
    }
    for key in LIST.into_iter().filter(|it| enters(it)) {
        let all = schema.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, it) in all.enumerate() {
            if let Value::Object(it) = it {
                descend(it, &format!("{at}/{key}/{index}"), depth + 1, enters, visit);
            }
        }
    }
    for key in NAMED.into_iter().filter(|it| enters(it)) {
        let all = schema.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten();
        for (name, it) in all {
            if let Value::Object(it) = it {
                descend(it, &format!("{at}/{key}/{}", escaped(name)), depth + 1, enters, visit);
            }
        }
    }
}

/// A name as it is written in a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(mut schema: Value) -> Vec<String> {
        let mut places = Vec::new();
        each(schema.as_object_mut().unwrap(), &mut |_, at| places.push(at.to_owned()));
        places
    }

    #[test]
    fn names_are_no_keywords_and_values_are_no_schemas() {
        let schema = json!({"properties": {"properties": {"type": "string"}, "a/b": {"items": [{}, true, {}]}},
            "default": {"properties": {"x": {}}}, "enum": [{"items": {}}], "additionalProperties": {"not": {}}});
        let expected = [
            "",
            "/additionalProperties",
            "/additionalProperties/not",
            "/properties/properties",
            "/properties/a~1b",
            "/properties/a~1b/items/0",
            "/properties/a~1b/items/2",
        ];
        assert_eq!(places(schema), expected);
    }

    #[test]
    fn what_a_visit_adds_is_walked_and_depth_is_bounded() {
        let mut schema = json!({}).as_object().unwrap().clone();
        let mut visits = 0;
        each(&mut schema, &mut |place, _| {
            visits += 1;
            place.insert("items".to_owned(), json!({}));
        });
        assert_eq!(visits, DEEPEST + 1);
    }
}
