//! Running networks: what can be seen of them and changed while they run.
//!
//! Relay and bridge are both a [`Network`]: the timeline of a scenario, the control over HTTP and
//! the view on the terminal work on either. Does not know where packets come from.

mod history;
mod screen;

use crate::link::LinkConfig;
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::replay::Divergence;
use crate::stats::LinkStats;

pub use crate::clock::Conductor;
pub use history::{History, Rates, SAMPLES_MAX, Sample, reasons};
pub use screen::{LOOK_INTERVAL, Screen};

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
    fn config(&self, direction: Direction) -> LinkConfig;
    /// Changes what happens from now on.
    fn set_config(&self, direction: Direction, config: LinkConfig);
    /// Lets the server see this flow, or every one, come from another port; how many were moved.
    /// Where there are no ports to move: none.
    fn rebind(&self, flow: Option<FlowOrdinal>) -> usize;
    /// The decision log so far.
    fn log_text(&self) -> String;
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

    fn config(&self, direction: Direction) -> LinkConfig {
        Self::config(self, direction)
    }

    fn set_config(&self, direction: Direction, config: LinkConfig) {
        Self::set_config(self, direction, config);
    }

    fn rebind(&self, flow: Option<FlowOrdinal>) -> usize {
        self.rebind_upstream(flow)
    }

    fn log_text(&self) -> String {
        Self::log_text(self)
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

    fn config(&self, direction: Direction) -> LinkConfig {
        Self::config(self, direction)
    }

    fn set_config(&self, direction: Direction, config: LinkConfig) {
        Self::set_config(self, direction, config);
    }

    fn rebind(&self, _flow: Option<FlowOrdinal>) -> usize {
        0
    }

    fn log_text(&self) -> String {
        Self::log_text(self)
    }

    fn divergence(&self) -> Option<Divergence> {
        Self::divergence(self)
    }
}
