//! StatsD lines: `name:value|type[|@rate][|#tag:value,…]`, several a datagram.
//!
//! The types c, g, ms, s, h and DogStatsD's d; several values in one line (`name:1:2:3|ms`);
//! gauges with a sign are changes. Events and service checks of DogStatsD are recognised, not
//! read. Fields with other first letters (container, time) are skipped.

/// Why a line is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum StatsdError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// No colon, or nothing before it.
    #[error("no name before a colon")]
    NoName,
    /// The name is longer than the limit.
    #[error("the name is longer than {NAME_BYTES_MAX} bytes")]
    LongName,
    /// A value is not a finite number.
    #[error("a value is not a finite number")]
    Value,
    /// No type, or one that nobody knows.
    #[error("the type is none of c, g, ms, s, h, d")]
    Type,
    /// The sample rate is not above 0 and at most 1.
    #[error("the sample rate is not above 0 and at most 1")]
    Rate,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric<'a> {
    /// `c`: add this much, already divided by the sample rate.
    Count(f64),
    /// `g`: this is the value now.
    Gauge(f64),
    /// `g` with a sign: change the value by this.
    GaugeChange(f64),
    /// `ms`, `h`, `d`: one observation, standing for `weight` of them.
    Observation {
        /// What was seen; a timer's in milliseconds.
        value: f64,
        /// One divided by the sample rate.
        weight: f64,
        /// `ms`, `h` or `d`.
        kind: ObservationKind,
    },
    /// `s`: this member was seen.
    Member(&'a str),
}

/// Where an observation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObservationKind {
    /// `ms`
    Timer,
    /// `h`
    Histogram,
    /// `d`
    Distribution,
}

/// One line that could be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// The tags as they came, without the `#`; empty when there are none.
    pub tags: &'a str,
    values: &'a str,
    kind: Kind,
    weight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Count,
    Gauge,
    Observation(ObservationKind),
    Set,
}

/// What a line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parsed<'a> {
    /// A metric.
    Line(Line<'a>),
    /// A DogStatsD event (`_e{`) or service check (`_sc|`).
    Other,
}

/// Parse one line, without its end.
pub fn parse_line(line: &[u8]) -> Result<Parsed<'_>, StatsdError> {
    let line = std::str::from_utf8(line).map_err(|_| StatsdError::NotText)?;
    if line.starts_with("_e{") || line.starts_with("_sc|") {
        return Ok(Parsed::Other);
    }
    // Lines are short: a plain loop over the bytes beats a search made for long texts.
    let colon = line.bytes().position(|byte| byte == b':' || byte == b'|');
    let colon = colon.filter(|at| *at > 0 && line.as_bytes()[*at] == b':');
    let (name, rest) = line.split_at(colon.ok_or(StatsdError::NoName)?);
    if name.len() > NAME_BYTES_MAX {
        return Err(StatsdError::LongName);
    }
    let (values, rest) = until_bar(&rest[1..]);
    let (kind, mut fields) = until_bar(rest.ok_or(StatsdError::Type)?);
    let kind = match kind {
        "c" => Kind::Count,
        "g" => Kind::Gauge,
        "ms" => Kind::Observation(ObservationKind::Timer),
        "h" => Kind::Observation(ObservationKind::Histogram),
        "d" => Kind::Observation(ObservationKind::Distribution),
        "s" => Kind::Set,
        _ => return Err(StatsdError::Type),
    };
    let (mut weight, mut tags) = (1.0, "");
    while let Some(rest) = fields {
        let (field, next) = until_bar(rest);
        fields = next;
        if let Some(rate) = field.strip_prefix('@') {
            let rate: f64 = rate.parse().map_err(|_| StatsdError::Rate)?;
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(StatsdError::Rate);
            }
            weight = 1.0 / rate;
        } else if let Some(list) = field.strip_prefix('#') {
            tags = list;
        }
    }
    let line = Line { name, tags, values, kind, weight };
    // Checked here once, so that `metrics` cannot fail.
    if line.kind != Kind::Set && line.raw_values().any(|value| number(value).is_none()) {
        return Err(StatsdError::Value);
    }
    Ok(Parsed::Line(line))
}

/// What lies before the next bar, and what lies behind it when there is one.
fn until_bar(text: &str) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == b'|') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

impl<'a> Line<'a> {
    /// The line's values, one by one.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> {
        let (kind, weight) = (self.kind, self.weight);
        self.raw_values().filter_map(move |value| {
            Some(match kind {
                Kind::Set => Metric::Member(value),
                Kind::Count => Metric::Count(number(value)? * weight),
                Kind::Gauge if value.starts_with(['+', '-']) => Metric::GaugeChange(number(value)?),
                Kind::Gauge => Metric::Gauge(number(value)?),
                Kind::Observation(kind) => {
                    Metric::Observation { value: number(value)?, weight, kind }
                }
            })
        })
    }

    /// A set's member may hold a colon; of the others, each colon begins a value.
    fn raw_values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let is_set = self.kind == Kind::Set;
        let mut rest = Some(self.values);
        std::iter::from_fn(move || {
            let text = rest?;
            let end = text.bytes().position(|byte| byte == b':' && !is_set);
            rest = end.map(|at| &text[at + 1..]);
            Some(&text[..end.unwrap_or(text.len())])
        })
    }
}

/// The lines of a datagram; empty ones (a closing newline) are left out.
pub fn lines(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    datagram
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// Only digits, a sign, a point and an exponent: `inf` and `nan` are no measurements.
fn number(text: &str) -> Option<f64> {
    // Most values are short whole numbers: those need no float parser.
    if (1..=INTEGER_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        let whole = text.bytes().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(whole as f64);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// So many digits always fit an f64 exactly.
const INTEGER_DIGITS_MAX: usize = 15;
/// The longest name of a metric.
pub const NAME_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(line: &str) -> Vec<Metric<'_>> {
        match parse_line(line.as_bytes()) {
            Ok(Parsed::Line(line)) => line.metrics().collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn vectors_of_every_type() {
        use ObservationKind::*;
        let seen = |value, weight, kind| Metric::Observation { value, weight, kind };
        assert_eq!(metrics("a.b:1|c"), [Metric::Count(1.0)]);
        assert_eq!(metrics("a:-3|c|@0.25"), [Metric::Count(-12.0)]);
        assert_eq!(metrics("g:42.5|g"), [Metric::Gauge(42.5)]);
        assert_eq!(metrics("g:+4|g"), [Metric::GaugeChange(4.0)]);
        assert_eq!(metrics("g:-4|g"), [Metric::GaugeChange(-4.0)]);
        assert_eq!(metrics("t:320|ms|@0.1"), [seen(320.0, 10.0, Timer)]);
        assert_eq!(metrics("t:1:2.5|h"), [seen(1.0, 1.0, Histogram), seen(2.5, 1.0, Histogram)]);
        assert_eq!(metrics("t:1e3|d"), [seen(1000.0, 1.0, Distribution)]);
        assert_eq!(metrics("u:a:b|s"), [Metric::Member("a:b")]);
    }

    #[test]
    fn tags_and_unknown_fields() {
        let Ok(Parsed::Line(line)) = parse_line(b"n:1|c|#env:prod,host:a|c:123|T1656581400|@0.5")
        else {
            panic!("a line");
        };
        assert_eq!((line.name, line.tags), ("n", "env:prod,host:a"));
        assert_eq!(line.metrics().next(), Some(Metric::Count(2.0)));
        assert_eq!(parse_line(b"_e{1,1}:a|b"), Ok(Parsed::Other));
        assert_eq!(parse_line(b"_sc|check|0"), Ok(Parsed::Other));
    }

    #[test]
    fn what_is_wrong_is_said() {
        use StatsdError::*;
        let long = format!("{}:1|c", "n".repeat(NAME_BYTES_MAX + 1));
        for (line, error) in [
            (&b"x"[..], NoName),
            (b":1|c", NoName),
            (b"x|1:c", NoName),
            (b"x:1", Type),
            (b"x:1|q", Type),
            (b"x:|c", Value),
            (b"x:one|c", Value),
            (b"x:inf|g", Value),
            (b"x:nan|g", Value),
            (b"x:1:|ms", Value),
            (b"x:1|c|@0", Rate),
            (b"x:1|c|@1.5", Rate),
            (b"x:1|c|@nan", Rate),
            (b"\xFF:1|c", NotText),
            (long.as_bytes(), LongName),
        ] {
            assert_eq!(parse_line(line), Err(error), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_datagram_has_lines() {
        let split: Vec<_> = lines(b"a:1|c\nb:2|c\r\n\n").collect();
        assert_eq!(split, [&b"a:1|c"[..], b"b:2|c"]);
    }
}
