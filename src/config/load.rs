//! File and variables → `Config`, or every fault at once.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::LazyLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{
    Config,
    fault::{Fault, Faults, nearest},
};

/// Where the text of the configuration comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Defaults and variables only.
    None,
    File(PathBuf),
    Text(String),
}

/// The variables of the process, or of a test.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own variables; those that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());

/// The JSON Schema of the file.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// Loads a configuration: defaults ← file ← variables.
pub fn load(source: &Source, environment: &Environment) -> Result<Config, Faults> {
    let (config, faults) = load_with_faults(source, environment)?;
    if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
}

/// Loads a configuration and what is wrong with it; an error if it is too wrong to be looked at any further.
pub fn load_with_faults(source: &Source, environment: &Environment) -> Result<(Config, Vec<Fault>), Faults> {
    let mut tree = read(source)?;
    let mut faults = Vec::new();
    override_by_variables(&mut tree, environment, &mut faults);
    interpolate(&mut tree, "", environment, &mut faults);
    faults.extend(validate(&tree));
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    // Through a tree again, so that numbers are plain whatever parsed them.
    let config: Config = serde_json::from_value(tree).map_err(|it| Fault::new("", it.to_string()))?;
    let faults = super::check::check(&config);
    Ok((config, faults))
}

fn read(source: &Source) -> Result<Value, Faults> {
    let text = match source {
        Source::None => return Ok(Value::Object(Map::new())),
        Source::Text(text) => text.clone(),
        Source::File(path) => std::fs::read_to_string(path)
            .map_err(|it| Fault::new("", format!("the file `{}` cannot be read: {it}", path.display())))?,
    };
    if text.lines().all(|it| it.trim().is_empty() || it.trim_start().starts_with('#')) {
        return Ok(Value::Object(Map::new()));
    }
    match serde_saphyr::from_str::<Value>(&text) {
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(tree) => Ok(tree),
        Err(error) => {
            Err(Fault::new("", format!("this is not valid YAML: {}", without_content(&error))).into())
        }
    }
}

/// A parser's error without the lines it quotes: they may hold a secret.
fn without_content(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or("syntax error").to_owned()
}

/// The keys of the file that a variable can set: every path to a value that is not a list, by the variable's name.
fn variables() -> &'static BTreeMap<String, Vec<String>> {
    static NAMES: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
        let mut names = BTreeMap::new();
        collect_variables(&SCHEMA, &mut Vec::new(), &mut names);
        names
    });
    &NAMES
}

fn collect_variables(schema: &Value, path: &mut Vec<String>, names: &mut BTreeMap<String, Vec<String>>) {
    let schema = resolve(schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            path.push(key.clone());
            collect_variables(property, path, names);
            path.pop();
        }
    } else if !types(schema).contains(&"array") && !types(schema).contains(&"object") && !path.is_empty() {
        let name = path.join("_").to_uppercase().replace(['-', '.'], "_");
        names.insert(format!("DRAGOMAN_{name}"), path.clone());
    }
}

/// Follows `$ref`, and `anyOf: [it, null]`, to the schema that says something.
fn resolve(mut schema: &Value) -> &Value {
    loop {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            match SCHEMA.pointer(reference.trim_start_matches('#')) {
                Some(it) => schema = it,
                None => return schema,
            }
        } else if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            match options.iter().find(|it| it.get("type") != Some(&Value::from("null"))) {
                Some(it) => schema = it,
                None => return schema,
            }
        } else {
            return schema;
        }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(it)) => vec![it],
        Some(Value::Array(them)) => them.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn override_by_variables(tree: &mut Value, environment: &Environment, faults: &mut Vec<Fault>) {
    for (name, text) in environment.0.iter().filter(|(name, _)| name.starts_with("DRAGOMAN_")) {
        let Some(path) = variables().get(name) else {
            // Variables of our own scripts and tests are not settings.
            if !name.starts_with("DRAGOMAN_TEST_") {
                let suggestion = nearest(name, variables().keys().map(String::as_str));
                if suggestion.is_some() {
                    faults.push(Fault::new(name.clone(), "no setting has this variable").suggest(suggestion));
                }
            }
            continue;
        };
        set(tree, path, text);
    }
}

fn set(tree: &mut Value, path: &[String], text: &str) {
    let mut place = tree;
    for key in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(map) = place else { return };
        place = map.entry(key.clone()).or_insert(Value::Null);
    }
    let mut schema: &Value = &SCHEMA;
    for key in path {
        schema = resolve(&schema["properties"][key]);
    }
    *place = match types(schema).first() {
        Some(&("integer" | "number" | "boolean")) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        _ => Value::from(text),
    };
}

/// Fills `${NAME}` in every text; `$${` stands for `${`.
fn interpolate(value: &mut Value, path: &str, environment: &Environment, faults: &mut Vec<Fault>) {
    match value {
        Value::String(text) if text.contains("${") => match fill(text, environment) {
            Ok(filled) => *text = filled,
            Err(message) => faults.push(Fault::new(path, message)),
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                interpolate(item, &format!("{path}[{index}]"), environment, faults);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                interpolate(item, &path, environment, faults);
            }
        }
        _ => {}
    }
}

fn fill(text: &str, environment: &Environment) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &after[2..];
            continue;
        }
        filled.push_str(before);
        let Some(end) = after.find('}') else { return Err("`${` has no `}`".to_owned()) };
        let name = &after[2..end];
        match environment.get(name) {
            Some(value) => filled.push_str(value),
            None => return Err(format!("the variable `{name}` is not set")),
        }
        rest = &after[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&SCHEMA).expect("our own schema is valid"));

fn validate(tree: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    for error in VALIDATOR.iter_errors(tree) {
        let pointer = error.instance_path().to_string();
        let path = dotted(&pointer);
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = known_keys(&error.schema_path().to_string());
                for key in unexpected {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let suggestion = nearest(key, known.iter().map(String::as_str));
                    faults.push(Fault::new(path, "there is no such setting").suggest(suggestion));
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                faults.push(Fault::new(
                    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") },
                    "is missing",
                ));
            }
            _ => {
                let schema = parent_schema(&error.schema_path().to_string());
                let (expected, suggestion) = expectation(schema, error.instance());
                let value = shown(&path, error.instance());
                faults.push(Fault::new(path, format!("{value} is not {expected}")).suggest(suggestion));
            }
        }
    }
    faults
}

/// `/upstreams/1/kind` → `upstreams[1].kind`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|it| it.is_ascii_digit()) {
            let _ = write!(path, "[{step}]");
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&step);
        }
    }
    path
}

/// The schema that holds the keyword at `pointer`.
fn parent_schema(pointer: &str) -> &'static Value {
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut schema: &Value = &SCHEMA;
    for step in parent.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        schema = match (step.as_str(), step.parse::<usize>()) {
            ("$ref", _) => resolve(schema),
            (_, Ok(index)) if schema.is_array() => &schema[index],
            (key, _) => &schema[key],
        };
    }
    schema
}

fn known_keys(pointer: &str) -> Vec<String> {
    let schema = parent_schema(pointer);
    schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|it| it.keys().cloned().collect())
        .unwrap_or_default()
}

/// What should have stood there, in words.
fn expectation(schema: &Value, got: &Value) -> (String, Option<String>) {
    let schema = resolve(schema);
    let mut options: Vec<&str> = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for choice in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        options.extend(choice.get("const").and_then(Value::as_str));
        options.extend(
            choice.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str),
        );
    }
    if !options.is_empty() {
        let suggestion = got.as_str().and_then(|it| nearest(it, options.iter().copied()));
        return (format!("one of `{}`", options.join("`, `")), suggestion);
    }
    if schema.get("pattern").is_some()
        && let Some(description) = schema.get("description").and_then(Value::as_str)
    {
        return (description.to_owned(), None);
    }
    if let (Some(minimum), Some(_)) = (schema.get("minimum"), got.as_f64()) {
        let maximum = schema.get("maximum").map(|it| format!(" and at most {it}")).unwrap_or_default();
        return (format!("at least {minimum}{maximum}"), None);
    }
    let article = match types(schema).first() {
        Some(&"string") => "a text",
        Some(&"integer") => "a whole number",
        Some(&"number") => "a number",
        Some(&"boolean") => "true or false",
        Some(&"array") => "a list",
        Some(&"object") => "a section with keys",
        _ => "what is expected here",
    };
    (article.to_owned(), None)
}

/// The bad value as it may be shown: never that of a secret.
fn shown(path: &str, value: &Value) -> String {
    let key = path.rsplit('.').next().unwrap_or_default();
    let secret =
        ["key", "url", "secret", "headers"].iter().any(|it| key.contains(it)) || path.contains("headers");
    match value {
        _ if secret => "this value".to_owned(),
        Value::Object(_) => "a section".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.chars().count() > 80 => "this text".to_owned(),
        other => format!("`{}`", other.to_string().trim_matches('"')),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
