//! One pass over a body that finds the few fields a verbatim exchange needs.
//!
//! The pass checks all of the JSON (RFC 8259, as `serde_json` reads it) but builds no tree: it keeps where the fields of
//! the outermost object are.

mod syntax;

use std::{borrow::Cow, collections::HashSet, ops::Range};

use serde_json::Number;

use super::{DecodeError, fields::as_count};

pub use syntax::MAX_DEPTH;
use syntax::{Scanner, string_text};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl ValueKind {
    /// With its article, for messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// A field of the scanned object. The ranges are of the whole body's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its key, unescaped.
    pub name: String,
    /// Its key as it stands, quotes included.
    pub key: Range<usize>,
    pub value: Range<usize>,
    pub kind: ValueKind,
}

/// Where the fields of an object are. Of two equal keys the last counts; `null` counts as absent where a type is asked for.
#[derive(Debug, Clone)]
pub struct Scan {
    at: String,
    span: Range<usize>,
    fields: Vec<Field>,
    duplicates: Vec<String>,
    lone_surrogates: Vec<Range<usize>>,
}

/// Reads a body whose outermost value is an object.
pub fn scan(body: &[u8]) -> Result<Scan, DecodeError> {
    let mut scanner = Scanner::of(body)?;
    let (kind, span, fields) = scanner.document()?;
    if kind != ValueKind::Object {
        return Err(DecodeError::new("", format!("the body must be an object, not {}", kind.name())));
    }
    Ok(Scan::new(String::new(), span, fields, scanner.into_lone_surrogates()))
}

/// Reads a body whose outermost value may be of any kind, for its faults and its lone surrogates alone.
pub(super) fn check(body: &[u8]) -> Result<Vec<Range<usize>>, DecodeError> {
    let mut scanner = Scanner::of(body)?;
    scanner.document()?;
    Ok(scanner.into_lone_surrogates())
}

impl Scan {
    fn new(at: String, span: Range<usize>, fields: Vec<Field>, lone_surrogates: Vec<Range<usize>>) -> Self {
        let mut seen = HashSet::with_capacity(fields.len());
        let mut duplicates: Vec<String> = Vec::new();
        for field in &fields {
            if !seen.insert(field.name.as_str()) {
                duplicates.push(field.name.clone());
            }
        }
        Self { at, span, fields, duplicates, lone_surrogates }
    }

    /// A field's text; absent or `null`: nothing. A lone surrogate in it is read as U+FFFD.
    pub fn string<'b>(&self, body: &'b [u8], key: &str) -> Result<Option<Cow<'b, str>>, DecodeError> {
        Ok(self.typed(key, ValueKind::String)?.map(|it| string_text(&body[it.value.clone()])))
    }

    pub fn bool(&self, body: &[u8], key: &str) -> Result<Option<bool>, DecodeError> {
        Ok(self.typed(key, ValueKind::Bool)?.map(|it| body[it.value.start] == b't'))
    }

    /// A whole number of zero or more; `10.0` counts as 10.
    pub fn count(&self, body: &[u8], key: &str) -> Result<Option<u64>, DecodeError> {
        let Some(field) = self.typed(key, ValueKind::Number)? else { return Ok(None) };
        match serde_json::from_slice::<Number>(&body[field.value.clone()]).ok().as_ref().and_then(as_count) {
            Some(count) => Ok(Some(count)),
            None => Err(DecodeError::new(
                self.pointer(key),
                format!("`{key}` must be a whole number of 0 or more"),
            )),
        }
    }

    /// The object that a field holds, scanned in its turn; its ranges are of the whole body too.
    pub fn nested(&self, body: &[u8], key: &str) -> Result<Option<Self>, DecodeError> {
        let Some(field) = self.typed(key, ValueKind::Object)? else { return Ok(None) };
        let mut scanner = Scanner::within(body, field.value.clone());
        let (_, span, fields) = scanner.document()?;
        Ok(Some(Self::new(self.pointer(key), span, fields, scanner.into_lone_surrogates())))
    }

    /// That a field, if it is there, is of one of these kinds.
    pub fn expect(&self, key: &str, kinds: &[ValueKind]) -> Result<(), DecodeError> {
        let Some(field) = self.field(key) else { return Ok(()) };
        if field.kind == ValueKind::Null || kinds.contains(&field.kind) {
            return Ok(());
        }
        let wanted: Vec<_> = kinds.iter().map(|it| it.name()).collect();
        Err(self.wrong(key, &wanted.join(" or "), field.kind))
    }

    pub fn kind(&self, key: &str) -> Option<ValueKind> {
        self.field(key).map(|it| it.kind)
    }

    /// Where a field's value stands.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.field(key).map(|it| it.value.clone())
    }

    /// Where the object itself stands, braces included.
    pub fn object_span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The field that counts for a key.
    pub fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().rev().find(|it| it.name == key)
    }

    /// Every field in its order, equal keys included.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Keys that this object has more than once: one entry for each time too many.
    pub fn duplicates(&self) -> &[String] {
        &self.duplicates
    }

    /// Where escapes stand that are one half of a UTF-16 pair without the other, six bytes each, at any depth.
    pub fn lone_surrogates(&self) -> &[Range<usize>] {
        &self.lone_surrogates
    }

    fn typed(&self, key: &str, kind: ValueKind) -> Result<Option<&Field>, DecodeError> {
        match self.field(key) {
            None => Ok(None),
            Some(it) if it.kind == ValueKind::Null => Ok(None),
            Some(it) if it.kind == kind => Ok(Some(it)),
            Some(it) => Err(self.wrong(key, kind.name(), it.kind)),
        }
    }

    fn wrong(&self, key: &str, wanted: &str, got: ValueKind) -> DecodeError {
        DecodeError::new(self.pointer(key), format!("`{key}` must be {wanted}, not {}", got.name()))
    }

    fn pointer(&self, key: &str) -> String {
        format!("{}/{}", self.at, key.replace('~', "~0").replace('/', "~1"))
    }
}

#[cfg(test)]
mod tests;
