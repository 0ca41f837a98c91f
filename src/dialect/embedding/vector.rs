//! A vector in either form: a list of numbers, or base64 of them as little-endian `f32`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::dialect::DecodeError;

/// One vector, in the form it came in.
#[derive(Debug, Clone)]
pub enum Vector {
    /// A JSON array of numbers, as it was written.
    Numbers(Box<RawValue>),
    Base64(String),
}

impl Vector {
    /// Reads a JSON array or string.
    pub fn read(raw: &RawValue) -> Result<Self, DecodeError> {
        if raw.get().starts_with('[') {
            return Ok(Self::Numbers(raw.to_owned()));
        }
        serde_json::from_str(raw.get()).map(Self::Base64).map_err(|_| wrong())
    }

    /// As a list of numbers: the shortest that are read as the same `f32`.
    pub fn to_numbers(&self) -> Result<Box<RawValue>, DecodeError> {
        match self {
            Self::Numbers(raw) => Ok(raw.clone()),
            Self::Base64(_) => {
                let floats = self.floats()?;
                serde_json::value::to_raw_value(&floats).map_err(|_| wrong())
            }
        }
    }

    pub fn to_base64(&self) -> Result<String, DecodeError> {
        match self {
            Self::Base64(text) => Ok(text.clone()),
            Self::Numbers(_) => {
                let bytes: Vec<u8> = self.floats()?.into_iter().flat_map(f32::to_le_bytes).collect();
                Ok(STANDARD.encode(bytes))
            }
        }
    }

    /// The numbers; each is rounded once, from its decimal form.
    pub fn floats(&self) -> Result<Vec<f32>, DecodeError> {
        let floats: Vec<f32> = match self {
            Self::Numbers(raw) => {
                let numbers: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
                numbers.iter().map(|it| it.get().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?
            }
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(wrong());
                }
                floats.iter().copied().map(f32::from_le_bytes).collect()
            }
        };
        if floats.iter().all(|it| it.is_finite()) { Ok(floats) } else { Err(wrong()) }
    }
}

impl PartialEq for Vector {
    /// Whether they are the same numbers.
    fn eq(&self, other: &Self) -> bool {
        matches!((self.floats(), other.floats()), (Ok(one), Ok(another)) if one == another)
    }
}

fn wrong() -> DecodeError {
    DecodeError::new("", "an embedding must be a list of numbers, or base64 of them")
}
