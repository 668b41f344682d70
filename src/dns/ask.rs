//! What a question to name servers is made of, and how it can end: the words of [`super::client`].

use super::cookie::Cookie;
use super::message::Message;
use super::query::Query;
use super::reader::ParseError;
use super::rtt::Rtt;
use std::net::SocketAddr;

/// What to ask, whom, and for how long.
#[derive(Debug, Clone)]
pub struct Config {
    /// The question.
    pub query: Query,
    /// The servers, asked in turn.
    pub servers: Vec<SocketAddr>,
    /// How long each try waits at most, in µs.
    pub timeout_us: u64,
    /// How long all of them may take, in µs; `None` for as long as they wait.
    pub lifetime_us: Option<u64>,
    /// How many more tries after the first, at most [`super::client::RETRIES_MAX`].
    pub retries: u32,
    /// Ask over TCP from the start.
    pub tcp: bool,
    /// Take the truncated answer instead of asking again over TCP.
    pub ignore_truncation: bool,
    /// Mix the case of the name at random and expect it back (0x20).
    pub mix_case: bool,
    /// A cookie for each server, in their order; none at all to send none.
    pub cookies: Vec<Cookie>,
    /// What is known of the round trip to each server, in their order, to try again sooner than
    /// `timeout_us` says; the last try then waits for what is left of the time of all. None at
    /// all: every try waits `timeout_us`.
    pub rtts: Vec<Rtt>,
}

/// How a try travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A datagram from a fresh socket.
    Udp,
    /// A connection of its own.
    Tcp,
}

/// A request to the driver: open a fresh socket for `attempt` and send `payload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The ordinal to name in `handle_*`.
    pub attempt: usize,
    /// UDP or TCP.
    pub via: Via,
    /// Where to.
    pub server: SocketAddr,
    /// The message, without the length that TCP puts in front.
    pub payload: Vec<u8>,
}

/// Why a datagram was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// From another address or port than it was sent to.
    Source,
    /// Too short, or broken inside.
    Malformed,
    /// Not a response to a query.
    NotResponse,
    /// Another id.
    Id,
    /// Another question.
    Question,
    /// The right question, but not in the case it was asked in.
    Case,
    /// Without the cookie that was sent along.
    Cookie,
}

/// Words for the counters of [`super::Client::ignored`], in their order.
pub const IGNORED_WORDS: [&str; 7] = [
    "wrong source",
    "malformed",
    "no response",
    "wrong id",
    "wrong question",
    "wrong case",
    "wrong cookie",
];

/// How the question ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A message that answers the question, whatever its response code.
    Answer {
        /// The message.
        message: Message,
        /// Who sent it.
        server: SocketAddr,
        /// How it came.
        via: Via,
        /// From its query to it, in µs.
        rtt_us: u64,
    },
    /// No answer in time.
    TimedOut,
    /// Every try failed; the last one with this `errno`.
    Failed {
        /// The number of the system error.
        errno: i32,
        /// The server that was tried.
        server: SocketAddr,
    },
    /// Over TCP, where nobody can forge, came something that is no answer.
    Malformed(ParseError),
}
