//! What was used, in buckets that do not overlap: their sum is the whole.

use serde::{Deserialize, Serialize};

/// Token counts of one answer. Absent means "the upstream did not say", which is not zero.
///
/// Input is `input + cache_read + cache_write_5m + cache_write_1h + cache_write_other`; output is `output + reasoning`.
/// The `audio_*`, `image_*` and `prediction_*` counts overlay those buckets and are not added to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenUsage {
    /// Input that was neither read from nor written to a cache.
    pub input: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_write_5m: Option<u64>,
    pub cache_write_1h: Option<u64>,
    /// Cache writes whose lifetime is not known.
    pub cache_write_other: Option<u64>,
    /// Output the client sees.
    pub output: Option<u64>,
    /// Output spent on thinking.
    pub reasoning: Option<u64>,
    pub audio_input: Option<u64>,
    pub audio_output: Option<u64>,
    pub image_input: Option<u64>,
    pub prediction_accepted: Option<u64>,
    pub prediction_rejected: Option<u64>,
    pub web_searches: Option<u64>,
    pub web_fetches: Option<u64>,
}

macro_rules! each_field {
    ($macro:ident) => {
        $macro!(
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            cache_write_other,
            output,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            prediction_accepted,
            prediction_rejected,
            web_searches,
            web_fetches
        )
    };
}

impl TokenUsage {
    /// All input: the prompt as the upstream counted it.
    pub fn total_input(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.cache_write_other]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }

    pub fn cache_write(&self) -> u64 {
        [self.cache_write_5m, self.cache_write_1h, self.cache_write_other]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }

    /// All output, thinking included.
    pub fn total_output(&self) -> u64 {
        self.output.unwrap_or(0).saturating_add(self.reasoning.unwrap_or(0))
    }

    /// Whether anything was said of output.
    pub fn has_output(&self) -> bool {
        self.output.is_some() || self.reasoning.is_some()
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes every field that `later` has.
    pub fn merge(&mut self, later: &Self) {
        macro_rules! take { ($($field:ident),*) => { $( if later.$field.is_some() { self.$field = later.$field; } )* } }
        each_field!(take);
    }

    /// Adds two answers' usage, field by field.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        macro_rules! add { ($($field:ident),*) => {
            Self { $( $field: match (self.$field, other.$field) {
                (None, None) => None,
                (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
            } ),* }
        } }
        each_field!(add)
    }
}
