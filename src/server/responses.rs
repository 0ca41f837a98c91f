//! Stored responses: read, listed, forgotten.

use actix_web::{
    HttpRequest,
    http::Method,
    web::{Bytes, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::door::Stored;
use crate::{
    kernel::error::{ErrorKind, GatewayError},
    pipeline::{InputPage, Pipeline},
    tenant::TenantScope,
};

/// The most items of one page, and how many there are if the client does not say.
const MOST_ITEMS: usize = 100;
const USUAL_ITEMS: usize = 20;

#[derive(Deserialize)]
struct Asked {
    after: Option<String>,
    limit: Option<usize>,
    order: Option<String>,
    stream: Option<String>,
}

/// Answers what is asked of a stored response.
pub(super) async fn answer(
    pipeline: &Pipeline,
    scope: &TenantScope,
    request: &HttpRequest,
    id: &str,
    what: Stored,
) -> Result<Bytes, GatewayError> {
    let query = Query::<Asked>::from_query(request.query_string());
    let asked = query.map_err(|_| bad("the query cannot be read: `limit` is a number", ""))?.into_inner();
    let said: Value = match what {
        Stored::Whole if request.method() == Method::DELETE => {
            pipeline.forget_response(scope, id).await?;
            json!({"id": id, "object": "response", "deleted": true})
        }
        Stored::Whole if asked.stream.as_deref() == Some("true") => {
            return Err(bad("a stored response is not streamed again: ask without `stream`", "/stream"));
        }
        Stored::Whole => Value::Object(pipeline.stored_response(scope, id).await?),
        Stored::InputItems => {
            let (items, has_more) = pipeline.input_items(scope, id, &page(asked)?).await?;
            let of = |item: Option<&Value>| item.map(|it| it["id"].clone());
            json!({
                "object": "list",
                "first_id": of(items.first()),
                "last_id": of(items.last()),
                "has_more": has_more,
                "data": items,
            })
        }
        Stored::Cancel => {
            let message = "only background responses can be cancelled, and this gateway runs none";
            return Err(GatewayError::new(ErrorKind::Unsupported, message));
        }
    };
    Ok(said.to_string().into())
}

fn page(asked: Asked) -> Result<InputPage, GatewayError> {
    let limit = asked.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MOST_ITEMS).contains(&limit) {
        return Err(bad(&format!("`limit` must be 1 to {MOST_ITEMS}"), "/limit"));
    }
    let ascending = match asked.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(bad("`order` must be `asc` or `desc`", "/order")),
    };
    Ok(InputPage { after: asked.after, limit, ascending })
}

fn bad(message: &str, at: &str) -> GatewayError {
    let error = GatewayError::new(ErrorKind::BadRequest, message);
    if at.is_empty() { error } else { error.at(at) }
}
