//! DNS cookies: a number that only the real server could have sent back.
//!
//! RFC 7873 and RFC 9018. A client cookie is drawn for each server and kept, because the server
//! computes its own over it; what a server sent is given back to it as it came.

use rand::CryptoRng;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The EDNS option. RFC 7873 §4.
pub const OPTION: u16 = 10;
/// Octets of a client cookie.
const CLIENT_LEN: usize = 8;
/// Octets of a client and a server cookie together.
const BOTH_LEN: std::ops::RangeInclusive<usize> = 16..=40;
/// Servers that are remembered; beyond that the one with the lowest address is forgotten.
const SERVERS_MAX: usize = 256;

/// Our cookie for one server, and its cookie for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    client: [u8; CLIENT_LEN],
    server: Vec<u8>,
}

/// What a response says about our cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It came back.
    Good,
    /// Another one came, or something that is none.
    Wrong,
    /// None came.
    Missing,
}

impl Cookie {
    /// A cookie for a server that is not known yet.
    pub fn draw(random: &mut impl CryptoRng) -> Self {
        Self { client: random.next_u64().to_ne_bytes(), server: Vec::new() }
    }

    /// The data of the option.
    pub fn option(&self) -> Vec<u8> {
        [&self.client[..], &self.server].concat()
    }

    /// Whether this server has sent its cookie before, and so must send one again.
    pub fn is_known(&self) -> bool {
        !self.server.is_empty()
    }

    /// Compares with the option of a response, and keeps the server's part.
    pub fn check(&mut self, option: Option<&[u8]>) -> Check {
        let Some(option) = option else { return Check::Missing };
        // RFC 7873 §5.3: a response whose client cookie differs is discarded.
        if option.get(..CLIENT_LEN) != Some(&self.client[..]) {
            return Check::Wrong;
        }
        if BOTH_LEN.contains(&option.len()) {
            self.server = option[CLIENT_LEN..].to_vec();
        } else if option.len() != CLIENT_LEN {
            return Check::Wrong;
        }
        Check::Good
    }
}

/// The cookies of the servers asked lately.
#[derive(Debug, Default)]
pub struct Jar {
    cookies: BTreeMap<SocketAddr, Cookie>,
}

impl Jar {
    /// An empty jar.
    pub const fn new() -> Self {
        Self { cookies: BTreeMap::new() }
    }

    /// The cookie for `server`, drawn if it is new.
    pub fn take(&self, server: SocketAddr, random: &mut impl CryptoRng) -> Cookie {
        self.cookies.get(&server).cloned().unwrap_or_else(|| Cookie::draw(random))
    }

    /// Keeps what was learnt about `server`.
    pub fn keep(&mut self, server: SocketAddr, cookie: Cookie) {
        if self.cookies.len() >= SERVERS_MAX && !self.cookies.contains_key(&server) {
            self.cookies.pop_first();
        }
        if cookie.is_known() {
            self.cookies.insert(server, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn only_our_own_cookie_is_good() {
        let mut cookie = Cookie::draw(&mut StdRng::seed_from_u64(1));
        let sent = cookie.option();
        assert_eq!(sent.len(), 8);
        assert_eq!(cookie.check(None), Check::Missing);
        assert_eq!(cookie.check(Some(&[0; 16])), Check::Wrong);
        assert_eq!(cookie.check(Some(&sent[..7])), Check::Wrong);
        assert_eq!(cookie.check(Some(&[&sent[..], &[9; 3]].concat())), Check::Wrong);
        assert_eq!(cookie.check(Some(&[&sent[..], &[9; 33]].concat())), Check::Wrong);
        assert!(!cookie.is_known());
        assert_eq!(cookie.check(Some(&[&sent[..], &[9; 8]].concat())), Check::Good);
        assert_eq!(cookie.option(), [&sent[..], &[9; 8]].concat());
    }

    #[test]
    fn the_jar_is_bounded() {
        let mut random = StdRng::seed_from_u64(1);
        let mut jar = Jar::new();
        for port in 1..1000 {
            let server = SocketAddr::from(([192, 0, 2, 1], port));
            let mut cookie = jar.take(server, &mut random);
            let option = [cookie.option(), vec![1; 8]].concat();
            assert_eq!(cookie.check(Some(&option)), Check::Good);
            jar.keep(server, cookie.clone());
            assert_eq!(jar.take(server, &mut random), cookie);
        }
        assert_eq!(jar.cookies.len(), SERVERS_MAX);
    }
}
