//! The PROXY header, which tells an endpoint the two ends of a connection.
//!
//! Source: HAProxy's PROXY protocol, Envoy's `UpstreamProxyProtocolTransport`.

use std::net::{IpAddr, SocketAddr};

use super::io::Stream;
use crate::connection::ProxyProtocol;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header for a connection just made.
pub(super) fn header(version: ProxyProtocol, stream: &Stream) -> Vec<u8> {
    let ends = match stream {
        Stream::Tcp(it) => it.local_addr().ok().zip(it.peer_addr().ok()),
        #[cfg(unix)]
        Stream::Unix(_) => None,
        #[cfg(feature = "tls")]
        Stream::Tls(_) => None,
    };
    match version {
        ProxyProtocol::V1 => text(ends),
        ProxyProtocol::V2 => binary(ends),
    }
}

fn text(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((from, to)) = ends else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    let (ip, other) = (from.ip(), to.ip());
    format!(
        "PROXY {family} {ip} {other} {} {}\r\n",
        from.port(),
        to.port()
    )
    .into_bytes()
}

fn binary(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((from, to)) = ends else {
        // Version 2, of itself; no addresses.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    // Version 2, for another; then the family over TCP, and the length of what follows.
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(octets(from));
            header.extend(octets(to));
        }
    }
    header.extend(from.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::{binary, text};

    #[test]
    fn headers_are_as_the_protocol_spells_them() {
        let four = (
            "10.0.0.1:4711".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        );
        assert_eq!(
            text(Some(four)),
            b"PROXY TCP4 10.0.0.1 10.0.0.2 4711 80\r\n"
        );
        assert_eq!(
            binary(Some(four)),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x12\x67\0\x50"
        );
        let six = ("[::1]:1".parse().unwrap(), "[::2]:80".parse().unwrap());
        assert_eq!(text(Some(six)), b"PROXY TCP6 ::1 ::2 1 80\r\n");
        assert_eq!(binary(Some(six)).len(), 16 + 36);
        assert_eq!(text(None), b"PROXY UNKNOWN\r\n");
        assert_eq!(binary(None), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    }
}
