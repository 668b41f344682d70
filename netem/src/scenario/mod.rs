//! Scenarios: a network in TOML, with a timeline.
//!
//! ```toml
//! version = 1
//! seed = 42
//!
//! [link]                          # both directions; [up] and [down] say what differs
//! profile = "3g"
//! loss = "gemodel 1% 20%"
//!
//! [down]
//! delay = "40ms 5ms distribution normal"
//!
//! [[rule]]                        # before every model; the first that fits decides
//! direction = "up"
//! packets = "3"
//! action = "drop"
//!
//! [[timeline]]
//! at = "5s"
//! outage = "800ms"
//! down = { loss = "30%" }
//!
//! [[timeline]]
//! at = "8s"
//! rebind = true                   # the server sees every client come from another port
//! ```
//!
//! A setting stays until a later one changes it. Unknown keys are refused, with the place and what
//! may have been meant. Files that a scenario names are looked for beside it.

mod error;
mod link;
mod reader;
mod rules;
mod write;

use std::path::Path;

use toml::de::DeTable;

pub use error::{Problem, ScenarioError};
use reader::{Item, Reader};
pub use write::of_faults;

use crate::impair::{Rule, Rules};
use crate::link::LinkConfig;
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::timeline::{Change, Timeline};
use crate::units::Nanos;

/// The version of the format.
pub const VERSION: u32 = 1;
const KEYS: [&str; 7] = ["version", "seed", "link", "up", "down", "rule", "timeline"];

/// A network and what happens to it in time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scenario {
    /// The seed, if it says one.
    pub seed: Option<Seed>,
    /// Client to server, at the start.
    pub up: LinkConfig,
    /// Server to client, at the start.
    pub down: LinkConfig,
    /// What changes later.
    pub timeline: Timeline,
}

impl Scenario {
    /// What one direction does at the start.
    pub const fn of(&self, direction: Direction) -> &LinkConfig {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// Reads a scenario; `file` is its name in errors, `open` reads the files that it names.
    ///
    /// ```
    /// use netem::scenario::Scenario;
    /// let mut none = |_: &str| Err("there are no files here".to_owned());
    /// let scenario = Scenario::parse("[up]\nloss = \"1%\"\n", "s.toml", &mut none)?;
    /// assert_eq!(scenario.up.loss, "1%".parse().unwrap());
    /// let error = Scenario::parse("[up]\nlsos = \"1%\"\n", "s.toml", &mut none).unwrap_err();
    /// let message = "s.toml:2:1: unknown key \"lsos\" (did you mean \"loss\"?)";
    /// assert_eq!(error.to_string(), message);
    /// # Ok::<(), netem::scenario::ScenarioError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScenarioError`]: the place and what is wrong there.
    pub fn parse(
        text: &str,
        file: &str,
        open: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, ScenarioError> {
        let mut reader = Reader { file, text, open };
        let table = DeTable::parse(text).map_err(|error| reader.syntax(&error))?;
        Build::default().read(&mut reader, table.get_ref())
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// [`ScenarioError`]; a file that cannot be read at all is an error at its first line.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError {
            file: file.clone(),
            line: 1,
            column: 1,
            problem: Box::new(Problem::Unreadable(error.to_string())),
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let mut open = |name: &str| {
            std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
        };
        Self::parse(&text, &file, &mut open)
    }
}

/// A scenario while it is read.
#[derive(Default)]
struct Build {
    scenario: Scenario,
    outages: Vec<(Option<Direction>, Nanos, Nanos)>,
    rules: Vec<rules::Directed>,
    changes: Vec<(Nanos, Change)>,
}

impl Build {
    fn read(
        mut self,
        reader: &mut Reader<'_>,
        table: &DeTable<'_>,
    ) -> Result<Scenario, ScenarioError> {
        for item in reader.entries(table, &KEYS)? {
            match item.key {
                "version" => version(reader, item)?,
                "seed" => {
                    let seed = reader.integer(item, "a number, 0 to 2^64 - 1")?;
                    self.scenario.seed = Some(Seed(seed));
                }
                "link" => {
                    for direction in Direction::BOTH {
                        self.settings(reader, item, direction)?;
                    }
                }
                "up" => self.settings(reader, item, Direction::Up)?,
                "down" => self.settings(reader, item, Direction::Down)?,
                "rule" => {
                    for rule in reader.tables(item)? {
                        self.rules.push(reader.rule(rule)?);
                    }
                }
                _ => self.timeline(reader, item)?,
            }
        }
        Ok(self.finish())
    }

    fn of_mut(&mut self, direction: Direction) -> &mut LinkConfig {
        match direction {
            Direction::Up => &mut self.scenario.up,
            Direction::Down => &mut self.scenario.down,
        }
    }

    fn settings(
        &mut self,
        reader: &mut Reader<'_>,
        item: Item<'_>,
        direction: Direction,
    ) -> Result<(), ScenarioError> {
        let table = reader.table(item)?;
        reader.settings(table, direction, self.of_mut(direction))
    }

    /// The steps of `[[timeline]]` in the order of their times.
    fn timeline(&mut self, reader: &mut Reader<'_>, item: Item<'_>) -> Result<(), ScenarioError> {
        const KEYS: [&str; 6] = ["at", "outage", "link", "up", "down", "rebind"];
        let mut steps = Vec::new();
        for step in reader.tables(item)? {
            let items = reader.entries(reader.table(step)?, &KEYS)?;
            match items.first() {
                Some(&at) if at.key == "at" => {
                    steps.push((reader.quantity::<Nanos>(at, "a time such as \"5s\"")?, items));
                }
                _ => return Err(reader.at_value(step, Problem::MissingKey("at"))),
            }
        }
        steps.sort_by_key(|&(at, _)| at);
        let mut current = [self.scenario.up.clone(), self.scenario.down.clone()];
        for (at, items) in steps {
            let before = current.clone();
            for item in items.into_iter().skip(1) {
                self.step(reader, at, item, &mut current)?;
            }
            for (place, direction) in Direction::BOTH.into_iter().enumerate() {
                if current[place] != before[place] {
                    let config = Box::new(current[place].clone());
                    self.changes.push((at, Change::Configure(direction, config)));
                }
            }
        }
        Ok(())
    }

    /// One key of a step.
    fn step(
        &mut self,
        reader: &mut Reader<'_>,
        at: Nanos,
        item: Item<'_>,
        [up, down]: &mut [LinkConfig; 2],
    ) -> Result<(), ScenarioError> {
        match item.key {
            "outage" => self.outage(reader, at, item)?,
            "rebind" => {
                let flow = match item.value.get_ref().as_bool() {
                    Some(true) => None,
                    Some(false) => return Ok(()),
                    None => Some(FlowOrdinal(reader.integer(item, "true, or a flow's number")?)),
                };
                self.changes.push((at, Change::Rebind(flow)));
            }
            key => {
                let table = reader.table(item)?;
                if key != "down" {
                    reader.settings(table, Direction::Up, up)?;
                }
                if key != "up" {
                    reader.settings(table, Direction::Down, down)?;
                }
            }
        }
        Ok(())
    }

    /// `outage = "800ms"`, or `{ for = "800ms", direction = "up" }`.
    fn outage(
        &mut self,
        reader: &Reader<'_>,
        at: Nanos,
        item: Item<'_>,
    ) -> Result<(), ScenarioError> {
        let (mut direction, mut length) = (None, None);
        if item.value.get_ref().as_table().is_some() {
            for inner in reader.entries(reader.table(item)?, &["for", "direction"])? {
                match inner.key {
                    "for" => length = Some(reader.quantity(inner, "a time")?),
                    _ => direction = Some(reader.direction(inner)?),
                }
            }
        } else {
            length = Some(reader.quantity(item, "a time, or { for, direction }")?);
        }
        let length = length.ok_or_else(|| reader.at_value(item, Problem::MissingKey("for")))?;
        self.outages.push((direction, at, length));
        Ok(())
    }

    /// Outages and rules hold from the start, in every configuration of their direction.
    fn finish(mut self) -> Scenario {
        let changes = std::mem::take(&mut self.changes);
        let complete = |direction: Direction, config: &mut LinkConfig| {
            let is_for = |wanted: Option<Direction>| wanted.is_none_or(|way| way == direction);
            for &(_, at, length) in self.outages.iter().filter(|outage| is_for(outage.0)) {
                config.blackhole = config.blackhole.with_outage(at, length);
            }
            let rules = self.rules.iter().filter(|directed| is_for(directed.direction));
            let rules: Vec<Rule> = rules.map(|directed| directed.rule.clone()).collect();
            config.rules = Rules::from(rules);
        };
        let mut scenario = self.scenario;
        complete(Direction::Up, &mut scenario.up);
        complete(Direction::Down, &mut scenario.down);
        scenario.timeline = Timeline::new(changes.into_iter().map(|(at, mut change)| {
            if let Change::Configure(direction, config) = &mut change {
                complete(*direction, config);
            }
            (at, change)
        }));
        scenario
    }
}

fn version(reader: &Reader<'_>, item: Item<'_>) -> Result<(), ScenarioError> {
    const EXPECTED: &str = "1, the only version there is";
    if reader.integer::<u32>(item, EXPECTED)? == VERSION {
        return Ok(());
    }
    let problem = Problem::Kind { key: item.key.to_owned(), expected: EXPECTED };
    Err(reader.at_value(item, problem))
}
