//! `dragoman credential`: credentials that the file does not declare, sealed in the store.

use std::io::Read as _;

use anyhow::Context;
use clap::Subcommand;
use secrecy::SecretString;

use super::{ConfigArgs, table::aligned};
use crate::{
    catalog::UpstreamName,
    credential::{Credential, store::CredentialStore as _},
    kernel::id::CredentialId,
};

#[derive(Debug, Subcommand)]
pub(super) enum CredentialAction {
    /// Store a credential; its secret is read from standard input.
    Add {
        #[arg(long)]
        upstream: String,
        name: String,
        /// Higher is drawn first.
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        priority: i32,
        /// Its share among equals.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        weight: u32,
        /// `direct`, or a proxy's address.
        #[arg(long)]
        proxy_url: Option<String>,
    },
    /// List stored credentials, never their secrets.
    List,
    /// Replace the secret by one read from standard input.
    Replace { id: CredentialId },
    /// Forget a credential.
    Remove { id: CredentialId },
}

pub(super) async fn run(config: &ConfigArgs, action: CredentialAction) -> anyhow::Result<()> {
    let (config, foundation) = config.open().await?;
    let store = &foundation.credentials;
    match action {
        CredentialAction::Add { upstream, name, priority, weight, proxy_url } => {
            if !config.upstreams.iter().any(|it| it.name == upstream) {
                eprintln!("warning: the configuration has no upstream `{upstream}`");
            }
            let credential = Credential {
                id: CredentialId::new(),
                upstream: UpstreamName::new(&upstream),
                name,
                secret: secret_from_stdin()?,
                priority,
                weight,
                proxy_url,
                models: Vec::new(),
                excluded_models: Vec::new(),
                enabled: true,
                declared: false,
            };
            store.put(&credential, None).await?;
            println!("stored {}", credential.id);
        }
        CredentialAction::List => {
            let holdings = store.list().await?;
            let mut rows = vec![
                ["ID", "UPSTREAM", "NAME", "PRIORITY", "WEIGHT", "REVISION"].map(str::to_owned).to_vec(),
            ];
            rows.extend(holdings.credentials.iter().map(|it| {
                let credential = &it.credential;
                vec![
                    credential.id.to_string(),
                    credential.upstream.to_string(),
                    credential.name.clone(),
                    credential.priority.to_string(),
                    credential.weight.to_string(),
                    it.revision.0.to_string(),
                ]
            }));
            print!("{}", aligned(&rows));
            for damage in &holdings.damaged {
                eprintln!("damaged: {}: {}", damage.place, damage.reason);
            }
        }
        CredentialAction::Replace { id } => {
            let holdings = store.list().await?;
            let held = holdings.credentials.iter().find(|it| it.credential.id == id);
            let held = held.with_context(|| format!("there is no credential `{id}`"))?;
            let revision = store.replace_secret(id, held.revision, &secret_from_stdin()?).await?;
            println!("replaced the secret of {id}: revision {}", revision.0);
        }
        CredentialAction::Remove { id } => {
            store.remove(id).await?;
            println!("removed {id}");
        }
    }
    Ok(())
}

fn secret_from_stdin() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the secret cannot be read")?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "the secret is read from standard input, and nothing came");
    Ok(SecretString::from(text.to_owned()))
}
