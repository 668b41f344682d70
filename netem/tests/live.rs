//! Networks that change while they run: the timeline of a scenario on a live relay.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netem::live::{Conductor, Network};
use netem::relay::{Relay, RelayConfig};
use netem::scenario::Scenario;
use netem::{Direction, LinkConfig};

const PATIENCE: Duration = Duration::from_secs(20);

fn wait_until(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "s.toml", &mut |_| Err("no file".to_owned())).unwrap()
}

#[test]
fn a_timeline_changes_a_relay_and_rebinds_its_clients() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let scenario = scenario(
        "[[timeline]]\nat = \"50ms\"\nup = { duplicate = \"100%\" }\n\
         [[timeline]]\nat = \"100ms\"\nrebind = true\ndown = { loss = \"100%\" }\n",
    );
    let config = RelayConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    let relay = Arc::new(Relay::start(config).unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut buffer = [0; 16];
    client.send_to(b"one", relay.address()).unwrap();
    let (_, before) = server.recv_from(&mut buffer).unwrap();

    let network = Arc::clone(&relay) as Arc<dyn Network>;
    let conductor = Conductor::start(Arc::clone(&network), scenario.timeline).unwrap();
    wait_until(|| network.setup(Direction::Down) != LinkConfig::default().into());
    client.send_to(b"two", relay.address()).unwrap();
    let (_, first) = server.recv_from(&mut buffer).unwrap();
    let (_, second) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..3], b"two", "and once more");
    assert_eq!(first, second);
    assert_ne!(first, before, "from another port");
    let [up, _] = network.link_stats();
    assert_eq!(up.delays.total(), 3);
    drop(conductor);
}

#[test]
fn what_is_still_to_come_ends_with_the_conductor() {
    let scenario = scenario("[[timeline]]\nat = \"1h\"\nup = { loss = \"100%\" }\n");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = RelayConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    let relay = Arc::new(Relay::start(config).unwrap());
    let begin = Instant::now();
    drop(Conductor::start(relay, scenario.timeline).unwrap());
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn a_closed_relay_gives_its_port_back() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = RelayConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    let relay = Relay::start(config.clone()).unwrap();
    let address = relay.address();
    assert!(UdpSocket::bind(address).is_err());
    relay.close();
    let again = Relay::start(RelayConfig { listen: address, ..config }).unwrap();
    assert_eq!(again.address(), address);
    assert!(relay.stats().is_balanced(), "what it did can still be asked");
}
