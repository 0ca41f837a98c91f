//! A secret in the file: inline, from a variable (`${NAME}`, filled in while loading) or from a file (`file:PATH`). Never printed.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret as the operator wrote it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Reads the secret: the text itself, or the file it names without its last line end.
    pub fn read(&self) -> Result<SecretString, String> {
        let Some(path) = self.file() else { return Ok(self.0.clone()) };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(format!("the file `{path}` cannot be read: {error}")),
        }
    }

    /// The file the secret is in, if it is in one.
    pub fn file(&self) -> Option<&str> {
        self.0.expose_secret().strip_prefix("file:")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text.to_owned()))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|it| Self(SecretString::from(it)))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "a secret: inline, `${VARIABLE}`, or `file:PATH`"
        })
    }
}
