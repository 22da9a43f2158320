//! Where a request comes from, as far as that can be believed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use ipnet::IpNet;

use crate::http::problem::Problem;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How long somebody without an address is asked to wait.
const NOWHERE: Duration = Duration::from_hours(1);

/// The client's address. Requests without one are 429: what cannot be counted by address is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What rate limits are counted by: of an IPv6 address the network that one customer has.
    pub fn bucket(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }

    /// Finds the address: that of the connection, or, if the connection comes from a trusted proxy, the last one in
    /// `X-Forwarded-For` that is not a trusted proxy's either. What clients write there themselves stands before that.
    pub(crate) fn of(request: &Request, trusted: &[IpNet]) -> Option<Self> {
        let known = request.extensions().get::<Self>().copied();
        known.or_else(|| {
            let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
            Some(Self(settle(peer.ip(), request.headers(), trusted)))
        })
    }
}

fn settle(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let listed: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    let mut nearest = peer;
    for hop in listed.into_iter().rev() {
        // What does not parse was not written by a proxy that is to be believed.
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address.to_canonical();
        if !is_trusted(&nearest) {
            break;
        }
    }
    nearest
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let address = parts.extensions.get::<Self>().copied();
        address.ok_or_else(|| Problem::empty(StatusCode::TOO_MANY_REQUESTS).retry_after(NOWHERE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settled(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        settle(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(settled("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(settled("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            settled("::ffff:10.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(settled("10.0.0.1", &[]), "10.0.0.1");
        let spoofed = ["203.0.113.9, 198.51.100.7", "10.2.2.2"];
        assert_eq!(settled("10.0.0.1", &spoofed), "198.51.100.7");
        assert_eq!(settled("10.0.0.1", &["198.51.100.7, nonsense"]), "10.0.0.1");
        assert_eq!(settled("fd00::1", &["2001:db8::5"]), "2001:db8::5");
    }

    #[test]
    fn a_customers_ipv6_network_is_one_bucket() {
        let bucket = |text: &str| ClientAddress(text.parse().unwrap()).bucket();
        assert_eq!(bucket("2001:db8:1:2::5"), bucket("2001:db8:1:2:ffff::"));
        assert_ne!(bucket("2001:db8:1:2::5"), bucket("2001:db8:1:3::5"));
        assert_ne!(bucket("192.0.2.1"), bucket("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn whoever_is_not_trusted_cannot_choose_an_address(line in "[ -~]{0,60}") {
            prop_assert_eq!(settled("192.0.2.1", &[&line]), "192.0.2.1");
            let _ = settled("10.0.0.1", &[&line]);
        }
    }
}
