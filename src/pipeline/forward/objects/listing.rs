//! A tenant's own files or batches, out of all that an upstream keeps for its account.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::{Load, asked, no_memory, operation};
use crate::{
    credential::{KeptObject, Shelf},
    kernel::{
        error::{ErrorKind, GatewayError},
        id::CredentialId,
    },
    pipeline::{
        Inbound, Pipeline, Refusal, Trail,
        forward::{Delivery, Goods},
    },
};

/// The most pages of an upstream's list that are read.
const MOST_PAGES: usize = 50;

/// How a client wants the list.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    after: Option<String>,
    limit: usize,
    oldest_first: bool,
    purpose: Option<String>,
}

impl Pipeline {
    /// Lists what the tenant keeps, and nothing of anyone else's. The upstream's own pages mix all tenants, so they are
    /// read until all that is the tenant's was seen, and cut anew.
    pub(super) async fn list(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        query: &str,
    ) -> Result<Delivery, Refusal> {
        let wanted = Wanted::read(shelf, query)?;
        let upstream = self.place(inbound, operation(shelf))?.name().clone();
        let kept = self.objects.list(&inbound.scope, shelf, &upstream).await.map_err(|it| no_memory(&it))?;
        let mut by_credential: HashMap<CredentialId, Vec<KeptObject>> = HashMap::new();
        for object in kept {
            by_credential.entry(object.credential).or_default().push(object);
        }
        let mut own = Vec::new();
        let mut attempts = 0;
        for objects in by_credential.into_values() {
            attempts += self.seen_by_one(inbound, shelf, &objects, &wanted, &mut own).await?;
        }
        let body = wanted.page(own);
        let trail = Trail { attempts, upstream: Some(upstream), ..Trail::default() };
        Ok(Delivery { status: StatusCode::OK, headers: HeaderMap::new(), body: Goods::Whole(body), trail })
    }

    /// Adds those of the objects that the upstream still has, read with the credential that sees them.
    async fn seen_by_one(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        objects: &[KeptObject],
        wanted: &Wanted,
        own: &mut Vec<Value>,
    ) -> Result<u32, Refusal> {
        let mut missing: HashSet<&str> = objects.iter().map(|it| it.id.as_str()).collect();
        let mut after: Option<String> = None;
        let mut attempts = 0;
        for _ in 0..MOST_PAGES {
            let home = self.home_of(&objects[0], shelf)?;
            let mut asked = asked(Method::GET);
            asked.query.push(("limit".to_owned(), most(shelf).to_string()));
            asked.query.extend(after.take().map(|it| ("after".to_owned(), it)));
            asked.query.extend(wanted.purpose.clone().map(|it| ("purpose".to_owned(), it)));
            attempts += 1;
            let (_, body) = self.ask_home(inbound, shelf, &asked, home, Load::None).await?;
            let page: Value = serde_json::from_slice(&body).unwrap_or_default();
            let Some(data) = page.get("data").and_then(Value::as_array) else {
                let message = "the upstream's list cannot be read";
                return Err(GatewayError::new(ErrorKind::UpstreamFailed, message).into());
            };
            for object in data {
                if id_of(object).is_some_and(|it| missing.remove(it)) {
                    own.push(object.clone());
                }
            }
            let last = data.last().and_then(id_of).map(str::to_owned);
            let has_more = page.get("has_more") == Some(&Value::Bool(true));
            if missing.is_empty() || !has_more || last.is_none() {
                break;
            }
            after = last;
        }
        Ok(attempts)
    }
}

impl Wanted {
    fn read(shelf: Shelf, query: &str) -> Result<Self, GatewayError> {
        let fields: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let limit = match fields.get("limit") {
            None if shelf == Shelf::Batches => 20,
            None => most(shelf),
            Some(text) => text.parse().ok().filter(|it| (1..=most(shelf)).contains(it)).ok_or_else(|| {
                let message = format!("`limit` must be a whole number from 1 to {}", most(shelf));
                GatewayError::new(ErrorKind::BadRequest, message)
            })?,
        };
        Ok(Self {
            after: fields.get("after").cloned(),
            limit,
            oldest_first: fields.get("order").is_some_and(|it| it == "asc"),
            purpose: fields.get("purpose").cloned(),
        })
    }

    /// One page, in OpenAI's form.
    fn page(&self, mut own: Vec<Value>) -> Bytes {
        own.sort_by_key(|it| (created_at(it), id_of(it).unwrap_or_default().to_owned()));
        if !self.oldest_first {
            own.reverse();
        }
        let from = match &self.after {
            Some(after) => own.iter().position(|it| id_of(it) == Some(after)).map_or(own.len(), |it| it + 1),
            None => 0,
        };
        let has_more = own.len() - from > self.limit;
        let data: Vec<Value> = own.into_iter().skip(from).take(self.limit).collect();
        let id = |it: Option<&Value>| it.and_then(id_of).map(str::to_owned);
        let page = json!({
            "object": "list", "first_id": id(data.first()), "last_id": id(data.last()), "has_more": has_more, "data": data,
        });
        page.to_string().into()
    }
}

/// The longest page `OpenAI` gives (its SDK's documentation of `limit`).
const fn most(shelf: Shelf) -> usize {
    match shelf {
        Shelf::Files => 10_000,
        Shelf::Batches => 100,
    }
}

fn id_of(object: &Value) -> Option<&str> {
    object.get("id")?.as_str()
}

fn created_at(object: &Value) -> i64 {
    object.get("created_at").and_then(Value::as_i64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, ids: &[(&str, i64)]) -> Value {
        let own = ids.iter().map(|(id, at)| json!({ "id": id, "created_at": at })).collect();
        serde_json::from_slice(&Wanted::read(Shelf::Batches, query).unwrap().page(own)).unwrap()
    }

    fn ids(page: &Value) -> Vec<&str> {
        page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let all = [("b", 2), ("a", 1), ("d", 3), ("c", 3)];
        let first = page("limit=2", &all);
        assert_eq!(
            (ids(&first), &first["has_more"], &first["last_id"]),
            (vec!["d", "c"], &json!(true), &json!("c"))
        );
        let second = page("limit=2&after=c", &all);
        assert_eq!((ids(&second), &second["has_more"]), (vec!["b", "a"], &json!(false)));
        assert_eq!(ids(&page("limit=2&after=a", &all)), [""; 0]);
        assert_eq!(ids(&page("order=asc", &all)), ["a", "b", "c", "d"]);
        assert_eq!(page("", &[])["first_id"], Value::Null);
    }

    #[test]
    fn a_limit_is_checked() {
        for (shelf, query) in
            [(Shelf::Batches, "limit=101"), (Shelf::Files, "limit=0"), (Shelf::Files, "limit=x")]
        {
            assert_eq!(Wanted::read(shelf, query).unwrap_err().kind, ErrorKind::BadRequest);
        }
        assert_eq!(Wanted::read(Shelf::Files, "").unwrap().limit, 10_000);
    }
}
