//! Walks a TOML table and knows where everything stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problem, ScenarioError};
use crate::suggest::did_you_mean;
use crate::units::UnitError;

/// The text of a scenario, for turning offsets into lines and columns.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    /// Reads a file that the scenario names.
    pub(super) open: &'a mut dyn FnMut(&str) -> Result<String, String>,
}

/// A value and the key it stands under.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl Reader<'_> {
    /// An error at an offset of the text.
    pub(super) fn at(&self, offset: usize, problem: impl Into<Problem>) -> ScenarioError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ScenarioError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            problem: Box::new(problem.into()),
        }
    }

    pub(super) fn at_value(&self, item: Item<'_>, problem: impl Into<Problem>) -> ScenarioError {
        self.at(item.value.span().start, problem)
    }

    /// The entries of a table, all of whose keys must be known, in the order of `known`.
    pub(super) fn entries<'t>(
        &self,
        table: &'t DeTable<'t>,
        known: &[&str],
    ) -> Result<Vec<Item<'t>>, ScenarioError> {
        let mut found = Vec::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let Some(place) = known.iter().position(|known| *known == name) else {
                let (key_name, suggestion) = (name.to_owned(), did_you_mean(name, known));
                let problem = Problem::UnknownKey { key: key_name, suggestion };
                return Err(self.at(key.span().start, problem));
            };
            found.push((place, Item { key: name, value }));
        }
        found.sort_by_key(|&(place, _)| place);
        Ok(found.into_iter().map(|(_, item)| item).collect())
    }

    fn kind(&self, item: Item<'_>, expected: &'static str) -> ScenarioError {
        self.at_value(item, Problem::Kind { key: item.key.to_owned(), expected })
    }

    pub(super) fn text<'t>(
        &self,
        item: Item<'t>,
        expected: &'static str,
    ) -> Result<&'t str, ScenarioError> {
        item.value.get_ref().as_str().ok_or_else(|| self.kind(item, expected))
    }

    /// A string that can be parsed.
    pub(super) fn quantity<T: std::str::FromStr<Err = UnitError>>(
        &self,
        item: Item<'_>,
        expected: &'static str,
    ) -> Result<T, ScenarioError> {
        self.text(item, expected)?.parse().map_err(|source| {
            self.at_value(item, Problem::Unit { key: item.key.to_owned(), source })
        })
    }

    pub(super) fn integer<T: TryFrom<u64>>(
        &self,
        item: Item<'_>,
        expected: &'static str,
    ) -> Result<T, ScenarioError> {
        let digits = item.value.get_ref().as_integer();
        let number = digits.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        number.and_then(|n| T::try_from(n).ok()).ok_or_else(|| self.kind(item, expected))
    }

    pub(super) fn flag(&self, item: Item<'_>) -> Result<bool, ScenarioError> {
        item.value.get_ref().as_bool().ok_or_else(|| self.kind(item, "true or false"))
    }

    pub(super) fn table<'t>(&self, item: Item<'t>) -> Result<&'t DeTable<'t>, ScenarioError> {
        item.value.get_ref().as_table().ok_or_else(|| self.kind(item, "a table"))
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables<'t>(&self, item: Item<'t>) -> Result<Vec<Item<'t>>, ScenarioError> {
        let array = item.value.get_ref().as_array();
        let array = array.ok_or_else(|| self.kind(item, "tables: write [[...]] above each"))?;
        Ok(array.iter().map(|value| Item { key: item.key, value }).collect())
    }

    /// The text of a file that the scenario names.
    pub(super) fn file(&mut self, item: Item<'_>) -> Result<String, ScenarioError> {
        let name = self.text(item, "the name of a file")?.to_owned();
        (self.open)(&name)
            .map_err(|reason| self.at_value(item, Problem::Unreadable(format!("{name}: {reason}"))))
    }

    /// A file that can be parsed.
    pub(super) fn parsed_file<T: std::str::FromStr<Err = UnitError>>(
        &mut self,
        item: Item<'_>,
    ) -> Result<T, ScenarioError> {
        let text = self.file(item)?;
        text.parse().map_err(|source| {
            self.at_value(item, Problem::Unit { key: item.key.to_owned(), source })
        })
    }

    /// The error of a text that is not TOML at all.
    pub(super) fn syntax(&self, error: &toml::de::Error) -> ScenarioError {
        let Range { start, .. } = error.span().unwrap_or_default();
        self.at(start, Problem::Syntax(error.message().to_owned()))
    }
}
