//! `UDPWithACK` endpoints on real loopback sockets: threads, descriptors, errors of the system.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use udpcore::arq::ack::AckConfig;
use udpcore::arq::ack_sender::{FailReason, MAX_PAYLOAD, SendError, Status};
use udpcore::arq::send_policy::SendPolicy;
use udpcore::io::ack_endpoint::{AckEndpoint, AckError};

const LONG: Duration = Duration::from_secs(20);

fn endpoint() -> AckEndpoint {
    AckEndpoint::bind("127.0.0.1:0", AckConfig::default()).unwrap()
}

fn policy(max_retries: u32, timeout_ms: u64) -> SendPolicy {
    SendPolicy::new(max_retries, Duration::from_millis(timeout_ms)).unwrap()
}

/// A port where nobody listens, kept from others by a socket connected elsewhere.
fn dead_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// Waits for what the kernel does in its own time: naming a thread, taking one off its list.
fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "did not happen in time");
        std::thread::yield_now();
    }
}

fn threads_named(prefix: &str) -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}

#[test]
fn messages_of_every_size_arrive() {
    let (a, b) = (endpoint(), endpoint());
    for len in [0, 1, 1_400, 9_000, MAX_PAYLOAD] {
        let payload = vec![len as u8; len];
        let seq = a.send(b.local_addr(), &payload, policy(10, 500)).unwrap();
        assert_eq!(b.receive(LONG).unwrap().payload, payload);
        assert_eq!(a.wait(seq, LONG), Status::Acked);
    }
}

#[test]
fn both_directions_at_once_with_a_small_window() {
    let config = AckConfig { max_pending: 8, ..AckConfig::default() };
    let make = || AckEndpoint::bind("127.0.0.1:0", config).unwrap();
    let (a, b) = (make(), make());
    let flood = |from: &AckEndpoint, to: SocketAddr| {
        for n in 0..2_000_u32 {
            while let Err(error) = from.send(to, &n.to_be_bytes(), policy(20, 200)) {
                assert!(matches!(error, AckError::Refused(SendError::WindowFull)), "{error}");
                assert!(from.wait_room(LONG));
            }
        }
        assert!(from.wait_idle(LONG));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| flood(&a, b.local_addr()));
        scope.spawn(|| flood(&b, a.local_addr()));
    });
    for endpoint in [a, b] {
        let numbers: std::collections::BTreeSet<_> =
            std::iter::from_fn(|| endpoint.try_receive()).map(|r| r.payload).collect();
        assert_eq!((numbers.len(), endpoint.stats().0.received), (2_000, 2_000));
    }
}

#[test]
fn a_dead_port_is_survived_counted_and_reported() {
    let (a, b) = (endpoint(), endpoint());
    let lost = a.send(dead_address(), b"anyone?", policy(2, 30)).unwrap();
    assert!(matches!(a.wait(lost, LONG), Status::Failed(f) if f.reason == FailReason::NoAck));
    let fine = a.send(b.local_addr(), b"you are", policy(10, 500)).unwrap();
    assert_eq!(a.wait(fine, LONG), Status::Acked);
    let (stats, io) = a.stats();
    assert_eq!((stats.acked, stats.failed, stats.retransmissions), (1, 1, 2));
    assert!(io.unreachable >= 1, "{io:?}");
}

#[test]
fn what_the_system_refuses_is_an_error_and_no_message() {
    let a = endpoint();
    // A socket bound to loopback cannot reach the documentation network.
    let error = a.send("192.0.2.1:9".parse().unwrap(), b"x", policy(3, 1_000)).unwrap_err();
    assert!(matches!(error, AckError::System(_)), "{error}");
    assert!(a.wait_idle(Duration::ZERO));
    let error = a.send(a.local_addr(), &[0; MAX_PAYLOAD + 1], policy(3, 1_000)).unwrap_err();
    assert!(matches!(error, AckError::Refused(SendError::TooLong { len: 65_503 })), "{error}");
}

#[test]
fn deadlines_are_kept_to_the_millisecond() {
    let a = endpoint();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let seq = a.send(silent.local_addr().unwrap(), b"x", policy(3, 50)).unwrap();
    assert!(matches!(a.wait(seq, LONG), Status::Failed(_)));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    // Generous: the machine may be busy.
    assert!(took < Duration::from_millis(1_000), "{took:?}");
}

#[test]
fn closing_ends_waits_fails_the_pending_and_leaves_no_thread() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let a = endpoint();
    let name = format!("udp-ack-{}", a.local_addr().port());
    let seq = a.send(silent.local_addr().unwrap(), b"x", policy(3, 1_000)).unwrap();
    until(|| threads_named(&name) == 1);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(a.receive(LONG), None));
        scope.spawn(|| assert!(matches!(a.wait(seq, LONG), Status::Failed(_))));
        a.close();
        a.close();
    });
    until(|| threads_named(&name) == 0);
    assert!(matches!(a.status_of(seq), Status::Failed(f) if f.reason == FailReason::Closed));
    let error = a.send(silent.local_addr().unwrap(), b"x", policy(3, 1_000)).unwrap_err();
    assert!(matches!(error, AckError::Refused(SendError::Closed)));
    // The port is free again.
    UdpSocket::bind(a.local_addr()).unwrap();
}

#[test]
fn closing_handles_what_has_arrived() {
    for _ in 0..50 {
        let (a, b) = (endpoint(), endpoint());
        let seq = a.send(b.local_addr(), b"just in time", policy(0, 5_000)).unwrap();
        b.close();
        assert_eq!(a.wait(seq, LONG), Status::Acked);
        assert_eq!(b.receive(LONG).unwrap().payload, b"just in time");
    }
}

#[test]
fn the_wildcard_address_of_a_peer_is_its_loopback() {
    let b = AckEndpoint::bind("0.0.0.0:0", AckConfig::default()).unwrap();
    let a = AckEndpoint::bind("0.0.0.0:0", AckConfig::default()).unwrap();
    let seq = a.send(b.local_addr(), b"x", policy(10, 500)).unwrap();
    assert_eq!(a.wait(seq, LONG), Status::Acked);
}
