//! `HOST:PORT` as people write it: `127.0.0.1:9000`, `[::1]:9000`, `localhost:9000`.

use std::fmt;
use std::str::FromStr;

/// A host and a port; the host may be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a text is no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("no port: write HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000")]
    NoPort,
    #[error("no host: write HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000")]
    NoHost,
    #[error("an IPv6 address needs brackets: [{0}]")]
    NoBrackets(String),
    #[error("port {0} is out of range: give 0 to 65535")]
    PortRange(String),
    #[error("port {0:?} is not a number")]
    PortNumber(String),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::NoPort)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(EndpointError::NoBrackets(host.to_owned() + "]:" + port));
        }
        let host = bracketed.unwrap_or(host);
        if host.is_empty() {
            return Err(EndpointError::NoHost);
        }
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EndpointError::PortNumber(port.to_owned()));
        }
        let port = port.parse().map_err(|_| EndpointError::PortRange(port.to_owned()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for text in ["127.0.0.1:9000", "[::1]:0", "localhost:65535"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_endpoints_say_what_is_wrong() {
        for (text, error) in [
            ("127.0.0.1", "no port"),
            (":9000", "no host"),
            ("::1:9000", "an IPv6 address needs brackets"),
            ("127.0.0.1:70000", "port 70000 is out of range: give 0 to 65535"),
            ("127.0.0.1:http", "port \"http\" is not a number"),
            ("127.0.0.1:-1", "port \"-1\" is not a number"),
            ("127.0.0.1:+1", "port \"+1\" is not a number"),
        ] {
            let message = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(message.starts_with(error), "{text}: {message}");
        }
    }
}
