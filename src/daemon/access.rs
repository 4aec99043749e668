//! Which addresses may use a module: `hosts allow` and `hosts deny`.
//!
//! Addresses only. A host *name* would be looked up at whoever controls its DNS, and an answer that does
//! not come would have to mean something: names are refused when the configuration is read.

use std::net::{IpAddr, Ipv6Addr};

use crate::path::escape;

/// One element of `hosts allow` or `hosts deny`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// `*`.
    All,
    /// An address, or a network of them.
    Net {
        /// An address in it, with the bits outside the mask cleared.
        address: IpAddr,
        /// As many leading bits count.
        bits: u32,
    },
}

/// Proof that a peer's address was let in. There is no other way to one than [`check`].
#[derive(Debug)]
pub struct Allowed(());

/// The address may not use this module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied;

impl Hosts {
    /// Reads one element.
    ///
    /// # Errors
    ///
    /// It is a name, a pattern of names, a netgroup, or nothing at all; the text says what to write.
    pub fn parse(text: &[u8]) -> Result<Hosts, String> {
        if text == b"*" {
            return Ok(Hosts::All);
        }
        let shown = escape(text);
        let refused = || {
            format!(
                "\"{shown}\" is no address: host names, patterns of them and netgroups are not looked up; \
                 write an address, a network (192.0.2.0/24, 2001:db8::/32) or *"
            )
        };
        let text = std::str::from_utf8(text).map_err(|_| refused())?;
        if text.contains('%') {
            return Err(format!("\"{shown}\": scopes of IPv6 addresses are not supported"));
        }
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let address: IpAddr = address.parse::<IpAddr>().map_err(|_| refused())?.to_canonical();
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits = match mask {
            None => whole,
            Some(mask) => {
                bits(mask, whole).ok_or_else(|| format!("\"{shown}\": \"{mask}\" is no netmask for it"))?
            }
        };
        Ok(Hosts::Net { address: masked(address, bits), bits })
    }

    /// Whether `peer` is one of them. An IPv4 address in IPv6 clothing counts as what it is.
    #[must_use]
    pub fn contain(&self, peer: IpAddr) -> bool {
        match *self {
            Hosts::All => true,
            Hosts::Net { address, bits } => {
                let peer = peer.to_canonical();
                peer.is_ipv4() == address.is_ipv4() && masked(peer, bits) == address
            }
        }
    }
}

/// How many bits a netmask has: `24`, `255.255.255.0`, `ffff:ffff::`.
fn bits(mask: &str, whole: u32) -> Option<u32> {
    if let Ok(bits) = mask.parse::<u32>() {
        return Some(bits).filter(|bits| *bits <= whole);
    }
    let value = match mask.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) if whole == 32 => u128::from(u32::from(mask)) << 96,
        IpAddr::V6(mask) if whole == 128 => u128::from(mask),
        _ => return None,
    };
    // All ones come first: anything else is a typing error, and what it lets in nobody would guess.
    (value.leading_ones() == value.count_ones()).then(|| value.leading_ones())
}

fn masked(address: IpAddr, bits: u32) -> IpAddr {
    let (value, whole) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let kept = value & u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    match whole {
        32 => IpAddr::V4(((kept >> 96) as u32).into()),
        _ => IpAddr::V6(Ipv6Addr::from(kept)),
    }
}

/// Decides over `peer` as rsyncd.conf(5) says: in if `allow` has it; else, where there is a `deny`, in
/// unless that has it; else in only if there is no `allow`. `None` is a parameter that was not given.
///
/// # Errors
///
/// [`Denied`].
pub fn check(peer: IpAddr, allow: Option<&[Hosts]>, deny: Option<&[Hosts]>) -> Result<Allowed, Denied> {
    let within = |hosts: &[Hosts]| hosts.iter().any(|hosts| hosts.contain(peer));
    match (allow, deny) {
        (None, None) => Ok(Allowed(())),
        (Some(allow), _) if within(allow) => Ok(Allowed(())),
        (_, Some(deny)) if !within(deny) => Ok(Allowed(())),
        _ => Err(Denied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(text: &str) -> Vec<Hosts> {
        text.split_whitespace().map(|t| Hosts::parse(t.as_bytes()).unwrap()).collect()
    }

    fn allowed(peer: &str, allow: Option<&str>, deny: Option<&str>) -> bool {
        let (allow, deny) = (allow.map(hosts), deny.map(hosts));
        check(peer.parse().unwrap(), allow.as_deref(), deny.as_deref()).is_ok()
    }

    #[test]
    fn allow_comes_first_then_deny_then_everybody() {
        assert!(allowed("10.0.0.1", None, None));
        assert!(allowed("10.0.0.1", Some("10.0.0.1"), None));
        assert!(!allowed("10.0.0.2", Some("10.0.0.1"), None));
        assert!(!allowed("10.0.0.1", None, Some("10.0.0.0/8")));
        assert!(allowed("11.0.0.1", None, Some("10.0.0.0/8")));
        assert!(allowed("10.0.0.1", Some("10.0.0.1"), Some("*")));
        assert!(!allowed("10.0.0.2", Some("10.0.0.1"), Some("*")));
        assert!(allowed("10.0.0.2", Some("10.0.0.1"), Some("11.0.0.0/8")), "in neither list");
    }

    #[test]
    fn an_empty_list_lets_nobody_in() {
        assert!(!allowed("10.0.0.1", Some(""), None));
    }

    #[test]
    fn networks_have_a_length_or_a_mask() {
        for (net, inside, outside) in [
            ("192.0.2.77/24", "192.0.2.1", "192.0.3.1"),
            ("192.0.2.77/255.255.255.0", "192.0.2.1", "192.0.3.1"),
            ("2001:db8::/32", "2001:db8:1::5", "2001:db9::"),
            ("2001:db8::/ffff:ffff::", "2001:db8:1::5", "2001:db9::"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "::1", "203.0.113.9"),
            ("::1", "::1", "::2"),
        ] {
            assert!(allowed(inside, Some(net), None), "{net} has {inside}");
            assert!(!allowed(outside, Some(net), None), "{net} has not {outside}");
        }
        assert!(allowed("::ffff:192.0.2.9", Some("192.0.2.0/24"), None), "mapped into IPv6");
    }

    #[test]
    fn names_and_slips_are_refused_when_the_configuration_is_read() {
        for text in [
            "localhost",
            "*.example.org",
            "192.0.2.*",
            "@group",
            "",
            "192.0.2",
            "192.0.2.1/33",
            "::1/129",
            "10.0.0.0/255.0.255.0",
            "10.0.0.0/ffff::",
            "::1/255.0.0.0",
            "10.0.0.0/",
            "010.0.0.1",
            "fe80::1%eth0",
        ] {
            assert!(Hosts::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_network_contains_what_its_leading_bits_say(a: u128, b: u128, bits in 0u32..=128) {
            let (net, peer) = (Ipv6Addr::from(a), Ipv6Addr::from(b));
            prop_assume!(net.to_ipv4_mapped().is_none() && peer.to_ipv4_mapped().is_none());
            let hosts = Hosts::parse(format!("{net}/{bits}").as_bytes()).unwrap();
            prop_assert_eq!(hosts.contain(peer.into()), bits == 0 || (a ^ b).leading_zeros() >= bits);
        }
    }
}
