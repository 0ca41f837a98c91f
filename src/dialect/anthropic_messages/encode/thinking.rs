//! How much to think, lowered once to what the model can be told.

use serde_json::{Map, Value, json};

use super::{super::ID, Writer, turns::Talk};
use crate::{
    catalog::model::{Effort, ThinkingControl},
    dialect::{
        Severity,
        canonical::{
            ReasoningMode, ReasoningShow,
            effort::{self, LEAST_BUDGET},
        },
    },
};

/// What an adaptive model does if it is told no effort (its documentation).
const ADAPTIVE_EFFORT: Effort = Effort::High;

/// What the request says of thinking.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    /// The `thinking` object.
    object: Option<Map<String, Value>>,
    /// `output_config.effort`.
    effort: Option<String>,
    always: bool,
}

impl Thinking {
    /// Whether the model will think, as far as the request says.
    pub(super) fn is_on(&self) -> bool {
        let kind = self.object.as_ref().and_then(|it| it.get("type")).and_then(Value::as_str);
        self.always || kind.is_some_and(|it| it != "disabled")
    }

    fn adaptive() -> Self {
        Self { object: Some(object("adaptive")), ..Self::default() }
    }

    pub(super) fn write(self, format: Option<Value>, body: &mut Map<String, Value>) {
        if let Some(thinking) = self.object {
            body.insert("thinking".to_owned(), Value::Object(thinking));
        }
        let mut config = Map::new();
        if let Some(effort) = self.effort {
            config.insert("effort".to_owned(), json!(effort));
        }
        if let Some(format) = format {
            config.insert("format".to_owned(), format);
        }
        if !config.is_empty() {
            body.insert("output_config".to_owned(), Value::Object(config));
        }
    }
}

fn object(kind: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(kind))])
}

impl Writer<'_> {
    pub(super) fn thinking(&mut self, max_tokens: u64, talk: &Talk) -> Thinking {
        let mode = self.request.reasoning.mode;
        // A client of this dialect may give an effort without asking for thinking.
        let said = self.request.extra.field(ID, "output_config").and_then(|it| it.get("effort"));
        let word = said.and_then(Value::as_str).map(str::to_owned);
        let mut thinking = match (&word, mode) {
            (Some(_), ReasoningMode::Effort(_)) => {
                Thinking { always: self.always_thinks(), ..Thinking::default() }
            }
            _ => self.lower(mode, max_tokens, talk),
        };
        if let Some(word) = word {
            thinking.effort = self.effort_word(&word);
        }
        self.show(&mut thinking);
        thinking
    }

    fn always_thinks(&self) -> bool {
        self.abilities.thinking == ThinkingControl::Always
    }

    fn lower(&mut self, mode: ReasoningMode, max_tokens: u64, talk: &Talk) -> Thinking {
        match self.abilities.thinking {
            ThinkingControl::None
            | ThinkingControl::ReasoningObject
            | ThinkingControl::GeminiBudget
            | ThinkingControl::GeminiLevel => self.cannot(mode),
            ThinkingControl::Budget | ThinkingControl::ThinkingType => self.budget(mode, max_tokens, talk),
            ThinkingControl::Adaptive => self.adaptive(mode),
            ThinkingControl::Always | ThinkingControl::Effort => self.effort_alone(mode),
        }
    }

    fn cannot(&mut self, mode: ReasoningMode) -> Thinking {
        if !matches!(mode, ReasoningMode::Default | ReasoningMode::Off) {
            self.drop(self.place(), Severity::Cosmetic, "the model cannot be told how to think");
        }
        Thinking::default()
    }

    fn off(&mut self) -> Thinking {
        if self.abilities.thinking_can_be_off {
            return Thinking { object: Some(object("disabled")), ..Thinking::default() };
        }
        self.approximate(self.place(), Severity::Cosmetic, "the model's thinking cannot be turned off");
        let effort = self.abilities.efforts.iter().copied().min().map(|it| effort::name(it).to_owned());
        Thinking { effort, always: true, ..Thinking::default() }
    }

    fn budget(&mut self, mode: ReasoningMode, max_tokens: u64, talk: &Talk) -> Thinking {
        let most = Some(max_tokens);
        let asked = match mode {
            ReasoningMode::Default => return Thinking::default(),
            ReasoningMode::Off | ReasoningMode::Budget(0) => return self.off(),
            ReasoningMode::Budget(budget) => budget,
            ReasoningMode::Effort(it) => effort::budget_of(it, most),
            ReasoningMode::Adaptive(it) => effort::budget_of(it.unwrap_or(ADAPTIVE_EFFORT), most),
        };
        if max_tokens <= LEAST_BUDGET {
            let reason =
                format!("thinking needs more than {LEAST_BUDGET} tokens and `max_tokens` is {max_tokens}");
            self.drop(self.place(), Severity::Semantic, reason);
            return Thinking::default();
        }
        if self.abilities.cache_control && talk.resumes_without_thinking() {
            let reason = "a turn that called tools without signed thinking cannot be resumed with thinking";
            self.drop(self.place(), Severity::Semantic, reason);
            return Thinking::default();
        }
        let budget = asked.clamp(LEAST_BUDGET, max_tokens - 1);
        if mode != ReasoningMode::Budget(budget) {
            self.approximate(
                self.place(),
                Severity::Cosmetic,
                format!("a budget of {budget} tokens was set"),
            );
        }
        let mut thinking = object("enabled");
        thinking.insert("budget_tokens".to_owned(), json!(budget));
        Thinking { object: Some(thinking), ..Thinking::default() }
    }

    fn adaptive(&mut self, mode: ReasoningMode) -> Thinking {
        let wanted = match mode {
            ReasoningMode::Default => return Thinking::default(),
            ReasoningMode::Off | ReasoningMode::Budget(0) => return self.off(),
            ReasoningMode::Adaptive(None) => return Thinking::adaptive(),
            ReasoningMode::Adaptive(Some(it)) | ReasoningMode::Effort(it) => Some(it),
            ReasoningMode::Budget(budget) => self.effort_of(budget),
        };
        Thinking { effort: wanted.and_then(|it| self.clamped(it)), ..Thinking::adaptive() }
    }

    fn effort_alone(&mut self, mode: ReasoningMode) -> Thinking {
        let wanted = match mode {
            ReasoningMode::Default | ReasoningMode::Adaptive(None) => None,
            ReasoningMode::Off | ReasoningMode::Budget(0) => {
                self.approximate(
                    self.place(),
                    Severity::Cosmetic,
                    "the model's thinking cannot be turned off",
                );
                self.abilities.efforts.iter().copied().min()
            }
            ReasoningMode::Adaptive(Some(it)) | ReasoningMode::Effort(it) => Some(it),
            ReasoningMode::Budget(budget) => self.effort_of(budget),
        };
        let effort = wanted.and_then(|it| self.clamped(it));
        Thinking { effort, always: self.always_thinks(), object: None }
    }

    fn effort_of(&mut self, budget: u64) -> Option<Effort> {
        let effort = effort::effort_of(budget)?;
        let reason = format!("the model takes an effort, not a budget: `{}`", effort::name(effort));
        self.approximate("/thinking/budget_tokens", Severity::Cosmetic, reason);
        Some(effort)
    }

    fn clamped(&mut self, wanted: Effort) -> Option<String> {
        let Some(level) = effort::clamp(wanted, &self.abilities.efforts) else {
            self.drop(self.place(), Severity::Cosmetic, "the model has no levels of effort");
            return None;
        };
        if level != wanted {
            let reason = format!(
                "the model has no effort `{}`: `{}` was set",
                effort::name(wanted),
                effort::name(level)
            );
            self.approximate(self.place(), Severity::Cosmetic, reason);
        }
        Some(effort::name(level).to_owned())
    }

    /// An effort as a client of this dialect wrote it; one we do not know goes to a model that has any.
    fn effort_word(&mut self, word: &str) -> Option<String> {
        match effort::parse(word) {
            Some(it) => self.clamped(it),
            None if self.abilities.efforts.is_empty() => {
                self.drop("/output_config/effort", Severity::Cosmetic, "the model has no levels of effort");
                None
            }
            None => Some(word.to_owned()),
        }
    }

    /// Says whether the thinking is to be shown. A model that was asked in other words than its own hides it unless told.
    fn show(&mut self, thinking: &mut Thinking) {
        let reasoning = &self.request.reasoning;
        let adaptive = self.abilities.thinking == ThinkingControl::Adaptive;
        let translated = matches!(reasoning.mode, ReasoningMode::Effort(_) | ReasoningMode::Budget(_));
        let word = match reasoning.show {
            ReasoningShow::Summary => "summarized",
            ReasoningShow::Hidden => "omitted",
            ReasoningShow::Default if adaptive && translated => "summarized",
            ReasoningShow::Default => return,
        };
        match &mut thinking.object {
            Some(object) if object.get("type") != Some(&json!("disabled")) => {
                object.insert("display".to_owned(), json!(word));
            }
            _ if reasoning.show == ReasoningShow::Default => {}
            _ => {
                self.drop(self.place(), Severity::Cosmetic, "the model cannot be told what thinking to show");
            }
        }
    }

    /// Where the client said how to think.
    fn place(&self) -> &'static str {
        match self.request.reasoning.mode {
            ReasoningMode::Effort(_) => "/reasoning_effort",
            ReasoningMode::Default
            | ReasoningMode::Off
            | ReasoningMode::Budget(_)
            | ReasoningMode::Adaptive(_) => "/thinking",
        }
    }
}
