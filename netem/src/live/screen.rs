//! The live view as text: rates, drops by reason, queue, delays; and what each key changes.
//!
//! Does not know the terminal: lines come out, keys go in.

use super::history::{History, Rates, reasons};
use super::{Network, Setup};
use crate::packet::Direction;
use crate::stats::LinkStats;
use crate::units::Nanos;

/// How often the view looks.
pub const LOOK_INTERVAL: Nanos = Nanos::from_millis(250);
/// Curves are this wide.
const CURVE: usize = 48;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a key changes: the key (upper case goes back), the setting, its steps.
type Knob = (char, &'static str, &'static [&'static str]);

const KNOBS: [Knob; 7] = [
    ('l', "loss", &["0%", "0.1%", "1%", "2%", "5%", "10%", "20%", "50%", "100%"]),
    ('d', "delay", &["0s", "1ms", "5ms", "10ms", "20ms", "50ms", "100ms", "200ms", "500ms", "1s"]),
    ('u', "duplicate", &["0%", "0.1%", "1%", "5%", "10%", "50%", "100%"]),
    ('o', "reorder", &["0%", "0.1%", "1%", "5%", "10%", "50%"]),
    ('c', "corrupt", &["0%", "0.1%", "1%", "5%", "10%", "50%"]),
    ('r', "rate", &["unlimited", "100mbit", "10mbit", "1mbit", "100kbit", "10kbit"]),
    ('s', "slice", &["none", "1kB", "100B", "10B", "1B"]),
];

/// A name and what it shows.
type Curve = (&'static str, fn(&Rates) -> f64);

/// What the view shows.
#[derive(Debug)]
pub struct Screen {
    history: History,
    start: [Setup; 2],
    /// What the keys change here.
    knobs: Vec<Knob>,
    /// Which directions the keys change.
    ways: &'static [Direction],
    said: String,
}

impl Screen {
    /// A view of `network` as it is now.
    pub fn new(network: &dyn Network) -> Self {
        let start = Direction::BOTH.map(|way| network.setup(way));
        let names = start[0].names();
        Self {
            history: History::new(LOOK_INTERVAL),
            knobs: KNOBS.into_iter().filter(|(_, name, _)| names.contains(name)).collect(),
            start,
            ways: &Direction::BOTH,
            said: String::new(),
        }
    }

    /// Looks at the network, if it is time; whether there is something new to show.
    pub fn look(&mut self, now: Nanos, network: &dyn Network) -> bool {
        let is_due = self.history.is_due(now);
        if is_due {
            self.history.add(now, network.link_stats());
        }
        is_due
    }

    /// Does what a key says; `false` for the key that ends the run.
    pub fn press(&mut self, key: char, network: &dyn Network) -> bool {
        match key {
            'q' => return false,
            'w' => {
                let next = self.ways.len() == 2;
                let up = self.ways == &Direction::BOTH[..1];
                self.ways = match (next, up) {
                    (true, _) => &Direction::BOTH[..1],
                    (false, true) => &Direction::BOTH[1..],
                    (false, false) => &Direction::BOTH,
                };
                self.said = format!("keys change {}", self.words());
            }
            'n' if self.has_flows() => {
                let moved = network.rebind(None);
                self.said = format!("{moved} flows come from another port now");
            }
            '0' => {
                for (way, config) in Direction::BOTH.into_iter().zip(&self.start) {
                    network.set_setup(way, config.clone());
                }
                self.said = "as at the start".to_owned();
            }
            key => self.turn(key, network),
        }
        true
    }

    /// Whether there is what comes from ports, and can come from others.
    fn has_flows(&self) -> bool {
        self.start[0].has_packets()
    }

    fn words(&self) -> String {
        let words: Vec<&str> = self.ways.iter().map(|way| way.as_str()).collect();
        words.join(" and ")
    }

    /// Turns a knob one step on, or back for a capital.
    fn turn(&mut self, key: char, network: &dyn Network) {
        let lower = key.to_ascii_lowercase();
        let knob = self.knobs.iter().find(|&&(known, ..)| known == lower);
        let Some(&(_, name, steps)) = knob else { return };
        for &way in self.ways {
            let mut setup = network.setup(way);
            let step = step_of(&setup, name, steps);
            let back = key.is_ascii_uppercase();
            let step = if back { step.saturating_sub(1) } else { (step + 1).min(steps.len() - 1) };
            let value = steps[step];
            let refused = setup.set(name, value);
            match refused.and_then(|()| setup.contradiction().map_or(Ok(()), |r| Err(r.into()))) {
                Ok(()) => {
                    network.set_setup(way, setup);
                    self.said = format!("{}: {name} {value}", self.words());
                }
                Err(reason) => self.said = reason,
            }
        }
    }

    /// The view as lines of at most `width` columns.
    pub fn lines(&self, network: &dyn Network, width: usize) -> Vec<String> {
        let at = self.history.samples().last().map_or(Nanos::ZERO, |sample| sample.at);
        let (title, seed) = (network.title(), network.seed());
        let mut lines = vec![format!("netem {title}  seed {seed}  {:.0} s", at.as_secs_f64())];
        let extra = network.extra();
        let extra = extra.iter().map(|(name, value)| format!("{name} {value}"));
        lines.push(extra.collect::<Vec<_>>().join(", "));
        for (side, way) in Direction::BOTH.into_iter().enumerate() {
            lines.push(String::new());
            self.side(&mut lines, side, way, network);
        }
        lines.push(String::new());
        let knobs = self.knobs.iter().map(|(key, name, _)| format!("{key} {name}"));
        let knobs = knobs.collect::<Vec<_>>().join("  ");
        let rebind = if self.has_flows() { "  n rebind" } else { "" };
        lines.push(format!("{knobs}  (capital: back)"));
        lines.push(format!("w which way ({}){rebind}  0 reset  q quit", self.words()));
        lines.push(self.said.clone());
        let shown = |line: &String| line.chars().filter(|c| !c.is_control()).take(width).collect();
        lines.iter().map(shown).collect()
    }

    fn side(&self, lines: &mut Vec<String>, side: usize, way: Direction, network: &dyn Network) {
        let settings = network.setup(way).settings();
        let settings = settings.iter().map(|(name, value)| format!("{name} {value}"));
        let settings = settings.collect::<Vec<_>>().join(", ");
        let settings = if settings.is_empty() { "nothing happens".to_owned() } else { settings };
        lines.push(format!("{:<5} {settings}", way.as_str()));
        let rates: Vec<Rates> = self.history.rates(side).rev().take(CURVE).collect();
        let now = rates.first().copied().unwrap_or_default();
        let curves: [Curve; 3] = [
            ("in", |rates| rates.received),
            ("out", |rates| rates.delivered),
            ("drop", |rates| rates.dropped),
        ];
        let all = curves.iter().flat_map(|(_, of)| rates.iter().map(of));
        let highest = all.fold(1.0, f64::max);
        for (name, of) in curves {
            let curve: String =
                rates.iter().rev().map(|rates| block(of(rates) / highest)).collect();
            lines.push(format!("  {name:<5}{:>12.0}/s {curve}", of(&now)));
        }
        let Some(sample) = self.history.samples().last() else { return };
        let stats = &sample.stats[side];
        let why: Vec<String> = reasons(stats).map(|(why, n)| format!("{why} {n}")).collect();
        let why = if why.is_empty() { "none".to_owned() } else { why.join(", ") };
        let (queued, most) = (stats.queued, stats.queued_max);
        lines.push(format!("  {:.3} Mbit/s, queued {queued} (most {most})", now.bits / 1e6));
        lines.push(format!("  dropped: {why}"));
        lines.extend(delays(stats));
    }
}

/// Where a knob stands: at the beginning, if the setting is none of its steps.
fn step_of(setup: &Setup, name: &str, steps: &[&str]) -> usize {
    let settings = setup.settings();
    let Some((_, now)) = settings.iter().find(|(known, _)| *known == name) else { return 0 };
    // A setting may say more than its step: "1% distance 3 flush 50ms".
    let first = now.split(' ').next();
    steps.iter().position(|step| Some(*step) == first).unwrap_or(0)
}

/// The delays that occurred: from the first class that is not empty to the last.
fn delays(stats: &LinkStats) -> Vec<String> {
    let classes: Vec<_> = stats.delays.classes().collect();
    let used = |&(_, count): &(Option<Nanos>, u64)| count > 0;
    let (Some(first), Some(last)) = (classes.iter().position(used), classes.iter().rposition(used))
    else {
        return Vec::new();
    };
    let highest = classes.iter().map(|&(_, count)| count).max().unwrap_or(1);
    let line = |&(end, count): &(Option<Nanos>, u64)| {
        let end = end.map_or("more".to_owned(), |end| format!("<= {end}"));
        let bar = "█".repeat((count * 32).div_ceil(highest) as usize);
        format!("  {end:>14} {count:>10} {bar}")
    };
    classes[first..=last].iter().map(line).collect()
}

/// A part of the highest as a block; what is there at all is seen.
fn block(part: f64) -> char {
    BLOCKS[((part * 8.0).ceil() as usize).min(8)]
}
