//! What can be chosen about connections, with defaults that suit the internet.

use super::congestion::Congestion;
use super::connection::ACK_DELAY_MAX_BELIEVED;
use super::crypto::{Keys, PACKETS_PER_KEY, PACKETS_PER_KEY_MAX, PublicKey, SecretKey, Suite};
use super::flow_control::MESSAGE_COST;
use super::time::Micros;
use crate::wire::transport::{CHANNELS_MAX, MESSAGE_LEN_MAX, Params};
use ring::hmac;

const MIB: u64 = 1 << 20;
/// What is granted in all must stay below the largest varint.
const WINDOW_MAX: u64 = 1 << 48;
/// RFC 768: a UDP datagram holds no more over IPv4.
const DATAGRAM_LEN_MAX: u16 = 65_507;

/// Who may connect and what an eavesdropper sees.
#[derive(Clone, Debug, Default)]
pub struct Security {
    plaintext: bool,
    keys: Keys,
}

impl Security {
    /// Encrypted, but anybody may be at the other end.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Both ends must know `secret`, which should be long and random: a recorded handshake lets
    /// an attacker try guesses.
    pub fn secret(secret: &[u8]) -> Self {
        Self { plaintext: false, keys: Keys { psk: Some(Keys::psk(secret)), ..Keys::default() } }
    }

    /// No encryption: a checksum against accidents. For teaching.
    pub fn plaintext() -> Self {
        Self { plaintext: true, keys: Keys::default() }
    }

    /// A server shows clients that pin it that it owns this key.
    #[must_use]
    pub fn with_own_key(mut self, key: SecretKey) -> Self {
        self.keys.own = Some(key);
        self
    }

    /// A client refuses any server but the owner of this key.
    #[must_use]
    pub fn with_pinned_server(mut self, key: PublicKey) -> Self {
        self.keys.pinned = Some(key);
        self
    }

    /// RFC 9000 §10.3.2: with a key of its own a server that has lost its state can still tell its
    /// former clients so.
    pub(crate) fn reset_key(&self) -> Option<hmac::Key> {
        let own = self.keys.own.as_ref()?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &own.0), b"udpcore 1 reset");
        Some(hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref()))
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn client_suite(&self) -> Suite {
        if self.plaintext { Suite::Plaintext } else { self.keys.client_suite() }
    }

    pub(crate) fn server_takes(&self, suite: Suite) -> bool {
        if self.plaintext { suite == Suite::Plaintext } else { self.keys.server_takes(suite) }
    }
}

/// The choices; [`Config::validate`] says which values make sense.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may connect and what an eavesdropper sees.
    pub security: Security,
    /// The congestion controller.
    pub congestion: Congestion,
    /// The longest message taken, in bytes (default 16 MiB).
    pub message_len_max: u64,
    /// How many channels the peer may use (default 256).
    pub channels_max: u64,
    /// What the peer may have sent that the application has not taken, in bytes (default 32 MiB).
    pub receive_window: u64,
    /// The same for one channel (default 24 MiB).
    pub channel_window: u64,
    /// What `send` takes before something is acknowledged, in bytes (default 32 MiB).
    pub send_buffer: u64,
    /// The connection ends after this long without a packet (default 30 s; zero is never).
    pub idle_timeout: Micros,
    /// A quiet connection sends a packet this often (default 10 s; zero is never).
    pub keep_alive: Micros,
    /// A connection that is not open by then is given up (default 10 s).
    pub handshake_timeout: Micros,
    /// `close` gives up delivering what was accepted after this long (default 30 s).
    pub linger: Micros,
    /// An acknowledgement is held back for at most this long (default 25 ms).
    pub ack_delay_max: Micros,
    /// The longest datagram tried, in bytes of UDP payload (default 1452).
    pub datagram_len_max: u16,
    /// Keys are replaced after so many packets (default 2^22).
    pub packets_per_key: u64,
    /// Marks packets as ECN-capable (default true).
    pub ecn: bool,
    /// Records what happens, for [`Connection::take_trace`](super::Connection::take_trace).
    pub trace: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            security: Security::default(),
            congestion: Congestion::default(),
            message_len_max: 16 * MIB,
            channels_max: 256,
            receive_window: 32 * MIB,
            channel_window: 24 * MIB,
            send_buffer: 32 * MIB,
            idle_timeout: Micros::from_secs(30),
            keep_alive: Micros::from_secs(10),
            handshake_timeout: Micros::from_secs(10),
            linger: Micros::from_secs(30),
            ack_delay_max: Micros::from_ms(25),
            datagram_len_max: 1452,
            packets_per_key: PACKETS_PER_KEY,
            ecn: true,
            trace: false,
        }
    }
}

/// A choice that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}: it must be {rule}")]
pub struct ConfigError {
    /// The field.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it must be.
    pub rule: &'static str,
}

impl Config {
    /// Says which field makes no sense, if one does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, name, value, rule| {
            if ok { Ok(()) } else { Err(ConfigError { name, value, rule }) }
        };
        let message = self.message_len_max;
        check(message <= MESSAGE_LEN_MAX, "message_len_max", message, "at most 1 GiB")?;
        check(
            (1..=CHANNELS_MAX).contains(&self.channels_max),
            "channels_max",
            self.channels_max,
            "1 to 65536",
        )?;
        let whole = message + MESSAGE_COST;
        let rule = "at least message_len_max + 64, or a message never fits";
        check(self.channel_window >= whole, "channel_window", self.channel_window, rule)?;
        check(
            self.receive_window >= self.channel_window,
            "receive_window",
            self.receive_window,
            "at least channel_window",
        )?;
        check(
            self.receive_window <= WINDOW_MAX,
            "receive_window",
            self.receive_window,
            "at most 2^48",
        )?;
        check(
            (super::mtu::MTU_BASE..=DATAGRAM_LEN_MAX).contains(&self.datagram_len_max),
            "datagram_len_max",
            self.datagram_len_max.into(),
            "1200 to 65507",
        )?;
        check(
            (1..=PACKETS_PER_KEY_MAX).contains(&self.packets_per_key),
            "packets_per_key",
            self.packets_per_key,
            "1 to 2^23 (RFC 9001 §6.6)",
        )?;
        check(
            self.handshake_timeout > Micros::ZERO,
            "handshake_timeout",
            self.handshake_timeout.0,
            "above zero",
        )?;
        check(
            self.ack_delay_max <= ACK_DELAY_MAX_BELIEVED,
            "ack_delay_max",
            self.ack_delay_max.0,
            "at most 1000000 µs, more the peer does not believe",
        )?;
        let rule = "at most a hundred years, in µs; 0 is never";
        for (name, time) in [
            ("idle_timeout", self.idle_timeout),
            ("keep_alive", self.keep_alive),
            ("handshake_timeout", self.handshake_timeout),
            ("linger", self.linger),
        ] {
            check(time <= Micros::MAX, name, time.0, rule)?;
        }
        Ok(())
    }

    /// What the peer is told.
    pub(crate) fn params(&self) -> Params {
        Params {
            message_len_max: self.message_len_max,
            max_data: self.receive_window,
            max_channel_data: self.channel_window,
            channels_max: self.channels_max,
            idle_timeout_ms: self.idle_timeout.0 / 1000,
            ack_delay_us_max: self.ack_delay_max.0,
            datagram_len_max: u64::from(self.datagram_len_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_makes_sense_and_a_window_below_a_message_does_not() {
        Config::default().validate().expect("the default");
        let small = Config { channel_window: 1000, ..Config::default() };
        let error = small.validate().expect_err("too small");
        assert!(error.to_string().starts_with("channel_window is 1000: it must be at least"));
    }

    #[test]
    fn what_no_handshake_can_say_is_refused_before() {
        let (end, default) = (Micros(u64::MAX), Config::default());
        let window = u64::MAX;
        for (name, config) in [
            ("receive_window", Config { receive_window: window, ..default.clone() }),
            ("ack_delay_max", Config { ack_delay_max: Micros::from_secs(2), ..default.clone() }),
            ("idle_timeout", Config { idle_timeout: end, ..default.clone() }),
            ("linger", Config { linger: end, ..default.clone() }),
            ("datagram_len_max", Config { datagram_len_max: 65_508, ..default.clone() }),
        ] {
            assert_eq!(config.validate().expect_err(name).name, name);
        }
    }
}
