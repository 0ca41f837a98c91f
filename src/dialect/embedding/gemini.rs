//! Gemini's side (`:embedContent` for one text, `:batchEmbedContents` for many).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use super::{EmbeddingRequest, EmbeddingResponse, Form, Input, Vector};
use crate::dialect::{DecodeError, EncodeError, Loss, Severity, TokenUsage, fields::as_count, json};

/// Reads a client's request, in either casing.
pub fn decode_request(form: Form, body: &[u8]) -> Result<EmbeddingRequest, DecodeError> {
    let Value::Object(fields) = json::parse(body)? else {
        return Err(DecodeError::new("", "the body must be an object"));
    };
    let mut request = EmbeddingRequest {
        inputs: Vec::new(),
        single: form == Form::One,
        dimensions: None,
        base64: false,
        lost: Vec::new(),
    };
    if form == Form::One {
        read_one(&fields, "", &mut request)?;
        return Ok(request);
    }
    let Some(Value::Array(requests)) = fields.get("requests") else {
        return Err(DecodeError::new("/requests", "`requests` must be an array"));
    };
    if requests.is_empty() {
        return Err(DecodeError::new("/requests", "`requests` must have at least one entry"));
    }
    let mut dimensions = None;
    for (index, one) in requests.iter().enumerate() {
        let at = format!("/requests/{index}");
        let Value::Object(one) = one else { return Err(DecodeError::new(at, "a request must be an object")) };
        read_one(one, &at, &mut request)?;
        if index > 0 && request.dimensions != dimensions {
            let at = format!("{at}/outputDimensionality");
            return Err(DecodeError::new(at, "all requests must have the same `outputDimensionality`"));
        }
        dimensions = request.dimensions;
    }
    Ok(request)
}

fn read_one(
    fields: &Map<String, Value>,
    at: &str,
    request: &mut EmbeddingRequest,
) -> Result<(), DecodeError> {
    let content = fields.get("content").filter(|it| !it.is_null());
    let content = content.ok_or_else(|| DecodeError::new(format!("{at}/content"), "`content` is missing"))?;
    request.inputs.push(Input::Text(text(content, &format!("{at}/content"), &mut request.lost)?));
    request.dimensions = None;
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (name.as_str(), value) {
            ("model" | "content", _) => {}
            ("outputDimensionality" | "output_dimensionality", Value::Number(number))
                if as_count(number).is_some() =>
            {
                request.dimensions = as_count(number);
            }
            ("outputDimensionality" | "output_dimensionality", _) => {
                return Err(DecodeError::new(at, format!("`{name}` must be a whole number of 0 or more")));
            }
            _ => request.lost.push(Loss::dropped(
                at,
                Severity::Semantic,
                "OpenAI's embeddings have no such field",
            )),
        }
    }
    Ok(())
}

/// The text of a content: its parts become lines.
fn text(content: &Value, at: &str, lost: &mut Vec<Loss>) -> Result<String, DecodeError> {
    let part = |part: &Value, at: String| match part.get("text") {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(DecodeError::new(at, "only text can be embedded by this model's upstream")),
    };
    match content.get("parts").unwrap_or(content) {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) if !parts.is_empty() => {
            if parts.len() > 1 {
                lost.push(Loss::approximated(
                    format!("{at}/parts"),
                    Severity::Semantic,
                    "the parts were joined to one text",
                ));
            }
            let parts = parts.iter().enumerate().map(|(index, it)| part(it, format!("{at}/parts/{index}")));
            Ok(parts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        one @ Value::Object(_) => part(one, at.to_owned()),
        _ => Err(DecodeError::new(at, "`content` must have `parts`")),
    }
}

/// Says a request to an upstream, as a batch. Tokens of another vendor's tokenizer mean nothing here.
pub fn encode_request(request: &EmbeddingRequest, model: &str) -> Result<(Bytes, Vec<Loss>), EncodeError> {
    let model = format!("models/{model}");
    let requests = request.inputs.iter().enumerate().map(|(index, input)| {
        let Input::Text(text) = input else {
            let at = if request.single { "/input".to_owned() } else { format!("/input/{index}") };
            let message = "this model's upstream does not take tokens: send text".to_owned();
            return Err(EncodeError { at, message });
        };
        let mut one = json!({ "model": model, "content": { "parts": [{ "text": text }] } });
        if let Some(dimensions) = request.dimensions {
            one["outputDimensionality"] = dimensions.into();
        }
        Ok(one)
    });
    let requests: Vec<Value> = requests.collect::<Result<_, _>>()?;
    Ok((json!({ "requests": requests }).to_string().into(), request.lost.clone()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Always {
    Yes,
    No,
}

/// The body of Gemini's own with the model called as the upstream calls it; unchanged if it is called so already.
pub fn rename(form: Form, body: &Bytes, model: &str) -> Result<Bytes, DecodeError> {
    let mut value = json::parse(body)?;
    let before = value.clone();
    match form {
        Form::One => name_model(&mut value, model, Always::No),
        Form::Many => {
            for one in value.get_mut("requests").and_then(Value::as_array_mut).into_iter().flatten() {
                name_model(one, model, Always::Yes);
            }
        }
    }
    Ok(if value == before { body.clone() } else { value.to_string().into() })
}

fn name_model(one: &mut Value, model: &str, always: Always) {
    let name = format!("models/{model}");
    if let Some(fields) = one.as_object_mut()
        && (always == Always::Yes || fields.contains_key("model"))
    {
        fields.insert("model".to_owned(), name.into());
    }
}

#[derive(Deserialize)]
struct WireResponse<'a> {
    #[serde(borrow)]
    embedding: Option<WireEmbedding<'a>>,
    #[serde(borrow, default)]
    embeddings: Vec<WireEmbedding<'a>>,
    #[serde(rename = "usageMetadata")]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireEmbedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    statistics: Option<WireStatistics>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<u64>,
    #[serde(rename = "totalTokenCount")]
    total: Option<u64>,
}

#[derive(Deserialize)]
struct WireStatistics {
    #[serde(rename = "tokenCount")]
    tokens: Option<f64>,
}

/// Reads an upstream's answer to either.
pub fn decode_response(body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let wire: WireResponse<'_> = serde_json::from_slice(body)
        .map_err(|it| DecodeError::new("", format!("it is no list of embeddings: {it}")))?;
    let all: Vec<WireEmbedding<'_>> = wire.embedding.into_iter().chain(wire.embeddings).collect();
    if all.is_empty() {
        return Err(DecodeError::new("/embeddings", "there is no embedding"));
    }
    let counted: Option<f64> = all.iter().map(|it| it.statistics.as_ref()?.tokens).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturating")]
    let counted = counted.map(|it| it as u64);
    let input = wire.usage.and_then(|it| it.prompt.or(it.total)).or(counted);
    Ok(EmbeddingResponse {
        model: None,
        vectors: all.iter().map(|it| Vector::read(it.values)).collect::<Result<_, _>>()?,
        usage: TokenUsage { input, ..TokenUsage::default() },
    })
}

#[derive(Serialize)]
struct EmbeddingOut {
    values: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<EmbeddingOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<EmbeddingOut>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Value>,
}

/// Says an answer to a client.
pub fn encode_response(form: Form, response: &EmbeddingResponse) -> Result<Bytes, DecodeError> {
    let mut vectors = Vec::with_capacity(response.vectors.len());
    for vector in &response.vectors {
        vectors.push(EmbeddingOut { values: vector.to_numbers()? });
    }
    let usage_metadata =
        response.usage.input.map(|it| json!({ "promptTokenCount": it, "totalTokenCount": it }));
    let out = match form {
        Form::One => Out { embedding: vectors.into_iter().next(), embeddings: None, usage_metadata },
        Form::Many => Out { embedding: None, embeddings: Some(vectors), usage_metadata },
    };
    Ok(serde_json::to_vec(&out).expect("a list of vectors is JSON").into())
}
