//! Ids: UUIDs with a type each, so that one cannot be mistaken for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is wrong with a text that should be an id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an id of this kind")]
pub struct InvalidId(pub String);

/// The namespace of ids derived from names: what the configuration file declares has no other identity.
const DECLARED: Uuid = Uuid::from_u128(0x6d2e_8a07_59c1_5b44_9f3a_21d7_c0de_0a01);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id, ordered by time (UUIDv7).
            #[expect(clippy::new_without_default, reason = "a default id would be a random one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Derives the id of something declared by `name`: the same name always has the same id.
            pub fn declared(name: &str) -> Self {
                Self(Uuid::new_v5(&DECLARED, format!("{}:{name}", $prefix).as_bytes()))
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| InvalidId(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One customer.
    TenantId, "ten"
);
id!(
    /// One key a tenant calls with.
    TenantKeyId, "key"
);
id!(
    /// One secret an upstream is called with.
    CredentialId, "cred"
);
id!(
    /// One exchange: a request with its answer.
    RequestId, "req"
);
id!(
    /// One try at an upstream.
    AttemptId, "att"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = TenantId::new();
        assert_eq!(id.to_string().parse::<TenantId>().unwrap(), id);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert!(TenantId::new().to_string().parse::<CredentialId>().is_err());
    }

    #[test]
    fn a_declared_name_always_has_the_same_id() {
        assert_eq!(TenantId::declared("acme"), TenantId::declared("acme"));
        assert_ne!(TenantId::declared("acme").as_uuid(), TenantKeyId::declared("acme").as_uuid());
    }
}
