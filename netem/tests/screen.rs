//! The live view without a terminal: what its lines say, what its keys do.

mod support;

use netem::live::{Network, Screen};
use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Packet, Seed, Simulator};
use support::told::Told;

fn settings(network: &Told, way: Direction) -> Vec<String> {
    let settings = network.setup(way).settings();
    settings.iter().map(|(name, value)| format!("{name} {value}")).collect()
}

#[test]
fn keys_turn_knobs_on_and_back() {
    let network = Told::default();
    let mut screen = Screen::new(&network);
    let mut press = |keys: &str| keys.chars().all(|key| screen.press(key, &network));
    assert!(press("llld"));
    assert_eq!(settings(&network, Direction::Up), ["loss 2%", "delay 1ms"]);
    assert_eq!(settings(&network, Direction::Down), ["loss 2%", "delay 1ms"]);
    assert!(press("wLL"), "one direction");
    assert_eq!(settings(&network, Direction::Up), ["loss 0.1%", "delay 1ms"]);
    assert_eq!(settings(&network, Direction::Down), ["loss 2%", "delay 1ms"]);
    assert!(press("woorr"), "the other, and settings that say more than their step");
    assert_eq!(
        settings(&network, Direction::Down)[1..],
        ["rate 10mbit", "delay 1ms", "reorder 1% distance 3 flush 50ms"]
    );
    assert!(press("wLLLLLLLDD"), "not below the beginning");
    assert_eq!(settings(&network, Direction::Up), Vec::<String>::new());
    assert!(press("rrrrrrrrrrRn0x"), "as at the start; unknown keys do nothing");
    assert_eq!(network.setup(Direction::Down), LinkConfig::default().into());
    assert!(!press("q"));
}

#[test]
fn the_view_says_rates_reasons_queue_and_delays() {
    let config = LinkConfig { loss: "50%".parse().unwrap(), ..LinkConfig::default() };
    let config = LinkConfig { delay: "20ms".parse().unwrap(), ..config };
    let network = Told::default();
    network.set_setup(Direction::Up, config.clone().into());
    let mut sim = Simulator::new(Seed(7), config, LinkConfig::default());
    let mut screen = Screen::new(&network);
    for milli in 0..2000 {
        let now = Nanos::from_millis(milli);
        while sim.advance(now).is_some() {}
        let packet = Packet { flow: FlowOrdinal(0), size_bytes: 125, payload: () };
        sim.link_mut(Direction::Up).input(now, packet);
        *network.1.lock().unwrap() = Direction::BOTH.map(|way| *sim.stats(way));
        let is_new = screen.look(now, &network);
        assert_eq!(is_new, milli % 250 == 0);
    }
    let lines = screen.lines(&network, 60);
    let text = lines.join("\n");
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{text}");
    assert!(text.contains("up    loss 50%, delay 20ms"), "{text}");
    assert!(text.contains("down  nothing happens"), "{text}");
    assert!(text.contains(" 1000/s "), "{text}");
    assert!(text.contains("dropped: loss 8"), "{text}");
    assert!(text.contains("queued 8 (most 16)"), "{text}");
    assert!(text.contains("<= 32768us") || text.contains("<= 32.768ms"), "{text}");
    assert!(text.contains('\u{2588}'), "{text}");
    assert!(screen.lines(&network, 10).iter().all(|line| line.chars().count() <= 10));
}
