//! One connection, sans-IO: four families of methods, called by a driver in this order.
//!
//! 1. *Input*: `handle_datagram` for what arrived, `handle_timeout` when [`next_deadline`]
//!    (Connection::next_deadline) has come.
//! 2. *Commands* of the application: `send`, `recv`, `open_channel`, `close`, `abort`.
//! 3. *Output*: `poll_transmit` until it has nothing more, then `poll_event` likewise.
//! 4. *Getters*, which change nothing.
//!
//! Time never goes back between calls. This file only dispatches: `receive` reads packets,
//! `transmit` writes them, `recovery` digests acknowledgements and losses, `handshake` opens.

mod handshake;
mod receive;
mod recovery;
mod transmit;

pub(super) use handshake::ACK_DELAY_MAX_BELIEVED;
pub(crate) use handshake::{Handshake, Hello, INIT_LEN};
pub use transmit::Transmit;
pub(crate) use transmit::reset_token;

use super::ack::AckState;
use super::ack_frequency::AckFrequency;
use super::cids::{LocalIds, RemoteIds, Routing};
use super::config::Config;
use super::congestion::Bandwidth;
use super::crypto::Protection;
use super::error::{CloseReason, PeerFault, code};
use super::fec_control::LossShare;
use super::loss::LossDetector;
use super::path::Path;
use super::peer_clock::PeerClock;
use super::receipts::{Outcome, Receipt};
use super::recv::{Inbox, InboxLimits, Message};
use super::send::{Outbox, OutboxLimits, SendError, SendOptions};
use super::sent::{SentFrame, SentPackets};
use super::state::{Event, State};
use super::stats::{DropReason, Stats};
use super::time::{Micros, Time};
use super::timer::{Timer, Timers};
use super::trace::{Trace, TraceEvent};
use crate::wire::transport::{ConnectionId, Mode};
use rand_chacha::ChaCha12Rng;
use ring::hmac;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// What the application learns from [`Connection::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The handshake is complete.
    Connected,
    /// The connection is over; messages that arrived can still be taken.
    Closed(CloseReason),
}

/// Control information that waits for a packet.
#[derive(Debug, Default)]
struct Pending {
    ping: bool,
    /// A path response and where it must go.
    path_response: Option<(SocketAddr, u64)>,
    close: bool,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    rng: ChaCha12Rng,
    reset_key: Arc<hmac::Key>,
    is_client: bool,
    state: State,
    timers: Timers,
    local_ids: LocalIds,
    remote_ids: RemoteIds,
    path: Path,
    handshake: Handshake,
    protection: Option<Protection>,
    acks: AckState,
    frequency: AckFrequency,
    sent: SentPackets,
    detector: LossDetector,
    outbox: Outbox,
    inbox: Inbox,
    peer_clock: PeerClock,
    pending: Pending,
    /// Packets that may leave whatever the window says.
    probes: u8,
    /// The window was not what stopped sending last time.
    app_limited: bool,
    /// An ack-eliciting packet left since the last one arrived (RFC 9000 §10.1).
    has_spoken: bool,
    acks_in_a_row: u8,
    peer_ack_delay_max: Micros,
    idle_timeout: Micros,
    ce_seen: u64,
    /// Packets lost in the congestion event in progress, and how many of them came after all.
    lost_in_event: u64,
    loss_share: LossShare,
    spurious_in_event: u64,
    close_code: u64,
    close_repeats: u8,
    reason: Option<CloseReason>,
    events: VecDeque<ConnectionEvent>,
    stats: Stats,
    dropped: BTreeMap<DropReason, u64>,
    original_id: ConnectionId,
    trace: Trace,
    scratch_frames: Vec<SentFrame>,
    scratch_numbers: Vec<u64>,
}

// Construction.
impl Connection {
    pub(crate) fn new(now: Time, config: Arc<Config>, hello: Hello) -> Self {
        let limits = OutboxLimits {
            buffer: config.send_buffer,
            // Until the peer's are known, our own: what goes beyond the peer's is noticed then.
            message_len_max: config.message_len_max,
            channels_max: config.channels_max,
            max_data: 0,
            max_channel_data: 0,
        };
        let inbox = InboxLimits {
            message_len_max: config.message_len_max,
            channels_max: config.channels_max,
            window: config.receive_window,
            channel_window: config.channel_window,
        };
        let Hello { is_client, rng, reset_key, remote, is_validated, local, remote_id, .. } = hello;
        let mut connection = Self {
            rng,
            reset_key,
            is_client,
            state: if is_client { State::Connecting } else { State::Accepting },
            timers: Timers::new(),
            local_ids: LocalIds::new(local),
            remote_ids: RemoteIds::new(remote_id),
            path: Path::new(now, remote, is_client || is_validated, &config, local.0),
            handshake: hello.handshake,
            protection: None,
            acks: AckState::new(config.ack_delay_max),
            frequency: AckFrequency::new(Micros::from_ms(25)),
            sent: SentPackets::new(config.congestion.stamps_packets()),
            detector: LossDetector::new(),
            outbox: Outbox::new(limits),
            inbox: Inbox::new(inbox),
            peer_clock: PeerClock::default(),
            pending: Pending::default(),
            probes: 0,
            app_limited: true,
            has_spoken: false,
            acks_in_a_row: 0,
            peer_ack_delay_max: Micros::from_ms(25),
            idle_timeout: config.idle_timeout,
            ce_seen: 0,
            lost_in_event: 0,
            loss_share: LossShare::default(),
            spurious_in_event: 0,
            close_code: code::DONE,
            close_repeats: 0,
            reason: None,
            events: VecDeque::new(),
            stats: Stats::default(),
            dropped: BTreeMap::new(),
            original_id: if is_client { local } else { remote_id },
            trace: Trace::new(config.trace),
            scratch_frames: Vec::new(),
            scratch_numbers: Vec::new(),
            config,
        };
        connection.begin_handshake(now, hello.datagram_len, hello.peer);
        connection
    }
}

// Input.
impl Connection {
    /// The next deadline has come (harmless before).
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::Loss => self.on_loss_timer(now),
                Timer::Ack => self.acks.on_timeout(),
                // What these waited for is looked at when the next packet is written.
                Timer::Pacing | Timer::Mtu => {}
                Timer::Idle => self.end(now, Event::TimedOut, CloseReason::IdleTimeout),
                Timer::KeepAlive => {
                    self.pending.ping = true;
                    self.set_keep_alive(now);
                }
                Timer::Handshake => self.on_handshake_timer(now),
                Timer::Path => {
                    let pto = self.pto();
                    let next = self.path.on_timeout(now, pto);
                    self.timers.set_or_clear(Timer::Path, next);
                }
                Timer::Deadline => self.outbox.expire(now + self.path.one_way()),
                Timer::Close => self.on_close_timer(now),
                Timer::Keys => self.protection.iter_mut().for_each(Protection::drop_old_keys),
            }
        }
        self.after_input(now);
    }

    /// What every input may have changed.
    fn after_input(&mut self, now: Time) {
        if self.state == State::Flushing && self.outbox.is_idle() {
            self.start_closing(now, Event::Flushed, code::DONE);
        }
        if !self.state.is_over() {
            self.set_deadline_timer();
        }
    }
}

// Commands.
impl Connection {
    /// Takes a message to be sent. [`SendError::Full`] means: later, when something was
    /// acknowledged.
    pub fn send(
        &mut self,
        now: Time,
        data: Vec<u8>,
        options: SendOptions,
    ) -> Result<Receipt, SendError> {
        if !self.state.takes_messages() {
            return Err(SendError::Closed);
        }
        let receipt = self.outbox.push(now, data, options)?;
        self.stats.messages_sent += 1;
        if options.deadline.is_some() {
            self.outbox.expire(now + self.path.one_way());
            self.set_deadline_timer();
        }
        Ok(receipt)
    }

    /// Fixes how a channel delivers what this side sends on it.
    pub fn open_channel(&mut self, channel: u32, mode: Mode) -> Result<(), SendError> {
        self.outbox.open(channel, mode)
    }

    /// From now on [`recv`](Self::recv) gives this channel's messages only when asked for it.
    pub fn claim_channel(&mut self, channel: u32) {
        self.inbox.claim_channel(channel);
    }

    /// The next message of `channel`, or of all channels not claimed.
    pub fn recv(&mut self, now: Time, channel: Option<u32>) -> Option<Message> {
        let message = self.inbox.take(now, channel)?;
        self.stats.messages_delivered += 1;
        Some(message)
    }

    /// Closes in order: what was accepted is delivered first.
    pub fn close(&mut self, now: Time) {
        match self.state.after(Event::CloseAsked) {
            Some(State::Closed) => self.end(now, Event::CloseAsked, CloseReason::Local),
            Some(_) => {
                self.enter(now, Event::CloseAsked);
                self.timers.set(Timer::Close, now + self.config.linger);
                self.after_input(now);
            }
            None => {}
        }
    }

    /// Closes at once: what is not acknowledged is lost.
    pub fn abort(&mut self, now: Time) {
        if self.state.after(Event::Aborted) == Some(State::Closed) {
            self.end(now, Event::Aborted, CloseReason::Local);
        } else {
            self.start_closing(now, Event::Aborted, code::ABORTED);
        }
    }
}

// Output; `poll_transmit` is in `transmit`.
impl Connection {
    /// What the application should know.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_routing(&mut self) -> Option<Routing> {
        self.local_ids.poll_routing().or_else(|| self.remote_ids.poll_routing())
    }

    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = [u8; 16]> {
        self.remote_ids.tokens()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The events recorded since the last call, if [`Config::trace`] is on.
    pub fn take_trace(&mut self) -> Vec<(Time, TraceEvent)> {
        self.trace.take()
    }
}

// Getters.
impl Connection {
    /// Where the connection is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it ended, once it has.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.reason.as_ref()
    }

    /// Whether nothing will be sent or received any more.
    pub fn is_gone(&self) -> bool {
        self.state == State::Closed
    }

    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    /// Whether a message of this length would be taken now.
    pub fn has_room(&self, len: usize) -> bool {
        self.outbox.has_room(len)
    }

    /// What became of a message.
    pub fn outcome(&self, receipt: Receipt) -> Outcome {
        self.outbox.receipts().outcome(receipt)
    }

    /// Grows whenever the outcome of a message becomes known.
    pub fn outcomes_known(&self) -> u64 {
        self.outbox.receipts().changes()
    }

    /// Whether nothing is under way: every message is settled, and the peer knows of those that
    /// were given up.
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_idle()
    }

    /// Grows whenever a message is ready to be taken.
    pub fn messages_arrived(&self) -> u64 {
        self.inbox.arrivals()
    }

    /// The id the client chose first: the same on both ends.
    pub fn original_id(&self) -> ConnectionId {
        self.original_id
    }

    /// Whether this end opened the connection.
    pub fn is_client(&self) -> bool {
        self.is_client
    }

    /// Arriving packets that were dropped, by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.dropped.iter().map(|(reason, count)| (*reason, *count))
    }

    /// How many messages wait for the application.
    pub fn waiting(&self) -> u64 {
        self.inbox.waiting()
    }

    pub(crate) fn local_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.local_ids.all()
    }

    /// Counters and the present state of path and congestion control.
    pub fn stats(&self) -> Stats {
        let path = &self.path;
        let duplicates = self.dropped.get(&DropReason::Duplicate).copied().unwrap_or(0);
        Stats {
            bytes_retransmitted: self.outbox.retransmitted_bytes(),
            messages_late: self.inbox.late(),
            messages_discarded: self.inbox.discarded(),
            key_updates: self.protection.as_ref().map_or(0, Protection::key_updates),
            srtt: path.rtt.smoothed(),
            rtt_min: path.rtt.min(),
            rttvar: path.rtt.variation(),
            cwnd: path.congestion.window(),
            ssthresh: path.congestion.ssthresh(),
            bytes_in_flight: self.sent.bytes_in_flight(),
            mtu: path.mtu.current(),
            messages_pending: self.outbox.receipts().pending(),
            bytes_waiting: self.inbox.held(),
            phase: Some(path.congestion.phase()),
            pacing_rate_bps: path.congestion.pacing_rate().map(Bandwidth::bits),
            dropped_duplicate: duplicates,
            dropped_other: self.dropped.values().sum::<u64>() - duplicates,
            ..self.stats.clone()
        }
    }
}

// Changes of state, in one place.
impl Connection {
    fn enter(&mut self, now: Time, event: Event) -> bool {
        let Some(to) = self.state.after(event) else { return false };
        self.trace.record(now, TraceEvent::State { from: self.state, event, to });
        self.state = to;
        true
    }

    /// Ends without a word to the peer.
    fn end(&mut self, now: Time, event: Event, reason: CloseReason) {
        if self.enter(now, event) {
            self.finish(reason);
            self.timers.clear_all();
        }
    }

    /// Tells the peer, and stays a while to tell it again.
    fn start_closing(&mut self, now: Time, event: Event, code: u64) {
        if self.enter(now, event) {
            self.close_code = code;
            self.pending.close = true;
            self.finish(CloseReason::Local);
            self.timers.clear_all();
            self.timers.set(Timer::Close, now + self.pto());
        }
    }

    /// The peer broke the protocol.
    fn fail(&mut self, now: Time, fault: PeerFault) {
        if self.state.after(Event::Aborted).is_some() {
            self.reason = Some(CloseReason::PeerFault(fault));
            self.start_closing(now, Event::Aborted, fault.code());
        }
    }

    fn finish(&mut self, reason: CloseReason) {
        let reason = self.reason.get_or_insert(reason).clone();
        self.outbox.abandon();
        self.probes = 0;
        self.events.push_back(ConnectionEvent::Closed(reason));
    }

    fn on_close_timer(&mut self, now: Time) {
        match self.state {
            State::Flushing => self.start_closing(now, Event::Flushed, code::DONE),
            State::Closing if self.close_repeats < CLOSE_REPEATS_MAX => {
                self.close_repeats += 1;
                self.pending.close = true;
                let wait = self.pto() * (1 << self.close_repeats);
                self.timers.set(Timer::Close, now + wait.min(CLOSE_WAIT_MAX));
            }
            _ => {
                self.enter(now, Event::Forgotten);
                self.timers.clear_all();
            }
        }
    }

    fn drop_packet(&mut self, now: Time, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
        self.trace.record(now, TraceEvent::Dropped(reason));
    }

    fn pto(&self) -> Micros {
        self.path.rtt.pto(self.peer_ack_delay_max)
    }

    /// RFC 9000 §10.1: never less than three probe timeouts.
    fn restart_idle(&mut self, now: Time) {
        if self.idle_timeout > Micros::ZERO {
            let timeout = self.idle_timeout.max(self.pto() * 3);
            self.timers.set(Timer::Idle, now + timeout);
        }
    }

    fn set_keep_alive(&mut self, now: Time) {
        if self.config.keep_alive > Micros::ZERO && self.state.is_open() {
            self.timers.set(Timer::KeepAlive, now + self.config.keep_alive);
        }
    }
}

/// CLOSE is repeated this often unless the peer answers it (RFC 9000 §10.2: at least three
/// probe timeouts).
const CLOSE_REPEATS_MAX: u8 = 6;

/// The longest time between two of them.
const CLOSE_WAIT_MAX: Micros = Micros::from_secs(3);
