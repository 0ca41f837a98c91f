//! The keywords: which Gemini has, which constrain, and which only describe.

/// What Gemini's `Schema` has besides what holds schemas.
pub(super) const KEPT: [&str; 16] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "required",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
];

/// Those of its fields whose value is any JSON.
pub(super) const VALUES: [&str; 2] = ["default", "example"];

/// Keywords of JSON Schema that constrain, and that Gemini has not: they are told in the description.
pub(super) const CONSTRAINTS: [&str; 20] = [
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "not",
    "if",
    "then",
    "else",
    "contentEncoding",
    "contentMediaType",
];

/// Keywords that the walk understands: all that is copied when a reference is followed.
pub(super) fn is_understood(key: &str) -> bool {
    KEPT.contains(&key)
        || VALUES.contains(&key)
        || CONSTRAINTS.contains(&key)
        || matches!(
            key,
            "$ref"
                | "properties"
                | "items"
                | "prefixItems"
                | "anyOf"
                | "oneOf"
                | "allOf"
                | "const"
                | "examples"
                | "additionalProperties"
                | "propertyOrdering"
        )
}

/// The formats Gemini knows, by type.
pub(super) fn is_format(kind: &str, format: &str) -> bool {
    match kind {
        "STRING" => matches!(format, "enum" | "date-time"),
        "NUMBER" => matches!(format, "float" | "double"),
        "INTEGER" => matches!(format, "int32" | "int64"),
        _ => false,
    }
}

/// Which types a keyword is for; none: for all.
pub(super) fn types_of(key: &str) -> &'static [&'static str] {
    match key {
        "properties" | "required" | "minProperties" | "maxProperties" | "propertyOrdering" => &["OBJECT"],
        "items" | "prefixItems" | "minItems" | "maxItems" => &["ARRAY"],
        "minLength" | "maxLength" | "pattern" => &["STRING"],
        "minimum" | "maximum" => &["NUMBER", "INTEGER"],
        _ => &[],
    }
}

/// A type by Gemini's word for it.
pub(super) fn type_name(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "string" => "STRING",
        "number" | "float" | "double" => "NUMBER",
        "integer" | "int" => "INTEGER",
        "boolean" | "bool" => "BOOLEAN",
        "array" => "ARRAY",
        "object" => "OBJECT",
        "null" => "NULL",
        _ => return None,
    })
}
