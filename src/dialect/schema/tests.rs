use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{catalog::UpstreamModel, dialect::DialectId};

const PROFILES: [SchemaProfile; 3] =
    [SchemaProfile::Deepseek, SchemaProfile::Moonshot, SchemaProfile::Openai];

fn applied(profile: SchemaProfile, schema: &Value) -> (Value, Vec<Loss>) {
    let mut root = schema.as_object().unwrap().clone();
    let mut losses = Vec::new();
    apply(profile, &mut root, Subject::Arguments, &mut losses);
    (Value::Object(root), losses)
}

fn moonshot(schema: &Value) -> Value {
    applied(SchemaProfile::Moonshot, schema).0
}

fn places(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|it| it.at.as_str()).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

#[test]
fn ec_149_a_pattern_that_is_refused_is_dropped_where_it_stands() {
    let asked = object(json!({
        "pattern": {"type": "string", "pattern": r"^[^/\\\0]+$"},
        "plain": {"type": "string", "pattern": "^[a-z]+$"},
        "list": {"type": "array", "items": {"anyOf": [{"type": "string", "pattern": "^[^[]$"}, {"type": "null"}]}},
        "named": {"type": "object", "patternProperties": {"^[^[]$": {}, "^a$": {}}},
        "kept": {"type": "string", "default": {"pattern": r"\0"}, "enum": [r"\0"]},
    }));
    let (told, losses) = applied(SchemaProfile::Deepseek, &asked);
    let expected = object(json!({
        "pattern": {"type": "string"},
        "plain": {"type": "string", "pattern": "^[a-z]+$"},
        "list": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "named": {"type": "object", "patternProperties": {"^a$": {}}},
        "kept": {"type": "string", "default": {"pattern": r"\0"}, "enum": [r"\0"]},
    }));
    assert_eq!(told, expected);
    let expected = [
        "/properties/pattern/pattern",
        "/properties/list/items/anyOf/0/pattern",
        "/properties/named/patternProperties/^[^[]$",
    ];
    assert_eq!(places(&losses), expected);
    assert!(losses.iter().all(|it| it.severity == Severity::Semantic));
}

#[test]
fn ec_149_look_around_is_dropped_for_those_who_refuse_it() {
    let asked =
        object(json!({"mail": {"type": "string", "pattern": "^(?!\\.).+$"}, "a": {"pattern": r"\0"}}));
    let (told, losses) = applied(SchemaProfile::Openai, &asked);
    assert_eq!(told, object(json!({"mail": {"type": "string"}, "a": {"pattern": r"\0"}})));
    assert_eq!(places(&losses), ["/properties/mail/pattern"]);
    let (told, losses) = applied(SchemaProfile::Deepseek, &asked);
    assert_eq!(told, object(json!({"mail": {"type": "string", "pattern": "^(?!\\.).+$"}, "a": {}})));
    assert_eq!(losses.len(), 1);
}

#[test]
fn ec_149_a_negation_never_excludes_more_than_before() {
    let asked =
        object(json!({"a": {"not": {"anyOf": [{"pattern": r"\0"}, {"const": 1}]}, "if": {"pattern": "[[]"},
        "then": {"minLength": 1}}, "b": {"not": {"pattern": "a"}}}));
    let (told, losses) = applied(SchemaProfile::Deepseek, &asked);
    assert_eq!(told, object(json!({"a": {"then": {"minLength": 1}}, "b": {"not": {"pattern": "a"}}})));
    assert_eq!(places(&losses), ["/properties/a/not", "/properties/a/if"]);
    let asked = object(json!({"a": {"not": {"required": ["x"]}}}));
    assert_eq!(moonshot(&asked), asked);
}

#[test]
fn ec_149_arguments_are_an_object_where_that_must_be_said() {
    for asked in [json!({"properties": {"a": {}}}), json!({"type": null, "properties": {"a": {}}})] {
        assert_eq!(applied(SchemaProfile::Deepseek, &asked).0["type"], "object");
    }
    assert_eq!(moonshot(&json!({"type": ["object", "null"], "properties": {}}))["type"], "object");
}

#[test]
fn ec_149_nothing_but_words_stands_beside_a_reference() {
    let asked = json!({"type": "object", "$defs": {"id": {"type": "string"}}, "properties": {
        "a": {"type": "string", "minLength": 1, "description": "An id.", "title": "Id", "$ref": "#/$defs/id"}}});
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    let expected = json!({"description": "An id.", "title": "Id", "$ref": "#/$defs/id"});
    assert_eq!(told["properties"]["a"], expected);
    let severities: Vec<_> = losses.iter().map(|it| (it.at.as_str(), it.severity)).collect();
    let expected =
        [("/properties/a/type", Severity::Cosmetic), ("/properties/a/minLength", Severity::Semantic)];
    assert_eq!(severities, expected);
}

#[test]
fn ec_149_references_lead_into_the_definitions() {
    let asked = json!({"type": "object", "properties": {
            "now": {"type": "object", "properties": {"next": {"$ref": "#/properties/now"}}},
            "old": {"$ref": "#/definitions/a~1b"}, "deep": {"$ref": "#/components/schemas/C"},
            "own": {"$ref": "#"}, "good": {"$ref": "#/$defs/C"}, "lost": {"$ref": "https://a.example/s"}},
        "$defs": {"C": {"type": "null"}},
        "components": {"schemas": {"C": {"type": "array", "items": {"$ref": "#/definitions/a~1b"}}}},
        "definitions": {"a/b": {"type": "string"}}});
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    let reference = |name: &str| told["properties"][name]["$ref"].clone();
    assert_eq!(told["$defs"]["now"]["properties"]["next"]["$ref"], "#/$defs/now");
    assert_eq!(told["properties"]["now"]["properties"]["next"]["$ref"], "#/$defs/now");
    assert_eq!(
        (reference("old"), &told["$defs"]["a_1b"]),
        (json!("#/$defs/a_1b"), &json!({"type": "string"}))
    );
    assert_eq!(reference("deep"), "#/$defs/C_2");
    assert_eq!(told["$defs"]["C_2"], json!({"type": "array", "items": {"$ref": "#/$defs/a_1b"}}));
    assert_eq!((reference("own"), reference("good")), (json!("#"), json!("#/$defs/C")));
    assert_eq!((reference("lost"), told.get("definitions")), (Value::Null, None));
    assert_eq!(places(&losses), ["/properties/lost/$ref"]);
}

#[test]
fn ec_149_what_is_referred_to_twice_is_defined_once_and_a_bomb_is_bounded() {
    let asked = json!({"type": "object", "definitions": {"a": {"type": "null"}},
        "properties": {"x": {"$ref": "#/definitions/a"}, "y": {"$ref": "#/definitions/a"}}});
    assert_eq!(moonshot(&asked)["$defs"], json!({"a": {"type": "null"}}));
    let mut bomb = object(json!({}));
    for at in 0..2000 {
        let words = "w".repeat(100);
        bomb["properties"][at.to_string()] =
            json!({"$ref": format!("#/definitions/{}", at % 50), "title": words});
        bomb["definitions"][(at % 50).to_string()] =
            json!({"$ref": "#/properties", "title": words.repeat(9)});
    }
    assert!(moonshot(&bomb).to_string().len() < 3 * bomb.to_string().len());
}

#[test]
fn ec_149_a_union_says_its_type_in_its_variants() {
    let asked = object(
        json!({"a": {"type": "string", "anyOf": [{"format": "uuid"}, {"type": "null"}], "title": "A"}}),
    );
    let expected = object(
        json!({"a": {"anyOf": [{"format": "uuid", "type": "string"}, {"type": "null"}], "title": "A"}}),
    );
    assert_eq!(moonshot(&asked), expected);
    // As many servers of tools write "one of these is needed".
    let asked = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    assert_eq!(told, object(json!({"a": {"type": "string"}, "b": {"type": "string"}})));
    assert_eq!((places(&losses), losses[0].severity), (vec!["/anyOf"], Severity::Semantic));
}

#[test]
fn ec_149_several_types_become_a_union_if_more_is_said() {
    let asked = object(json!({
        "bare": {"type": ["string", "null"], "description": "d"},
        "list": {"type": ["array", "null"], "items": {"type": "string"}, "default": null, "description": "d"},
        "number": {"type": ["string", "number"], "minLength": 1, "minimum": 2}}));
    let expected = object(json!({
        "bare": {"type": ["string", "null"], "description": "d"},
        "list": {"default": null, "description": "d",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "number": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "number", "minimum": 2}]}}));
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    assert_eq!(told, expected);
    assert!(losses.iter().all(|it| it.severity == Severity::Cosmetic), "{losses:?}");
}

#[test]
fn ec_149_values_are_of_the_type_that_is_said() {
    let of = |schema: Value| moonshot(&object(json!({"a": schema})))["properties"]["a"].clone();
    assert_eq!(of(json!({"enum": ["a", "b"]})), json!({"enum": ["a", "b"], "type": "string"}));
    assert_eq!(of(json!({"enum": ["a", null]})), json!({"enum": ["a", null], "type": ["string", "null"]}));
    assert_eq!(of(json!({"enum": [1, 2.5]})), json!({"enum": [1, 2.5], "type": "number"}));
    assert_eq!(of(json!({"type": "string", "enum": ["a", null]})), json!({"type": "string", "enum": ["a"]}));
    assert_eq!(of(json!({"enum": ["a", 1]})), json!({}));
    assert_eq!(of(json!({"type": "object", "enum": [{}]})), json!({"type": "object"}));
    let kept = json!({"type": ["string", "null"], "enum": ["a", null]});
    assert_eq!(of(kept.clone()), kept);
}

#[test]
fn ec_149_items_properties_and_required_names_have_one_form() {
    let asked = json!({"type": "object", "required": ["a", "gone"], "properties": {
        "a": {"type": "array", "items": [{"type": "string"}, {"type": "number"}]},
        "b": {"type": "array", "items": true}, "c": true, "d": false}});
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    let expected = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
        "b": {"type": "array"}, "c": {}}});
    assert_eq!(told, expected);
    assert_eq!(places(&losses), ["/properties/d", "/required", "/properties/a/items", "/properties/b/items"]);
}

#[test]
fn ec_149_types_are_known_and_references_stand_where_they_are_taken() {
    let asked = object(json!({"a": {"type": "STRING"}, "b": {"type": "file"}, "c": {"type": "object",
        "not": {"$ref": "#/$defs/n"}, "if": {"required": ["a"]}}}));
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    let conditional = json!({"type": "object", "if": {"required": ["a"]}});
    assert_eq!(told, object(json!({"a": {"type": "string"}, "b": {}, "c": conditional})));
    assert_eq!(places(&losses), ["/properties/c/not", "/properties/a/type", "/properties/b/type"]);
    let asked = json!({"type": "object", "$defs": {"n": {"type": "null"}}, "not": {"$ref": "#/$defs/n"},
        "properties": {"a": {"oneOf": [{"$ref": "#/$defs/n"}]}}});
    let (told, losses) = applied(SchemaProfile::Moonshot, &asked);
    assert_eq!((told.get("not"), &told["properties"]), (None, &asked["properties"]));
    assert_eq!(places(&losses), ["/not"]);
}

fn request(schema: &Value) -> ChatRequest {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "g", "parameters": schema}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object",
            "properties": {"a": {"type": "string", "pattern": r"\0"}}}}}});
    DialectId::OpenaiChat.server().decode_request(body.to_string().as_bytes()).unwrap()
}

#[test]
fn ec_149_every_upstream_is_told_what_it_takes_and_each_loss_is_noted() {
    let request = request(&object(json!({"a": {"type": "string", "pattern": r"\0"}})));
    let model = UpstreamModel::parse("m").unwrap();
    for structured_output in [StructuredOutput::Native, StructuredOutput::Prompt] {
        let abilities =
            Abilities { schema: SchemaProfile::Deepseek, structured_output, ..Abilities::default() };
        assert!(!fits(&request, &abilities));
        for dialect in [DialectId::OpenaiChat, DialectId::OpenaiResponses, DialectId::AnthropicMessages] {
            let encoded = dialect.client().encode_request(&request, &model, &abilities).unwrap();
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            assert!(!body["tools"].to_string().contains("pattern"), "{body}");
            let noted = |at: &str| encoded.losses.iter().any(|it| it.at == at);
            assert!(noted("/tools/1/parameters/properties/a/pattern"), "{:?}", encoded.losses);
            let is_native = structured_output == StructuredOutput::Native;
            assert_eq!(noted("/response_format/json_schema/schema/properties/a/pattern"), is_native);
        }
    }
    let full = Abilities::default();
    assert!(fits(&request, &full));
    let encoded = DialectId::OpenaiChat.client().encode_request(&request, &model, &full).unwrap();
    assert_eq!(encoded.losses, []);
}

#[test]
fn ec_149_a_good_schema_is_left_as_it_is() {
    let good = json!({"type": "object", "$defs": {"n": {"type": "object", "properties": {
            "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}, "required": ["next"]}},
        "properties": {"list": {"$ref": "#/$defs/n", "description": "d"}, "how": {"type": "string", "enum": ["a"]},
            "oneOf": {"type": "integer", "minimum": 1}, "any": {}}, "required": ["list"],
        "additionalProperties": false, "$schema": "https://json-schema.org/draft/2020-12/schema"});
    for profile in PROFILES {
        let (told, losses) = applied(profile, &good);
        assert_eq!((told.to_string(), losses), (good.to_string(), Vec::new()), "{profile:?}");
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "string", "minLength": 1, "pattern": r"^[^\0]$"}),
        json!({"type": "string", "pattern": "(?=a)[^[]"}),
        json!({"type": ["integer", "null"], "minimum": 1, "default": 2}),
        json!({"type": ["array", "string", "null"], "items": {"type": "STRING"}}),
        json!({"enum": ["a", "b", null]}),
        json!({"enum": [1, "a", {}]}),
        json!({"type": "integer", "enum": ["a"]}),
        json!({"const": 3, "type": ["number"]}),
        json!({"$ref": "#/$defs/a", "type": "object", "required": ["x"]}),
        json!({"$ref": "#/definitions/b", "description": "d"}),
        json!({"$ref": "#/properties/a"}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/nowhere", "title": "t"}),
        json!({"$ref": 3, "type": "string"}),
        json!({}),
        json!(true),
        json!(false),
        json!(7),
        json!({"required": ["x"], "type": "object"}),
        json!({"type": 5, "properties": [], "enum": {}, "anyOf": 1, "items": 2, "required": true}),
    ])
}

fn schemas() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["a", "type", "enum", "$ref", "properties", "pattern"]);
    leaf().prop_recursive(4, 24, 4, move |inner| {
        let named = prop::collection::vec((names.clone(), inner.clone()), 0..4);
        let map = |named: Vec<(&str, Value)>| -> Map<String, Value> {
            named.into_iter().map(|(key, it)| (key.to_owned(), it)).collect()
        };
        prop_oneof![
            (named.clone(), prop::collection::vec(names.clone(), 0..3)).prop_map(move |(named, required)| {
                json!({"type": "object", "properties": map(named), "required": required})
            }),
            (named, inner.clone()).prop_map(move |(named, it)| {
                json!({"type": "object", "properties": map(named), "anyOf": [it, {"required": ["a"]}]})
            }),
            inner.clone().prop_map(|it| json!({"type": ["array", "null"], "items": it, "uniqueItems": true})),
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|it| json!({"anyOf": it, "description": "d"})),
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|it| json!({"type": ["string", "null"], "anyOf": it})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|it| json!({"type": "array", "items": it})),
            inner.prop_map(
                |it| json!({"type": "object", "patternProperties": {r"\0": it, "^a": {}}, "enum": [{}]})
            ),
        ]
    })
}

/// Whether a place has what Moonshot refuses.
fn refused(place: &Map<String, Value>, is_root: bool) -> Option<&'static str> {
    let has = |key: &str| place.contains_key(key);
    let words = |key: &String| {
        key == "description" || key == "title" || (is_root && (key == "$defs" || key == "$id"))
    };
    if has("$ref") {
        let bare = place["$ref"].is_string() && place.keys().all(|it| it == "$ref" || words(it));
        return (!bare).then_some("something beside a reference");
    }
    if has("anyOf") && (has("type") || has("enum")) {
        return Some("a type beside a union");
    }
    if let Some(Value::Array(variants)) = place.get("anyOf") {
        let clash =
            |it: &Value| place.keys().any(|key| key != "anyOf" && !words(key) && it.get(key).is_some());
        if variants.is_empty() || variants.iter().any(|it| !it.is_object() || clash(it)) {
            return Some("a union that says something twice");
        }
    }
    let known = |it: &Value| it.as_str().is_some_and(|it| moonshot::TYPES.contains(&it));
    if place
        .get("type")
        .is_some_and(|it| !known(it) && !it.as_array().is_some_and(|all| all.iter().all(known)))
    {
        return Some("a type that nobody knows");
    }
    if place.get("patternProperties").is_some_and(|it| it.to_string().contains(r#""$ref":"#)) {
        return Some("a reference where none is taken");
    }
    let several = place.get("type").and_then(Value::as_array).is_some_and(|it| it.len() > 1);
    if several && !has("enum") && place.keys().any(|it| it != "type" && !words(it)) {
        return Some("something beside several types");
    }
    if has("items") && !place["items"].is_object() {
        return Some("items that are no schema");
    }
    if has("enum") && !has("type") {
        return Some("values without a type");
    }
    if let Some(Value::Array(names)) = place.get("required") {
        let known = |it: &Value| {
            it.as_str().is_some_and(|it| place.get("properties").and_then(|all| all.get(it)).is_some())
        };
        if !names.iter().all(known) {
            return Some("a required name that is no property");
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn ec_149_applying_twice_is_applying_once(mut schema in schemas()) {
        if let Value::Object(map) = &mut schema {
            map.insert("definitions".to_owned(), json!({"b": {"items": [{"$ref": "#/properties/a"}, {}]}}));
            map.insert("$defs".to_owned(), json!({"a": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}}));
            for profile in PROFILES {
                let (once, _) = applied(profile, &schema);
                let (twice, losses) = applied(profile, &once);
                prop_assert_eq!(&twice, &once, "{:?}", profile);
                prop_assert_eq!(losses, vec![], "{:?}", profile);
            }
        }
    }

    #[test]
    fn ec_149_what_is_told_has_nothing_that_is_refused(mut schema in schemas()) {
        if let Value::Object(map) = &mut schema {
            map.insert("definitions".to_owned(), json!({"b": {"items": [{"$ref": "#/properties/a"}, {}]}}));
            let mut told = moonshot(&schema);
            let whole = told.clone();
            let mut found = Vec::new();
            walk::each_under(told.as_object_mut().unwrap(), moonshot::is_known, &mut |place, at| {
                if let Some(Value::String(it)) = place.get("$ref") {
                    let leads = it == "#" || (it.starts_with("#/$defs/") && whole.pointer(&it[1..]).is_some());
                    found.extend((!leads).then_some((at.to_owned(), "a reference that leads nowhere")));
                }
                found.extend(refused(place, at.is_empty()).map(|it| (at.to_owned(), it)));
            });
            prop_assert_eq!(found, vec![], "{}", whole);
            let (told, _) = applied(SchemaProfile::Deepseek, &schema);
            prop_assert!(!told.to_string().contains(r"\\0"), "{}", told);
        }
    }
}
