//! The control on its sockets: a running relay read and changed; clients that dawdle; the end.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netem::control::{Control, ControlError};
use netem::relay::{Relay, RelayConfig};

const PATIENCE: Duration = Duration::from_secs(20);

fn relay() -> (UdpSocket, Arc<Relay>) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = RelayConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    (server, Arc::new(Relay::start(config).unwrap()))
}

fn start(relay: &Arc<Relay>) -> Control {
    Control::start(Arc::clone(relay) as _, "127.0.0.1:0".parse().unwrap(), false).unwrap()
}

fn ask(control: &Control, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(control.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", control.address());
    let kind = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    // In two pieces, as networks deliver.
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all((kind + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_relay_is_read_and_changed_while_it_runs() {
    let (server, relay) = relay();
    let control = start(&relay);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut buffer = [0; 16];
    client.send_to(b"one", relay.address()).unwrap();
    server.recv_from(&mut buffer).unwrap();
    let received = "netem_packets_received_total{direction=\"up\"} 1\n";
    assert!(ask(&control, "GET", "/metrics", "").contains(received));
    assert!(ask(&control, "GET", "/", "").contains("<title>netem</title>"));
    assert!(ask(&control, "GET", "/log", "").contains("\nup 0 0 3 deliver - 0\n"));
    let stats = ask(&control, "GET", "/stats", "");
    assert!(stats.contains("\"clients now\": 1"), "{stats}");

    let changed = ask(&control, "PATCH", "/links/up", r#"{"duplicate": "100%"}"#);
    assert!(changed.starts_with("HTTP/1.1 200 OK\r\n"), "{changed}");
    client.send_to(b"two", relay.address()).unwrap();
    for _ in 0..2 {
        let (size, _) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"two");
    }
    assert!(ask(&control, "POST", "/rebind", "{}").ends_with("{\"moved\": 1}\n"));
    assert!(ask(&control, "POST", "/reset", "{}").ends_with("{\"up\": {}, \"down\": {}}\n"));
    assert!(ask(&control, "BREW", "/", "").starts_with("HTTP/1.1 405 "));
}

#[test]
fn bad_and_slow_clients_harm_nobody() {
    let (_server, relay) = relay();
    let control = start(&relay);
    let mut idle: Vec<TcpStream> =
        (0..12).map(|_| TcpStream::connect(control.address()).unwrap()).collect();
    idle[0].write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    idle[1].write_all(b"\x16\x03\x01 not HTTP\r\n\r\n").unwrap();
    let mut answer = String::new();
    idle[1].read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(ask(&control, "GET", "/links", "").contains("{\"up\": {}, \"down\": {}}"));
    let begin = Instant::now();
    drop(control);
    assert!(begin.elapsed() < PATIENCE, "it does not wait for those who say nothing");
    assert_eq!(idle[2].read(&mut [0; 1]).unwrap_or(0), 0, "they are told");
}

#[test]
fn others_are_kept_out_unless_asked_for() {
    let (_server, relay) = relay();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let error = Control::start(Arc::clone(&relay) as _, everywhere, false).unwrap_err();
    assert!(matches!(error, ControlError::NotLoopback { .. }), "{error}");
    assert!(Control::start(Arc::clone(&relay) as _, everywhere, true).is_ok());
    let control = start(&relay);
    let taken = Control::start(relay, control.address(), false).unwrap_err();
    assert!(matches!(taken, ControlError::System { .. }), "{taken}");
}
