//! Tools that a provider runs, asked for in another dialect, as the like that Anthropic runs.
//!
//! Versions are the oldest that every model in service takes; wire facts: the `*_20250305`, `*_20250910`, `*_20250825`
//! types of Anthropic's SDK.

use serde_json::{Map, Value, json};

use super::{super::ID, Writer};
use crate::dialect::{
    Severity,
    canonical::{Builtin, Location, Tool, ToolKind, WebSearch},
};

/// What a tool is called, if Anthropic runs the like of it.
const fn name(family: &Builtin) -> Option<&'static str> {
    match family {
        Builtin::WebSearch(_) => Some("web_search"),
        Builtin::UrlFetch => Some("web_fetch"),
        Builtin::CodeExecution => Some("code_execution"),
        Builtin::ClientRun { .. } => None,
    }
}

impl Writer<'_> {
    /// Writes the like of another provider's tool; `None`: this upstream has none. `severity`: of its loss.
    pub(super) fn hosted(
        &mut self,
        family: &Builtin,
        tool: &Tool,
        at: &str,
        severity: Severity,
    ) -> Option<Value> {
        if let Builtin::ClientRun { description, schema } = family {
            self.approximate(at, Severity::Cosmetic, "a tool that only its provider knows became a function");
            return Some(self.function(tool, Some((*description).to_owned()), Some(schema), at));
        }
        let name = name(family)?;
        if !self.abilities.cache_control {
            self.drop(at, severity, "the upstream is not known to run tools of its own");
            return None;
        }
        let is_taken = self
            .request
            .tools
            .iter()
            .any(|it| !matches!(it.kind, ToolKind::Builtin { .. }) && self.names.wire(&it.name) == name);
        if is_taken {
            self.drop(
                at,
                severity,
                format!("the upstream's own tool would be called `{name}`, as another is"),
            );
            return None;
        }
        self.approximate(at, Severity::Cosmetic, format!("it was told as Anthropic's `{name}`"));
        Some(match family {
            Builtin::WebSearch(search) => self.web_search(search, at),
            Builtin::UrlFetch => self.beta("web_fetch_20250910", name, "web-fetch-2025-09-10"),
            _ => self.beta("code_execution_20250825", name, "code-execution-2025-08-25"),
        })
    }

    /// What the upstream calls a tool that the client names so.
    pub(super) fn told_name<'n>(&'n self, asked: &'n str) -> &'n str {
        let hosted = self.request.tools.iter().filter(|it| it.name == asked).find_map(|it| match &it.kind {
            ToolKind::Builtin { dialect, family: Some(family), .. } if *dialect != ID => name(family),
            _ => None,
        });
        hosted.unwrap_or_else(|| self.names.wire(asked))
    }

    fn beta(&mut self, kind: &str, name: &str, beta: &str) -> Value {
        self.betas.push(beta.to_owned());
        json!({"type": kind, "name": name})
    }

    fn web_search(&mut self, search: &WebSearch, at: &str) -> Value {
        let mut written = json!({"type": "web_search_20250305", "name": "web_search"});
        if let Some(most) = search.max_uses {
            written["max_uses"] = json!(most);
        }
        // Anthropic takes one of the two lists.
        if !search.allowed_domains.is_empty() {
            written["allowed_domains"] = json!(search.allowed_domains);
            if !search.blocked_domains.is_empty() {
                self.drop(
                    at,
                    Severity::Semantic,
                    "the search takes domains to use or domains to leave out, not both",
                );
            }
        } else if !search.blocked_domains.is_empty() {
            written["blocked_domains"] = json!(search.blocked_domains);
        }
        if let Some(place) = &search.location {
            written["user_location"] = location(place);
        }
        if search.context_size.is_some() {
            self.drop(
                format!("{at}/search_context_size"),
                Severity::Cosmetic,
                "the search cannot be told how much to show",
            );
        }
        written
    }
}

fn location(place: &Location) -> Value {
    let mut written = Map::from_iter([("type".to_owned(), json!("approximate"))]);
    let fields = [
        ("city", &place.city),
        ("region", &place.region),
        ("country", &place.country),
        ("timezone", &place.timezone),
    ];
    written.extend(fields.into_iter().filter_map(|(key, it)| Some((key.to_owned(), json!(it.as_ref()?)))));
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{Abilities, UpstreamModel},
        dialect::{DialectId, Encoded},
    };

    fn encode(dialect: DialectId, asked: &Value) -> (Value, Encoded) {
        let request = dialect.server().decode_request(asked.to_string().as_bytes()).unwrap();
        let abilities = Abilities::default();
        let model = UpstreamModel::parse("m").unwrap();
        let encoded =
            DialectId::AnthropicMessages.client().encode_request(&request, &model, &abilities).unwrap();
        (serde_json::from_slice(&encoded.body).unwrap(), encoded)
    }

    #[test]
    fn ec_114_tools_of_responses_are_told_as_the_like_of_them() {
        let (told, encoded) = encode(
            DialectId::OpenaiResponses,
            &json!({"model": "m", "input": "x", "tool_choice": {"type": "web_search"}, "tools": [
            {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "search_context_size": "low",
             "user_location": {"type": "approximate", "country": "DE"}},
            {"type": "code_interpreter", "container": {"type": "auto"}}]}),
        );
        let search = json!({"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate", "country": "DE"}});
        let code = json!({"type": "code_execution_20250825", "name": "code_execution"});
        assert_eq!(told["tools"], json!([search, code]));
        assert_eq!(told["tool_choice"], json!({"type": "tool", "name": "web_search"}));
        assert_eq!(encoded.betas, ["code-execution-2025-08-25"]);
        assert!(encoded.losses.iter().any(|it| it.at == "/tools/0/search_context_size"));
    }

    #[test]
    fn ec_114_tools_of_gemini_are_told_as_the_like_of_them() {
        let (told, encoded) = encode(
            DialectId::Gemini,
            &json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
                "tools": [{"googleSearch": {}}, {"urlContext": {}}]}),
        );
        let names: Vec<&Value> = told["tools"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
        assert_eq!(names, ["web_search_20250305", "web_fetch_20250910"]);
        assert_eq!(encoded.betas, ["web-fetch-2025-09-10"]);
    }

    #[test]
    fn a_function_of_the_same_name_goes_first() {
        let (told, encoded) = encode(
            DialectId::OpenaiResponses,
            &json!({"model": "m", "input": "x", "tools": [{"type": "web_search"},
            {"type": "function", "name": "web_search", "parameters": {"type": "object", "properties": {}}}]}),
        );
        assert_eq!(told["tools"].as_array().unwrap().len(), 1);
        assert!(encoded.losses.iter().any(|it| it.at == "/tools/0" && it.severity == Severity::Semantic));
    }
}
