//! The stream relay through real sockets: bytes and their order, time, ends of every kind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use netem::control::http::Request;
use netem::control::respond;
use netem::live::{Network, Screen};
use netem::stream::{SHARE_BYTES, Stream, StreamConfig, StreamShape, StreamStats};
use netem::{Direction, Nanos, Seed};

/// Long enough for a busy machine; no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Pair {
    relay: Stream,
    client: TcpStream,
    server: TcpStream,
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn start(server: &TcpListener, up: StreamShape, down: StreamShape) -> Stream {
    let listen = "127.0.0.1:0".parse().unwrap();
    let base = StreamConfig::new(listen, server.local_addr().unwrap());
    Stream::start(StreamConfig { up, down, seed: Some(Seed(7)), ..base }).unwrap()
}

fn pair(up: StreamShape, down: StreamShape) -> Pair {
    let listener = listener();
    let relay = start(&listener, up, down);
    let client = TcpStream::connect(relay.address()).unwrap();
    let server = listener.accept().unwrap().0;
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    Pair { relay, client, server }
}

fn wait_until(relay: &Stream, done: impl Fn(&StreamStats) -> bool) -> StreamStats {
    let start = Instant::now();
    loop {
        let stats = relay.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        if done(&stats) {
            return stats;
        }
        assert!(start.elapsed() < PATIENCE, "{stats:?}");
        std::thread::yield_now();
    }
}

#[test]
fn megabytes_pass_both_ways_unchanged_under_jitter_rate_and_slices() {
    let shape = StreamShape {
        delay: "3ms 2ms".parse().unwrap(),
        rate: Some("400mbit".parse().unwrap()),
        slice: Some("1000B".parse().unwrap()),
        ..StreamShape::default()
    };
    let Pair { relay, client, mut server } = pair(shape.clone(), shape);
    let sent: Vec<u8> = (0..3_000_000u32).map(|at| (at * 7 / 3) as u8).collect();
    let expected = sent.clone();
    let mut writer = client.try_clone().unwrap();
    let echo = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).unwrap();
        server.write_all(&bytes).unwrap();
    });
    let send = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let (mut came, mut client, begin) = (Vec::new(), client, Instant::now());
    client.read_to_end(&mut came).unwrap();
    assert!(came == expected, "other bytes came back");
    // 3 MB at 400 Mbit/s take 60 ms, each way after the other; never faster.
    assert!(begin.elapsed() >= Duration::from_millis(110), "{:?}", begin.elapsed());
    send.join().unwrap();
    echo.join().unwrap();
    let stats = wait_until(&relay, |stats| stats.connections == 0);
    assert_eq!(stats.up.delivered_bytes, 3_000_000);
    assert_eq!((stats.down.delivered_bytes, stats.resets, stats.ended), (3_000_000, 0, 0));
}

#[test]
fn no_byte_comes_before_its_time() {
    let shape = StreamShape { delay: "20ms".parse().unwrap(), ..StreamShape::default() };
    let Pair { relay: _relay, mut client, mut server } = pair(shape, StreamShape::default());
    for _ in 0..5 {
        let begin = Instant::now();
        client.write_all(b"tick").unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(20), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_limit_ends_the_connection_after_so_many_bytes() {
    let shape = StreamShape { limit: Some("10B".parse().unwrap()), ..StreamShape::default() };
    let Pair { relay, mut client, mut server } = pair(shape, StreamShape::default());
    client.write_all(&[7; 100]).unwrap();
    let mut bytes = Vec::new();
    // Bytes that nobody took may turn the end into a reset.
    let _ = server.read_to_end(&mut bytes);
    assert_eq!(bytes, [7; 10]);
    assert_eq!(wait_until(&relay, |stats| stats.connections == 0).ended, 1);
}

#[test]
fn a_timeout_lets_nothing_pass_and_ends_the_connection() {
    let timeout = Some(Nanos::from_millis(80));
    let shape = StreamShape { timeout, ..StreamShape::default() };
    let begin = Instant::now();
    let Pair { relay, mut client, mut server } = pair(shape, StreamShape::default());
    client.write_all(b"lost").unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, []);
    assert!(begin.elapsed() >= Duration::from_millis(80));
    assert_eq!(wait_until(&relay, |stats| stats.connections == 0).ended, 1);
}

#[test]
fn a_reset_and_a_slow_close() {
    let reset = Some(Nanos::from_millis(30));
    let shape = StreamShape { reset, ..StreamShape::default() };
    let Pair { relay, mut client, mut server } = pair(StreamShape::default(), shape);
    for socket in [&mut client, &mut server] {
        let error = socket.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(relay.stats().resets, 1);

    let slow_close = Nanos::from_millis(60);
    let shape = StreamShape { slow_close, ..StreamShape::default() };
    let Pair { relay: _relay, mut client, mut server } = pair(shape, StreamShape::default());
    let begin = Instant::now();
    client.write_all(b"bye").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    server.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(server.read(&mut [0; 3]).unwrap(), 0);
    assert!(begin.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_peers_reset_is_carried_across_and_an_absent_upstream_resets() {
    let Pair { relay, client, mut server } = pair(StreamShape::default(), StreamShape::default());
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(relay.close().resets, 1);

    let nobody = listener();
    let relay = start(&nobody, StreamShape::default(), StreamShape::default());
    drop(nobody);
    let mut client = TcpStream::connect(relay.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(client.read(&mut [0; 1]).is_err());
    assert_eq!(wait_until(&relay, |stats| stats.connections == 0).upstream_failures, 1);
}

#[test]
fn a_full_pipe_stops_the_sender() {
    let shape = StreamShape { delay: "1h".parse().unwrap(), ..StreamShape::default() };
    let Pair { relay, mut client, .. } = pair(shape, StreamShape::default());
    client.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    let mut refused_since: Option<Instant> = None;
    while refused_since.is_none_or(|since| since.elapsed() < Duration::from_millis(200)) {
        assert!(begin.elapsed() < PATIENCE, "the sender is never stopped");
        match client.write(&[0; 1 << 16]) {
            Ok(count) => {
                assert!(count > 0);
                refused_since = None;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refused_since.get_or_insert_with(Instant::now);
                std::thread::yield_now();
            }
        }
    }
    let stats = relay.close();
    assert!(stats.is_balanced() && stats.up.received_bytes <= 4 << 20, "{stats:?}");
    assert!(stats.up.dropped_total() > 0 && stats.up.delivered == 0);
}

#[test]
fn shapes_change_while_it_runs() {
    let Pair { relay, mut client, mut server } =
        pair(StreamShape::default(), StreamShape::default());
    client.write_all(b"now").unwrap();
    server.read_exact(&mut [0; 3]).unwrap();
    let reset = StreamShape { reset: Some(Nanos::ZERO), ..StreamShape::default() };
    relay.set_shape(Direction::Up, reset.clone());
    assert_eq!(relay.shape(Direction::Up), reset);
    assert_eq!(server.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_comes_in_its_turn_after_the_bytes_before_it() {
    let shape = StreamShape { delay: "60ms".parse().unwrap(), ..StreamShape::default() };
    let Pair { relay, mut client, mut server } = pair(shape, StreamShape::default());
    client.write_all(b"last words").unwrap();
    let begin = Instant::now();
    // The bytes are in the relay before the reset, which would take them along otherwise.
    wait_until(&relay, |stats| stats.up.received_bytes == 10);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    let mut bytes = [0; 10];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"last words");
    assert_eq!(server.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(begin.elapsed() >= Duration::from_millis(60));
    let stats = wait_until(&relay, |stats| stats.connections == 0);
    assert_eq!((stats.resets, stats.up.delivered_bytes), (1, 10));
}

#[test]
fn one_way_goes_on_after_the_other_has_ended() {
    let Pair { relay, mut client, mut server } =
        pair(StreamShape::default(), StreamShape::default());
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    for _ in 0..50 {
        server.write_all(&[7; 1000]).unwrap();
    }
    drop(server);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [7; 50_000]);
    let stats = wait_until(&relay, |stats| stats.connections == 0);
    assert_eq!((stats.resets, stats.ended, stats.connections_total), (0, 0, 1));
}

#[test]
fn a_thousand_connections_at_once_each_with_its_own_bytes() {
    const CONNECTIONS: u32 = 1000;
    let listener = listener();
    let shape = StreamShape { delay: "2ms 1ms".parse().unwrap(), ..StreamShape::default() };
    let relay = start(&listener, shape.clone(), shape);
    let echo = std::thread::spawn(move || {
        let accept = |_| listener.accept().unwrap().0;
        let mut sockets: Vec<TcpStream> = (0..CONNECTIONS).map(accept).collect();
        for socket in &mut sockets {
            let mut bytes = [0; 4];
            socket.read_exact(&mut bytes).unwrap();
            socket.write_all(&bytes).unwrap();
        }
        sockets
    });
    let connect = |number: u32| {
        let mut client = TcpStream::connect(relay.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&number.to_be_bytes()).unwrap();
        client
    };
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    for (number, client) in (0..CONNECTIONS).zip(&mut clients) {
        let mut bytes = [0; 4];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(u32::from_be_bytes(bytes), number);
    }
    let stats = relay.stats();
    assert_eq!((stats.connections, stats.upstream_failures), (CONNECTIONS.into(), 0));
    drop((clients, echo.join().unwrap()));
    let stats = wait_until(&relay, |stats| stats.connections == 0);
    assert_eq!(stats.up.delivered_bytes, 4 * u64::from(CONNECTIONS));
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let listener = listener();
    let listen = "127.0.0.1:0".parse().unwrap();
    let base = StreamConfig::new(listen, listener.local_addr().unwrap());
    let relay = Stream::start(StreamConfig { connections_max: 1, ..base }).unwrap();
    let _first = TcpStream::connect(relay.address()).unwrap();
    wait_until(&relay, |stats| stats.connections == 1);
    let mut second = TcpStream::connect(relay.address()).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(second.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(wait_until(&relay, |stats| stats.connections_refused == 1).connections, 1);
}

/// Clients that send and servers that do not read: all together stay within the limit and what each
/// has in any case, and one that is read goes on.
#[test]
fn connections_share_a_limited_memory() {
    share_memory(256 << 10);
    // Of nothing at all each still has its share.
    share_memory(0);
}

fn share_memory(memory_bytes_max: usize) {
    const CONNECTIONS: usize = 8;
    const SENT: usize = 8 << 20;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config =
        StreamConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    config.memory_bytes_max = memory_bytes_max;
    config.up.set("slice", "100B").unwrap();
    let relay = Stream::start(config).unwrap();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = TcpStream::connect(relay.address()).unwrap();
            std::thread::spawn(move || client.write_all(&vec![7; SENT]))
        })
        .collect();
    let begin = Instant::now();
    let mut accepted: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| server.accept().unwrap().0).collect();
    while relay.stats().held_bytes <= (memory_bytes_max / 2) as u64 {
        assert!(begin.elapsed() < PATIENCE, "{:?}", relay.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    // Last come, first read: whoever waits for memory goes on when another gives it back.
    while let Some(mut connection) = accepted.pop() {
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(std::io::copy(&mut connection, &mut std::io::sink()).unwrap(), SENT as u64);
    }
    for sender in senders {
        sender.join().unwrap().unwrap();
    }
    let stats = relay.close();
    let most = memory_bytes_max + 2 * CONNECTIONS * SHARE_BYTES;
    assert!(stats.held_bytes_max <= most as u64, "{stats:?}");
    assert_eq!(stats.held_bytes, 0);
    assert!(stats.is_balanced());
}

/// A stream is a network like any other for the control and the live view.
#[test]
fn a_stream_is_seen_and_steered_while_it_runs() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = StreamConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    let relay = Stream::start(config).unwrap();
    let start = Direction::BOTH.map(|way| Network::setup(&relay, way));
    let ask = |method: &str, path: &str, body: &str| {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            host: Some("localhost".to_owned()),
            content_type: Some("application/json".to_owned()),
            body: body.as_bytes().to_vec(),
        };
        let response = respond(&relay, &start, false, &request);
        (response.status, response.body)
    };
    let (status, body) = ask("PATCH", "/links/up", r#"{"latency": "20ms", "slice": "10B 1ms"}"#);
    assert_eq!(
        (status, body.as_str()),
        (200, "{\"up\": {\"delay\": \"20ms\", \"slice\": \"10B 1ms\"}}\n")
    );
    let (status, body) = ask("PATCH", "/links/both", r#"{"slice": "none", "loss": "1%"}"#);
    assert!(status == 400 && body.contains("TCP repairs it"), "{body}");
    assert_eq!(ask("PATCH", "/links/up", r#"{"slice": "none"}"#).0, 200);
    assert_eq!(relay.shape(Direction::Up).settings(), [("delay", "20ms".to_owned())]);
    assert_eq!(ask("GET", "/log", "").0, 404);
    assert!(ask("GET", "/", "").1.contains("const SETTINGS = [\"delay\", \"jitter\""));
    assert!(ask("GET", "/metrics", "").1.contains("netem_driver{name=\"connections now\"} 0\n"));
    assert_eq!(ask("POST", "/reset", "{}").1, "{\"up\": {}, \"down\": {}}\n");
    assert_eq!(ask("POST", "/rebind", "{}").1, "{\"moved\": 0}\n");

    let mut screen = Screen::new(&relay);
    assert!("ddslll".chars().all(|key| screen.press(key, &relay)));
    let settings = [("delay", "5ms".to_owned()), ("slice", "1kB".to_owned())];
    assert_eq!(relay.shape(Direction::Down).settings(), settings);
    assert!(screen.look(Nanos::ZERO, &relay));
    let text = screen.lines(&relay, 100).join("\n");
    assert!(text.contains("delay 5ms, slice 1kB") && !text.contains("rebind"), "{text}");
}
