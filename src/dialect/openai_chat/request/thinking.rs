//! How much the model should think: `reasoning_effort`, and the clones' `reasoning` and `thinking`.

use serde_json::{Map, Value, json};

use crate::{
    catalog::{
        Abilities,
        model::{Effort, ThinkingControl},
    },
    dialect::{
        DecodeError, Loss, Severity,
        canonical::{Reasoning, ReasoningMode, ReasoningShow, effort},
        fields::{Fields, as_count},
    },
};

/// Takes what the client says. Of several the first said wins in the order above; the others stay where they are.
pub(super) fn decode(fields: &mut Fields) -> Result<Reasoning, DecodeError> {
    if let Some(word) = fields.string("reasoning_effort")? {
        let mode = mode_of(&word, || fields.at("reasoning_effort"))?;
        return Ok(Reasoning { mode, show: ReasoningShow::Default });
    }
    if let Some(reasoning) = fields.peek("reasoning").and_then(Value::as_object).and_then(object) {
        fields.any("reasoning");
        return Ok(reasoning);
    }
    if let Some(mode) = fields.peek("thinking").and_then(Value::as_object).and_then(switch) {
        fields.any("thinking");
        return Ok(Reasoning { mode, show: ReasoningShow::Default });
    }
    Ok(Reasoning::default())
}

fn mode_of(word: &str, at: impl Fn() -> String) -> Result<ReasoningMode, DecodeError> {
    match word {
        "none" => Ok(ReasoningMode::Off),
        "default" | "auto" => Ok(ReasoningMode::Default),
        _ => effort::parse(word).map(ReasoningMode::Effort).ok_or_else(|| {
            DecodeError::new(
                at(),
                format!(
                    "`reasoning_effort` must be `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`, not `{word}`"
                ),
            )
        }),
    }
}

/// `OpenRouter`'s `reasoning`; `None` if it says something we do not know.
fn object(map: &Map<String, Value>) -> Option<Reasoning> {
    let mut reasoning = Reasoning::default();
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), value) {
            ("effort", Value::String(word)) => reasoning.mode = mode_of(word, String::new).ok()?,
            ("max_tokens", Value::Number(count)) => reasoning.mode = ReasoningMode::Budget(as_count(count)?),
            ("enabled", Value::Bool(false)) => reasoning.mode = ReasoningMode::Off,
            ("enabled", Value::Bool(true)) if reasoning.mode == ReasoningMode::Default => {
                reasoning.mode = ReasoningMode::Adaptive(None);
            }
            ("enabled" | "exclude", Value::Bool(flag)) => {
                if key == "exclude" && *flag {
                    reasoning.show = ReasoningShow::Hidden;
                }
            }
            _ => return None,
        }
    }
    Some(reasoning)
}

/// The `thinking` of GLM, Kimi and others; `None` if it says something we do not know.
fn switch(map: &Map<String, Value>) -> Option<ReasoningMode> {
    let budget = match map.get("budget_tokens") {
        Some(Value::Number(count)) => Some(as_count(count)?),
        Some(_) => return None,
        None => None,
    };
    if map.keys().any(|it| it != "type" && it != "budget_tokens") {
        return None;
    }
    match map.get("type")?.as_str()? {
        "disabled" => Some(ReasoningMode::Off),
        "enabled" => Some(budget.map_or(ReasoningMode::Adaptive(None), ReasoningMode::Budget)),
        "adaptive" | "auto" => Some(ReasoningMode::Adaptive(None)),
        _ => None,
    }
}

/// Puts what the client said into the body, in the words the model knows.
pub(super) fn encode(
    reasoning: &Reasoning,
    abilities: &Abilities,
    body: &mut Map<String, Value>,
    losses: &mut Vec<Loss>,
) {
    let hides = reasoning.show == ReasoningShow::Hidden;
    if reasoning.show != ReasoningShow::Default
        && !(hides && abilities.thinking == ThinkingControl::ReasoningObject)
    {
        let reason = "how thinking is shown cannot be said";
        losses.push(Loss::dropped("/thinking/display", Severity::Cosmetic, reason));
    }
    let mut words = Words { abilities, losses };
    match abilities.thinking {
        ThinkingControl::Effort => {
            if let Some(word) = words.effort(reasoning.mode) {
                body.insert("reasoning_effort".to_owned(), word.into());
            }
        }
        ThinkingControl::ThinkingType => words.switch(reasoning.mode, body),
        ThinkingControl::ReasoningObject => {
            let mut object = words.object(reasoning.mode);
            if hides {
                object.insert("exclude".to_owned(), true.into());
            }
            if !object.is_empty() {
                body.insert("reasoning".to_owned(), Value::Object(object));
            }
        }
        ThinkingControl::None
        | ThinkingControl::Budget
        | ThinkingControl::Adaptive
        | ThinkingControl::Always
        | ThinkingControl::GeminiBudget
        | ThinkingControl::GeminiLevel => words.nothing(reasoning.mode),
    }
}

struct Words<'a> {
    abilities: &'a Abilities,
    losses: &'a mut Vec<Loss>,
}

impl Words<'_> {
    fn nothing(&mut self, mode: ReasoningMode) {
        let severity = match mode {
            ReasoningMode::Default => return,
            ReasoningMode::Off | ReasoningMode::Budget(0) if self.abilities.thinking_can_be_off => return,
            ReasoningMode::Off | ReasoningMode::Adaptive(_) => Severity::Cosmetic,
            ReasoningMode::Effort(_) | ReasoningMode::Budget(_) => Severity::Semantic,
        };
        self.losses.push(Loss::dropped("/thinking", severity, "the model cannot be told how much to think"));
    }

    fn effort(&mut self, mode: ReasoningMode) -> Option<&'static str> {
        match mode {
            ReasoningMode::Default | ReasoningMode::Adaptive(None) => None,
            ReasoningMode::Off if self.abilities.thinking_can_be_off => Some("none"),
            ReasoningMode::Off => {
                self.always();
                self.abilities.efforts.iter().min().map(|it| effort::name(*it))
            }
            ReasoningMode::Effort(wanted) | ReasoningMode::Adaptive(Some(wanted)) => Some(self.level(wanted)),
            ReasoningMode::Budget(0) => self.effort(ReasoningMode::Off),
            ReasoningMode::Budget(tokens) => {
                let wanted = effort::effort_of(tokens)?;
                self.approximate(&format!("a budget of {tokens} tokens was told as an effort"));
                Some(self.level(wanted))
            }
        }
    }

    /// The nearest level the model has; a model whose levels nobody wrote down is told what was asked.
    fn level(&mut self, wanted: Effort) -> &'static str {
        let given = effort::clamp(wanted, &self.abilities.efforts).unwrap_or(wanted);
        if given != wanted {
            let (wanted, given) = (effort::name(wanted), effort::name(given));
            self.approximate(&format!("effort `{wanted}` was lowered to `{given}`"));
        }
        effort::name(given)
    }

    fn switch(&mut self, mode: ReasoningMode, body: &mut Map<String, Value>) {
        let kind = match mode {
            ReasoningMode::Default => return,
            ReasoningMode::Off | ReasoningMode::Budget(0) if self.abilities.thinking_can_be_off => "disabled",
            ReasoningMode::Off | ReasoningMode::Budget(0) => return self.always(),
            ReasoningMode::Adaptive(None) => "enabled",
            ReasoningMode::Effort(_) | ReasoningMode::Adaptive(Some(_)) | ReasoningMode::Budget(_) => {
                if self.abilities.efforts.is_empty() {
                    self.approximate("the model can be told to think, but not how much");
                } else if let Some(word) = self.effort(mode) {
                    body.insert("reasoning_effort".to_owned(), word.into());
                }
                "enabled"
            }
        };
        body.insert("thinking".to_owned(), json!({ "type": kind }));
    }

    fn object(&mut self, mode: ReasoningMode) -> Map<String, Value> {
        let (key, value): (&str, Value) = match mode {
            ReasoningMode::Default => return Map::new(),
            ReasoningMode::Off | ReasoningMode::Budget(0) if self.abilities.thinking_can_be_off => {
                ("enabled", false.into())
            }
            ReasoningMode::Off | ReasoningMode::Budget(0) => {
                self.always();
                return Map::new();
            }
            ReasoningMode::Adaptive(None) => ("enabled", true.into()),
            ReasoningMode::Budget(tokens) => ("max_tokens", tokens.into()),
            ReasoningMode::Effort(wanted) | ReasoningMode::Adaptive(Some(wanted)) => {
                ("effort", self.level(wanted).into())
            }
        };
        Map::from_iter([(key.to_owned(), value)])
    }

    fn always(&mut self) {
        self.approximate("the model cannot be kept from thinking");
    }

    fn approximate(&mut self, reason: &str) {
        self.losses.push(Loss::approximated("/thinking", Severity::Semantic, reason));
    }
}
