//! Keeps calls to addresses that strangers wrote away from our own network.
//!
//! An address an operator wrote is not guarded: a model server on the same machine is an everyday case.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The name or address leads into a network that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not a public one")]
pub(super) struct NotPublic;

/// Whether an address can be reached over the Internet by anybody (IANA's special-purpose registries, and the addresses
/// at which clouds answer their own machines).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127 | 224..=255, ..)
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (198, 18..=19, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        // Azure's own services, seen from its machines.
        (168, 63, 129) => d == 16,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3 alone; in it 2001::/23 is for protocols (Teredo among them), 2002::/16 is 6to4,
    // 2001:db8::/32 and 3fff::/20 are for documents.
    let is_unicast = a & 0xe000 == 0x2000;
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_unicast && !special
}

/// Refuses a URL whose host is an address, and not a public one; a name is looked at when it is resolved.
pub(super) fn check(url: &Url) -> Result<(), NotPublic> {
    let allowed = matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Ipv4(it)) => is_public(it.into()),
            Some(Host::Ipv6(it)) => is_public(it.into()),
            Some(Host::Domain(name)) => !name.is_empty(),
            None => false,
        };
    if allowed { Ok(()) } else { Err(NotPublic) }
}

/// Resolves names to public addresses only. The connection goes to the very addresses that were looked at, so that a
/// name cannot lead elsewhere the second time it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(only_public(found)?)
        })
    }
}

/// All of the addresses, if each is public: one that is not makes the name suspect.
fn only_public(found: impl Iterator<Item = SocketAddr>) -> Result<Addrs, NotPublic> {
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() || found.iter().any(|it| !is_public(it.ip())) {
        return Err(NotPublic);
    }
    Ok(Box::new(found.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "168.63.129.17",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_seen_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert_eq!(check(&Url::parse(url).unwrap()), Err(NotPublic), "{url}");
        }
        for url in ["https://example.com/a.png", "http://8.8.8.8/"] {
            assert_eq!(check(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_name_with_one_private_address_is_refused() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 0)).collect()
        };
        assert!(only_public(addresses(&["8.8.8.8", "10.0.0.1"]).into_iter()).is_err());
        assert!(only_public(addresses(&[]).into_iter()).is_err());
        assert_eq!(only_public(addresses(&["8.8.8.8"]).into_iter()).unwrap().count(), 1);
    }
}
