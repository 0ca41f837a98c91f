//! Files and batches: they have no model, stay at one upstream, and belong to the tenant that made them.

mod listing;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{
    Delivery, Goods, joined,
    launch::{Load, Order, Voyage},
    passage::Watch,
    upload::{Freight, Upload},
};
use crate::{
    catalog::{UpstreamModel, UpstreamName},
    credential::{KeptObject, Lease, Outcome, Shelf},
    dialect::{Prompt, scan},
    kernel::{
        error::{ErrorKind, GatewayError},
        id::CredentialId,
    },
    pipeline::{Inbound, Pipeline, Refusal, Trail, attempt::Failed, error},
    routing::Target,
    tenant::RepositoryError,
    upstream::{Failure, Operation, Upstream},
    usage::Ending,
};

/// What is done with files or batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Create,
    List,
    Read(String),
    Delete(String),
    /// What is in a file.
    Content(String),
    Cancel(String),
}

/// Where a call of this kind goes.
struct Home<'a> {
    upstream: &'a Upstream,
    target: Target,
    lease: Lease,
}

impl Pipeline {
    /// Does something with a tenant's files or batches.
    pub async fn objects(
        &self,
        inbound: Inbound,
        shelf: Shelf,
        deed: Deed,
        query: &str,
        upload: Option<Upload>,
    ) -> Result<Delivery, Refusal> {
        match deed {
            Deed::Create => self.create(&inbound, shelf, upload).await,
            Deed::List => self.list(&inbound, shelf, query).await,
            Deed::Read(id) => self.touch(&inbound, shelf, &id, Method::GET, None).await,
            Deed::Delete(id) => self.touch(&inbound, shelf, &id, Method::DELETE, None).await,
            Deed::Content(id) => self.touch(&inbound, shelf, &id, Method::GET, Some("content")).await,
            Deed::Cancel(id) => self.touch(&inbound, shelf, &id, Method::POST, Some("cancel")).await,
        }
    }

    async fn create(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        upload: Option<Upload>,
    ) -> Result<Delivery, Refusal> {
        let (home, load) = match upload {
            Some(upload) => (self.any_home(inbound, shelf)?, Load::Upload(Freight::new(upload))),
            None if shelf == Shelf::Batches => {
                let input = self.input_of(inbound).await?;
                (self.home_of(&input, shelf)?, Load::Json(inbound.body.clone().into()))
            }
            None => {
                let message = "a file is sent as `multipart/form-data`";
                return Err(GatewayError::new(ErrorKind::UnsupportedMediaType, message).into());
            }
        };
        let (upstream, credential) = (home.target.upstream.clone(), home.lease.credential().id);
        let (mut reply, body) = self.ask_home(inbound, shelf, &asked(Method::POST), home, load).await?;
        let Some(id) = text(&body, "id") else {
            let message = "the upstream did not say which id it gave";
            return Err(GatewayError::new(ErrorKind::UpstreamFailed, message).into());
        };
        let object = KeptObject { shelf, id, upstream, credential, created_at: self.clock.now() };
        self.remember(inbound, &object).await?;
        reply.body = Goods::Whole(body);
        Ok(reply)
    }

    /// The file that a batch is to be made of: it must be the tenant's own.
    async fn input_of(&self, inbound: &Inbound) -> Result<KeptObject, GatewayError> {
        let scan = scan::scan(&inbound.body).map_err(error::decode)?;
        if scan.duplicates().iter().any(|it| it == "input_file_id") {
            let message = "`input_file_id` is given twice: give it once";
            return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/input_file_id"));
        }
        let id = scan.string(&inbound.body, "input_file_id").map_err(error::decode)?.ok_or_else(|| {
            GatewayError::new(ErrorKind::BadRequest, "`input_file_id` is missing").at("/input_file_id")
        })?;
        self.own(inbound, Shelf::Files, &id).await.map_err(|it| it.at("/input_file_id"))
    }

    /// Does something with one object, with the credential it was made with.
    async fn touch(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        id: &str,
        method: Method,
        part: Option<&'static str>,
    ) -> Result<Delivery, Refusal> {
        let object = self.own(inbound, shelf, id).await?;
        let home = self.home_of(&object, shelf)?;
        let mut order = asked(method.clone());
        order.tail = std::iter::once(object.id.clone()).chain(part.map(str::to_owned)).collect();
        if part == Some("content") {
            return self.ask_for_content(inbound, shelf, &order, home).await;
        }
        let load =
            if method == Method::POST { Load::Json(Bytes::from_static(b"{}").into()) } else { Load::None };
        let (mut reply, body) = self.ask_home(inbound, shelf, &order, home, load).await?;
        if method == Method::DELETE {
            self.objects.forget(&inbound.scope, &object).await.map_err(|it| no_memory(&it))?;
        } else if shelf == Shelf::Batches {
            self.remember_results(inbound, &object, &body).await?;
        }
        reply.body = Goods::Whole(body);
        Ok(reply)
    }

    /// What a batch made is its tenant's too.
    async fn remember_results(
        &self,
        inbound: &Inbound,
        batch: &KeptObject,
        body: &[u8],
    ) -> Result<(), GatewayError> {
        for name in ["output_file_id", "error_file_id"] {
            if let Some(id) = text(body, name) {
                let file =
                    KeptObject { shelf: Shelf::Files, id, created_at: self.clock.now(), ..batch.clone() };
                self.remember(inbound, &file).await?;
            }
        }
        Ok(())
    }

    async fn remember(&self, inbound: &Inbound, object: &KeptObject) -> Result<(), GatewayError> {
        self.objects.keep(&inbound.scope, object).await.map_err(|it| no_memory(&it))
    }

    /// The tenant's own object of that id. Another's is not there.
    async fn own(&self, inbound: &Inbound, shelf: Shelf, id: &str) -> Result<KeptObject, GatewayError> {
        let upstream = match &inbound.upstream {
            Some(word) => Some(self.named(word)?.name().clone()),
            None => None,
        };
        let found = self.objects.find(&inbound.scope, shelf, id, upstream.as_ref()).await;
        found.map_err(|it| no_memory(&it))?.ok_or_else(|| {
            let id: String = id.chars().filter(|it| !it.is_control()).take(100).collect();
            GatewayError::new(ErrorKind::NotFound, format!("there is no {} `{id}`", shelf.name()))
        })
    }

    fn named(&self, word: &str) -> Result<&Upstream, GatewayError> {
        let name = self.routes.upstream(word);
        name.and_then(|it| self.upstreams.get(it)).ok_or_else(|| {
            let word: String = word.chars().filter(|it| !it.is_control()).take(100).collect();
            GatewayError::new(ErrorKind::NotFound, format!("no upstream is called `{word}`"))
        })
    }

    /// The upstream that is meant: the one that is named, or the only one that can do it.
    fn place(&self, inbound: &Inbound, operation: Operation) -> Result<&Upstream, GatewayError> {
        let what = operation.name();
        if let Some(word) = &inbound.upstream {
            let upstream = self.named(word)?;
            if upstream.has(operation) {
                return Ok(upstream);
            }
            let message = format!("the upstream `{}` has no {what}", upstream.name());
            return Err(GatewayError::new(ErrorKind::Unsupported, message));
        }
        let mut able = self.upstreams.values().filter(|it| it.has(operation));
        let message = match (able.next(), able.next()) {
            (Some(only), None) => return Ok(only),
            (None, _) => format!("no upstream has {what}"),
            (Some(_), Some(_)) => format!(
                "more than one upstream has {what}: name one with the path `/NAME/v1/{what}` or the header `Model-Provider`"
            ),
        };
        Err(GatewayError::new(ErrorKind::BadRequest, message))
    }

    /// Where a new object may go.
    fn any_home(&self, inbound: &Inbound, shelf: Shelf) -> Result<Home<'_>, GatewayError> {
        let operation = operation(shelf);
        let upstream = self.place(inbound, operation)?;
        let target = target(upstream.name(), operation);
        let lease = self.pool.lease(&target.upstream, &target.model, None, &[]);
        let lease = lease.map_err(|it| error::no_credential(&it, &*self.clock))?;
        Ok(Home { upstream, target, lease })
    }

    /// Where an object is, with the one credential that sees it.
    fn home_of(&self, object: &KeptObject, shelf: Shelf) -> Result<Home<'_>, GatewayError> {
        let gone = || {
            let message = format!("the upstream that keeps `{}` cannot be asked now", object.id);
            GatewayError::new(ErrorKind::Unavailable, message)
        };
        let upstream = self.upstreams.get(&object.upstream).ok_or_else(gone)?;
        let target = target(upstream.name(), operation(shelf));
        let others: Vec<CredentialId> = self
            .pool
            .snapshot()
            .into_iter()
            .filter(|it| it.upstream == object.upstream && it.id != object.credential)
            .map(|it| it.id)
            .collect();
        let lease = self.pool.lease(&target.upstream, &target.model, None, &others).map_err(|it| {
            let wait = error::no_credential(&it, &*self.clock).retry_after;
            gone().retry_after(wait)
        })?;
        Ok(Home { upstream, target, lease })
    }

    /// Asks for JSON.
    async fn ask_home(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        asked: &Asked,
        home: Home<'_>,
        load: Load,
    ) -> Result<(Delivery, Bytes), Refusal> {
        let trail = trail(&home);
        self.ask_whole(inbound, shelf, asked, home, load, &trail)
            .await
            .map_err(|it| Refusal { error: it.error, trail: trail.clone() })
    }

    async fn ask_whole(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        asked: &Asked,
        home: Home<'_>,
        load: Load,
        trail: &Trail,
    ) -> Result<(Delivery, Bytes), Failed> {
        let Home { upstream, target, lease } = home;
        let tail: Vec<&str> = asked.tail.iter().map(String::as_str).collect();
        let order = order(inbound, shelf, asked, &tail, upstream, &target, lease, load);
        let (parts, body, mut voyage) = self.launch(order).await?;
        let headers = self.headers_home(inbound, &voyage, &parts.headers);
        let body = match self.read_up_to(body).await {
            Ok((pieces, None)) => joined(pieces),
            Ok((_, Some(_))) => {
                let limit = self.bounds.max_answer;
                let error = crate::upstream::transport::TransportError::TooLarge { limit };
                return Err(voyage.failed(&Failure::Transport(error)));
            }
            Err(None) => return Err(voyage.interrupted()),
            Err(Some(it)) => return Err(voyage.failed(&Failure::Transport(it))),
        };
        voyage.meter.first_byte();
        voyage.meter.answered(text(&body, "id").as_deref(), None);
        finish(voyage);
        let reply = Delivery {
            status: parts.status,
            headers,
            body: Goods::Whole(Bytes::new()),
            trail: trail.clone(),
        };
        Ok((reply, body))
    }

    async fn ask_for_content(
        &self,
        inbound: &Inbound,
        shelf: Shelf,
        asked: &Asked,
        home: Home<'_>,
    ) -> Result<Delivery, Refusal> {
        let trail = trail(&home);
        let Home { upstream, target, lease } = home;
        let tail: Vec<&str> = asked.tail.iter().map(String::as_str).collect();
        let mut order = order(inbound, shelf, asked, &tail, upstream, &target, lease, Load::None);
        order.passes = true;
        let passed = async {
            let (parts, body, voyage) = self.launch(order).await?;
            let headers = self.headers_home(inbound, &voyage, &parts.headers);
            let body = self.pass(voyage, &parts.headers, body, Watch::Nothing).await?;
            Ok::<_, Failed>(Delivery { status: parts.status, headers, body, trail: trail.clone() })
        };
        passed.await.map_err(|it| Refusal { error: it.error, trail: trail.clone() })
    }
}

/// The words of one call.
struct Asked {
    method: Method,
    tail: Vec<String>,
    query: Vec<(String, String)>,
}

fn asked(method: Method) -> Asked {
    Asked { method, tail: Vec::new(), query: Vec::new() }
}

#[expect(clippy::too_many_arguments, reason = "a call is what everyone knows of it")]
fn order<'a>(
    inbound: &'a Inbound,
    shelf: Shelf,
    asked: &'a Asked,
    tail: &'a [&'a str],
    upstream: &'a Upstream,
    target: &'a Target,
    lease: Lease,
    load: Load,
) -> Order<'a> {
    Order {
        inbound,
        operation: operation(shelf),
        method: asked.method.clone(),
        upstream,
        target,
        lease,
        number: 1,
        model_name: operation(shelf).name(),
        streamed: false,
        passes: false,
        prompt: Prompt::default(),
        losses: &[],
        tail,
        query: &asked.query,
        load,
    }
}

fn finish(voyage: Voyage<'_>) {
    voyage.lease.report(&Outcome::Success);
    voyage.meter.end(Ending::Completed, None);
}

fn trail(home: &Home<'_>) -> Trail {
    Trail { attempts: 1, upstream: Some(home.target.upstream.clone()), ..Trail::default() }
}

const fn operation(shelf: Shelf) -> Operation {
    match shelf {
        Shelf::Files => Operation::Files,
        Shelf::Batches => Operation::Batches,
    }
}

/// There is no model: the operation's name stands for it, where credentials rest and usage is written down.
fn target(upstream: &UpstreamName, operation: Operation) -> Target {
    let model = UpstreamModel::parse(operation.name()).expect("an operation's name is a plain word");
    Target { upstream: upstream.clone(), model }
}

/// A text of an object, if it has it.
fn text(body: &[u8], name: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get(name)?.as_str().filter(|it| !it.is_empty()).map(str::to_owned)
}

fn no_memory(error: &RepositoryError) -> GatewayError {
    tracing::warn!(%error, "What tenants keep at upstreams cannot be looked up");
    GatewayError::new(ErrorKind::Unavailable, "whose file or batch it is cannot be looked up at the moment")
        .retry_after(Some(std::time::Duration::from_secs(5)))
}
