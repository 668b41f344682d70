//! The tables `[[rule]]`: what happens to exactly these packets.

use toml::de::DeTable;

use super::error::{Problem, ScenarioError};
use super::reader::{Item, Reader};
use crate::impair::{Action, Condition, Rule};
use crate::packet::{Direction, FlowOrdinal};
use crate::suggest::did_you_mean;
use crate::units::{Bytes, Nanos};

const KEYS: [&str; 11] = [
    "direction",
    "flow",
    "packets",
    "every",
    "size",
    "contains",
    "hex",
    "offset",
    "from",
    "until",
    "action",
];

/// A rule and the directions it is for.
pub(super) struct Directed {
    pub(super) direction: Option<Direction>,
    pub(super) rule: Rule,
}

impl Reader<'_> {
    /// One `[[rule]]`.
    pub(super) fn rule(&self, item: Item<'_>) -> Result<Directed, ScenarioError> {
        let table = self.table(item)?;
        let items = self.entries(table, &KEYS)?;
        let find = |key: &str| items.iter().copied().find(|item| item.key == key);
        let mut conditions = Vec::new();
        let mut direction = None;
        if let Some(item) = find("direction") {
            direction = Some(self.direction(item)?);
        }
        if let Some(item) = find("flow") {
            let flow = self.integer(item, "a flow's number, from 0")?;
            conditions.push(Condition::Flow(FlowOrdinal(flow)));
        }
        if let Some(item) = find("packets") {
            conditions.push(Condition::Packets(self.quantity(item, "numbers such as \"3,7-9\"")?));
        }
        if let Some(item) = find("every") {
            const EXPECTED: &str = "a number, 1 up";
            let step: u64 = self.integer(item, EXPECTED)?;
            let step = step.try_into().map_err(|_| {
                let key = item.key.to_owned();
                self.at_value(item, Problem::Kind { key, expected: EXPECTED })
            })?;
            conditions.push(Condition::Every(step));
        }
        if let Some(item) = find("size") {
            conditions.push(self.size(item)?);
        }
        conditions.extend(self.payload(table, &items)?);
        if find("from").is_some() || find("until").is_some() {
            let time = |key: &str| find(key).map(|item| self.quantity(item, "a time")).transpose();
            let (from, until) = (time("from")?, time("until")?);
            let (from, until) = (from.unwrap_or(Nanos::ZERO), until.unwrap_or(Nanos::MAX));
            conditions.push(Condition::Time(from, until));
        }
        let action = find("action");
        let action = action.ok_or_else(|| self.at_value(item, Problem::MissingKey("action")))?;
        Ok(Directed { direction, rule: Rule { conditions, action: self.action(action)? } })
    }

    pub(super) fn direction(&self, item: Item<'_>) -> Result<Direction, ScenarioError> {
        let word = self.text(item, "\"up\" or \"down\"")?;
        let known = Direction::BOTH.into_iter().find(|way| way.as_str() == word);
        known.ok_or_else(|| {
            let (key, expected) = (item.key.to_owned(), "\"up\" or \"down\"");
            self.at_value(item, Problem::Kind { key, expected })
        })
    }

    fn action(&self, item: Item<'_>) -> Result<Action, ScenarioError> {
        let word = self.text(item, "an action such as \"drop\"")?;
        let known = Action::ALL.into_iter().find(|action| action.as_str() == word);
        known.ok_or_else(|| {
            let suggestion = did_you_mean(word, &Action::ALL.map(Action::as_str));
            let key = word.to_owned();
            self.at_value(item, Problem::UnknownKey { key, suggestion })
        })
    }

    /// `"1200B"`, `"100B-200B"` or `"1200B-"`.
    fn size(&self, item: Item<'_>) -> Result<Condition, ScenarioError> {
        let text = self.text(item, "sizes such as \"100B-200B\"")?;
        let read = |text: &str| {
            text.parse::<Bytes>().map(Bytes::get).map_err(|source| {
                self.at_value(item, Problem::Unit { key: item.key.to_owned(), source })
            })
        };
        Ok(match text.split_once('-') {
            None => Condition::Size(read(text)?, read(text)?),
            Some((min, "")) => Condition::Size(read(min)?, u32::MAX),
            Some((min, max)) => Condition::Size(read(min)?, read(max)?),
        })
    }

    /// `contains = "text"` or `hex = "0a0b"`, and the `offset` it stands at.
    fn payload(
        &self,
        table: &DeTable<'_>,
        items: &[Item<'_>],
    ) -> Result<Option<Condition>, ScenarioError> {
        let find = |key: &str| items.iter().copied().find(|item| item.key == key);
        let offset = find("offset").map(|item| self.integer(item, "a number of bytes, from 0"));
        let offset = offset.transpose()?;
        let bytes = match (find("contains"), find("hex")) {
            (Some(item), None) => self.text(item, "a text")?.as_bytes().to_vec(),
            (None, Some(item)) => {
                let expected = "pairs of hexadecimal digits such as \"0a0b\"";
                let digits = self.text(item, expected)?;
                hex(digits).ok_or_else(|| {
                    self.at_value(item, Problem::Kind { key: item.key.to_owned(), expected })
                })?
            }
            (Some(_), Some(item)) => {
                let reason = "contains and hex both say what a packet contains: leave one out";
                return Err(self.at_value(item, Problem::Contradiction(reason)));
            }
            (None, None) if offset.is_some() => {
                let key = table.iter().find(|(key, _)| key.get_ref() == "offset");
                let start = key.map_or(0, |(key, _)| key.span().start);
                let reason = "an offset says where contains or hex looks: give one of them";
                return Err(self.at(start, Problem::Contradiction(reason)));
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Condition::Payload(offset, bytes.into())))
    }
}

/// Pairs of hexadecimal digits as bytes.
fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
