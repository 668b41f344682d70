//! Goodput of CUBIC and BBR over loss × round trip: udpcore beside quinn-proto, one simulator, one
//! link, the same seeds. Prints one JSON object: rows of (controller, loss %, round trip ms, ours,
//! quinn's, Mbit/s).

use std::time::Duration;
use transport_peers::quinn_pipe;
use transport_peers::support::bulk::{link, transfer};
use udpcore::transport::{Config, Congestion, Micros};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let seeds = arguments.next().unwrap_or(7);
    let seconds = arguments.next().unwrap_or(30);
    let mbit = |bytes: u64| bytes as f64 * 8.0 / 1e6 / seconds as f64;
    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let mut rows = Vec::new();
    let losses = [0, 1, 5, 20].into_iter();
    let cells = losses.flat_map(|loss| [1, 50, 200].map(|rtt| (loss, rtt)));
    let cells: Vec<_> = cells.collect();
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let config = Config { congestion, ..Config::default() };
        for &(loss, rtt) in &cells {
            let link = link(loss, rtt);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for seed in 1..=seeds {
                ours.push(mbit(
                    transfer(seed, &link, &config, Micros::from_secs(seconds)).delivered,
                ));
                let span = Duration::from_secs(seconds);
                theirs.push(mbit(quinn_pipe::transfer(seed, &link, congestion, span)));
            }
            let (ours, theirs) = (median(ours), median(theirs));
            let name = format!("{congestion:?}").to_uppercase();
            let ratio = ours / theirs;
            eprintln!("{name} {loss:>2} % {rtt:>3} ms: {ours:6.2} {theirs:6.2} {ratio:5.2}x");
            let cell = format!(r#""controller": "{name}", "loss": {loss}, "rtt": {rtt}"#);
            rows.push(format!(r#"{{{cell}, "ours": {ours:.3}, "peer": {theirs:.3}}}"#));
        }
    }
    println!("[{}]", rows.join(", "));
}
