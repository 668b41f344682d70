//! The relay with datagrams that come together: cut apart before decisions, sent together, TOS and
//! source addresses carried across, own overruns told from emulated loss, rebinding.

#![cfg(target_os = "linux")]

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use netem::relay::{Relay, RelayConfig, RelayStats};
use netem::{DropReason, FlowOrdinal, LinkConfig, Seed};
use socket2::SockRef;

/// Long enough for a busy machine; no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
const LOCALHOST: &str = "127.0.0.1:0";
const SEGMENT_BYTES: usize = 100;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind(LOCALHOST).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
    socket
}

fn config(upstream: SocketAddr) -> RelayConfig {
    let mut config = RelayConfig::new(LOCALHOST.parse().unwrap(), upstream);
    config.seed = Some(Seed(7));
    config
}

fn set(socket: &UdpSocket, level: i32, option: i32, value: i32) {
    let length = size_of::<i32>() as u32;
    let value = (&raw const value).cast();
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// What the socket sends from now on is cut into datagrams by the system (UDP GSO).
fn cut(socket: &UdpSocket) {
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, SEGMENT_BYTES as i32);
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 1 << 16];
    let (size, from) = socket.recv_from(&mut buffer).expect("a datagram in time");
    (buffer[..size].to_vec(), from)
}

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

/// Sends 40 blocks of 40 datagrams and a shorter one, which come in together when `together`, and
/// returns the log and what the server got.
fn blocks(offload: bool, together: bool) -> (String, Vec<Vec<u8>>) {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.offload = offload;
    config.up = LinkConfig {
        loss: "10%".parse().unwrap(),
        duplicate: "5%".parse().unwrap(),
        reorder: "5%".parse().unwrap(),
        ..LinkConfig::default()
    };
    let relay = Relay::start(config).unwrap();
    let client = socket();
    if together {
        cut(&client);
    }
    let mut received = Vec::new();
    for block in 0..40u8 {
        let bytes: Vec<u8> =
            (0..40 * SEGMENT_BYTES + 7).map(|at| (at / 100) as u8 ^ block).collect();
        if together {
            client.send_to(&bytes, relay.address()).unwrap();
        } else {
            for part in bytes.chunks(SEGMENT_BYTES) {
                client.send_to(part, relay.address()).unwrap();
            }
        }
        let sent = 41 * (u64::from(block) + 1);
        let stats = wait_until(&relay, |stats| stats.up.received == sent && stats.up.queued == 0);
        while received.len() < stats.up.delivered as usize {
            received.push(receive(&server).0);
        }
    }
    assert_eq!(relay.stats().up.dropped(DropReason::RelayOverrun), 0);
    (relay.log_text(), received)
}

#[test]
fn decisions_are_the_same_however_datagrams_come_in_and_leave() {
    let (log, received) = blocks(true, true);
    assert_eq!(log.lines().count(), 2 + 40 * 41);
    for (offload, together) in [(true, false), (false, true), (false, false)] {
        let (other_log, other) = blocks(offload, together);
        assert!(log == other_log, "offload {offload}, together {together}: another log");
        assert!(received == other, "offload {offload}, together {together}: other datagrams");
    }
}

#[test]
fn what_leaves_together_comes_together() {
    let server = socket();
    set(&server, libc::SOL_UDP, libc::UDP_GRO, 1);
    let relay = Relay::start(config(server.local_addr().unwrap())).unwrap();
    let client = socket();
    cut(&client);
    client.send_to(&[7; 30 * SEGMENT_BYTES], relay.address()).unwrap();
    assert_eq!(receive(&server).0.len(), 30 * SEGMENT_BYTES);
    assert_eq!(relay.close().up.delivered, 30);
}

/// Receives one datagram and its TOS byte or traffic class.
fn receive_tos(socket: &UdpSocket) -> (SocketAddr, u8) {
    let (mut bytes, mut control) = ([0u8; 64], [0u64; 16]);
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let from = receive_peek(socket);
    // SAFETY: all zero is a valid header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header points to buffers that live through the call.
    let size = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    assert!(size >= 0);
    // The only control message: its data begins behind the 16 bytes of its header.
    (from, control[2].to_ne_bytes()[0])
}

fn receive_peek(socket: &UdpSocket) -> SocketAddr {
    socket.peek_from(&mut [0; 64]).expect("a datagram in time").1
}

#[test]
fn tos_and_ecn_are_carried_across_both_ways_and_congestion_is_marked() {
    let families = [
        ("127.0.0.1:0", libc::IPPROTO_IP, libc::IP_RECVTOS, libc::IP_TOS),
        ("[::1]:0", libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, libc::IPV6_TCLASS),
    ];
    for (any, level, wants, option) in families {
        let open = || {
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            set(&socket, level, wants, 1);
            socket
        };
        let (server, client) = (open(), open());
        let mut config = config(server.local_addr().unwrap());
        config.listen = any.parse().unwrap();
        config.down.ecn = "100%".parse().unwrap();
        let relay = Relay::start(config).unwrap();
        set(&client, level, option, 0xB8 | 0b10);
        client.send_to(b"up", relay.address()).unwrap();
        let (from, tos) = receive_tos(&server);
        assert_eq!(tos, 0xB8 | 0b10, "{any}");
        // ECT(0) becomes CE on the way down; what is not ECN capable stays.
        set(&server, level, option, 0x20 | 0b10);
        server.send_to(b"down", from).unwrap();
        assert_eq!(receive_tos(&client).1, 0x20 | 0b11, "{any}");
        set(&server, level, option, 0x20);
        server.send_to(b"down", from).unwrap();
        assert_eq!(receive_tos(&client).1, 0x20, "{any}");
    }
}

#[test]
fn answers_leave_from_the_address_that_the_client_sent_to() {
    for (listen, targets) in
        [("0.0.0.0:0", ["127.0.0.2", "127.0.0.3"]), ("[::]:0", ["::1", "127.0.0.9"])]
    {
        let server = socket();
        let mut config = config(server.local_addr().unwrap());
        config.listen = listen.parse().unwrap();
        let relay = Relay::start(config).unwrap();
        for target in targets {
            let target = SocketAddr::new(target.parse().unwrap(), relay.address().port());
            let client = UdpSocket::bind(if target.is_ipv4() { LOCALHOST } else { "[::1]:0" });
            let client = client.unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            // Connected: it takes answers from that address only.
            client.connect(target).unwrap();
            client.send(b"ping").unwrap();
            let (bytes, from) = receive(&server);
            server.send_to(&bytes, from).unwrap();
            assert_eq!(receive(&client), (b"ping".to_vec(), target));
        }
    }
}

#[test]
fn at_overload_every_datagram_is_counted_and_own_loss_is_told_apart() {
    const SENT: u64 = 200_000;
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.up.loss = "10%".parse().unwrap();
    let relay = Relay::start(config).unwrap();
    let senders: Vec<_> = (0..2u64)
        .map(|_| {
            let address = relay.address();
            std::thread::spawn(move || {
                let client = socket();
                for _ in 0..SENT / 2 {
                    client.send_to(&[0; 1400], address).unwrap();
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let stats = wait_until(&relay, |stats| stats.up.received == SENT);
    let (lost, own) =
        (stats.up.dropped(DropReason::Loss), stats.up.dropped(DropReason::RelayOverrun));
    // Emulated loss is 10 % of what the relay took in, five sigma, whatever was lost before.
    let taken = (SENT - own) as f64;
    assert!((lost as f64 - taken * 0.1).abs() < 5.0 * (taken * 0.09).sqrt(), "{stats:?}");
}

#[test]
fn rebinding_moves_clients_to_new_ports() {
    let server = socket();
    let relay = Relay::start(config(server.local_addr().unwrap())).unwrap();
    let clients = [socket(), socket()];
    let ports = |tag: u8| {
        clients.each_ref().map(|client| {
            client.send_to(&[tag], relay.address()).unwrap();
            let (bytes, from) = receive(&server);
            assert_eq!(bytes, [tag]);
            server.send_to(&[tag], from).unwrap();
            assert_eq!(receive(client).0, [tag]);
            from
        })
    };
    let first = ports(1);
    assert_eq!(relay.rebind_upstream(Some(FlowOrdinal(1))), 1);
    let second = ports(2);
    assert!(first[0] == second[0] && first[1] != second[1]);
    // What has come to the old port before is not lost.
    server.send_to(b"before", second[0]).unwrap();
    assert_eq!(relay.rebind_upstream(None), 2);
    assert_eq!(receive(&clients[0]).0, b"before");
    let third = ports(3);
    assert!(third[0] != second[0] && third[1] != second[1]);
    server.send_to(b"lost", second[0]).unwrap();
    assert_eq!(relay.rebind_upstream(Some(FlowOrdinal(9))), 0);
    let stats = relay.close();
    assert_eq!((stats.clients_total, stats.down.received), (2, 7));
}

#[test]
fn hundreds_of_clients_come_and_are_forgotten() {
    let server = socket();
    let mut config = config(server.local_addr().unwrap());
    config.idle = netem::Nanos::from_millis(100);
    let relay = Relay::start(config).unwrap();
    // Kept open, so that no port is used twice.
    let clients: Vec<UdpSocket> = (0..300).map(|_| socket()).collect();
    for client in &clients {
        client.send_to(b"hello", relay.address()).unwrap();
        let (bytes, from) = receive(&server);
        server.send_to(&bytes, from).unwrap();
        assert_eq!(receive(client).0, b"hello");
    }
    let stats = wait_until(&relay, |stats| stats.clients == 0);
    assert_eq!((stats.clients_total, stats.clients_expired), (300, 300));
    assert_eq!((stats.up.delivered, stats.down.delivered, stats.sockets_refused), (300, 300, 0));
}
