//! A network that only remembers what it was told.

use std::sync::Mutex;

use netem::live::{Network, Setup};
use netem::replay::Divergence;
use netem::{Direction, FlowOrdinal, LinkConfig, LinkStats, Seed};

/// A network that only remembers what it was told.
#[derive(Default)]
pub(crate) struct Told(
    pub(crate) Mutex<[LinkConfig; 2]>,
    /// The counters it shows.
    pub(crate) Mutex<[LinkStats; 2]>,
);

impl Network for Told {
    fn title(&self) -> String {
        "a \"network\" \\ of\nnothing".to_owned()
    }
    fn seed(&self) -> Seed {
        Seed(7)
    }
    fn link_stats(&self) -> [LinkStats; 2] {
        *self.1.lock().unwrap()
    }
    fn extra(&self) -> Vec<(&'static str, u64)> {
        vec![("flows", 0)]
    }
    fn setup(&self, direction: Direction) -> Setup {
        self.0.lock().unwrap()[usize::from(direction == Direction::Down)].clone().into()
    }
    fn set_setup(&self, direction: Direction, setup: Setup) {
        let Setup::Packets(config) = setup else { panic!("for packets") };
        assert_eq!(config.contradiction(), None);
        self.0.lock().unwrap()[usize::from(direction == Direction::Down)] = *config;
    }
    fn rebind(&self, _flow: Option<FlowOrdinal>) -> usize {
        0
    }
    fn log_text(&self) -> Option<String> {
        Some(String::new())
    }
    fn divergence(&self) -> Option<Divergence> {
        None
    }
}
