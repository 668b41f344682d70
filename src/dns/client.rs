//! One question put to one or more servers until one of them answers: sans-IO.
//!
//! The methods come in four families: getters; `handle_*` (something happened); commands;
//! `poll_transmit`. After every `handle_*` poll until `None`, then look at [`Client::outcome`],
//! then wait until [`Client::next_deadline`]. Time is in µs and never goes back.
//!
//! Trust no answer: RFC 5452 (id, port, source, question), draft-vixie-dnsext-dns0x20 (case).
//! Whatever does not fit is counted by reason and the wait goes on.
//!
//! Rules of this file: every try has its own id and asks for its own socket; late answers to
//! earlier tries count; the number of tries is bounded by [`ATTEMPTS_MAX`].

pub use super::ask::{Config, IGNORED_WORDS, Ignored, Outcome, Transmit, Via};
use super::cookie::{self, Check, Cookie};
use super::header::{Flags, Rcode};
use super::message::{self, Message};
use super::reader::ParseError;
use super::rtt::Rtt;
use super::value;
use rand::CryptoRng;
use std::net::SocketAddr;

/// Most tries of one question over all servers, those over TCP and without EDNS included.
pub const ATTEMPTS_MAX: usize = 64;
/// Most retries a caller may ask for: the rest of [`ATTEMPTS_MAX`] is for fallbacks.
pub const RETRIES_MAX: u32 = 20;

#[derive(Debug, Clone)]
struct Attempt {
    id: u16,
    server: usize,
    via: Via,
    query: Vec<u8>,
    sent_us: u64,
    edns: bool,
    open: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Client<R> {
    config: Config,
    random: R,
    attempts: Vec<Attempt>,
    /// The next try, not yet polled.
    pending: Option<(usize, Via)>,
    start_us: Option<u64>,
    deadline_us: u64,
    tries_left: u32,
    edns_refused: bool,
    /// A server's new cookie was already used once.
    cookie_renewed: bool,
    ignored: [u32; IGNORED_WORDS.len()],
    fault: Option<ParseError>,
    errno: Option<(i32, usize)>,
    /// A refusal that is the answer if nobody has a better one.
    second_best: Option<Outcome>,
    outcome: Option<Outcome>,
}

impl<R: CryptoRng> Client<R> {
    /// A machine that is ready to be polled.
    ///
    /// # Panics
    /// Without a server: there must be one.
    pub fn new(config: Config, random: R) -> Self {
        assert!(!config.servers.is_empty(), "a question needs a server to go to");
        let first = if config.tcp { Via::Tcp } else { Via::Udp };
        Self {
            tries_left: config.retries.min(RETRIES_MAX),
            config,
            random,
            attempts: Vec::new(),
            pending: Some((0, first)),
            start_us: None,
            deadline_us: 0,
            edns_refused: false,
            cookie_renewed: false,
            ignored: [0; IGNORED_WORDS.len()],
            fault: None,
            errno: None,
            second_best: None,
            outcome: None,
        }
    }

    /// How the question ended, `None` while it is open.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The cookie for the server at `index` of the configuration, as it is now known.
    pub fn cookie(&self, index: usize) -> Option<&Cookie> {
        self.config.cookies.get(index)
    }

    /// Ends the machine with its outcome.
    pub fn into_outcome(self) -> Option<Outcome> {
        self.outcome
    }

    /// What is known of the round trip to the server at `index`, this exchange included.
    pub fn rtt(&self, index: usize) -> Option<&Rtt> {
        self.config.rtts.get(index)
    }

    /// When [`Client::handle_timeout`] has something to do, in µs; `None` when it has ended.
    pub fn next_deadline(&self) -> Option<u64> {
        self.outcome.is_none().then_some(self.deadline_us)
    }

    /// Datagrams that were ignored, by reason, in the order of [`IGNORED_WORDS`].
    pub fn ignored(&self) -> [u32; IGNORED_WORDS.len()] {
        self.ignored
    }

    /// The last fault found in a datagram that fitted otherwise.
    pub fn fault(&self) -> Option<ParseError> {
        self.fault
    }

    /// How many tries were made.
    pub fn attempt_count(&self) -> usize {
        self.attempts.len()
    }

    /// What is to be sent now.
    pub fn poll_transmit(&mut self, now_us: u64) -> Option<Transmit> {
        if self.outcome.is_some() {
            return None;
        }
        let (server, via) = self.pending.take()?;
        // RFC 5452 §4.3: an id nobody can guess, new for every try.
        let id = self.random.next_u32() as u16;
        let mut query = self.config.query.clone();
        if self.config.mix_case && via == Via::Udp {
            mix_case(query.name.as_wire_mut(), &mut self.random);
        }
        if self.edns_refused {
            query.edns = None;
        } else if let Some(cookie) = self.config.cookies.get(server) {
            query.options.push((cookie::OPTION, cookie.option()));
        }
        let payload = query.compose(id);
        let start_us = *self.start_us.get_or_insert(now_us);
        self.deadline_us = self.wait_until(now_us, start_us, server, via);
        self.attempts.push(Attempt {
            id,
            server,
            via,
            query: payload.clone(),
            sent_us: now_us,
            edns: query.edns.is_some(),
            open: true,
        });
        let server = self.config.servers[server];
        Some(Transmit { attempt: self.attempts.len() - 1, via, server, payload })
    }

    /// A datagram arrived on the socket of `attempt`.
    pub fn handle_datagram(
        &mut self,
        now_us: u64,
        attempt: usize,
        source: SocketAddr,
        wire: &[u8],
    ) -> Result<(), Ignored> {
        self.handle(now_us, attempt, source, wire).inspect_err(|reason| {
            let count = &mut self.ignored[*reason as usize];
            *count = count.saturating_add(1);
        })
    }

    /// A whole message arrived on the connection of `attempt`.
    pub fn handle_stream_message(&mut self, now_us: u64, attempt: usize, wire: &[u8]) {
        let Some(server) = self.attempts.get(attempt).map(|a| self.config.servers[a.server]) else {
            return;
        };
        if self.handle_datagram(now_us, attempt, server, wire).is_err() {
            // The connection is ours: nothing better will come over it.
            self.close(attempt);
        }
    }

    /// The socket of `attempt` failed with `errno`: refused, unreachable, reset, closed.
    pub fn handle_failure(&mut self, attempt: usize, errno: i32) {
        if let Some(server) = self.attempts.get(attempt).map(|a| a.server) {
            self.errno = Some((errno, server));
            self.close(attempt);
        }
    }

    /// The deadline may have passed.
    pub fn handle_timeout(&mut self, now_us: u64) {
        if self.outcome.is_some() || self.pending.is_some() || now_us < self.deadline_us {
            return;
        }
        match self.end_us() {
            Some(end_us) if now_us >= end_us => self.end(),
            _ => self.next_try(),
        }
    }

    /// When the time of all tries is over.
    fn end_us(&self) -> Option<u64> {
        Some(self.start_us?.saturating_add(self.config.lifetime_us?))
    }

    /// Until when a try that begins now is waited for.
    fn wait_until(&self, now_us: u64, start_us: u64, server: usize, via: Via) -> u64 {
        let Config { timeout_us, retries, ref rtts, .. } = self.config;
        let mut until_us = now_us.saturating_add(timeout_us);
        if let Some(rtt) = rtts.get(server).filter(|_| via == Via::Udp) {
            until_us = if self.tries_left > 0 {
                let tries = self.attempts.iter().filter(|a| a.server == server).count();
                now_us.saturating_add(timeout_us.min(rtt.rto_us(tries as u32)))
            } else {
                let all = u64::from(retries.min(RETRIES_MAX)) + 1;
                until_us.max(start_us.saturating_add(timeout_us.saturating_mul(all)))
            };
        }
        until_us.min(self.end_us().unwrap_or(u64::MAX))
    }

    fn handle(
        &mut self,
        now_us: u64,
        index: usize,
        source: SocketAddr,
        wire: &[u8],
    ) -> Result<(), Ignored> {
        let Some(attempt) = self.attempts.get(index).filter(|_| self.outcome.is_none()) else {
            return Ok(());
        };
        let server = self.config.servers[attempt.server];
        if (source.ip(), source.port()) != (server.ip(), server.port()) {
            return Err(Ignored::Source);
        }
        let (header, question) = message::peek(wire).ok_or(Ignored::Malformed)?;
        if !header.flags.has(Flags::QR) || header.opcode.0 != 0 {
            return Err(Ignored::NotResponse);
        }
        if header.id != attempt.id {
            return Err(Ignored::Id);
        }
        let rcode = Rcode(u16::from(header.rcode_low));
        match question {
            Some(question) => match self.compare(attempt, header.counts[0], &question) {
                Err(Ignored::Case) if attempt.via == Via::Udp => {
                    // A server that does not keep the case, or somebody who guesses: TCP tells.
                    let server = attempt.server;
                    self.fall_back(server, Via::Tcp);
                    return Err(Ignored::Case);
                }
                verdict => verdict?,
            },
            // Old servers send back the bare header when they cannot read the rest.
            None if matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::REFUSED) => {}
            None => return Err(Ignored::Question),
        }
        let (server_index, via) = (attempt.server, attempt.via);
        if header.flags.has(Flags::TC) && via == Via::Udp && !self.config.ignore_truncation {
            // RFC 7766 §5: ask again over TCP.
            self.attempts[index].open = false;
            self.fall_back(server_index, Via::Tcp);
            return Ok(());
        }
        let (edns, rtt_us) = (attempt.edns, now_us.saturating_sub(attempt.sent_us));
        let message = self.parse(wire).inspect_err(|fault| self.fault = Some(*fault));
        let message = message.map_err(|_| Ignored::Malformed)?;
        // RFC 6891 §7 and §6.1.3: a server that knows no EDNS, or another version of it.
        let refuses_edns = matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP)
            && message.edns().is_none()
            || message.rcode() == Rcode::BADVERS;
        if edns && refuses_edns && !self.edns_refused {
            self.edns_refused = true;
            self.fall_back(server_index, via);
            return Ok(());
        }
        if edns && !self.check_cookie(server_index, via, &message)? {
            return Ok(());
        }
        if let Some(rtt) = self.config.rtts.get_mut(server_index).filter(|_| via == Via::Udp) {
            rtt.sample(rtt_us);
        }
        let refusal = matches!(message.rcode(), Rcode::SERVFAIL | Rcode::REFUSED | Rcode::NOTIMP);
        let outcome = Outcome::Answer { message, server, via, rtt_us };
        if refusal && self.other_server_left() {
            self.second_best = Some(outcome);
            self.close(index);
        } else {
            self.outcome = Some(outcome);
        }
        Ok(())
    }

    fn compare(
        &self,
        attempt: &Attempt,
        count: u16,
        question: &message::Question<'_>,
    ) -> Result<(), Ignored> {
        let query = &self.config.query;
        if count != 1
            || (question.rdtype, question.class) != (query.rdtype, query.class)
            || !question.name.eq_ignore_case(&query.name.as_ref())
        {
            return Err(Ignored::Question);
        }
        // What we sent has the name right behind the header.
        let sent = message::peek(&attempt.query).and_then(|(_, question)| question);
        match sent {
            Some(sent) if sent.name.eq_exact(&question.name) => Ok(()),
            _ => Err(Ignored::Case),
        }
    }

    /// Parses with the name of the question as the caller wrote it, not as 0x20 mixed it.
    fn parse(&self, wire: &[u8]) -> Result<Message, ParseError> {
        const NAME_AT: usize = super::header::HEADER_LEN;
        let name = self.config.query.name.as_wire();
        let mut wire = wire.to_vec();
        if let Some(place) = wire.get_mut(NAME_AT..NAME_AT + name.len()) {
            // Only if the name is there uncompressed, as it is in every honest answer.
            if place.eq_ignore_ascii_case(name) {
                place.copy_from_slice(name);
            }
        }
        Message::parse(wire)
    }

    /// RFC 7873 §5.3 and §5.4. `Ok(false)`: the server will be asked again.
    fn check_cookie(
        &mut self,
        server: usize,
        via: Via,
        message: &Message,
    ) -> Result<bool, Ignored> {
        let Some(cookie) = self.config.cookies.get_mut(server) else { return Ok(true) };
        let expected = cookie.is_known();
        let option = message
            .edns()
            .and_then(|edns| value::pairs(edns.options).find(|(code, _)| *code == cookie::OPTION));
        match cookie.check(option.map(|(_, data)| data)) {
            Check::Wrong => return Err(Ignored::Cookie),
            Check::Missing if expected && via == Via::Udp => {
                // It had one before: a forger, or another machine behind the same address.
                self.fall_back(server, Via::Tcp);
                return Err(Ignored::Cookie);
            }
            Check::Missing | Check::Good => {}
        }
        if message.rcode() != Rcode::BADCOOKIE || via == Via::Tcp {
            return Ok(true);
        }
        // The server wants its own cookie back; if it does not know it then, TCP will do.
        let again = if self.cookie_renewed { Via::Tcp } else { Via::Udp };
        self.cookie_renewed = true;
        self.fall_back(server, again);
        Ok(false)
    }

    fn other_server_left(&self) -> bool {
        self.tries_left > 0 && self.config.servers.len() > 1
    }

    /// Asks the same server again in another way; does not count as a retry.
    fn fall_back(&mut self, server: usize, via: Via) {
        if self.attempts.len() >= ATTEMPTS_MAX {
            return self.end();
        }
        let waiting = |a: &Attempt| a.via == Via::Tcp && a.open && a.server == server;
        if via == Via::Tcp && self.attempts.iter().any(waiting) {
            return;
        }
        self.pending = Some((server, via));
    }

    fn close(&mut self, attempt: usize) {
        let latest = attempt + 1 == self.attempts.len();
        self.attempts[attempt].open = false;
        // An earlier try that fails late changes nothing: the latest is still waited for.
        if latest && self.pending.is_none() && self.outcome.is_none() {
            self.next_try();
        }
    }

    fn next_try(&mut self) {
        if self.tries_left == 0 || self.attempts.len() >= ATTEMPTS_MAX {
            return self.end();
        }
        self.tries_left -= 1;
        let used = self.config.retries.min(RETRIES_MAX) - self.tries_left;
        let server = used as usize % self.config.servers.len();
        self.pending = Some((server, if self.config.tcp { Via::Tcp } else { Via::Udp }));
    }

    fn end(&mut self) {
        let servers = &self.config.servers;
        let still_open = self.attempts.iter().any(|attempt| attempt.open);
        let over_tcp = self.attempts.iter().any(|attempt| attempt.via == Via::Tcp);
        let ended = match (self.second_best.take(), self.errno, self.fault) {
            (Some(answer), ..) => answer,
            (None, Some((errno, server)), _) if !still_open => {
                Outcome::Failed { errno, server: servers[server] }
            }
            (None, None, Some(fault)) if !still_open && over_tcp => Outcome::Malformed(fault),
            _ => Outcome::TimedOut,
        };
        self.outcome = Some(ended);
    }
}

/// Gives every letter a random case: one bit more to guess for each. draft-vixie-dnsext-dns0x20.
pub(super) fn mix_case(name: &mut [u8], random: &mut impl CryptoRng) {
    let (mut bits, mut left) = (0u64, 0);
    for octet in name.iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
        if left == 0 {
            (bits, left) = (random.next_u64(), 64);
        }
        // Bit 5 is the case of an ASCII letter.
        *octet ^= (bits as u8 & 1) << 5;
        bits >>= 1;
        left -= 1;
    }
}
