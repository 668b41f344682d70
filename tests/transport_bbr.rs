//! BBR beside others: what it leaves to itself and to CUBIC on one link, and what it loses there.
//!
//! A link of 20 Mbit/s in virtual time with queues of two, one and a tenth of the bandwidth-delay
//! product; the later flow starts a second after the earlier. The table is a snapshot, and every
//! row keeps its bound: the least share, and the most that is lost of all that was sent.

#[path = "support/transport/mod.rs"]
mod support;

use netem::LinkConfig;
use std::fmt::Write;
use support::bulk::link;
use support::shared::{Share, share};
use udpcore::transport::{Congestion, Micros};

const SPAN: [Micros; 2] = [Micros::from_secs(10), Micros::from_secs(60)];
const SEEDS: [u64; 3] = [1, 2, 3];

/// Flows on a link, the least that each must get, in Mbit/s, and the most that may be lost, in
/// percent of what all of them send.
struct Row {
    flows: &'static [Congestion],
    rtt_ms: u64,
    queue_packets: u64,
    mbit_min: f64,
    loss_percent_max: f64,
}

const fn row(
    flows: &'static [Congestion],
    [rtt_ms, queue_packets]: [u64; 2],
    mbit_min: f64,
    loss_percent_max: f64,
) -> Row {
    Row { flows, rtt_ms, queue_packets, mbit_min, loss_percent_max }
}

use Congestion::{Bbr, Cubic};

const ROWS: [Row; 13] = [
    row(&[Bbr], [50, 83], 18.0, 1.0),
    row(&[Bbr], [50, 8], 16.0, 1.0),
    row(&[Bbr, Bbr], [50, 166], 6.0, 1.0),
    row(&[Bbr, Bbr], [50, 83], 4.0, 2.0),
    row(&[Bbr, Bbr], [50, 8], 4.0, 3.0),
    row(&[Bbr, Bbr], [200, 333], 2.0, 2.0),
    row(&[Bbr, Bbr, Bbr, Bbr], [50, 8], 2.0, 6.0),
    row(&[Bbr, Cubic], [50, 166], 6.0, 1.0),
    row(&[Bbr, Cubic], [50, 83], 3.0, 1.5),
    row(&[Bbr, Cubic], [50, 8], 2.5, 1.5),
    row(&[Bbr, Cubic], [200, 333], 0.7, 1.5),
    row(&[Cubic, Bbr], [50, 83], 3.0, 1.5),
    row(&[Cubic, Bbr], [50, 8], 3.0, 1.5),
];

fn queued(rtt_ms: u64, packets: u64) -> LinkConfig {
    LinkConfig { queue: format!("droptail {packets}").parse().expect("a queue"), ..link(0, rtt_ms) }
}

fn mbit(share: &Share) -> f64 {
    share.delivered as f64 * 8.0 / 1e6 / (SPAN[1] - SPAN[0]).as_secs_f64()
}

/// Packets lost of a hundred sent by all.
fn loss_percent(shares: &[Share]) -> f64 {
    let lost: u64 = shares.iter().map(|share| share.stats.packets_lost).sum();
    let sent: u64 = shares.iter().map(|share| share.stats.datagrams_sent).sum();
    lost as f64 * 100.0 / sent as f64
}

#[test]
fn flows_share_a_link_within_bounds() {
    let mut table =
        String::from("Mbit/s of 20 from 10 to 60 s, and lost of all, for three seeds\n");
    for Row { flows, rtt_ms, queue_packets, mbit_min, loss_percent_max } in ROWS {
        let names: Vec<_> = flows.iter().map(|flow| format!("{flow:?}")).collect();
        let name = format!("{rtt_ms} ms, queue {queue_packets}: {}", names.join(", "));
        let _ = writeln!(table, "\n{name}");
        for seed in SEEDS {
            let starts = (0..).map(Micros::from_secs);
            let flows: Vec<_> = flows.iter().copied().zip(starts).collect();
            let shares = share(seed, &queued(rtt_ms, queue_packets), &flows, SPAN);
            let loss = loss_percent(&shares);
            for share in &shares {
                let rate = mbit(share);
                assert!(rate >= mbit_min, "{name}, seed {seed}: {rate} Mbit/s: {shares:?}");
                let _ = write!(table, "{rate:>8.2}");
            }
            assert!(loss <= loss_percent_max, "{name}, seed {seed}: {loss} % lost");
            let _ = writeln!(table, "   {loss:.2} %");
        }
    }
    insta::assert_snapshot!(table);
}
