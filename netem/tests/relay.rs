//! The relay through real sockets: balance, determinism, many clients, an upstream that is down.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use netem::relay::{Relay, RelayConfig, RelayError, RelayStats, resolve};
use netem::{Direction, DropReason, LinkConfig, Nanos, Seed};

/// Long enough for a busy machine; no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const LOCALHOST: &str = "127.0.0.1:0";

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind(LOCALHOST).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn config(upstream: SocketAddr) -> RelayConfig {
    let mut config = RelayConfig::new(LOCALHOST.parse().unwrap(), upstream);
    config.seed = Some(Seed(7));
    config
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 1 << 16];
    let (size, from) = socket.recv_from(&mut buffer).expect("a datagram in time");
    (buffer[..size].to_vec(), from)
}

/// Waits until `done` says so.
fn wait_until(relay: &Relay, done: impl Fn(&RelayStats) -> bool) -> RelayStats {
    let start = Instant::now();
    loop {
        let stats = relay.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        if done(&stats) {
            return stats;
        }
        assert!(start.elapsed() < PATIENCE, "seed {}: {stats:?}", relay.seed());
        std::thread::yield_now();
    }
}

#[test]
fn datagrams_go_both_ways_and_every_client_is_a_peer_of_its_own() {
    let server = socket();
    let relay = Relay::start(config(server.local_addr().unwrap())).unwrap();
    let clients: Vec<UdpSocket> = (0..50).map(|_| socket()).collect();
    let mut peers = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        client.send_to(&[number as u8], relay.address()).unwrap();
        let (bytes, from) = receive(&server);
        assert_eq!(bytes, [number as u8]);
        assert!(!peers.contains(&from));
        peers.push(from);
    }
    // Answers find their client, also in another order.
    for (number, peer) in peers.iter().enumerate().rev() {
        server.send_to(&[100 + number as u8], peer).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(receive(client), (vec![100 + number as u8], relay.address()));
    }
    let stats = relay.close();
    assert_eq!((stats.up.delivered, stats.down.delivered, stats.clients_total), (50, 50, 50));
    assert!(stats.is_balanced() && stats.up.queued == 0);
}

#[test]
fn empty_and_largest_datagrams_pass() {
    let server = socket();
    let relay = Relay::start(config(server.local_addr().unwrap())).unwrap();
    let client = socket();
    for size in [0, 1, 1400, 65_507] {
        client.send_to(&vec![0xA5; size], relay.address()).unwrap();
        assert_eq!(receive(&server).0, vec![0xA5; size]);
    }
}

#[test]
fn no_datagram_comes_before_its_time() {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.up.delay = "5ms 2ms".parse().unwrap();
    let relay = Relay::start(config).unwrap();
    let client = socket();
    for number in 0..50u8 {
        let start = Instant::now();
        client.send_to(&[number], relay.address()).unwrap();
        assert_eq!(receive(&server).0, [number]);
        assert!(start.elapsed() >= Duration::from_millis(3), "{:?}", start.elapsed());
    }
}

/// Sends 2000 datagrams from two clients, with an echo, and returns the decision log.
fn echo_run(seed: u64) -> (String, RelayStats) {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.seed = Some(Seed(seed));
    config.up = LinkConfig {
        loss: "10%".parse().unwrap(),
        duplicate: "5%".parse().unwrap(),
        reorder: "5% flush 1ms".parse().unwrap(),
        delay: "1ms 1ms".parse().unwrap(),
        ..LinkConfig::default()
    };
    config.down = config.up.clone();
    let relay = Relay::start(config).unwrap();
    // Echoes until it is told to stop by an empty datagram.
    let address = server.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        loop {
            let (bytes, from) = receive(&server);
            if bytes.is_empty() {
                break;
            }
            server.send_to(&bytes, from).unwrap();
        }
    });
    let clients = [socket(), socket()];
    for number in 0..1000u32 {
        for client in &clients {
            client.send_to(&number.to_be_bytes(), relay.address()).unwrap();
        }
        if number % 20 == 19 {
            // Quiet before more is sent, so that no buffer of the system overflows.
            let sent = u64::from(number + 1) * 2;
            wait_until(&relay, |stats| {
                let answered = stats.down.received == stats.up.delivered;
                stats.up.received == sent && stats.up.queued + stats.down.queued == 0 && answered
            });
        }
    }
    let stats = relay.close();
    clients[0].send_to(&[], address).unwrap();
    echo.join().unwrap();
    (relay.log_text(), stats)
}

#[test]
fn the_same_seed_gives_the_same_log_through_real_sockets() {
    let (first, stats) = echo_run(7);
    let (second, _) = echo_run(7);
    assert!(first == second, "the logs of two runs with seed 7 differ");
    assert!(stats.up.dropped(DropReason::Loss) > 0 && stats.down.duplicated > 0, "{stats:?}");
    assert_eq!(first.lines().count() as u64, 2 + stats.up.received + stats.down.received);
    let (other, _) = echo_run(8);
    assert!(first != other, "another seed, other decisions");
}

#[test]
fn an_upstream_that_is_down_is_counted_and_may_come_back() {
    let nobody = socket();
    let upstream = nobody.local_addr().unwrap();
    drop(nobody);
    let relay = Relay::start(config(upstream)).unwrap();
    let client = socket();
    client.send_to(b"anyone?", relay.address()).unwrap();
    let stats = wait_until(&relay, |stats| stats.up.dropped(DropReason::Refused) == 1);
    assert_eq!((stats.up.delivered, stats.up.delivered_bytes), (0, 0));

    let server = UdpSocket::bind(upstream).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"now?", relay.address()).unwrap();
    assert_eq!(receive(&server).0, b"now?");
    assert_eq!(relay.close().up.delivered, 1);
}

#[test]
fn one_client_too_many_is_counted_and_makes_room_when_one_expires() {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.clients_max = 1;
    config.idle = Nanos::from_millis(50);
    let relay = Relay::start(config).unwrap();
    let (first, second) = (socket(), socket());
    first.send_to(b"1", relay.address()).unwrap();
    receive(&server);
    second.send_to(b"2", relay.address()).unwrap();
    let stats = wait_until(&relay, |stats| stats.up.received == 2);
    assert_eq!((stats.up.dropped(DropReason::FlowsFull), stats.clients), (1, 1));

    wait_until(&relay, |stats| stats.clients_expired == 1);
    second.send_to(b"2", relay.address()).unwrap();
    assert_eq!(receive(&server).0, b"2");
    let stats = relay.close();
    assert_eq!((stats.clients_total, stats.up.delivered), (2, 2));
}

#[test]
fn closing_counts_what_was_on_its_way() {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.up.delay = "1h".parse().unwrap();
    config.up.duplicate = "100%".parse().unwrap();
    let relay = Relay::start(config).unwrap();
    for _ in 0..5 {
        socket().send_to(b"late", relay.address()).unwrap();
    }
    wait_until(&relay, |stats| stats.up.queued == 10);
    let stats = relay.close();
    assert!(stats.is_balanced());
    assert_eq!((stats.up.dropped(DropReason::Closed), stats.up.delivered), (10, 0));
    assert!(relay.is_closed());
    assert_eq!(relay.close(), stats, "closing twice is harmless");
}

#[test]
fn impairments_change_while_it_runs() {
    let server = socket();
    let relay = Relay::start(config(server.local_addr().unwrap())).unwrap();
    let client = socket();
    client.send_to(b"1", relay.address()).unwrap();
    assert_eq!(receive(&server).0, b"1");
    let blackhole = LinkConfig { loss: "100%".parse().unwrap(), ..LinkConfig::default() };
    relay.set_config(Direction::Up, blackhole.clone());
    assert_eq!(relay.config(Direction::Up), blackhole);
    client.send_to(b"2", relay.address()).unwrap();
    wait_until(&relay, |stats| stats.up.dropped(DropReason::Loss) == 1);
    relay.set_config(Direction::Up, LinkConfig::default());
    client.send_to(b"3", relay.address()).unwrap();
    assert_eq!(receive(&server).0, b"3");
}

#[test]
fn ipv6_and_names() {
    let server = UdpSocket::bind("[::1]:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut config = config(server.local_addr().unwrap());
    config.listen = resolve("localhost", 0).unwrap();
    let relay = Relay::start(config).unwrap();
    let client = UdpSocket::bind((relay.address().ip(), 0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"ping", relay.address()).unwrap();
    let (bytes, from) = receive(&server);
    server.send_to(&bytes, from).unwrap();
    assert_eq!(receive(&client).0, b"ping");
}

#[test]
fn a_relay_that_cannot_start_says_why() {
    let taken = socket();
    let address = taken.local_addr().unwrap();
    let mut config = config("127.0.0.1:9".parse().unwrap());
    config.listen = address;
    let error = Relay::start(config).unwrap_err();
    assert!(matches!(error, RelayError::Listen { .. }));
    assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
    assert!(resolve("no-such-host.invalid", 1).is_err());
}
