//! Goodput over loss × round trip as a table: a change of behaviour is a visible difference.
//!
//! A link of 20 Mbit/s with a queue of one bandwidth-delay product; virtual time, fixed seeds.

#[path = "support/transport/mod.rs"]
mod support;

use std::fmt::Write;
use support::bulk::{link, transfer};
use udpcore::transport::{Config, Congestion, Micros};

const SPAN: Micros = Micros::from_secs(20);
const SEEDS: [u64; 3] = [1, 2, 3];

#[test]
fn goodput_by_loss_and_round_trip() {
    let table = table_of(&[Congestion::Cubic, Congestion::NewReno]);
    insta::assert_snapshot!(table);
}

#[test]
fn goodput_of_bbr_by_loss_and_round_trip() {
    let table = table_of(&[Congestion::Bbr]);
    insta::assert_snapshot!(table);
}

fn table_of(controllers: &[Congestion]) -> String {
    let mut table = String::from("Mbit/s of 20, median of three seeds, 20 s\n");
    for congestion in controllers.iter().copied() {
        let _ = writeln!(table, "\n{congestion:?}\nloss \\ rtt    1 ms   50 ms  200 ms");
        for loss_percent in [0, 1, 5, 20] {
            let _ = write!(table, "{loss_percent:>4} %     ");
            for rtt_ms in [1, 50, 200] {
                let config = Config { congestion, ..Config::default() };
                let mut rates = SEEDS.map(|seed| {
                    let link = link(loss_percent, rtt_ms);
                    transfer(seed, &link, &config, SPAN).delivered * 8 / (SPAN.0 / 1000)
                });
                rates.sort_unstable();
                let _ = write!(table, "{:>8.2}", rates[1] as f64 / 1000.0);
            }
            table.push('\n');
        }
    }
    table
}
