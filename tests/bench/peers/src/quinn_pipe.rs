//! quinn-proto over the same simulated link as `support::pipe`: one stream, as much as it takes.

use bytes::BytesMut;
use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, StreamEvent, StreamId,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use udpcore::transport::Congestion;

/// One end.
struct Peer {
    endpoint: Endpoint,
    connections: HashMap<ConnectionHandle, Connection>,
    address: SocketAddr,
}

const HEADERS_LEN: u32 = 28;
const BLOCK: [u8; 16 * 1024] = [0; 16 * 1024];

/// Bytes the receiver got in `span` of virtual time.
pub fn transfer(seed: u64, link: &LinkConfig, congestion: Congestion, span: Duration) -> u64 {
    let (client_tls, mut server_config) = crate::tls();
    let transport = crate::windows(congestion);
    server_config.transport_config(transport.clone());
    let mut client_config = ClientConfig::new(client_tls);
    client_config.transport_config(transport);
    let endpoint = |server: Option<quinn_proto::ServerConfig>, seed: u8| {
        let config = Arc::new(EndpointConfig::default());
        Endpoint::new(config, server.map(Arc::new), true, Some([seed; 32]))
    };
    let home = SocketAddr::from(([192, 0, 2, 1], 1));
    let away = SocketAddr::from(([192, 0, 2, 2], 2));
    let peer = |endpoint, address| Peer { endpoint, connections: HashMap::new(), address };
    let mut server = peer(endpoint(Some(server_config), 1), home);
    let mut client = peer(endpoint(None, 2), away);
    let mut sim: Simulator<Vec<u8>> =
        Simulator::new(Seed(seed), link.clone(), link.clone()).with_log(0);
    let start = Instant::now();
    let (mut now, end) = (start, start + span);
    let (ours, connection) =
        client.endpoint.connect(now, client_config, home, crate::NAME).expect("a connection");
    client.connections.insert(ours, connection);
    let (mut stream, mut delivered) = (None, 0);
    while now < end {
        write(client.connections.get_mut(&ours).expect("there"), &mut stream);
        client.flush(now, &mut sim, Direction::Up);
        server.flush(now, &mut sim, Direction::Down);
        delivered += server.read();
        // What was read may free credit.
        server.flush(now, &mut sim, Direction::Down);
        let until = [client.next(), server.next()].into_iter().flatten().min();
        let until = until.unwrap_or(end).clamp(now, end);
        let nanos = Nanos::from_micros(until.duration_since(start).as_micros() as u64);
        if let Some(arrival) = sim.advance(nanos) {
            now = now.max(start + Duration::from_micros(arrival.time.as_micros()));
            match arrival.direction {
                Direction::Up => server.handle(now, away, &arrival.payload, &mut sim),
                Direction::Down => client.handle(now, home, &arrival.payload, &mut sim),
            }
        } else {
            now = now.max(until + Duration::from_micros(1));
            for connection in client.connections.values_mut().chain(server.connections.values_mut())
            {
                connection.handle_timeout(now);
            }
        }
    }
    delivered
}

fn write(connection: &mut Connection, stream: &mut Option<StreamId>) {
    while connection.poll().is_some() {}
    if connection.is_handshaking() {
        return;
    }
    if stream.is_none() {
        *stream = connection.streams().open(Dir::Uni);
    }
    let Some(id) = *stream else { return };
    while connection.send_stream(id).write(&BLOCK).is_ok_and(|written| written > 0) {}
}

impl Peer {
    fn flush(&mut self, now: Instant, sim: &mut Simulator<Vec<u8>>, direction: Direction) {
        let mut buffer = Vec::new();
        for (handle, connection) in &mut self.connections {
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
            }
            while let Some(transmit) = connection.poll_transmit(now, 10, &mut buffer) {
                let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
                for datagram in buffer[..transmit.size].chunks(segment) {
                    let size = datagram.len() as u32 + HEADERS_LEN;
                    sim.send_sized(direction, FlowOrdinal(0), size, datagram.to_vec());
                }
                buffer.clear();
            }
        }
    }

    fn handle(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        sim: &mut Simulator<Vec<u8>>,
    ) {
        let mut buffer = Vec::new();
        let data = BytesMut::from(bytes);
        match self.endpoint.handle(now, from, None, None, data, &mut buffer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut buffer, None);
                if let Ok((handle, connection)) = accepted {
                    self.connections.insert(handle, connection);
                }
            }
            Some(DatagramEvent::Response(transmit)) => {
                let direction =
                    if self.address.port() == 1 { Direction::Down } else { Direction::Up };
                let datagram = buffer[..transmit.size].to_vec();
                let size = datagram.len() as u32 + HEADERS_LEN;
                sim.send_sized(direction, FlowOrdinal(0), size, datagram);
            }
            None => {}
        }
    }

    fn next(&mut self) -> Option<Instant> {
        self.connections.values_mut().filter_map(Connection::poll_timeout).min()
    }

    fn read(&mut self) -> u64 {
        let mut bytes = 0;
        for connection in self.connections.values_mut() {
            let mut readable = Vec::new();
            while let Some(event) = connection.poll() {
                match event {
                    Event::Stream(StreamEvent::Opened { dir }) => {
                        while let Some(id) = connection.streams().accept(dir) {
                            readable.push(id);
                        }
                    }
                    Event::Stream(StreamEvent::Readable { id }) => readable.push(id),
                    _ => {}
                }
            }
            for id in readable {
                let mut stream = connection.recv_stream(id);
                let Ok(mut chunks) = stream.read(true) else { continue };
                while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                    bytes += chunk.bytes.len() as u64;
                }
                let _ = chunks.finalize();
            }
        }
        bytes
    }
}
