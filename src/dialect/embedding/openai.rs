//! OpenAI's side (`POST /v1/embeddings`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use super::{EmbeddingRequest, EmbeddingResponse, Input, Vector};
use crate::dialect::{DecodeError, Loss, Severity, TokenUsage, fields::as_count, json};

/// Reads a client's request.
pub fn decode_request(body: &[u8]) -> Result<EmbeddingRequest, DecodeError> {
    let Value::Object(mut fields) = json::parse(body)? else {
        return Err(DecodeError::new("", "the body must be an object"));
    };
    let (inputs, single) = match fields.shift_remove("input") {
        None | Some(Value::Null) => return Err(DecodeError::new("/input", "`input` is missing")),
        Some(input) => inputs(input)?,
    };
    let dimensions = match fields.shift_remove("dimensions") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) if as_count(&number).is_some() => as_count(&number),
        Some(_) => {
            let message = "`dimensions` must be a whole number of 0 or more";
            return Err(DecodeError::new("/dimensions", message));
        }
    };
    let base64 = match fields.shift_remove("encoding_format").as_ref().map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        Some(_) => {
            let message = "`encoding_format` must be `float` or `base64`";
            return Err(DecodeError::new("/encoding_format", message));
        }
    };
    fields.shift_remove("model");
    Ok(EmbeddingRequest { inputs, single, dimensions, base64, lost: lost(&fields) })
}

/// What only OpenAI, or a relative of it, knows.
fn lost(fields: &Map<String, Value>) -> Vec<Loss> {
    let lost = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| {
        let severity = if name == "user" { Severity::Cosmetic } else { Severity::Semantic };
        let at = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Loss::dropped(at, severity, "Gemini's embeddings have no such field")
    });
    lost.collect()
}

/// A text, texts, tokens, or lists of tokens; and whether it is one input.
fn inputs(input: Value) -> Result<(Vec<Input>, bool), DecodeError> {
    let items = match input {
        Value::String(text) => return Ok((vec![Input::Text(text)], true)),
        Value::Array(items) => items,
        _ => return Err(DecodeError::new("/input", "`input` must be a string or an array")),
    };
    if items.is_empty() {
        return Err(DecodeError::new("/input", "`input` must have at least one entry"));
    }
    if items[0].is_number() {
        return Ok((vec![Input::Tokens(tokens(&items, "/input")?)], true));
    }
    let items = items.into_iter().enumerate().map(|(index, item)| match item {
        Value::String(text) => Ok(Input::Text(text)),
        Value::Array(numbers) => tokens(&numbers, &format!("/input/{index}")).map(Input::Tokens),
        _ => Err(DecodeError::new(
            format!("/input/{index}"),
            "an input must be a string or an array of tokens",
        )),
    });
    Ok((items.collect::<Result<_, _>>()?, false))
}

fn tokens(numbers: &[Value], at: &str) -> Result<Vec<u64>, DecodeError> {
    let token = |it: &Value| match it {
        Value::Number(number) => as_count(number),
        _ => None,
    };
    let tokens: Option<Vec<u64>> = numbers.iter().map(token).collect();
    tokens.ok_or_else(|| DecodeError::new(at, "a token must be a whole number of 0 or more"))
}

/// Says a request to an upstream.
pub fn encode_request(request: &EmbeddingRequest, model: &str) -> Bytes {
    let input = |it: &Input| match it {
        Input::Text(text) => json!(text),
        Input::Tokens(tokens) => json!(tokens),
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    let inputs = match &*request.inputs {
        [one] if request.single => input(one),
        many => many.iter().map(input).collect(),
    };
    body.insert("input".to_owned(), inputs);
    if let Some(dimensions) = request.dimensions {
        body.insert("dimensions".to_owned(), dimensions.into());
    }
    body.insert("encoding_format".to_owned(), if request.base64 { "base64" } else { "float" }.into());
    Value::Object(body).to_string().into()
}

#[derive(Deserialize)]
struct WireResponse<'a> {
    model: Option<String>,
    #[serde(borrow)]
    data: Vec<WireEmbedding<'a>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireEmbedding<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    index: Option<usize>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// Reads an upstream's answer; the vectors are put in the order their indices say.
pub fn decode_response(body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    let wire: WireResponse<'_> = serde_json::from_slice(body)
        .map_err(|it| DecodeError::new("", format!("it is no list of embeddings: {it}")))?;
    let mut data = wire.data;
    if data.iter().all(|it| it.index.is_some()) {
        data.sort_by_key(|it| it.index);
    }
    let vectors = data.iter().map(|it| Vector::read(it.embedding)).collect::<Result<_, _>>()?;
    let input = wire.usage.and_then(|it| it.prompt_tokens.or(it.total_tokens));
    Ok(EmbeddingResponse { model: wire.model, vectors, usage: TokenUsage { input, ..TokenUsage::default() } })
}

#[derive(Serialize)]
struct ListOut<'a> {
    object: &'static str,
    data: Vec<EmbeddingOut>,
    model: &'a str,
    usage: Value,
}

#[derive(Serialize)]
struct EmbeddingOut {
    object: &'static str,
    index: usize,
    embedding: Box<RawValue>,
}

/// Says an answer to a client.
pub fn encode_response(
    response: &EmbeddingResponse,
    base64: bool,
    model: &str,
    estimate: u64,
) -> Result<Bytes, DecodeError> {
    let mut data = Vec::with_capacity(response.vectors.len());
    for (index, vector) in response.vectors.iter().enumerate() {
        let embedding = if base64 {
            serde_json::value::to_raw_value(&vector.to_base64()?).expect("a string is JSON")
        } else {
            vector.to_numbers()?
        };
        data.push(EmbeddingOut { object: "embedding", index, embedding });
    }
    let tokens = response.usage.input.unwrap_or(estimate);
    let list = ListOut {
        object: "list",
        data,
        model: response.model.as_deref().unwrap_or(model),
        usage: json!({ "prompt_tokens": tokens, "total_tokens": tokens }),
    };
    Ok(serde_json::to_vec(&list).expect("a list of vectors is JSON").into())
}
