//! Reading an object field by field: what is taken is typed, what is left is kept.

use serde_json::{Map, Number, Value};

use super::{DialectId, canonical::Extra};

/// What is wrong with a body, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// JSON pointer; empty for the whole body.
    pub at: String,
    pub message: String,
}

impl DecodeError {
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into() }
    }
}

/// An object being read. Fields are taken out by name; `null` counts as absent; what nobody took is in `rest`.
#[derive(Debug)]
pub struct Fields {
    at: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Opens an object. `at` is its JSON pointer.
    pub fn of(value: Value, at: impl Into<String>) -> Result<Self, DecodeError> {
        let at = at.into();
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            other => Err(wrong(at, "an object", &other)),
        }
    }

    /// The JSON pointer of a field of this object.
    pub fn at(&self, key: &str) -> String {
        format!("{}/{}", self.at, key.replace('~', "~0").replace('/', "~1"))
    }

    /// The JSON pointer of this object.
    pub fn here(&self) -> &str {
        &self.at
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|it| !it.is_null())
    }

    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|it| !it.is_null())
    }

    /// The object as it is now.
    pub fn raw(&self) -> Value {
        Value::Object(self.map.clone())
    }

    /// Takes a field of any type.
    pub fn any(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|it| !it.is_null())
    }

    pub fn string(&mut self, key: &str) -> Result<Option<String>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::String(it)) => Ok(Some(it)),
            Some(other) => Err(wrong(self.at(key), "a string", &other)),
        }
    }

    pub fn required_string(&mut self, key: &str) -> Result<String, DecodeError> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn bool(&mut self, key: &str) -> Result<Option<bool>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Bool(it)) => Ok(Some(it)),
            Some(other) => Err(wrong(self.at(key), "true or false", &other)),
        }
    }

    pub fn number(&mut self, key: &str) -> Result<Option<Number>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Number(it)) => Ok(Some(it)),
            Some(other) => Err(wrong(self.at(key), "a number", &other)),
        }
    }

    /// Takes a whole number of zero or more; `10.0` counts as 10.
    pub fn count(&mut self, key: &str) -> Result<Option<u64>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Number(it)) => match as_count(&it) {
                Some(count) => Ok(Some(count)),
                None => Err(DecodeError::new(
                    self.at(key),
                    format!("`{key}` must be a whole number of 0 or more, not {it}"),
                )),
            },
            Some(other) => Err(wrong(self.at(key), "a whole number", &other)),
        }
    }

    pub fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Array(it)) => Ok(Some(it)),
            Some(other) => Err(wrong(self.at(key), "an array", &other)),
        }
    }

    pub fn object(&mut self, key: &str) -> Result<Option<Self>, DecodeError> {
        match self.any(key) {
            None => Ok(None),
            Some(value) => Self::of(value, self.at(key)).map(Some),
        }
    }

    /// The error for a field that had to be there.
    pub fn missing(&self, key: &str) -> DecodeError {
        DecodeError::new(self.at(key), format!("`{key}` is missing"))
    }

    /// What nobody took, as fields of `dialect`.
    pub fn rest(mut self, dialect: DialectId) -> Extra {
        self.map.retain(|_, it| !it.is_null());
        Extra::new(dialect, self.at, self.map)
    }
}

/// A field as a count, if it is one.
pub fn count(object: &Value, key: &str) -> Option<u64> {
    match object.get(key)? {
        Value::Number(it) => as_count(it),
        _ => None,
    }
}

/// A number as a count, if it is one.
pub fn as_count(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "checked just before"
        )]
        (float >= 0.0 && float.fract() == 0.0 && float <= u64::MAX as f64 / 2.0).then_some(float as u64)
    })
}

/// A JSON pointer as OpenAI's and Google's errors name a field: `/messages/0/content` → `messages[0].content`. `None` for the
/// whole body.
pub fn dotted(pointer: &str) -> Option<String> {
    let mut out = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if !step.is_empty() && step.bytes().all(|it| it.is_ascii_digit()) {
            out.push('[');
            out.push_str(&step);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&step);
        }
    }
    Some(out).filter(|it| !it.is_empty())
}

/// The error for a value of the wrong type.
pub fn wrong(at: impl Into<String>, expected: &str, got: &Value) -> DecodeError {
    let at = at.into();
    let name = at.rsplit('/').next().unwrap_or_default().to_owned();
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let subject = if name.is_empty() { "the body".to_owned() } else { format!("`{name}`") };
    DecodeError::new(at, format!("{subject} must be {expected}, not {got}"))
}
