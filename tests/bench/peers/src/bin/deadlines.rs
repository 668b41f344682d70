//! Messages with deadlines over a lossy link in virtual time, with FEC and without: how many are
//! on time. Prints one JSON list: rows of message length, rate, round trip, shares and bytes.

use transport_peers::support::live::{Live, Outcome, play};
use udpcore::transport::{Fec, Micros};

const LENGTH: usize = 200;
const SEEDS: u64 = 7;

fn main() {
    let mut rows = Vec::new();
    for rtt_ms in [20, 50, 100, 200] {
        for per_second in [20, 40, 60] {
            let live = |fec| Live {
                len: LENGTH,
                per_second,
                fec,
                one_way: Micros::from_ms(rtt_ms / 2),
                deadline: Micros::from_ms(rtt_ms / 2 + 30),
                loss_percent: 5,
                span: Micros::from_secs(60),
            };
            let median = |fec| {
                let mut runs: Vec<Outcome> =
                    (1..=SEEDS).map(|seed| play(seed, &live(fec))).collect();
                let late: u64 = runs.iter().map(|run| run.late).sum();
                runs.sort_by_key(|run| run.on_time);
                (runs[runs.len() / 2], late)
            };
            let ((with, late), (without, late_without)) = (median(Fec::Auto), median(Fec::Off));
            let figures = [
                ("len", LENGTH as f64),
                ("per_second", per_second as f64),
                ("rtt", rtt_ms as f64),
                ("with", with.on_time_percent()),
                ("without", without.on_time_percent()),
                ("bytes", with.bytes_sent as f64 / without.bytes_sent as f64),
                ("late", (late + late_without) as f64),
            ];
            let fields = figures.map(|(name, value)| format!(r#""{name}": {value:.3}"#));
            rows.push(format!("{{{}}}", fields.join(", ")));
        }
    }
    println!("[{}]", rows.join(", "));
}
