//! Running networks: what can be seen of them and changed while they run.
//!
//! Relay, bridge and stream are all a [`Network`]: the timeline of a scenario, the control over
//! HTTP and the view on the terminal work on each. Does not know where packets come from.

mod history;
mod screen;
mod setup;

use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::replay::Divergence;
use crate::stats::LinkStats;

pub use crate::clock::Conductor;
pub use history::{History, Rates, SAMPLES_MAX, Sample, reasons};
pub use screen::{LOOK_INTERVAL, Screen};
pub use setup::Setup;

/// A network that runs, on its own thread or threads.
pub trait Network: Send + Sync {
    /// What runs, in one line.
    fn title(&self) -> String;
    /// The seed of all decisions.
    fn seed(&self) -> Seed;
    /// The counters of both directions (up, down), taken at the same time.
    fn link_stats(&self) -> [LinkStats; 2];
    /// Counters of the driver itself, by name; the first is what is alive now.
    fn extra(&self) -> Vec<(&'static str, u64)>;
    /// What happens in one direction now.
    fn setup(&self, direction: Direction) -> Setup;
    /// Changes what happens from now on. A setup of the other kind, packets for a stream, changes
    /// nothing.
    fn set_setup(&self, direction: Direction, setup: Setup);
    /// Lets the server see this flow, or every one, come from another port; how many were moved.
    /// Where there are no ports to move: none.
    fn rebind(&self, flow: Option<FlowOrdinal>) -> usize;
    /// The decision log so far, where there are packets to decide on.
    fn log_text(&self) -> Option<String>;
    /// Where a replay first met a packet that its log does not know.
    fn divergence(&self) -> Option<Divergence>;
}

impl Network for crate::relay::Relay {
    fn title(&self) -> String {
        format!("relay {} -> {}", self.address(), self.upstream())
    }

    fn seed(&self) -> Seed {
        Self::seed(self)
    }

    fn link_stats(&self) -> [LinkStats; 2] {
        let stats = self.stats();
        [stats.up, stats.down]
    }

    fn extra(&self) -> Vec<(&'static str, u64)> {
        let stats = self.stats();
        vec![
            ("clients now", stats.clients),
            ("clients", stats.clients_total),
            ("clients expired", stats.clients_expired),
            ("sockets refused", stats.sockets_refused),
            ("receive errors", stats.receive_errors),
        ]
    }

    fn setup(&self, direction: Direction) -> Setup {
        self.config(direction).into()
    }

    fn set_setup(&self, direction: Direction, setup: Setup) {
        if let Setup::Packets(config) = setup {
            self.set_config(direction, *config);
        }
    }

    fn rebind(&self, flow: Option<FlowOrdinal>) -> usize {
        self.rebind_upstream(flow)
    }

    fn log_text(&self) -> Option<String> {
        Some(Self::log_text(self))
    }

    fn divergence(&self) -> Option<Divergence> {
        Self::divergence(self)
    }
}

#[cfg(all(target_os = "linux", feature = "raw"))]
impl Network for crate::bridge::Bridge {
    fn title(&self) -> String {
        "bridge".to_owned()
    }

    fn seed(&self) -> Seed {
        Self::seed(self)
    }

    fn link_stats(&self) -> [LinkStats; 2] {
        let stats = self.stats();
        [stats.up, stats.down]
    }

    fn extra(&self) -> Vec<(&'static str, u64)> {
        let stats = self.stats();
        vec![
            ("flows", stats.flows_total),
            ("frames cut", stats.segmented),
            ("receive errors", stats.receive_errors),
        ]
    }

    fn setup(&self, direction: Direction) -> Setup {
        self.config(direction).into()
    }

    fn set_setup(&self, direction: Direction, setup: Setup) {
        if let Setup::Packets(config) = setup {
            self.set_config(direction, *config);
        }
    }

    fn rebind(&self, _flow: Option<FlowOrdinal>) -> usize {
        0
    }

    fn log_text(&self) -> Option<String> {
        Some(Self::log_text(self))
    }

    fn divergence(&self) -> Option<Divergence> {
        Self::divergence(self)
    }
}

impl Network for crate::stream::Stream {
    fn title(&self) -> String {
        format!("stream {} -> {}", self.address(), self.upstream())
    }

    fn seed(&self) -> Seed {
        Self::seed(self)
    }

    fn link_stats(&self) -> [LinkStats; 2] {
        let stats = self.stats();
        [stats.up, stats.down]
    }

    fn extra(&self) -> Vec<(&'static str, u64)> {
        let stats = self.stats();
        vec![
            ("connections now", stats.connections),
            ("connections", stats.connections_total),
            ("connections refused", stats.connections_refused),
            ("upstream failures", stats.upstream_failures),
            ("resets", stats.resets),
            ("ended", stats.ended),
            ("bytes held", stats.held_bytes),
            ("most bytes held", stats.held_bytes_max),
        ]
    }

    fn setup(&self, direction: Direction) -> Setup {
        self.shape(direction).into()
    }

    fn set_setup(&self, direction: Direction, setup: Setup) {
        if let Setup::Stream(shape) = setup {
            self.set_shape(direction, *shape);
        }
    }

    fn rebind(&self, _flow: Option<FlowOrdinal>) -> usize {
        0
    }

    fn log_text(&self) -> Option<String> {
        None
    }

    fn divergence(&self) -> Option<Divergence> {
        None
    }
}
