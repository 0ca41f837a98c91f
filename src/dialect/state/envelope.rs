//! The envelope: state with where it came from, under a seal nobody else can make.
//!
//! `dgm1.<payload>.<mac>`: the payload is JSON in URL-safe base64, the MAC is HMAC-SHA256 over what stands before it. It hides
//! nothing from the client, whose own conversation it is; it only cannot be made up, changed, or used by another tenant.

use std::{fmt, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    dialect::canonical::{OpaqueState, StateKind},
    kernel::id::{CredentialId, TenantId},
};

/// How every carrier begins.
const PREFIX: &str = "dgm1.";
/// How every carrier begins once it is base64 again: what follows the prefix is always `eyJ`.
const PREFIX_IN_BASE64: &str = "ZGdtMS5l";
/// What stands in another dialect's answer where Anthropic has a text only it can read: there is none.
pub const UNSEALED: &str = "dgm1.none";
/// How the ids begin of blocks that we made of what another provider's tools did.
pub const HOSTED_TOOL: &str = "srvtoolu_dgm1";
/// The largest state that is sealed, in bytes.
const MAX_STATE: usize = 1 << 20;
/// The largest summary that is sealed, in bytes.
const MAX_SUMMARY: usize = 4 << 20;
/// The largest carrier that is opened, in bytes: a summary, escaped and in base64.
pub const MAX_CARRIER: usize = 12 << 20;

/// Who made a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The provider, and the upstream where the provider is not known.
    pub provider: String,
    /// The models that can read each other's state (`family`).
    pub family: String,
    /// Stands for the credential, without saying which.
    pub account: String,
}

impl Origin {
    /// Whether a state of this origin may go to `target`.
    fn suits(&self, kind: StateKind, target: &Self) -> bool {
        self.provider == target.provider
            && self.family == target.family
            && (!is_account_bound(kind) || self.account == target.account)
    }
}

/// Whether only the account that got a state may send it back.
const fn is_account_bound(kind: StateKind) -> bool {
    match kind {
        StateKind::Encrypted => true,
        StateKind::Signature | StateKind::Redacted | StateKind::ThoughtSignature | StateKind::Details => {
            false
        }
    }
}

/// The family of a model: the word its name begins with (`claude`, `gpt`, `gemini`).
pub fn family(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let word: String = name.chars().take_while(char::is_ascii_alphabetic).collect();
    if word.is_empty() { name } else { word }
}

/// Where in an answer a state was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// With a thought.
    Thought,
    /// On the tool call that follows.
    Call,
    /// On the text before.
    Text,
}

/// A state and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub state: OpaqueState,
    pub place: Place,
    pub origin: Origin,
}

impl Sealed {
    /// Whether the state may go to `target`.
    pub fn suits(&self, target: &Origin) -> bool {
        self.origin.suits(self.state.kind, target)
    }
}

/// Why a carrier was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    #[error("it is not one of this gateway's carriers")]
    NotOurs,
    #[error("it was changed, or made by somebody else")]
    Forged,
    #[error("it is of another tenant")]
    OtherTenant,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    /// Tenant.
    t: TenantId,
    k: Kind,
    /// Provider, family, account, place: of states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<(String, String, String, Place)>,
    /// The state itself.
    r: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Signature,
    Redacted,
    Encrypted,
    Thought,
    Details,
    Summary,
}

impl Kind {
    const fn of(kind: StateKind) -> Self {
        match kind {
            StateKind::Signature => Self::Signature,
            StateKind::Redacted => Self::Redacted,
            StateKind::Encrypted => Self::Encrypted,
            StateKind::ThoughtSignature => Self::Thought,
            StateKind::Details => Self::Details,
        }
    }

    const fn state(self) -> Option<StateKind> {
        match self {
            Self::Signature => Some(StateKind::Signature),
            Self::Redacted => Some(StateKind::Redacted),
            Self::Encrypted => Some(StateKind::Encrypted),
            Self::Thought => Some(StateKind::ThoughtSignature),
            Self::Details => Some(StateKind::Details),
            Self::Summary => None,
        }
    }
}

/// Seals and opens, with a key of this installation.
#[derive(Clone)]
pub struct Envelope(Arc<[u8; 32]>);

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope(…)")
    }
}

impl Envelope {
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(key))
    }

    /// Seals a state; `None` if it is empty, too large, or a carrier itself: carriers are never nested.
    pub fn seal(&self, tenant: TenantId, sealed: &Sealed) -> Option<String> {
        let raw = &sealed.state.data;
        if raw.is_empty() || raw.len() > MAX_STATE || is_carrier(raw) {
            return None;
        }
        let Origin { provider, family, account } = sealed.origin.clone();
        let payload = Payload {
            t: tenant,
            k: Kind::of(sealed.state.kind),
            o: Some((provider, family, account, sealed.place)),
            r: raw.clone(),
        };
        Some(self.write(&payload))
    }

    /// Opens a carrier of a state, as it stands or in base64.
    pub fn open(&self, tenant: TenantId, data: &str) -> Result<Sealed, NotOpened> {
        let payload = self.read(tenant, data)?;
        let (Some(kind), Some((provider, family, account, place))) = (payload.k.state(), payload.o) else {
            return Err(NotOpened::NotOurs);
        };
        let state = OpaqueState { dialect: kind.dialect(), kind, data: payload.r };
        Ok(Sealed { state, place, origin: Origin { provider, family, account } })
    }

    /// Seals what a conversation was made short to; `None` if it is too large.
    pub fn seal_summary(&self, tenant: TenantId, text: &str) -> Option<String> {
        (text.len() <= MAX_SUMMARY)
            .then(|| self.write(&Payload { t: tenant, k: Kind::Summary, o: None, r: text.to_owned() }))
    }

    /// Opens what `seal_summary` made.
    pub fn open_summary(&self, tenant: TenantId, data: &str) -> Result<String, NotOpened> {
        let payload = self.read(tenant, data)?;
        match payload.k {
            Kind::Summary => Ok(payload.r),
            _ => Err(NotOpened::NotOurs),
        }
    }

    /// Stands for a credential in an `Origin`: the same for the same credential, and no way back.
    pub fn account(&self, credential: CredentialId) -> String {
        let tag = self.mac(&format!("account {credential}"));
        URL_SAFE_NO_PAD.encode(&tag.finalize().into_bytes()[..9])
    }

    fn write(&self, payload: &Payload) -> String {
        let text = serde_json::to_vec(payload).expect("strings and names are JSON");
        let mut carrier = String::with_capacity(PREFIX.len() + text.len() * 4 / 3 + 48);
        carrier.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&text, &mut carrier);
        let tag = self.mac(&carrier).finalize().into_bytes();
        carrier.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut carrier);
        carrier
    }

    fn read(&self, tenant: TenantId, data: &str) -> Result<Payload, NotOpened> {
        if data.len() > MAX_CARRIER {
            return Err(NotOpened::NotOurs);
        }
        let decoded;
        let carrier = if data.starts_with(PREFIX) {
            data
        } else {
            decoded = from_bytes_field(data).ok_or(NotOpened::NotOurs)?;
            &decoded
        };
        let (signed, tag) = carrier.rsplit_once('.').ok_or(NotOpened::NotOurs)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| NotOpened::Forged)?;
        self.mac(signed).verify_slice(&tag).map_err(|_| NotOpened::Forged)?;
        let text = signed.strip_prefix(PREFIX).and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        let payload: Payload =
            text.and_then(|it| serde_json::from_slice(&it).ok()).ok_or(NotOpened::NotOurs)?;
        if payload.t != tenant {
            return Err(NotOpened::OtherTenant);
        }
        if is_carrier(&payload.r) {
            return Err(NotOpened::NotOurs);
        }
        Ok(payload)
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0[..])
            .expect("HMAC takes a key of any length")
            .chain_update(text)
    }
}

/// Whether a state looks like a carrier, as it stands or in base64. Says nothing of whose it is.
pub fn is_carrier(data: &str) -> bool {
    data.starts_with(PREFIX) || data.starts_with(PREFIX_IN_BASE64)
}

/// Whether a body may hold carriers: looks for their beginning as that of a JSON string.
pub fn may_hold_carriers(body: &[u8]) -> bool {
    let quote_before = |at: usize| at > 0 && body[at - 1] == b'"';
    [PREFIX, PREFIX_IN_BASE64, HOSTED_TOOL]
        .iter()
        .any(|it| memchr::memmem::find_iter(body, it.as_bytes()).any(quote_before))
}

/// A carrier as Gemini's signatures must be: base64, for it is a field of bytes.
pub(super) fn as_bytes_field(carrier: &str) -> String {
    STANDARD.encode(carrier)
}

fn from_bytes_field(data: &str) -> Option<String> {
    if !data.starts_with(PREFIX_IN_BASE64) {
        return None;
    }
    // Clients write fields of bytes in either alphabet, with padding or without.
    let text: String = data
        .trim_end_matches('=')
        .chars()
        .map(|it| match it {
            '+' => '-',
            '/' => '_',
            it => it,
        })
        .collect();
    let carrier = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    carrier.starts_with(PREFIX).then_some(carrier)
}
