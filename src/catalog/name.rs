//! Names: what the client writes is not what the upstream is told, and the types say so.

use std::{fmt, sync::Arc};

/// What is wrong with a model's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    #[error("a model's name must not be empty")]
    Empty,
    #[error("a model's name may have {MAX_MODEL} bytes at most, this one has {0}")]
    TooLong(usize),
    #[error("a model's name must not contain control characters or white space")]
    Character,
    #[error("a model's name must not climb (`..`)")]
    Climbs,
}

/// The longest model name that is accepted, in bytes.
pub const MAX_MODEL: usize = 256;

/// A model as the client wrote it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

/// A model as its upstream calls it; safe in a URL path once percent-encoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamModel(Arc<str>);

/// The configured name of an upstream.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(Arc<str>);

fn check(text: &str) -> Result<(), InvalidModel> {
    if text.is_empty() {
        return Err(InvalidModel::Empty);
    }
    if text.len() > MAX_MODEL {
        return Err(InvalidModel::TooLong(text.len()));
    }
    if text.chars().any(|it| it.is_control() || it.is_whitespace()) {
        return Err(InvalidModel::Character);
    }
    if text.split('/').any(|it| it == ".." || it == ".") {
        return Err(InvalidModel::Climbs);
    }
    Ok(())
}

impl ModelName {
    pub fn parse(text: &str) -> Result<Self, InvalidModel> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl UpstreamModel {
    pub fn parse(text: &str) -> Result<Self, InvalidModel> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl UpstreamName {
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

macro_rules! text {
    ($($name:ident),*) => { $(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )* };
}
text!(ModelName, UpstreamModel, UpstreamName);
