//! tc-netem's option strings, parsed as they are pasted from a shell history.
//!
//! `delay 100ms 10ms 25% distribution normal loss gemodel 1% 20%`, also with the whole
//! `tc qdisc add dev eth0 root netem` in front. The grammar is that of tc-netem(8); as in tc a bare
//! percentage needs no sign, a bare time is in microseconds, a bare rate in bits, and `bps` means
//! bytes. What the string means is tc-netem's too: jitter reorders, `reorder` lets chosen packets
//! go ahead of delayed ones, a packet that is both lost and duplicated leaves one copy, and the
//! queue holds 1000 packets unless `limit` says otherwise.
//!
//! Three differences, on purpose: correlations keep the probability they are given with (tc's do
//! not), distributions come from their formulas rather than iproute2's tables, and `paretonormal`
//! adds quantiles (see `impair/quantile.rs`). Slots are refused.

use crate::impair::{
    Chance, Corrupt, Delay, Distribution, Duplicate, EcnMarking, FourState, GilbertElliott, Loss,
    Rate, Reorder,
};
use crate::link::{LinkConfig, Semantics};
use crate::random::Seed;
use crate::suggest::did_you_mean;
use crate::units::{BitRate, Nanos, Probability, UnitError};

/// tc-netem's queue unless `limit` says otherwise.
pub const LIMIT_DEFAULT: usize = 1000;
const OPTIONS: [&str; 12] = [
    "limit",
    "delay",
    "distribution",
    "loss",
    "ecn",
    "corrupt",
    "duplicate",
    "reorder",
    "gap",
    "rate",
    "slot",
    "seed",
];

/// What an option string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcNetem {
    /// What the link does.
    pub config: LinkConfig,
    /// The seed, if the string has one.
    pub seed: Option<Seed>,
}

/// Why an option string was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TcError {
    /// A word that is no option.
    #[error("column {column}: unknown option {word:?}{suggestion}")]
    UnknownOption {
        /// Where it begins, from 1.
        column: usize,
        /// The word.
        word: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// An option without its value.
    #[error("column {column}: {option} needs {needs}")]
    Missing {
        /// Where the string ends, or the next option begins.
        column: usize,
        /// The option.
        option: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A value that cannot be read.
    #[error("column {column}: {option}: {source}")]
    Value {
        /// Where it begins.
        column: usize,
        /// The option it belongs to.
        option: &'static str,
        /// What is wrong with it.
        source: UnitError,
    },
    /// An option that cannot be, or not with the others.
    #[error("{option}: {reason}")]
    Refused {
        /// The option.
        option: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
}

/// Parses an option string.
///
/// ```
/// let tc = netem::tc::parse("delay 100ms 10ms 25% distribution normal loss gemodel 1% 20%")?;
/// assert_eq!(tc.config.loss.to_string(), "gemodel 1% 20% 100% 0%");
/// let error = netem::tc::parse("delay 10ms lsos 1%").unwrap_err();
/// assert_eq!(error.to_string(), "column 12: unknown option \"lsos\" (did you mean \"loss\"?)");
/// # Ok::<(), netem::tc::TcError>(())
/// ```
///
/// # Errors
/// [`TcError`], with the column where something is wrong.
pub fn parse(text: &str) -> Result<TcNetem, TcError> {
    let mut parser = Parser { words: Vec::new(), place: 0, end: text.chars().count() + 1 };
    let mut at = 0;
    for word in text.split_whitespace() {
        // Each word is a slice of what is left, so it is found.
        at += text[at..].find(word).unwrap_or_default();
        parser.words.push((text[..at].chars().count() + 1, word));
        at += word.len();
    }
    if let Some(place) = parser.words.iter().position(|&(_, word)| word == "netem") {
        parser.place = place + 1;
    }
    let mut found = Found::default();
    while let Some((column, word)) = parser.take() {
        parser.option(column, word, &mut found)?;
    }
    found.finish()
}

/// The options as they are found.
#[derive(Default)]
struct Found {
    limit: Option<usize>,
    delay: Option<(Nanos, Nanos, Probability)>,
    distribution: Option<Distribution>,
    loss: Option<Loss>,
    ecn: bool,
    corrupt: Option<Chance>,
    duplicate: Option<Chance>,
    reorder: Option<Chance>,
    gap: Option<u32>,
    rate: Option<Rate>,
    seed: Option<Seed>,
}

impl Found {
    fn finish(self) -> Result<TcNetem, TcError> {
        let refused = |option, reason| Err(TcError::Refused { option, reason });
        let (time, jitter, correlation) = self.delay.unwrap_or_default();
        if self.distribution.is_some() && jitter == Nanos::ZERO {
            return refused("distribution", "it shapes the jitter: give a delay with a jitter");
        }
        let reorders = self.reorder.is_some() || self.gap.is_some();
        if reorders && time == Nanos::ZERO {
            return refused("reorder", "it lets packets go ahead of delayed ones: give a delay");
        }
        if self.ecn && self.loss.is_none() {
            return refused("ecn", "it marks what would be lost: give a loss");
        }
        // As in the kernel, a gap alone chooses whenever it may.
        let reorder = match (self.reorder, self.gap) {
            (None, None) => Reorder::default(),
            (chance, gap) => Reorder::ahead(
                chance.unwrap_or_else(|| Chance::from(Probability::ONE)),
                gap.unwrap_or(1),
            ),
        };
        let distribution = self.distribution.unwrap_or_default();
        let corrupt = Corrupt::new(self.corrupt.unwrap_or_default(), 1).unwrap_or_default();
        let config = LinkConfig {
            loss: self.loss.unwrap_or_default(),
            ecn: EcnMarking { on_loss: self.ecn, ..EcnMarking::default() },
            corrupt,
            duplicate: Duplicate(self.duplicate.unwrap_or_default()),
            rate: self.rate,
            delay: Delay::of_tc([time, jitter], correlation, distribution),
            reorder,
            limit_packets: self.limit.unwrap_or(LIMIT_DEFAULT),
            semantics: Semantics::TcNetem,
            ..LinkConfig::default()
        };
        Ok(TcNetem { config, seed: self.seed })
    }
}

struct Parser<'a> {
    /// Words and the columns where they begin.
    words: Vec<(usize, &'a str)>,
    place: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Option<(usize, &'a str)> {
        let word = self.words.get(self.place).copied();
        self.place += usize::from(word.is_some());
        word
    }

    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.place).is_some_and(|&(_, next)| next == word);
        self.place += usize::from(is_next);
        is_next
    }

    fn option(&mut self, column: usize, word: &str, found: &mut Found) -> Result<(), TcError> {
        match word {
            "limit" => {
                let limit = self.integer("limit", "a number of packets")?;
                set("limit", &mut found.limit, limit)
            }
            "delay" | "latency" => {
                let time = self.need("delay", "a time", tc_time)?;
                let jitter = self.may("delay", tc_time)?.unwrap_or_default();
                let correlation = self.may("delay", percentage)?.unwrap_or_default();
                set("delay", &mut found.delay, (time, jitter, correlation))
            }
            "distribution" => {
                let shape = self.need("distribution", "its name", distribution)?;
                set("distribution", &mut found.distribution, shape)
            }
            "loss" | "drop" => {
                let loss = self.loss()?;
                set("loss", &mut found.loss, loss)
            }
            "ecn" => {
                found.ecn = true;
                Ok(())
            }
            "corrupt" => {
                let chance = self.chance("corrupt")?;
                set("corrupt", &mut found.corrupt, chance)
            }
            "duplicate" => {
                let chance = self.chance("duplicate")?;
                set("duplicate", &mut found.duplicate, chance)
            }
            "reorder" => {
                let chance = self.chance("reorder")?;
                set("reorder", &mut found.reorder, chance)
            }
            "gap" => {
                let gap = self.integer("gap", "a number of packets")?;
                set("gap", &mut found.gap, gap)
            }
            "rate" => {
                let rate = self.rate()?;
                set("rate", &mut found.rate, rate)
            }
            "seed" => {
                let seed = self.integer("seed", "a number")?;
                set("seed", &mut found.seed, Seed(seed))
            }
            "slot" => {
                let reason = "slots are not emulated: use a rate, or jitter";
                Err(TcError::Refused { option: "slot", reason })
            }
            word => {
                let suggestion = did_you_mean(word, &OPTIONS);
                Err(TcError::UnknownOption { column, word: word.to_owned(), suggestion })
            }
        }
    }

    fn loss(&mut self) -> Result<Loss, TcError> {
        let model = |source| TcError::Value { column: 1, option: "loss", source };
        let all = Probability::ONE;
        if self.skip("gemodel") {
            let p = self.need("loss", "a percentage", percentage)?;
            let mut next = || self.may("loss", percentage);
            let r = next()?.unwrap_or(p.complement());
            let bad = next()?.unwrap_or(all);
            let good = next()?.unwrap_or_default();
            return GilbertElliott::new(p, r, bad, good).map(Loss::GilbertElliott).map_err(model);
        }
        if self.skip("state") {
            let p13 = self.need("loss", "a percentage", percentage)?;
            let mut next = || self.may("loss", percentage);
            let p31 = next()?.unwrap_or(p13.complement());
            let p32 = next()?.unwrap_or_default();
            let p23 = next()?.unwrap_or(all);
            let p14 = next()?.unwrap_or_default();
            return FourState::new([p13, p31, p32, p23, p14]).map(Loss::FourState).map_err(model);
        }
        self.skip("random");
        self.chance("loss").map(Loss::from)
    }

    fn chance(&mut self, option: &'static str) -> Result<Chance, TcError> {
        let share = self.need(option, "a percentage", percentage)?;
        Ok(Chance::new(share, self.may(option, percentage)?.unwrap_or_default()))
    }

    fn rate(&mut self) -> Result<Rate, TcError> {
        let rate = Rate::fixed(self.need("rate", "a rate", rate)?);
        let numbers = |word: &str| word.parse::<i16>().map_err(|_| not_a_number(word));
        let Some(overhead) = self.may("rate", numbers)? else { return Ok(rate) };
        let rate = rate.with_overhead(overhead.into());
        let column = self.column();
        let Some(cell) = self.may("rate", numbers)?.filter(|&cell| cell != 0) else {
            return Ok(rate);
        };
        let header = self.may("rate", numbers)?.unwrap_or_default();
        // Neither may be negative.
        let size = |bytes: i16| u32::try_from(bytes).unwrap_or(u32::MAX);
        let cells = rate.with_cells(size(cell), size(header));
        cells.map_err(|source| TcError::Value { column, option: "rate", source })
    }

    fn column(&self) -> usize {
        self.words.get(self.place).map_or(self.end, |&(column, _)| column)
    }

    /// The next word as a value.
    fn need<T>(
        &mut self,
        option: &'static str,
        needs: &'static str,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Result<T, TcError> {
        let column = self.column();
        let (_, word) = self.take().ok_or(TcError::Missing { column, option, needs })?;
        read(word).map_err(|source| TcError::Value { column, option, source })
    }

    /// The next word as a value, if it begins like a number.
    fn may<T>(
        &mut self,
        option: &'static str,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Result<Option<T>, TcError> {
        let begins = |word: &str| word.starts_with(|c: char| "0123456789.-".contains(c));
        match self.words.get(self.place) {
            Some(&(_, word)) if begins(word) => self.need(option, "", read).map(Some),
            _ => Ok(None),
        }
    }

    fn integer<T: std::str::FromStr>(
        &mut self,
        option: &'static str,
        needs: &'static str,
    ) -> Result<T, TcError> {
        self.need(option, needs, |word| word.parse().map_err(|_| not_a_number(word)))
    }
}

fn set<T>(option: &'static str, place: &mut Option<T>, value: T) -> Result<(), TcError> {
    let reason = "it is there twice: leave one out";
    match place.replace(value) {
        Some(_) => Err(TcError::Refused { option, reason }),
        None => Ok(()),
    }
}

fn not_a_number(word: &str) -> UnitError {
    UnitError::NotANumber { value: word.to_owned(), example: "1000" }
}

fn is_bare(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn percentage(word: &str) -> Result<Probability, UnitError> {
    if is_bare(word) { format!("{word}%").parse() } else { word.parse() }
}

/// A time with tc's units.
fn tc_time(word: &str) -> Result<Nanos, UnitError> {
    if is_bare(word) {
        return format!("{word}us").parse();
    }
    let lower = word.to_ascii_lowercase();
    let long = [("secs", "s"), ("sec", "s")];
    match long.iter().find(|(long, _)| lower.ends_with(long)) {
        Some((long, short)) => format!("{}{short}", &lower[..lower.len() - long.len()]).parse(),
        None => lower.parse(),
    }
}

/// A rate with tc's units, where `bps` is bytes a second.
fn rate(word: &str) -> Result<BitRate, UnitError> {
    if is_bare(word) {
        return format!("{word}bit").parse();
    }
    let lower = word.to_ascii_lowercase();
    let Some(number) = lower.strip_suffix("bps") else { return lower.parse() };
    let bytes: BitRate = format!("{number}bit").parse()?;
    BitRate::new(bytes.bits_per_second().saturating_mul(8))
}

fn distribution(word: &str) -> Result<Distribution, UnitError> {
    Distribution::named(word).ok_or_else(|| UnitError::UnexpectedWord {
        value: format!("distribution {word}"),
        word: word.to_owned(),
        example: "distribution normal (or uniform, pareto, paretonormal, lognormal)",
    })
}
