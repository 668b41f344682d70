//! The receiver of the sliding-window code: a linear system over the messages that are missing.
//!
//! Every repair symbol is an equation. The system is kept reduced: each row has one message, its
//! pivot, that no other row mentions. A row that mentions nothing else is a message found.
//! Messages, rows and equations older than the window are forgotten, so memory is bounded; a
//! number far out of the window, or a known number with another content, is a sender that started
//! anew, and everything is forgotten: a gap of any size heals by itself.

use std::collections::BTreeMap;

use crate::fec::gf256::{inverse, multiply};
use crate::fec::kernel::{Kernel, Matrix, combine};
use crate::fec::sliding::{MESSAGE_MAX, SlidingError, coefficients, compose_symbol, parse_symbol};
use crate::wire::error::WireError;
use crate::wire::rlc::{COUNT_MAX, RlcRepair};
use crate::wire::serial::Serial;

/// A number this many windows behind is not late but of a sender that started anew.
const RESTART_WINDOWS: u64 = 4;

/// Numbers begin here, so that late ones do not fall below zero.
const FIRST_LAP: u64 = 1 << 32;

/// Messages found, with their numbers.
pub type Found = Vec<(Serial, Vec<u8>)>;

/// The machine.
#[derive(Debug, Clone)]
pub struct SlidingDecoder {
    window: u64,
    /// The newest number heard of, counted on beyond 32 bits.
    newest: Option<u64>,
    known: BTreeMap<u64, Vec<u8>>,
    rows: BTreeMap<u64, Row>,
}

/// An equation: the sum of coefficients times missing messages is the symbol.
#[derive(Debug, Clone)]
struct Row {
    coefficients: BTreeMap<u64, u8>,
    symbol: Vec<u8>,
}

impl SlidingDecoder {
    /// A decoder that remembers the last `window` messages. Twice the encoder's window is a good
    /// choice.
    ///
    /// # Errors
    /// [`SlidingError::Window`].
    pub fn new(window: usize) -> Result<Self, SlidingError> {
        if window == 0 || window > usize::from(COUNT_MAX) {
            return Err(SlidingError::Window(window));
        }
        Ok(Self {
            window: window as u64,
            newest: None,
            known: BTreeMap::new(),
            rows: BTreeMap::new(),
        })
    }

    /// How many messages and equations are remembered.
    pub fn remembered(&self) -> (usize, usize) {
        (self.known.len(), self.rows.len())
    }

    /// A message arrived: the messages that are found with its help.
    ///
    /// # Errors
    /// [`SlidingError::TooLong`].
    pub fn handle_source(&mut self, seq: Serial, message: &[u8]) -> Result<Found, SlidingError> {
        if message.len() > MESSAGE_MAX {
            return Err(SlidingError::TooLong(message.len()));
        }
        let symbol = compose_symbol(message);
        let mut number = self.hear(seq);
        if self.known.get(&number).is_some_and(|known| *known != symbol) {
            self.forget_all();
            number = self.hear(seq);
        }
        if self.is_forgotten(number) || self.known.contains_key(&number) {
            return Ok(Vec::new());
        }
        let mut found = self.settle(vec![(number, symbol)]);
        found.retain(|&(other, _)| other != seq);
        Ok(found)
    }

    /// A repair datagram arrived: the messages that are found with its help.
    ///
    /// # Errors
    /// [`WireError`] when it does not follow the format.
    pub fn handle_repair(&mut self, datagram: &[u8]) -> Result<Found, WireError> {
        let repair = RlcRepair::parse(datagram)?;
        let last = self.hear(repair.first.plus(u32::from(repair.count) - 1));
        let Some(first) = (last + 1).checked_sub(repair.count.into()) else {
            return Ok(Vec::new());
        };
        let drawn = coefficients(repair.key, repair.density, repair.count.into());
        let mut row = Row { coefficients: BTreeMap::new(), symbol: repair.symbol.to_vec() };
        for (number, coefficient) in (first..).zip(drawn) {
            match self.known.get(&number) {
                _ if coefficient == 0 => {}
                Some(symbol) => row.add(coefficient, symbol),
                // An equation about what is forgotten helps no more.
                None if self.is_forgotten(number) => return Ok(Vec::new()),
                None => _ = row.coefficients.insert(number, coefficient),
            }
        }
        let found = self.insert(row);
        Ok(self.settle(found))
    }

    /// Takes note of a number and forgets what is too old now.
    fn hear(&mut self, seq: Serial) -> u64 {
        let Some(newest) = self.newest else {
            let number = FIRST_LAP + u64::from(seq.get());
            self.newest = Some(number);
            return number;
        };
        let distance = Serial::new(newest as u32).distance_to(seq);
        let number = newest.saturating_add_signed(distance.into());
        if number + RESTART_WINDOWS * self.window < newest {
            self.forget_all();
            return self.hear(seq);
        }
        if number > newest {
            self.newest = Some(number);
            let oldest = (number + 1).saturating_sub(self.window);
            self.known = self.known.split_off(&oldest);
            self.rows.retain(|_, row| {
                row.coefficients.first_key_value().is_none_or(|(&first, _)| first >= oldest)
            });
        }
        number
    }

    fn is_forgotten(&self, number: u64) -> bool {
        self.newest.is_some_and(|newest| number + self.window <= newest)
    }

    fn forget_all(&mut self) {
        self.newest = None;
        self.known.clear();
        self.rows.clear();
    }

    /// Puts messages that became known into the rows, until nothing new follows.
    fn settle(&mut self, mut news: Vec<(u64, Vec<u8>)>) -> Found {
        let mut found = Vec::new();
        while let Some((number, symbol)) = news.pop() {
            let Some(message) = parse_symbol(&symbol) else {
                // No sender makes such a symbol: some equation was wrong. Begin anew.
                self.forget_all();
                return found;
            };
            if self.known.contains_key(&number) {
                continue;
            }
            found.push((Serial::new(number as u32), message));
            let touched = |row: &&mut Row| row.coefficients.contains_key(&number);
            for row in self.rows.values_mut().filter(touched) {
                let coefficient = row.coefficients.remove(&number).unwrap_or(0);
                row.add(coefficient, &symbol);
            }
            self.known.insert(number, symbol);
            // A row that has lost its pivot needs another one.
            if let Some(row) = self.rows.remove(&number) {
                news.extend(self.insert(row));
            }
            news.extend(self.take_solved());
        }
        found.sort_unstable_by_key(|&(seq, _)| seq.get());
        found
    }

    /// Adds an equation and keeps the system reduced; returns what it solves.
    fn insert(&mut self, mut row: Row) -> Vec<(u64, Vec<u8>)> {
        let mentioned: Vec<u64> = row.coefficients.keys().copied().collect();
        for number in mentioned {
            if let (Some(other), Some(&factor)) =
                (self.rows.get(&number), row.coefficients.get(&number))
            {
                row.add_row(factor, other);
            }
        }
        let Some((&pivot, &coefficient)) = row.coefficients.first_key_value() else {
            return Vec::new();
        };
        row.scale(inverse(coefficient));
        for other in self.rows.values_mut() {
            if let Some(&factor) = other.coefficients.get(&pivot) {
                other.add_row(factor, &row);
            }
        }
        self.rows.insert(pivot, row);
        self.take_solved()
    }

    fn take_solved(&mut self) -> Vec<(u64, Vec<u8>)> {
        let solved = self.rows.iter().filter(|(_, row)| row.coefficients.len() == 1);
        let pivots: Vec<u64> = solved.map(|(&pivot, _)| pivot).collect();
        let take = |pivot| Some((pivot, self.rows.remove(&pivot)?.symbol));
        pivots.into_iter().filter_map(take).collect()
    }
}

impl Row {
    /// Adds `factor` times a symbol.
    fn add(&mut self, factor: u8, symbol: &[u8]) {
        if factor == 0 {
            return;
        }
        let len = self.symbol.len().max(symbol.len());
        self.symbol.resize(len, 0);
        let mut padded = symbol.to_vec();
        padded.resize(len, 0);
        let mut sum = vec![0; len];
        let matrix = Matrix::new(1, 2, |_, column| if column == 0 { 1 } else { factor });
        combine(Kernel::best(), &matrix, &[&self.symbol, &padded], &mut [&mut sum]);
        self.symbol = sum;
    }

    /// Adds `factor` times another row.
    fn add_row(&mut self, factor: u8, other: &Self) {
        for (&number, &coefficient) in &other.coefficients {
            let sum = self.coefficients.entry(number).or_default();
            *sum ^= multiply(factor, coefficient);
            if *sum == 0 {
                self.coefficients.remove(&number);
            }
        }
        self.add(factor, &other.symbol);
    }

    fn scale(&mut self, factor: u8) {
        for coefficient in self.coefficients.values_mut() {
            *coefficient = multiply(*coefficient, factor);
        }
        let before = std::mem::take(&mut self.symbol);
        self.add(factor, &before);
    }
}

#[cfg(test)]
mod tests;
