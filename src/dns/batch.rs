//! Many questions of one type at once: who is asked next, over which lane, until when. Sans-IO.
//!
//! A lane is a socket with a random port; a query draws a lane and an id, and an answer must come
//! over that lane with that id, name and case. What is not plain (truncated, wrong case, no EDNS)
//! is handed out as [`Done::Escalate`], for a [`super::Client`] with a socket of its own.
//!
//! Methods: commands ([`Batch::push`]); `poll_*`; `handle_*`. Time in µs never goes back.
//!
//! Rules of this file: every name that was pushed comes out of [`Batch::poll_done`] exactly once;
//! nothing here grows beyond `concurrency` questions and [`TRIES_MAX`] tries of each.

use super::answer::{self, Verdict};
use super::header::{Flags, HEADER_LEN, Rcode};
use super::message::{self, Message};
use super::name::Name;
use super::query::Query;
use super::rtt::Rtt;
use rand::CryptoRng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;

/// How many sockets are open for sending, at least.
pub const LANES_MIN: usize = 64;
/// After so many queries a lane gets a new socket, and with it a new port.
pub const LANE_QUERIES_MAX: u32 = 1000;
/// So many queries in a row go over one lane, to be sent with one system call.
pub const BURST_MAX: u32 = 32;
/// Most tries of one question.
pub const TRIES_MAX: usize = 16;
/// A question whose server refused so often has failed.
const REFUSED_MAX: u8 = 3;
/// How long to wait after a refusal, doubled each time, in µs.
const REFUSED_WAIT_US: u64 = 50_000;
/// How often an alias that leads out of the answer is asked for.
const ALIAS_HOPS_MAX: u8 = 8;

/// What to ask of whom.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// Type, EDNS and flags of every query; its name is not used.
    pub query: Query,
    /// The servers.
    pub servers: Vec<SocketAddr>,
    /// How many questions may be open at once.
    pub concurrency: usize,
    /// How long one name may take, in µs.
    pub timeout_us: u64,
    /// Most queries a second; `None` for no limit.
    pub rate: Option<u32>,
    /// Mix the case of names (0x20).
    pub mix_case: bool,
}

/// How one name ended.
#[derive(Debug)]
pub enum Done {
    /// An answer to `name`, which is where aliases had led.
    Answer {
        /// The message.
        message: Message,
        /// The name it answers.
        name: Name,
    },
    /// No answer after so many tries.
    TimedOut {
        /// How many.
        tries: usize,
    },
    /// The servers refused with this `errno`.
    Failed {
        /// The number of the system error.
        errno: i32,
    },
    /// To be asked again by a [`super::Client`], from this server on, over TCP if `tcp`.
    Escalate {
        /// The name.
        name: Name,
        /// Index of the server.
        server: usize,
        /// Whether UDP will not do.
        tcp: bool,
    },
}

/// A lane: its place, and the ordinal of the socket that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Place, below [`Batch::lane_count`].
    pub place: usize,
    /// Ordinal of the socket; a higher one than the place has means "open a new socket".
    pub socket: u32,
}

#[derive(Debug)]
struct Slot {
    ordinal: u64,
    name: Name,
    /// Key, time and name as sent of every try; any of them may be answered.
    tries: Vec<Try>,
    end_us: u64,
    deadline_us: u64,
    refused: u8,
    hops: u8,
}

#[derive(Debug)]
struct Try {
    key: u64,
    sent_us: u64,
    sent_as: Name,
}

/// The machine.
#[derive(Debug)]
pub struct Batch<R> {
    config: BatchConfig,
    random: R,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// Slots whose next query is due.
    due: VecDeque<u32>,
    /// (deadline, slot, ordinal): entries of slots that have moved on are passed over.
    timers: BinaryHeap<Reverse<(u64, u32, u64)>>,
    /// (socket, id) -> slot. Only looked up, never walked.
    keys: HashMap<u64, u32>,
    lanes: Vec<(u32, u32)>,
    current: (usize, u32),
    sockets: u32,
    rtts: Vec<Rtt>,
    next_send_us: u64,
    done: VecDeque<(u64, Done)>,
    ignored: u64,
}

impl<R: CryptoRng> Batch<R> {
    /// A machine without questions.
    ///
    /// # Panics
    /// Without a server, or with a concurrency of zero.
    pub fn new(config: BatchConfig, random: R) -> Self {
        assert!(!config.servers.is_empty() && config.concurrency > 0, "nobody to ask");
        let servers = config.servers.len();
        let lanes = LANES_MIN.next_multiple_of(servers);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            due: VecDeque::new(),
            timers: BinaryHeap::new(),
            keys: HashMap::new(),
            lanes: (0..lanes as u32).map(|socket| (socket, 0)).collect(),
            current: (0, 0),
            sockets: lanes as u32,
            rtts: vec![Rtt::default(); servers],
            next_send_us: 0,
            done: VecDeque::new(),
            ignored: 0,
            config,
            random,
        }
    }

    /// How many lanes there are.
    pub fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    /// The server that a lane leads to.
    pub fn server_of(&self, lane: Lane) -> SocketAddr {
        self.config.servers[lane.place % self.config.servers.len()]
    }

    /// How many more names [`Batch::push`] takes now.
    pub fn room(&self) -> usize {
        self.config.concurrency - self.active()
    }

    /// How many questions are open.
    pub fn active(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Datagrams that answered nothing.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Opens a question; `ordinal` comes back with its end.
    ///
    /// # Panics
    /// When there is no room.
    pub fn push(&mut self, ordinal: u64, name: Name) {
        assert!(self.room() > 0, "no room: poll first");
        let slot = Slot {
            ordinal,
            name,
            tries: Vec::with_capacity(1),
            end_us: u64::MAX,
            deadline_us: u64::MAX,
            refused: 0,
            hops: 0,
        };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        self.slots[place as usize] = Some(slot);
        self.due.push_back(place);
    }

    /// The end of a question: its ordinal, and how.
    pub fn poll_done(&mut self) -> Option<(u64, Done)> {
        self.done.pop_front()
    }

    /// Whether [`Batch::poll_done`] has something.
    pub fn done_count(&self) -> usize {
        self.done.len()
    }

    /// Appends the next query to `out` and tells its lane.
    pub fn poll_transmit(&mut self, now_us: u64, out: &mut Vec<u8>) -> Option<Lane> {
        let place = loop {
            let place = *self.due.front()?;
            if self.slots[place as usize].is_some() {
                break place;
            }
            // It was answered while it waited to be sent again.
            self.due.pop_front();
        };
        if !self.take_token(now_us) {
            return None;
        }
        self.due.pop_front();
        let tries = self.slots[place as usize].as_ref()?.tries.len();
        let lane = self.draw_lane(tries);
        let (id, key) = self.draw_id(lane);
        let slot = self.slots[place as usize].as_mut()?;
        if slot.end_us == u64::MAX {
            // The time of a name begins with its first query: a rate limit costs it nothing.
            slot.end_us = now_us.saturating_add(self.config.timeout_us);
        }
        let mut query = self.config.query.clone();
        query.name = slot.name.clone();
        if self.config.mix_case {
            super::client::mix_case(query.name.as_wire_mut(), &mut self.random);
        }
        query.compose_into(id, out);
        let server = lane.place % self.config.servers.len();
        let rto_us = self.rtts[server].rto_us(tries as u32);
        slot.deadline_us = slot.end_us.min(now_us.saturating_add(rto_us));
        slot.tries.push(Try { key, sent_us: now_us, sent_as: query.name });
        self.timers.push(Reverse((slot.deadline_us, place, slot.ordinal)));
        self.keys.insert(key, place);
        Some(lane)
    }

    /// When [`Batch::handle_timeout`] or [`Batch::poll_transmit`] has something to do, in µs.
    pub fn next_deadline(&self) -> Option<u64> {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let send = self.due.front().map(|_| self.next_send_us);
        [timer, send].into_iter().flatten().min()
    }

    /// Deadlines may have passed. Handle what has arrived first.
    pub fn handle_timeout(&mut self, now_us: u64) {
        while let Some(Reverse((at, place, ordinal))) = self.timers.peek().copied() {
            if at > now_us {
                return;
            }
            self.timers.pop();
            let Some(slot) = self.slots[place as usize].as_ref() else { continue };
            if slot.ordinal != ordinal || slot.deadline_us != at {
                continue;
            }
            let tries = slot.tries.len();
            if now_us >= slot.end_us || tries >= TRIES_MAX {
                self.finish(place, Done::TimedOut { tries });
            } else {
                self.due.push_back(place);
            }
        }
    }

    /// The socket of a lane reported `errno`: nobody can say for which of its queries.
    pub fn handle_failure(&mut self, now_us: u64, lane: Lane, errno: i32) {
        for place in 0..self.slots.len() as u32 {
            let Some(slot) = self.slots[place as usize].as_mut() else { continue };
            if slot.tries.last().is_none_or(|last| last.key >> 16 != u64::from(lane.socket)) {
                continue;
            }
            slot.refused += 1;
            if slot.refused >= REFUSED_MAX {
                self.finish(place, Done::Failed { errno });
                continue;
            }
            let wait_us = REFUSED_WAIT_US << slot.refused;
            slot.deadline_us = slot.deadline_us.min(now_us + wait_us);
            self.timers.push(Reverse((slot.deadline_us, place, slot.ordinal)));
        }
    }

    /// A datagram arrived over `lane` from its server.
    pub fn handle_datagram(&mut self, now_us: u64, lane: Lane, wire: &[u8]) {
        if self.answer(now_us, lane, wire).is_none() {
            self.ignored = self.ignored.saturating_add(1);
        }
    }

    /// `None` for a datagram that is no answer to anything open.
    fn answer(&mut self, now_us: u64, lane: Lane, wire: &[u8]) -> Option<()> {
        let (header, question) = message::peek(wire)?;
        if !header.flags.has(Flags::QR) || header.opcode.0 != 0 {
            return None;
        }
        let place = *self.keys.get(&key_of(lane.socket, header.id))?;
        let slot = self.slots[place as usize].as_mut()?;
        let attempt = slot.tries.iter().find(|t| t.key == key_of(lane.socket, header.id))?;
        let server = lane.place % self.config.servers.len();
        let rcode = Rcode(u16::from(header.rcode_low));
        let odd = matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP);
        let escalate = |slot: &Slot, server, tcp| {
            Some(Done::Escalate { name: slot.name.clone(), server, tcp })
        };
        let done = match question {
            None if odd => escalate(slot, server, false),
            None => return None,
            Some(question) => {
                let query = &self.config.query;
                if header.counts[0] != 1
                    || (question.rdtype, question.class) != (query.rdtype, query.class)
                    || !question.name.eq_ignore_case(&slot.name.as_ref())
                {
                    return None;
                }
                let same_case = question.name.eq_exact(&attempt.sent_as.as_ref());
                if !same_case || header.flags.has(Flags::TC) {
                    escalate(slot, server, true)
                } else if odd {
                    escalate(slot, server, false)
                } else {
                    None
                }
            }
        };
        if let Some(done) = done {
            self.finish(place, done);
            return Some(());
        }
        let rtt_us = now_us.saturating_sub(attempt.sent_us);
        let message = parse_as(wire, &slot.name)?;
        self.rtts[server].sample(rtt_us);
        let others = self.config.servers.len() > 1;
        if others && matches!(message.rcode(), Rcode::SERVFAIL | Rcode::REFUSED) {
            // Another server may know better: the next try goes there.
            let next = (server + 1) % self.config.servers.len();
            let done = escalate(slot, next, false)?;
            self.finish(place, done);
            return Some(());
        }
        let read = answer::read(&message, &slot.name, self.config.query.rdtype);
        if read.verdict == Verdict::Elsewhere && slot.hops < ALIAS_HOPS_MAX {
            slot.hops += 1;
            slot.name = read.canonical;
            slot.deadline_us = slot.end_us;
            for old in slot.tries.drain(..) {
                self.keys.remove(&old.key);
            }
            self.due.push_back(place);
            return Some(());
        }
        let name = slot.name.clone();
        self.finish(place, Done::Answer { message, name });
        Some(())
    }

    fn finish(&mut self, place: u32, done: Done) {
        let Some(slot) = self.slots[place as usize].take() else { return };
        for tried in &slot.tries {
            self.keys.remove(&tried.key);
        }
        self.free.push(place);
        self.done.push_back((slot.ordinal, done));
    }

    /// The rate limit: a token bucket that holds one burst.
    fn take_token(&mut self, now_us: u64) -> bool {
        let Some(rate) = self.config.rate else { return true };
        if now_us < self.next_send_us {
            return false;
        }
        // In µs with the fraction kept: the schedule moves on from where it was.
        let step_us = 1_000_000 / u64::from(rate.max(1));
        let burst_us = step_us * u64::from(BURST_MAX);
        self.next_send_us = self.next_send_us.max(now_us.saturating_sub(burst_us)) + step_us.max(1);
        true
    }

    /// The lane of the next query: a burst goes over one lane, a retry to the next server.
    fn draw_lane(&mut self, tries: usize) -> Lane {
        let servers = self.config.servers.len();
        let (mut place, left) = self.current;
        if tries > 0 {
            // Lanes are dealt to the servers in turn.
            let group = self.random.next_u32() as usize % (self.lanes.len() / servers);
            place = group * servers + tries % servers;
        } else if left == 0 {
            place = self.random.next_u32() as usize % self.lanes.len();
            self.current = (place, BURST_MAX - 1);
        } else {
            self.current.1 -= 1;
        }
        let lane = &mut self.lanes[place];
        if lane.1 >= LANE_QUERIES_MAX {
            *lane = (self.sockets, 0);
            self.sockets += 1;
        }
        lane.1 += 1;
        Lane { place, socket: lane.0 }
    }

    /// An id that is free on this lane's socket: at most 1,000 of 65,536 are taken.
    fn draw_id(&mut self, lane: Lane) -> (u16, u64) {
        loop {
            let id = self.random.next_u32() as u16;
            let key = key_of(lane.socket, id);
            if !self.keys.contains_key(&key) {
                return (id, key);
            }
        }
    }
}

fn key_of(socket: u32, id: u16) -> u64 {
    u64::from(socket) << 16 | u64::from(id)
}

/// Parses with the name of the question as the caller wrote it, not as 0x20 mixed it.
fn parse_as(wire: &[u8], name: &Name) -> Option<Message> {
    let mut wire = wire.to_vec();
    let name = name.as_wire();
    if let Some(place) = wire.get_mut(HEADER_LEN..HEADER_LEN + name.len())
        && place.eq_ignore_ascii_case(name)
    {
        place.copy_from_slice(name);
    }
    Message::parse(wire).ok()
}
