//! Where an endpoint listens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where an endpoint listens.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A name that is resolved when a connection is made, and a port.
    Name(Arc<str>, u16),
    /// A socket in the file system.
    Unix(Arc<std::path::Path>),
}

impl Address {
    /// The address `host` stands for: itself if it is one, a socket where it is `unix://` and a
    /// path, a name otherwise.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        if let Some(path) = host.strip_prefix("unix://") {
            return Self::Unix(std::path::Path::new(path).into());
        }
        Self::of_host(host, port)
    }

    /// The same for a host that a request names: no request reaches into the file system.
    pub(crate) fn of_host(host: &str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Socket(SocketAddr::new(address, port)),
            Err(_) => Self::Name(host.into(), port),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_print_as_they_are_connected_to() {
        let print = |host| Address::new(host, 80).to_string();
        assert_eq!(print("127.0.0.1"), "127.0.0.1:80");
        assert_eq!(print("::1"), "[::1]:80");
        assert_eq!(print("example.com"), "example.com:80");
    }

    #[test]
    fn only_rules_name_sockets_of_the_file_system() {
        let path = "unix:///run/it.sock";
        assert!(matches!(Address::new(path, 80), Address::Unix(_)));
        assert!(matches!(Address::of_host(path, 80), Address::Name(..)));
    }
}
