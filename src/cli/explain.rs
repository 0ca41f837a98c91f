//! `dragoman explain`.

use clap::Args;

use super::{ConfigArgs, table::aligned};
use crate::{
    app::Foundation,
    kernel::id::RequestId,
    usage::{AttemptQuery, Explanation},
};

/// More attempts than one request can have.
const ALL: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The request's id, as the header `x-dragoman-request-id` of its answer says it.
    #[arg(value_name = "REQUEST-ID", value_parser = request_id)]
    request: RequestId,
    /// JSON instead of tables.
    #[arg(long)]
    json: bool,
}

fn request_id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| {
        "a request's id is `req_` with 32 hexadecimal digits: the answer's header `x-dragoman-request-id` says it"
            .to_owned()
    })
}

pub(super) async fn run(config: &ConfigArgs, args: &ExplainArgs) -> anyhow::Result<()> {
    let (_, foundation) = config.open().await?;
    let query = AttemptQuery { tenant: None, request: Some(args.request), after: None, limit: ALL };
    let Some(explanation) = Explanation::of(foundation.ledger.attempts(&query).await?) else {
        anyhow::bail!(
            "no attempt of `{}` is recorded; an attempt is known once it has ended, within a second of that; \
             a request that was refused before anything was sent has none: its answer said why",
            args.request
        );
    };
    let explanation = with_names(&foundation, explanation).await?;
    if args.json {
        println!("{:#}", explanation.json());
        return Ok(());
    }
    print!("{}\n{}", aligned(&explanation.question()), aligned(&explanation.tries()));
    for number in explanation.unsent() {
        println!("\nattempt {number} ended before anything was sent: it has no record");
    }
    match explanation.losses() {
        losses if losses.is_empty() => println!("\nnothing was lost in translation"),
        losses => print!("\n{}", aligned(&losses)),
    }
    Ok(())
}

/// Tenants and keys by the names they have now, if they are still there.
async fn with_names(foundation: &Foundation, explanation: Explanation) -> anyhow::Result<Explanation> {
    let (tenant, key) = (explanation.first().intent.tenant, explanation.first().intent.key);
    let tenants = foundation.tenants.list_tenants().await?;
    let keys = foundation.tenants.list_keys(tenant).await?;
    Ok(explanation.named(
        tenants.into_iter().find(|it| it.id == tenant).map(|it| it.name),
        keys.into_iter().find(|it| it.id == key).map(|it| it.name),
    ))
}
