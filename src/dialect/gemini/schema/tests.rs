#![expect(clippy::needless_pass_by_value, reason = "a `json!` is handed over as it is written")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn told(schema: Value) -> Value {
    answer(&schema).schema
}

fn notes(schema: Value) -> Vec<Note> {
    answer(&schema).notes
}

#[test]
fn ec_030_references_are_inlined() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a", "description": "nearer"}, "b": {"$ref": "#/definitions/b"}},
        "required": ["a", "gone"],
        "additionalProperties": false,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"a": {"type": "integer", "description": "farther", "minimum": 1}},
        "definitions": {"b": {"allOf": [{"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
            {"properties": {"y": {"type": "boolean"}}, "required": ["y"]}]}},
    });
    let expected = json!({
        "type": "OBJECT",
        "properties": {
            "a": {"type": "INTEGER", "minimum": 1, "description": "nearer"},
            "b": {"type": "OBJECT", "required": ["x", "y"],
                "properties": {"x": {"type": "STRING"}, "y": {"type": "BOOLEAN"}}},
        },
        "required": ["a"],
    });
    assert_eq!(told(schema.clone()), expected);
    assert!(notes(schema).iter().all(|it| !it.matters));
}

#[test]
fn ec_030_types_and_arrays_are_put_as_gemini_takes_them() {
    for (schema, expected) in [
        (json!({"type": ["string", "null"]}), json!({"type": "STRING", "nullable": true})),
        (
            json!({"type": ["string", "array"], "items": {"type": "number"}, "maxLength": 3}),
            json!({"anyOf": [{"type": "STRING", "maxLength": 3}, {"type": "ARRAY", "items": {"type": "NUMBER"}}]}),
        ),
        (json!({"type": "array"}), json!({"type": "ARRAY", "items": {"type": "STRING"}})),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}),
            json!({"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}}),
        ),
        (json!({}), json!({"type": "STRING"})),
        (json!(true), json!({"type": "OBJECT"})),
        (
            json!({"properties": {"a": {}}}),
            json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}),
        ),
        (json!({"type": "string", "format": "date-time"}), json!({"type": "STRING", "format": "date-time"})),
        (
            json!({"type": "string", "format": "email", "description": "Whose."}),
            json!({"type": "STRING", "description": "Whose. (format: email)"}),
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5}),
            json!({"type": "NUMBER", "description": "(exclusiveMinimum: 0) (multipleOf: 0.5)"}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "required": true}}}),
            json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}),
        ),
    ] {
        assert_eq!(told(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn ec_031_and_ec_188_names_are_no_keywords() {
    let names = [
        "title",
        "format",
        "default",
        "$ref",
        "additionalProperties",
        "type",
        "enum",
        "const",
        "required",
        "items",
        "properties",
        "anyOf",
        "description",
    ];
    let properties: Map<String, Value> =
        names.iter().map(|it| ((*it).to_owned(), json!({"type": "string", "description": it}))).collect();
    let schema = json!({"type": "object", "properties": properties, "required": names});
    let told = told(schema);
    let kept: Vec<&str> = told["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kept, names);
    assert_eq!(told["required"], json!(names));
    for name in names {
        assert_eq!(told["properties"][name], json!({"type": "STRING", "description": name}));
    }
}

#[test]
fn ec_145_a_schema_that_contains_itself_ends() {
    let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
        "value": {"type": "string"}, "next": {"$ref": "#/$defs/node", "description": "The next."},
        "all": {"type": "array", "items": {"$ref": "#"}}}}}});
    let reduced = answer(&schema);
    assert_eq!(reduced.schema["properties"]["next"], json!({"type": "OBJECT", "description": "The next."}));
    assert!(reduced.notes.iter().any(|it| it.matters && it.what.contains("contains itself")));
    let mutual = json!({"allOf": [{"$ref": "#/$defs/a"}],
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}});
    assert_eq!(told(mutual)["type"], "OBJECT");
}

#[test]
fn ec_146_values_and_null_are_put_as_gemini_takes_them() {
    for (schema, expected) in [
        (json!({"const": "a"}), json!({"type": "STRING", "enum": ["a"]})),
        (json!({"enum": ["a", null, ""]}), json!({"type": "STRING", "enum": ["a"], "nullable": true})),
        (
            json!({"type": "integer", "enum": [1, 2]}),
            json!({"type": "INTEGER", "description": "(one of: [1,2])"}),
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"}),
            json!({"type": "STRING", "nullable": true, "description": "d"}),
        ),
        (
            json!({"anyOf": [{"const": "a"}, {"const": null}]}),
            json!({"type": "STRING", "enum": ["a"], "nullable": true}),
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
            json!({"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ),
    ] {
        assert_eq!(told(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn ec_147_arguments_are_an_object() {
    let union = json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string"}}, "required": ["a", "c"]},
        {"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "required": ["b", "c"]}]});
    let reduced = arguments(&union);
    assert_eq!(reduced.schema["type"], "OBJECT");
    assert_eq!(reduced.schema["properties"].as_object().unwrap().len(), 3);
    assert_eq!(reduced.schema["required"], json!(["c"]));
    assert!(reduced.notes.iter().any(|it| it.matters));
    let bare = arguments(&json!({"path": {"type": "string"}}));
    assert_eq!(bare.schema, json!({"type": "OBJECT", "properties": {"path": {"type": "STRING"}}}));
    let wrapped = arguments(&json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!(wrapped.schema["properties"]["value"]["type"], "ARRAY");
}

#[test]
fn ec_190_a_bomb_of_references_is_bounded() {
    let level = |at: usize| {
        let next = format!("#/$defs/{}", at + 1);
        json!({"type": "object", "properties": {"a": {"$ref": next}, "b": {"$ref": next}, "c": {"$ref": next}}})
    };
    let defs: Map<String, Value> = (0..40).map(|at| (at.to_string(), level(at))).collect();
    let reduced = answer(&json!({"$ref": "#/$defs/0", "$defs": defs}));
    assert!(reduced.notes.iter().any(|it| it.matters));
    assert!(reduced.schema.to_string().len() < 4_000_000);
    let chain: Map<String, Value> = (0..5000)
        .map(|at| (at.to_string(), json!({"allOf": [{"$ref": format!("#/$defs/{}", at + 1)}]})))
        .collect();
    assert_eq!(told(json!({"$ref": "#/$defs/0", "$defs": chain}))["type"], "OBJECT");
    let mut deep = json!({"type": "string"});
    for _ in 0..120 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(answer(&deep).notes.iter().any(|it| it.what.contains("too large")));
}

#[test]
fn ec_102_types_are_restored_at_any_depth() {
    let own = json!({"type": "OBJECT", "properties": {
        "type": {"type": "STRING", "nullable": true, "enum": ["a"], "example": "a"},
        "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "max_items": 3},
        "any": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": true}},
        "required": ["type"], "propertyOrdering": ["type", "list"]});
    let expected = json!({"type": "object", "properties": {
        "type": {"type": ["string", "null"], "enum": ["a", null], "examples": ["a"]},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]}},
        "required": ["type"]});
    assert_eq!(restore(&own), expected);
}

#[test]
fn no_parameters_are_recognised() {
    for it in [json!({}), json!({"type": "object"}), json!({"type": "object", "properties": {}})] {
        assert!(is_empty(&it), "{it}");
    }
    for it in [
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {"a": {}}}),
        json!({"$ref": "#/$defs/a"}),
        json!({"type": "string"}),
    ] {
        assert!(!is_empty(&it), "{it}");
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "string", "minLength": 1, "pattern": "a"}),
        json!({"type": ["integer", "null"], "minimum": 1}),
        json!({"enum": ["a", "b", null]}),
        json!({"enum": [1, 2]}),
        json!({"const": 3}),
        json!({"$ref": "#/$defs/a"}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/nowhere", "title": "t"}),
        json!({"type": "STRING", "format": "uuid", "nullable": true}),
        json!({"type": ["string", "object", "array"]}),
        json!({}),
        json!(true),
        json!(false),
        json!({"type": "null"}),
        json!({"type": "number", "exclusiveMinimum": 1, "default": 2, "examples": [3]}),
        json!({"required": ["x"]}),
        json!({"type": 5, "properties": [], "enum": {}, "anyOf": 1}),
    ])
}

fn schemas() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["a", "type", "enum", "$ref", "properties", "title"]);
    leaf().prop_recursive(4, 24, 4, move |inner| {
        let named = prop::collection::vec((names.clone(), inner.clone()), 0..4);
        prop_oneof![
            (named.clone(), prop::collection::vec(names.clone(), 0..3)).prop_map(|(named, required)| {
                let properties: Map<String, Value> = named.into_iter().map(|(key, it)| (key.to_owned(), it)).collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }),
            inner.clone().prop_map(|it| json!({"type": "array", "items": it, "uniqueItems": true})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|it| json!({"anyOf": it, "description": "d"})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|it| json!({"type": "object", "oneOf": it})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|it| json!({"allOf": it, "title": "t"})),
            prop::collection::vec(inner, 1..3).prop_map(|it| json!({"type": "array", "prefixItems": it})),
        ]
    })
}

/// Every place of a reduced schema.
fn places<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(schema);
    for it in schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        places(it, found);
    }
    for it in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        places(it, found);
    }
    schema.get("items").into_iter().for_each(|it| places(it, found));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn reducing_twice_is_reducing_once(mut schema in schemas()) {
        if let Value::Object(map) = &mut schema {
            map.insert("$defs".to_owned(), json!({"a": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}}));
        }
        let once = answer(&schema).schema;
        prop_assert_eq!(&answer(&once).schema, &once);
        let once = arguments(&schema).schema;
        prop_assert_eq!(&arguments(&once).schema, &once);
    }

    #[test]
    fn a_reduced_schema_has_only_what_gemini_knows(schema in schemas()) {
        let reduced = arguments(&schema).schema;
        prop_assert_eq!(&reduced["type"], "OBJECT");
        let mut found = Vec::new();
        places(&reduced, &mut found);
        for place in found {
            let place = place.as_object().unwrap();
            prop_assert!(place.contains_key("type") || place.contains_key("anyOf"), "{place:?}");
            prop_assert!(place.get("anyOf").is_none_or(|it| it.as_array().is_some_and(|it| it.len() > 1)), "{place:?}");
            prop_assert!(place.get("type") != Some(&json!("ARRAY")) || place.contains_key("items"), "{place:?}");
            let known = |it: &str| {
                keywords::KEPT.contains(&it) || keywords::VALUES.contains(&it)
                    || matches!(it, "properties" | "items" | "anyOf" | "propertyOrdering")
            };
            prop_assert!(place.keys().all(|it| known(it)), "{place:?}");
            for name in place.get("required").and_then(Value::as_array).into_iter().flatten() {
                prop_assert!(place["properties"].get(name.as_str().unwrap()).is_some(), "{place:?}");
            }
        }
    }

    #[test]
    fn what_is_restored_is_reduced_to_the_same(schema in schemas()) {
        let reduced = answer(&schema).schema;
        prop_assert_eq!(answer(&restore(&reduced)).schema, reduced);
    }
}
