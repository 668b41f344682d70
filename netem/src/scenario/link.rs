//! The tables `[link]`, `[up]` and `[down]`: one direction's impairments.
//!
//! Each impairment is a string as everywhere else. `delay`, `loss` and `rate` may also be tables
//! that name a file: `delay = { trace = "rtt.txt" }`, `delay = { time = "20ms", jitter = "4ms",
//! table = "my.dist" }`, `loss = { trace = "losses.txt" }`, `rate = { mahimahi = "lte.up" }`.

use toml::de::DeTable;

use super::error::{Problem, ScenarioError};
use super::reader::{Item, Reader};
use crate::impair::{
    Delay, DelayTable, DelayTrace, Distribution, Loss, LossTrace, Rate, RateTrace,
};
use crate::link::LinkConfig;
use crate::packet::Direction;
use crate::profile::Profile;
use crate::setting::{SETTINGS, WHOLES};

/// The keys of a direction, in the order they take effect: what sets all of it at once, then each
/// setting.
const KEYS: [&str; WHOLES.len() + SETTINGS.len()] = {
    let mut keys = [""; WHOLES.len() + SETTINGS.len()];
    let (wholes, settings) = keys.split_at_mut(WHOLES.len());
    wholes.copy_from_slice(&WHOLES);
    settings.copy_from_slice(&SETTINGS);
    keys
};

impl Reader<'_> {
    /// Applies the settings of `table` to `config`.
    pub(super) fn settings(
        &mut self,
        table: &DeTable<'_>,
        direction: Direction,
        config: &mut LinkConfig,
    ) -> Result<(), ScenarioError> {
        let items = self.entries(table, &KEYS)?;
        let has_tc = items.iter().any(|item| item.key == "tc");
        for &item in &items {
            if has_tc && item.key != "tc" {
                let reason = "tc says all about a direction: leave the other keys out, or tc";
                return Err(self.at_value(item, Problem::Contradiction(reason)));
            }
            self.setting(item, direction, config)?;
        }
        if let (Some(reason), Some(&first)) = (config.contradiction(), items.first()) {
            // The impairment it names, if it is set here.
            let named = items.iter().find(|item| reason.starts_with(item.key));
            let item = named.copied().unwrap_or(first);
            return Err(self.at_value(item, Problem::Contradiction(reason)));
        }
        Ok(())
    }

    fn setting(
        &mut self,
        item: Item<'_>,
        direction: Direction,
        config: &mut LinkConfig,
    ) -> Result<(), ScenarioError> {
        let is_table = item.value.get_ref().as_table().is_some();
        match item.key {
            "profile" => {
                let name = self.text(item, "the name of a profile")?;
                let profile = Profile::named(name).map_err(|e| self.at_value(item, e))?;
                *config = profile.config(direction);
            }
            "tc" => {
                let text = self.text(item, "a tc-netem option string")?;
                let tc = crate::tc::parse(text).map_err(|e| self.at_value(item, e))?;
                if tc.seed.is_some() {
                    let reason = "the seed is for both directions: write it at the top instead";
                    return Err(self.at_value(item, Problem::Contradiction(reason)));
                }
                *config = tc.config;
            }
            "delay" if is_table => config.delay = self.delay(item)?,
            "loss" if is_table => {
                let trace: LossTrace = self.only_file(item, "trace")?;
                config.loss = Loss::Trace(trace);
            }
            "rate" if is_table => {
                let trace: RateTrace = self.only_file(item, "mahimahi")?;
                config.rate = Some(Rate::traced(trace));
            }
            "limit" => config.limit_packets = self.limit(item)?,
            "unordered" => {
                if self.flag(item)? {
                    config.delay = config.delay.clone().unordered();
                }
            }
            key => {
                let text = self.text(item, "a string, such as \"20ms\" or \"1%\"")?;
                config.set(key, text).map_err(|error| self.at_value(item, error))?;
            }
        }
        Ok(())
    }

    fn limit(&self, item: Item<'_>) -> Result<usize, ScenarioError> {
        const EXPECTED: &str = "a number of packets, 1 up";
        match self.integer(item, EXPECTED)? {
            0 => {
                Err(self
                    .at_value(item, Problem::Kind { key: item.key.to_owned(), expected: EXPECTED }))
            }
            packets => Ok(packets),
        }
    }

    /// A table with one key, which names a file.
    fn only_file<T: std::str::FromStr<Err = crate::UnitError>>(
        &mut self,
        item: Item<'_>,
        key: &'static str,
    ) -> Result<T, ScenarioError> {
        let items = self.entries(self.table(item)?, &[key])?;
        match items.first() {
            Some(&file) => self.parsed_file(file),
            None => Err(self.at_value(item, Problem::MissingKey(key))),
        }
    }

    fn delay(&mut self, item: Item<'_>) -> Result<Delay, ScenarioError> {
        const KEYS: [&str; 7] =
            ["trace", "time", "table", "distribution", "jitter", "correlation", "unordered"];
        let items = self.entries(self.table(item)?, &KEYS)?;
        if items.is_empty() {
            return Err(self.at_value(item, Problem::MissingKey("time")));
        }
        let mut delay = Delay::default();
        let mut has_trace = false;
        for &inner in &items {
            let refused = |source| Problem::Unit { key: inner.key.to_owned(), source };
            if has_trace && inner.key != "unordered" {
                let reason = "a trace says every delay: leave the other keys out, or the trace";
                return Err(self.at_value(inner, Problem::Contradiction(reason)));
            }
            let changed = match inner.key {
                "trace" => {
                    has_trace = true;
                    Ok(Delay::traced(self.parsed_file::<DelayTrace>(inner)?))
                }
                "time" => Ok(Delay::constant(self.quantity(inner, "a time")?)),
                "table" => {
                    let table: DelayTable = self.parsed_file(inner)?;
                    delay.clone().with_distribution(Distribution::Table(table))
                }
                "distribution" => {
                    let name = self.text(inner, "the name of a distribution")?;
                    let shape = Distribution::named(name).ok_or_else(|| {
                        let expected = "uniform, normal, pareto, paretonormal or lognormal";
                        let key = inner.key.to_owned();
                        self.at_value(inner, Problem::Kind { key, expected })
                    })?;
                    delay.clone().with_distribution(shape)
                }
                "jitter" => delay.clone().with_jitter(self.quantity(inner, "a time")?),
                "correlation" => {
                    let rho = self.quantity(inner, "a percentage")?;
                    Ok(delay.clone().with_correlation(rho))
                }
                _ if self.flag(inner)? => Ok(delay.clone().unordered()),
                _ => Ok(delay.clone()),
            };
            delay = changed.map_err(|error| self.at_value(inner, refused(error)))?;
        }
        Ok(delay)
    }
}
