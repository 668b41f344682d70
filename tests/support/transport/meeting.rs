//! A client and a server that hand each other datagrams without a network, with somebody between
//! them who may look, drop, replay and forge.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use udpcore::transport::{
    CloseReason, Config, DropReason, Ecn, Endpoint, Handle, Micros, Mode, Outcome, Receipt,
    SendOptions, Stats, Time,
};

/// One connection between two endpoints.
pub struct Meeting {
    client: Endpoint,
    server: Endpoint,
    ours: Handle,
    theirs: Handle,
    home: SocketAddr,
    away: SocketAddr,
    now: Time,
    mark: Ecn,
}

impl Meeting {
    /// An open connection.
    pub fn new(config: &Config) -> Self {
        let home = SocketAddr::from(([192, 0, 2, 1], 1));
        let away = SocketAddr::from(([192, 0, 2, 2], 2));
        let mut server = Endpoint::new(config.clone(), true, [1; 32]).expect("valid");
        let mut client = Endpoint::new(config.clone(), false, [2; 32]).expect("valid");
        let now = Time(0);
        let ours = client.connect(now, home);
        let mut out = Vec::new();
        for _ in 0..4 {
            while client.poll_transmit(now, 1, &mut out).is_some() {
                server.handle_datagram(now, away, Ecn::NotEct, &mut out);
                out.clear();
            }
            while server.poll_transmit(now, 1, &mut out).is_some() {
                client.handle_datagram(now, home, Ecn::NotEct, &mut out);
                out.clear();
            }
        }
        let (theirs, _) = server.poll_event().expect("connected");
        Self { client, server, ours, theirs, home, away, now, mark: Ecn::Ect0 }
    }

    pub fn open(&mut self, channel: u32, mode: Mode) {
        let connection = self.client.connection_mut(self.ours).expect("there");
        connection.open_channel(channel, mode).expect("a new channel");
    }

    /// The client sends; a full buffer is no failure of the test.
    pub fn send(&mut self, data: Vec<u8>, options: SendOptions) -> Receipt {
        let connection = self.client.connection_mut(self.ours).expect("there");
        connection.send(self.now, data, options).unwrap_or(Receipt(u64::MAX))
    }

    /// Everything goes to its end; `look` sees what the client sends.
    pub fn exchange(&mut self, mut look: impl FnMut(&[u8])) {
        self.exchange_some(|datagram| {
            look(datagram);
            true
        });
    }

    /// As [`exchange`](Self::exchange), but what `passes` refuses of the client's is lost.
    pub fn exchange_some(&mut self, mut passes: impl FnMut(&[u8]) -> bool) {
        let mut out = Vec::new();
        // Pacing holds part of it back: a few rounds are a few milliseconds.
        for _ in 0..20 {
            while self.client.poll_transmit(self.now, 1, &mut out).is_some() {
                if passes(&out) {
                    self.server.handle_datagram(self.now, self.away, self.mark, &mut out);
                }
                out.clear();
            }
            while let Some(transmit) = self.server.poll_transmit(self.now, 1, &mut out) {
                if transmit.remote == self.away {
                    self.client.handle_datagram(self.now, self.home, Ecn::NotEct, &mut out);
                }
                out.clear();
            }
            self.sleep(Micros(500));
        }
    }

    /// Time passes.
    pub fn sleep(&mut self, time: Micros) {
        self.now += time;
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
    }

    /// Somebody sends this to the server in the client's name.
    pub fn inject(&mut self, datagram: &[u8]) {
        let mut bytes = datagram.to_vec();
        self.server.handle_datagram(self.now, self.away, Ecn::NotEct, &mut bytes);
    }

    /// From now on what the client sends arrives with this mark.
    pub fn mark(&mut self, mark: Ecn) {
        self.mark = mark;
    }

    /// The client is at another address; what was sent and has not arrived is lost.
    pub fn move_client(&mut self, to: SocketAddr) {
        let mut out = Vec::new();
        while self.server.poll_transmit(self.now, 1, &mut out).is_some() {
            out.clear();
        }
        self.away = to;
    }

    /// The server loses its memory of the connection.
    pub fn forget_server_side(&mut self) {
        self.server.forget(self.theirs);
    }

    /// What the server's application gets.
    pub fn received(&mut self) -> Vec<Vec<u8>> {
        let now = self.now;
        let Some(connection) = self.server.connection_mut(self.theirs) else { return Vec::new() };
        std::iter::from_fn(|| connection.recv(now, None)).map(|message| message.data).collect()
    }

    pub fn server_drops(&self) -> BTreeMap<DropReason, u64> {
        self.server.connection(self.theirs).map(|c| c.dropped().collect()).unwrap_or_default()
    }

    /// Bytes the server holds for its application.
    pub fn server_held(&self) -> u64 {
        self.server_stats().bytes_waiting
    }

    pub fn server_stats(&self) -> Stats {
        self.server.connection(self.theirs).map(|c| c.stats()).unwrap_or_default()
    }

    pub fn client_stats(&self) -> Stats {
        self.client.connection(self.ours).map(|c| c.stats()).unwrap_or_default()
    }

    pub fn client_closed(&self) -> Option<CloseReason> {
        self.client.connection(self.ours)?.close_reason().cloned()
    }

    pub fn outcome(&self, receipt: Receipt) -> Outcome {
        let connection = self.client.connection(self.ours).expect("there");
        connection.outcome(receipt)
    }
}
