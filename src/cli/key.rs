//! `dragoman tenant` and `dragoman key`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::{ConfigArgs, table::aligned};
use crate::{
    app::Foundation,
    tenant::{LossPolicy, TenantKey, admin::TenantAdmin},
};

#[derive(Debug, Subcommand)]
pub(super) enum TenantAction {
    /// Make a tenant.
    Create { name: String },
    /// List tenants.
    List,
    /// Shut a tenant out, with all its keys.
    Disable { name: String },
    /// Let a tenant in again.
    Enable { name: String },
    /// Say what is done about what a translation of its requests cannot say.
    Losses {
        name: String,
        /// `strict`, `warn`, `quiet`, or `inherit`: as the configuration says.
        #[arg(value_parser = losses)]
        policy: Inherited,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyAction {
    /// Make a key and show it once.
    Create {
        #[arg(long)]
        tenant: String,
        name: String,
        /// When it stops working: a time from now, such as `90d`.
        #[arg(long, value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// List keys, never their secrets.
    List {
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say what is done about what a translation of its requests cannot say.
    Losses {
        #[arg(long)]
        tenant: String,
        name: String,
        /// `strict`, `warn`, `quiet`, or `inherit`: as the tenant.
        #[arg(value_parser = losses)]
        policy: Inherited,
    },
    /// Disable a key for good.
    Revoke {
        #[arg(long)]
        tenant: String,
        name: String,
    },
    /// Make a new key of the same name; the old one goes on for a while.
    Rotate {
        #[arg(long)]
        tenant: String,
        name: String,
        /// How long the old key goes on.
        #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
        grace: Duration,
    },
}

/// A policy, or none of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inherited(Option<LossPolicy>);

impl Inherited {
    fn name(self) -> &'static str {
        self.0.map_or("inherit", LossPolicy::name)
    }
}

fn losses(word: &str) -> Result<Inherited, String> {
    match LossPolicy::parse(word) {
        None if word == "inherit" => Ok(Inherited(None)),
        None => Err("a policy is `strict`, `warn`, `quiet` or `inherit`".to_owned()),
        policy => Ok(Inherited(policy)),
    }
}

fn admin(foundation: &Foundation) -> TenantAdmin<'_> {
    TenantAdmin { repository: &*foundation.tenants, clock: &*foundation.clock, hasher: &foundation.hasher }
}

pub(super) async fn tenant(config: &ConfigArgs, action: TenantAction) -> anyhow::Result<()> {
    let (_, foundation) = config.open().await?;
    let admin = admin(&foundation);
    match action {
        TenantAction::Create { name } => {
            let tenant = admin.create_tenant(&name).await?;
            println!("made tenant `{}` ({})", tenant.name, tenant.id);
        }
        TenantAction::List => {
            let mut rows = vec![row(["NAME", "ID", "STATE", "SOURCE", "KEYS"])];
            for (tenant, keys) in admin.list().await? {
                let state = if tenant.enabled { "enabled" } else { "disabled" };
                rows.push(row([
                    &tenant.name,
                    &tenant.id.to_string(),
                    state,
                    tenant.source.name(),
                    &keys.len().to_string(),
                ]));
            }
            print!("{}", aligned(&rows));
        }
        TenantAction::Disable { name } => {
            admin.set_tenant_enabled(&name, false).await?;
            println!("disabled tenant `{name}`");
        }
        TenantAction::Enable { name } => {
            admin.set_tenant_enabled(&name, true).await?;
            println!("enabled tenant `{name}`");
        }
        TenantAction::Losses { name, policy } => {
            admin.set_tenant_losses(&name, policy.0).await?;
            println!("losses of tenant `{name}`: {}", policy.name());
        }
    }
    Ok(())
}

pub(super) async fn key(config: &ConfigArgs, action: KeyAction) -> anyhow::Result<()> {
    let (_, foundation) = config.open().await?;
    let admin = admin(&foundation);
    match action {
        KeyAction::Create { tenant, name, expires } => {
            let expires = expires.map(|it| foundation.clock.now() + it);
            let (_, plain) = admin.create_key(&tenant, &name, expires).await?;
            println!("{}", plain.reveal());
            eprintln!("this key is shown once: keep it");
        }
        KeyAction::List { tenant } => {
            let mut rows = vec![row(["TENANT", "NAME", "KEY", "STATE", "EXPIRES", "LAST USED", "SOURCE"])];
            for (owner, keys) in admin.list().await? {
                if tenant.as_ref().is_some_and(|it| *it != owner.name) {
                    continue;
                }
                let now = foundation.clock.now();
                rows.extend(keys.iter().map(|it| key_row(&owner.name, it, now)));
            }
            print!("{}", aligned(&rows));
        }
        KeyAction::Revoke { tenant, name } => {
            admin.revoke_key(&tenant, &name).await?;
            println!("revoked key `{name}` of `{tenant}`");
        }
        KeyAction::Losses { tenant, name, policy } => {
            admin.set_key_losses(&tenant, &name, policy.0).await?;
            println!("losses of key `{name}` of `{tenant}`: {}", policy.name());
        }
        KeyAction::Rotate { tenant, name, grace } => {
            let overlap = chrono::TimeDelta::from_std(grace)?;
            let (_, plain) = admin.rotate_key(&tenant, &name, overlap).await?;
            println!("{}", plain.reveal());
            eprintln!(
                "this key is shown once: keep it; the old one goes on for {}",
                humantime::format_duration(grace)
            );
        }
    }
    Ok(())
}

fn key_row(tenant: &str, key: &TenantKey, now: DateTime<Utc>) -> Vec<String> {
    let state = match key.expires_at {
        _ if !key.enabled => "disabled",
        Some(at) if at <= now => "expired",
        _ => "enabled",
    };
    let time =
        |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |it| it.format("%Y-%m-%d %H:%M").to_string());
    row([
        tenant,
        &key.name,
        &key.hint,
        state,
        &time(key.expires_at),
        &time(key.last_used_at),
        key.source.name(),
    ])
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.into_iter().map(str::to_owned).collect()
}
