//! Stateless address tokens (RFC 9000 §8.1.3): a server under pressure proves an address with
//! no memory of it.
//!
//! A token is an epoch and a keyed hash of (address, connection id, epoch): only the server that
//! made it can check it, and it is good for two epochs.

use super::time::{Micros, Time};
use crate::wire::transport::ConnectionId;
use ring::hmac;
use std::net::{IpAddr, SocketAddr};

const EPOCH: Micros = Micros::from_secs(16);
const TAG_LEN: usize = 16;

/// A token for RETRY.
pub(crate) fn make(key: &hmac::Key, now: Time, from: SocketAddr, client: ConnectionId) -> Vec<u8> {
    let epoch = epoch(now);
    let mut token = epoch.to_be_bytes().to_vec();
    token.extend_from_slice(&hmac::sign(key, &input(epoch, from, client)).as_ref()[..TAG_LEN]);
    token
}

/// Whether an INIT carries a token we made for this address not long ago.
pub(crate) fn check(
    key: &hmac::Key,
    now: Time,
    from: SocketAddr,
    client: ConnectionId,
    token: &[u8],
) -> bool {
    let Some((epoch_bytes, tag)) = token.split_first_chunk::<4>() else { return false };
    let made = u32::from_be_bytes(*epoch_bytes);
    let age = epoch(now).wrapping_sub(made);
    if age > 1 || tag.len() != TAG_LEN {
        return false;
    }
    let expected = hmac::sign(key, &input(made, from, client));
    let pairs = expected.as_ref()[..TAG_LEN].iter().zip(tag);
    // No early exit: the time must not tell how much of a guess was right.
    pairs.fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

fn epoch(now: Time) -> u32 {
    (now.0 / EPOCH.0) as u32
}

fn input(epoch: u32, from: SocketAddr, client: ConnectionId) -> Vec<u8> {
    let mut input = b"udpcore 1 token".to_vec();
    input.extend_from_slice(&epoch.to_be_bytes());
    match from.ip() {
        IpAddr::V4(ip) => input.extend_from_slice(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => input.extend_from_slice(&ip.octets()),
    }
    input.extend_from_slice(&from.port().to_be_bytes());
    input.extend_from_slice(&client.0.to_be_bytes());
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_address_one_client_and_two_epochs() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]);
        let home = SocketAddr::from(([192, 0, 2, 1], 1000));
        let client = ConnectionId(5);
        let token = make(&key, Time(0), home, client);
        assert!(check(&key, Time(0), home, client, &token));
        assert!(check(&key, Time(0) + EPOCH, home, client, &token));
        assert!(!check(&key, Time(0) + EPOCH * 2, home, client, &token));
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 1001));
        assert!(!check(&key, Time(0), elsewhere, client, &token));
        assert!(!check(&key, Time(0), home, ConnectionId(6), &token));
        assert!(!check(&key, Time(0), home, client, &token[..19]));
        assert!(!check(&key, Time(0), home, client, &[]));
    }
}
