//! A search of the web, which in Chat is a field (`web_search_options`) of the models that search before they answer.
//!
//! Field facts: `WebSearchOptions` of the `openai` SDK's `completion_create_params`.

use serde_json::{Map, Value, json};

use crate::{
    catalog::Abilities,
    dialect::{
        Loss, Severity,
        canonical::{
            Builtin, ChatRequest, Location, Tool, ToolChoice, ToolKind, WEB_SEARCH_OPTIONS, WebSearch,
        },
    },
};

/// Whether a tool is told as the field: the client's own always, another dialect's where the model knows it.
pub(super) fn is_field(tool: &Tool, abilities: &Abilities) -> bool {
    tool.field().is_some() || (abilities.web_search_options && family(tool).is_some())
}

fn family(tool: &Tool) -> Option<&WebSearch> {
    match &tool.kind {
        ToolKind::Builtin { family: Some(Builtin::WebSearch(search)), .. } => Some(search),
        _ => None,
    }
}

/// Puts the search into the body; returns the tool that it is. There is one: the first goes.
pub(super) fn write<'a>(
    request: &'a ChatRequest,
    abilities: &Abilities,
    body: &mut Map<String, Value>,
    losses: &mut Vec<Loss>,
) -> Option<&'a Tool> {
    let mut told = None;
    for tool in request.tools.iter().filter(|it| is_field(it, abilities)) {
        let at = tool.at.as_str();
        if !may_be_used(request, &tool.name) {
            losses.push(Loss::dropped(at, Severity::Cosmetic, "the choice of tools leaves the search out"));
            continue;
        }
        if told.is_some() {
            losses.push(Loss::dropped(at, Severity::Cosmetic, "the model searches in one way"));
            continue;
        }
        told = Some(tool);
        let options = match (&tool.kind, family(tool)) {
            (ToolKind::Builtin { raw, .. }, _) if tool.field().is_some() => raw[WEB_SEARCH_OPTIONS].clone(),
            (_, Some(search)) => {
                let reason = format!(
                    "`{}` was told as `{WEB_SEARCH_OPTIONS}`: the model searches every time",
                    kind(tool)
                );
                losses.push(Loss::approximated(at, Severity::Cosmetic, reason));
                options(search, at, losses)
            }
            _ => json!({}),
        };
        body.insert(WEB_SEARCH_OPTIONS.to_owned(), options);
    }
    told
}

fn kind(tool: &Tool) -> &str {
    match &tool.kind {
        ToolKind::Builtin { raw, .. } => raw.get("type").and_then(Value::as_str).unwrap_or(&tool.name),
        _ => &tool.name,
    }
}

/// Whether the choice of tools lets the model search. What a client of Chat says it says beside its tools.
fn may_be_used(request: &ChatRequest, name: &str) -> bool {
    match &request.tool_choice {
        _ if name == WEB_SEARCH_OPTIONS => true,
        Some(ToolChoice::None) => false,
        Some(ToolChoice::Named(only)) => only == name,
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|it| it == name),
        None | Some(ToolChoice::Auto | ToolChoice::Required | ToolChoice::Other { .. }) => true,
    }
}

fn options(search: &WebSearch, at: &str, losses: &mut Vec<Loss>) -> Value {
    let mut options = Map::new();
    if let Some(size) = &search.context_size {
        options.insert("search_context_size".to_owned(), size.as_str().into());
    }
    if let Some(place) = &search.location {
        let location = json!({ "type": "approximate", "approximate": location(place) });
        options.insert("user_location".to_owned(), location);
    }
    if !search.allowed_domains.is_empty() || !search.blocked_domains.is_empty() {
        losses.push(Loss::dropped(at, Severity::Semantic, "the search takes no list of domains"));
    }
    if search.max_uses.is_some() {
        losses.push(Loss::dropped(
            format!("{at}/max_uses"),
            Severity::Cosmetic,
            "the search cannot be counted",
        ));
    }
    Value::Object(options)
}

fn location(place: &Location) -> Value {
    let fields = [
        ("city", &place.city),
        ("region", &place.region),
        ("country", &place.country),
        ("timezone", &place.timezone),
    ];
    fields.into_iter().filter_map(|(key, it)| Some((key.to_owned(), json!(it.as_ref()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::UpstreamModel,
        dialect::{DialectId, Encoded},
    };

    fn told(from: DialectId, to: DialectId, asked: &Value, knows: bool) -> (Value, Encoded) {
        let request = from.server().decode_request(asked.to_string().as_bytes()).unwrap();
        let abilities = Abilities { web_search_options: knows, ..Abilities::default() };
        let model = UpstreamModel::parse("m").unwrap();
        let encoded = to.client().encode_request(&request, &model, &abilities).unwrap();
        (serde_json::from_slice(&encoded.body).unwrap(), encoded)
    }

    fn chat(options: &Value) -> Value {
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "web_search_options": options})
    }

    fn whole() -> Value {
        json!({"search_context_size": "low", "user_location": {"type": "approximate",
            "approximate": {"country": "DE", "city": "Bonn", "region": "NRW", "timezone": "Europe/Berlin"}}})
    }

    #[test]
    fn ec_114_a_search_of_chat_is_told_as_the_like_of_it() {
        let tools = |to| {
            let (body, encoded) = told(DialectId::OpenaiChat, to, &chat(&whole()), false);
            assert!(
                encoded.losses.iter().all(|it| it.severity == Severity::Cosmetic),
                "{:?}",
                encoded.losses
            );
            assert!(
                encoded.losses.iter().all(|it| it.at.starts_with("/web_search_options")),
                "{:?}",
                encoded.losses
            );
            body["tools"].clone()
        };
        let place = json!({"type": "approximate", "city": "Bonn", "region": "NRW", "country": "DE",
            "timezone": "Europe/Berlin"});
        assert_eq!(
            tools(DialectId::OpenaiResponses),
            json!([{"type": "web_search", "user_location": place, "search_context_size": "low"}])
        );
        let (told, _) = told(DialectId::OpenaiChat, DialectId::AnthropicMessages, &chat(&whole()), false);
        assert_eq!(
            told["tools"],
            json!([{"type": "web_search_20250305", "name": "web_search", "user_location": place}])
        );
        assert_eq!(tools(DialectId::Gemini), json!([{"googleSearch": {}}]));
    }

    #[test]
    fn ec_114_a_search_of_another_dialect_is_told_to_a_model_that_searches() {
        let asked = json!({"model": "m", "input": "x", "tool_choice": {"type": "web_search"}, "tools": [
            {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "search_context_size": "low",
             "user_location": {"type": "approximate", "country": "DE"}}]});
        let (body, encoded) = told(DialectId::OpenaiResponses, DialectId::OpenaiChat, &asked, true);
        let options = json!({"search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"country": "DE"}}});
        assert_eq!(body["web_search_options"], options);
        assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
        let semantic: Vec<&str> = encoded
            .losses
            .iter()
            .filter(|it| it.severity == Severity::Semantic)
            .map(|it| it.at.as_str())
            .collect();
        assert_eq!(semantic, ["/tools/0"]);
        for asked in [
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
                "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}),
            json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "tools": [{"googleSearch": {}}]}),
        ] {
            let from = if asked.get("contents").is_some() {
                DialectId::Gemini
            } else {
                DialectId::AnthropicMessages
            };
            let (body, encoded) = told(from, DialectId::OpenaiChat, &asked, true);
            assert_eq!(body["web_search_options"], json!({}));
            assert!(
                encoded.losses.iter().all(|it| it.severity == Severity::Cosmetic),
                "{:?}",
                encoded.losses
            );
        }
    }

    #[test]
    fn ec_114_a_model_that_does_not_search_is_not_asked_to() {
        let asked = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]});
        let (body, encoded) = told(DialectId::OpenaiResponses, DialectId::OpenaiChat, &asked, false);
        assert_eq!(body.get("web_search_options"), None);
        assert!(encoded.losses.iter().any(|it| it.at == "/tools/0" && it.severity == Severity::Semantic));
    }

    #[test]
    fn what_a_client_of_chat_says_goes_round_exactly() {
        for options in [whole(), json!({}), json!({"x_new": [1.50], "user_location": null})] {
            let (body, encoded) = told(DialectId::OpenaiChat, DialectId::OpenaiChat, &chat(&options), false);
            assert_eq!(body["web_search_options"], options);
            assert_eq!((encoded.losses, body.get("tools")), (Vec::new(), None));
        }
        let wrong = chat(&json!("low")).to_string();
        let error = DialectId::OpenaiChat.server().decode_request(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.at, "/web_search_options");
    }

    #[test]
    fn a_search_that_the_choice_leaves_out_is_not_told() {
        let function =
            json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}});
        for (choice, searches) in [
            (json!("none"), false),
            (json!({"type": "function", "name": "f"}), false),
            (json!({"type": "web_search"}), true),
            (json!("required"), true),
        ] {
            let asked = json!({"model": "m", "input": "x", "tool_choice": choice,
                "tools": [function, {"type": "web_search"}, {"type": "web_search_preview"}]});
            let (body, encoded) = told(DialectId::OpenaiResponses, DialectId::OpenaiChat, &asked, true);
            assert_eq!(body.get("web_search_options").is_some(), searches, "{choice}");
            assert_eq!(body["tools"].as_array().map(Vec::len), Some(1), "{choice}");
            assert!(encoded.losses.iter().any(|it| it.at == "/tools/2"), "{choice}");
        }
    }
}
