//! One sender, one receiver, one link with a rate: how much arrives in a stretch of virtual time.

use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use std::net::SocketAddr;
use udpcore::transport::{
    Config, Ecn, Endpoint, Handle, Micros, Security, SendOptions, Stats, Time,
};

/// What a transfer came to.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Bytes the receiving application got.
    pub delivered: u64,
    pub stats: Stats,
}

/// A link of 20 Mbit/s with a queue of one bandwidth-delay product (at least 10 packets).
pub fn link(loss_percent: u64, rtt_ms: u64) -> LinkConfig {
    let packets = (20_000 * rtt_ms / 8 / 1500).max(10);
    LinkConfig {
        loss: format!("{loss_percent}%").parse().expect("a loss"),
        delay: format!("{}us", rtt_ms * 500).parse().expect("a delay"),
        rate: Some("20mbit".parse().expect("a rate")),
        queue: format!("droptail {packets}").parse().expect("a queue"),
        ..LinkConfig::default()
    }
}

const MESSAGE_LEN: usize = 16 * 1024;

/// Sends as much as it can for this long.
pub fn transfer(seed: u64, link: &LinkConfig, config: &Config, span: Micros) -> Transfer {
    let config = Config { security: Security::plaintext(), ..config.clone() };
    let home = SocketAddr::from(([192, 0, 2, 1], 1));
    let away = SocketAddr::from(([192, 0, 2, 2], 2));
    let mut server = Endpoint::new(config.clone(), true, [1; 32]).expect("valid");
    let mut client = Endpoint::new(config, false, [2; 32]).expect("valid");
    let mut sim: Simulator<Vec<u8>> =
        Simulator::new(Seed(seed), link.clone(), link.clone()).with_log(0);
    let ours = client.connect(Time(0), home);
    let mut theirs: Option<Handle> = None;
    let (mut now, mut delivered) = (Time(0), 0);
    let mut out = Vec::new();
    while now < Time(0) + span {
        if let Some(connection) = client.connection_mut(ours) {
            // A few windows ahead, so that the application never limits.
            while connection.stats().messages_pending < 200 {
                let data = vec![0; MESSAGE_LEN];
                let _ = connection.send(now, data, SendOptions::default());
            }
        }
        for (endpoint, direction) in [(&mut client, Direction::Up), (&mut server, Direction::Down)]
        {
            while let Some(transmit) = endpoint.poll_transmit(now, 10, &mut out) {
                for datagram in out.chunks(transmit.segment_len) {
                    // On the wire there are 28 bytes of IP and UDP, too.
                    let size = datagram.len() as u32 + 28;
                    sim.send_sized(direction, FlowOrdinal(0), size, datagram.to_vec());
                }
                out.clear();
            }
        }
        while let Some((handle, _)) = server.poll_event() {
            theirs = Some(handle);
        }
        if let Some(connection) = theirs.and_then(|handle| server.connection_mut(handle)) {
            while let Some(message) = connection.recv(now, None) {
                delivered += message.data.len() as u64;
            }
        }
        let timers = [client.next_deadline(), server.next_deadline()];
        let until = timers.into_iter().flatten().min().unwrap_or(Time(0) + span).max(now);
        if let Some(mut arrival) = sim.advance(Nanos::from_micros(until.0)) {
            now = now.max(Time(arrival.time.as_micros()));
            let (endpoint, from) = match arrival.direction {
                Direction::Up => (&mut server, away),
                Direction::Down => (&mut client, home),
            };
            endpoint.handle_datagram(now, from, Ecn::NotEct, &mut arrival.payload);
        } else {
            now = until;
            client.handle_timeout(now);
            server.handle_timeout(now);
        }
    }
    let stats = client.connection(ours).map(|c| c.stats()).unwrap_or_default();
    Transfer { delivered, stats }
}
