//! `dragoman report`.

use std::time::Duration;

use clap::Args;

use super::ConfigArgs;
use crate::usage::{Dimension, Format, ReportQuery, report};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// What to group by: key, tenant, model, upstream-model, upstream, credential, day, hour.
    #[arg(long, value_delimiter = ',', default_value = "key,model")]
    by: Vec<Dimension>,
    /// How far back: a duration such as `7d`.
    #[arg(long, default_value = "7d", value_parser = humantime::parse_duration)]
    since: Duration,
    /// table, csv or json.
    #[arg(long, default_value = "table")]
    format: Format,
    /// One tenant only, by name.
    #[arg(long)]
    tenant: Option<String>,
}

pub(super) async fn run(config: &ConfigArgs, args: ReportArgs) -> anyhow::Result<()> {
    let (_, foundation) = config.open().await?;
    let tenant = match &args.tenant {
        Some(name) => match foundation.tenants.find_tenant(name).await? {
            Some(tenant) => Some(tenant.id),
            None => anyhow::bail!("there is no tenant `{name}`"),
        },
        None => None,
    };
    let now = foundation.clock.now();
    let mut query = ReportQuery {
        since: now - args.since,
        until: now + chrono::Duration::hours(1),
        by: args.by,
        tenant,
        after: None,
        limit: 1000,
    };
    let mut rows = Vec::new();
    loop {
        let page = foundation.ledger.report(&query).await?;
        let full = page.len() == query.limit as usize;
        query.after = page.last().map(|it| it.group.iter().map(|cell| cell.value.clone()).collect());
        rows.extend(page);
        if !full {
            break;
        }
    }
    print!("{}", report::render(&query.by, &rows, args.format));
    Ok(())
}
