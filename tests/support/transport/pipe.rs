//! One client, one server, one simulated link between them, in virtual time.

use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use std::net::SocketAddr;
use udpcore::transport::{
    Config, Ecn, Endpoint, Handle, Micros, Mode, Receipt, Security, SendError, SendOptions, Stats,
    Time, TraceEvent,
};

/// IP and UDP headers, on the wire but not in a datagram, in bytes.
pub const HEADERS_LEN: u32 = 28;

/// Two endpoints and the link.
pub struct Pipe {
    client: Endpoint,
    server: Endpoint,
    ours: Handle,
    theirs: Option<Handle>,
    sim: Simulator<Vec<u8>>,
    home: SocketAddr,
    away: SocketAddr,
    now: Time,
    out: Vec<u8>,
    datagram_len_max: usize,
}

impl Pipe {
    /// A plaintext connection over `link` in both directions.
    pub fn new(seed: u64, link: &LinkConfig, config: &Config) -> Self {
        let config = Config { security: Security::plaintext(), ..config.clone() };
        Self::protected(seed, link, &config)
    }

    /// A connection with the protection that `config` says.
    pub fn protected(seed: u64, link: &LinkConfig, config: &Config) -> Self {
        Self::between(seed, [link; 2], config)
    }

    /// The same over a link for each direction, up and down.
    pub fn between(seed: u64, [up, down]: [&LinkConfig; 2], config: &Config) -> Self {
        let home = SocketAddr::from(([192, 0, 2, 1], 1));
        let away = SocketAddr::from(([192, 0, 2, 2], 2));
        let server = Endpoint::new(config.clone(), true, [1; 32]).expect("valid");
        let mut client = Endpoint::new(config.clone(), false, [2; 32]).expect("valid");
        let ours = client.connect(Time(0), home);
        let sim = Simulator::new(Seed(seed), up.clone(), down.clone()).with_log(0);
        let (now, out) = (Time(0), Vec::new());
        let datagram_len_max = usize::MAX;
        Self { client, server, ours, theirs: None, sim, home, away, now, out, datagram_len_max }
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// The client's statistics.
    pub fn stats(&self) -> Stats {
        self.client.connection(self.ours).map(|c| c.stats()).unwrap_or_default()
    }

    /// The server's statistics.
    pub fn server_stats(&self) -> Stats {
        let connection = self.theirs.and_then(|handle| self.server.connection(handle));
        connection.map(|c| c.stats()).unwrap_or_default()
    }

    /// What happened at the client since the last call, with [`Config::trace`].
    pub fn take_trace(&mut self) -> Vec<(Time, TraceEvent)> {
        self.client.connection_mut(self.ours).map(|c| c.take_trace()).unwrap_or_default()
    }

    /// From now on longer datagrams vanish on their way up.
    pub fn limit_datagrams(&mut self, len_max: usize) {
        self.datagram_len_max = len_max;
    }

    /// Opens a channel of the client's.
    pub fn open(&mut self, channel: u32, mode: Mode) {
        let connection = self.client.connection_mut(self.ours).expect("there");
        connection.open_channel(channel, mode).expect("a new channel");
    }

    /// The client sends.
    pub fn send(&mut self, data: Vec<u8>, options: SendOptions) -> Result<Receipt, SendError> {
        let now = self.now;
        self.client.connection_mut(self.ours).ok_or(SendError::Closed)?.send(now, data, options)
    }

    /// The next message at the server.
    pub fn recv(&mut self) -> Option<Vec<u8>> {
        let now = self.now;
        let connection = self.server.connection_mut(self.theirs?)?;
        connection.recv(now, None).map(|message| message.data)
    }

    /// Sends what can be sent, then moves to the next event, at most to `until`.
    pub fn step(&mut self, until: Time) {
        let ends = [(&mut self.client, Direction::Up), (&mut self.server, Direction::Down)];
        for (endpoint, direction) in ends {
            while let Some(transmit) = endpoint.poll_transmit(self.now, 10, &mut self.out) {
                for datagram in self.out.chunks(transmit.segment_len) {
                    if direction == Direction::Up && datagram.len() > self.datagram_len_max {
                        continue;
                    }
                    let size = datagram.len() as u32 + HEADERS_LEN;
                    self.sim.send_sized(direction, FlowOrdinal(0), size, datagram.to_vec());
                }
                self.out.clear();
            }
        }
        while let Some((handle, _)) = self.server.poll_event() {
            self.theirs = Some(handle);
        }
        let timers = [self.client.next_deadline(), self.server.next_deadline(), Some(until)];
        let until = timers.into_iter().flatten().min().unwrap_or(until).max(self.now);
        if let Some(mut arrival) = self.sim.advance(Nanos::from_micros(until.0)) {
            self.now = self.now.max(Time(arrival.time.as_micros()));
            let (endpoint, from) = match arrival.direction {
                Direction::Up => (&mut self.server, self.away),
                Direction::Down => (&mut self.client, self.home),
            };
            endpoint.handle_datagram(self.now, from, Ecn::NotEct, &mut arrival.payload);
        } else {
            self.now = until;
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
    }

    /// Steps until `span` is over.
    pub fn run(&mut self, span: Micros) {
        let end = self.now + span;
        while self.now < end {
            self.step(end);
        }
    }
}
