//! Goodput of CUBIC over loss × round trip: udpcore beside quinn-proto, one simulator, one link,
//! the same seeds. Prints one JSON object: rows of (loss %, round trip ms, ours, quinn's, Mbit/s).

use std::time::Duration;
use transport_peers::quinn_pipe;
use transport_peers::support::bulk::{link, transfer};
use udpcore::transport::{Config, Micros};

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
    for loss in [0, 1, 5, 20] {
        for rtt in [1, 50, 200] {
            let link = link(loss, rtt);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for seed in 1..=seeds {
                let span = Micros::from_secs(seconds);
                ours.push(mbit(transfer(seed, &link, &Config::default(), span).delivered));
                theirs.push(mbit(quinn_pipe::transfer(seed, &link, Duration::from_secs(seconds))));
            }
            let (ours, theirs) = (median(ours), median(theirs));
            eprintln!("{loss:>2} % {rtt:>3} ms: {ours:6.2} {theirs:6.2} {:5.2}x", ours / theirs);
            rows.push(format!(
                r#"{{"loss": {loss}, "rtt": {rtt}, "ours": {ours:.3}, "peer": {theirs:.3}}}"#
            ));
        }
    }
    println!("[{}]", rows.join(", "));
}
