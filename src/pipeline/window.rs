//! Whether a question fits into its model's window: said at once, before anything is sent.

use super::question::Question;
use crate::{
    catalog::{Abilities, UpstreamModel},
    dialect::{count, tokenizer::Family},
    kernel::error::{ErrorKind, GatewayError},
};

/// Of our count so many hundredths must not fit before we say so: the upstream knows better where it is close.
const CERTAIN: u64 = 80;

/// Refuses a question that is too long for its model beyond doubt. What is short is not even looked at.
pub(super) fn check(
    question: &Question,
    model: &UpstreamModel,
    abilities: &Abilities,
) -> Result<(), GatewayError> {
    let Some(window) = abilities.context_window else { return Ok(()) };
    if question.body.len() as u64 <= window || count::estimate_scan(&question.body) <= window {
        return Ok(());
    }
    let Ok(request) = question.decoded() else { return Ok(()) };
    let counted = count::estimate(request, Family::of(model.as_str()));
    if counted.saturating_mul(CERTAIN) / 100 <= window {
        return Ok(());
    }
    // Claude Code makes its conversation shorter when it reads these very words.
    let message = format!("prompt is too long: {counted} tokens > {window} maximum");
    Err(GatewayError::new(ErrorKind::ContextTooLong, message))
}
