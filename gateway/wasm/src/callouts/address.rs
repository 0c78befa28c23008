//! Which addresses may be reached, in whatever form they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be reached.
pub(super) fn may_reach(address: IpAddr, loopback: bool, denied: &[IpAddr]) -> bool {
    let address = plain(address);
    if denied.iter().any(|denied| plain(*denied) == address) || METADATA.contains(&address) {
        return false;
    }
    if address.is_loopback() {
        return loopback;
    }
    if address.is_unspecified() || address.is_multicast() {
        return false;
    }
    match address {
        // 0.0.0.0/8 is this machine, and the last block is reserved but for the broadcast address.
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            !address.is_link_local() && first != 0 && first < 240
        }
        IpAddr::V6(address) => {
            let [first, ..] = address.segments();
            // fe80::/10, and what was once fec0::/10.
            !address.is_unicast_link_local() && first & 0xffc0 != 0xfec0
        }
    }
}

/// The address that is meant: those of IPv6 that carry one of IPv4 are that one.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(address) = address else {
        return address;
    };
    let [a, b, c, d, e, f, high, low] = address.segments();
    let four = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // Compatible; `::` and `::1` are none of these.
        (0, 0, 0, 0, 0, 0) if high != 0 => four(high, low),
        // Mapped, translated, NAT64 with its well-known prefix and with the local one.
        (0, 0, 0, 0, 0, 0xffff)
        | (0, 0, 0, 0, 0xffff, 0)
        | (0x64, 0xff9b, 0, 0, 0, 0)
        | (0x64, 0xff9b, 1, ..) => four(high, low),
        // 6to4.
        (0x2002, high, low, ..) => four(high, low),
        _ => IpAddr::V6(address),
    }
}

/// Where clouds tell a machine its secrets, beyond the link-local addresses.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(address: &str, loopback: bool) -> bool {
        let denied = ["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        may_reach(address.parse().unwrap(), loopback, &denied)
    }

    #[test]
    fn what_no_guest_may_reach_is_found_in_every_form() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "10.96.0.1",
            "::ffff:10.96.0.1",
            "64:ff9b::10.96.0.1",
            "fd00::1",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
        ] {
            assert!(!reaches(address, true), "{address}");
        }
    }

    #[test]
    fn loopback_is_reached_only_where_that_is_allowed() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(reaches(address, true), "{address}");
            assert!(!reaches(address, false), "{address}");
        }
    }

    #[test]
    fn others_are_reached() {
        for address in [
            "192.0.2.1",
            "10.96.0.2",
            "fd00::2",
            "2001:db8::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(reaches(address, false), "{address}");
        }
    }
}
