//! Where to listen.
//!
//! An address a server binds decides who can reach it, so it is written as numbers: no name is looked up,
//! apart from `localhost`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// `127.0.0.1:4317`, `[::1]:4317`, `0.0.0.0:4317` or `localhost:4317`. Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// On the loopback interface, for this port.
    pub const fn loopback(port: u16) -> ListenAddress {
        ListenAddress(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The address to bind.
    pub const fn socket_addr(self) -> SocketAddr {
        self.0
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> ListenAddress {
        ListenAddress(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// A URL.
    #[error("\"{0}\" is a URL; an address to listen on is host:port, such as 127.0.0.1:4317")]
    Url(String),
    /// No port.
    #[error("\"{0}\" has no port; write for example {0}:4317")]
    NoPort(String),
    /// No host.
    #[error("\"{0}\" has no host; write 127.0.0.1{0} for this machine alone, or 0.0.0.0{0} for every network")]
    NoHost(String),
    /// A port that is none.
    #[error("\"{0}\" has a bad port; a port is a number from 0 to 65535")]
    Port(String),
    /// A name.
    #[error("\"{0}\" is not an IP address and port, such as 127.0.0.1:4317")]
    Host(String),
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<ListenAddress, NotAnAddress> {
        if let Ok(address) = text.parse() {
            return Ok(ListenAddress(address));
        }
        if text.contains("://") {
            return Err(NotAnAddress::Url(text.to_owned()));
        }
        if text.parse::<IpAddr>().is_ok() || text == "localhost" {
            return Err(NotAnAddress::NoPort(text.to_owned()));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(NotAnAddress::Host(text.to_owned()));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(NotAnAddress::Port(text.to_owned()));
        };
        match host {
            "localhost" => Ok(ListenAddress::loopback(port)),
            "" => Err(NotAnAddress::NoHost(text.to_owned())),
            _ => Err(NotAnAddress::Host(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ListenAddress, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ListenAddress;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as 127.0.0.1:4317")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListenAddress, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_localhost_are_addresses() {
        assert_eq!("localhost:4317".parse(), Ok(ListenAddress::loopback(4317)));
        assert!("[::1]:4317".parse::<ListenAddress>().unwrap().is_loopback());
        assert!("[::ffff:127.0.0.1]:1".parse::<ListenAddress>().unwrap().is_loopback());
        assert!(!"0.0.0.0:4317".parse::<ListenAddress>().unwrap().is_loopback());
    }

    #[test]
    fn each_usual_mistake_is_told_apart() {
        let why = |text: &str| text.parse::<ListenAddress>().unwrap_err();
        assert_eq!(why("http://0.0.0.0:4317"), NotAnAddress::Url("http://0.0.0.0:4317".into()));
        assert_eq!(why("127.0.0.1").to_string(), "\"127.0.0.1\" has no port; write for example 127.0.0.1:4317");
        assert_eq!(why(":4317"), NotAnAddress::NoHost(":4317".into()));
        assert_eq!(why("0.0.0.0:70000"), NotAnAddress::Port("0.0.0.0:70000".into()));
        assert_eq!(why("collector:4317"), NotAnAddress::Host("collector:4317".into()));
        assert_eq!(why("256.0.0.1:4317"), NotAnAddress::Host("256.0.0.1:4317".into()));
    }
}
