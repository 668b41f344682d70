//! Tests of the quantities: what is read, what is written, what is refused and how.

use proptest::prelude::*;

use super::{BitRate, Bytes, Nanos, Probability};

#[test]
fn times_are_read_exactly() {
    for (text, nanos) in [
        ("0ms", 0),
        ("20ms", 20_000_000),
        ("1.5s", 1_500_000_000),
        ("250us", 250_000),
        ("250µs", 250_000),
        (" 7 ns ", 7),
        ("2min", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        (".5ms", 500_000),
        ("5.ms", 5_000_000),
    ] {
        assert_eq!(text.parse::<Nanos>().map(Nanos::as_nanos), Ok(nanos), "{text}");
    }
}

#[test]
fn refused_quantities_say_what_to_write() {
    let time = |text: &str| text.parse::<Nanos>().unwrap_err().to_string();
    assert_eq!(time("5"), "\"5\" has no unit: write it like 5ms");
    assert_eq!(time("fast"), "\"fast\" is not a number with a unit: write it like 20ms");
    assert_eq!(time("-5ms"), "\"-5ms\" is not a number with a unit: write it like 20ms");
    assert_eq!(time("1.2.3ms"), "\"1.2.3ms\" is not a number with a unit: write it like 20ms");
    assert_eq!(
        time("5 parsecs"),
        "\"5 parsecs\" ends in an unknown unit \"parsecs\": use ns, us, ms, s, min or h"
    );
    assert_eq!(
        time("999999999999h"),
        "999999999999h is out of range: give a value from 0ns to 584 years"
    );
    assert_eq!(time("0.1ns"), "0.1ns is finer than the smallest step, 1ns: round it");
    assert_eq!(time(""), "\"\" is not a number with a unit: write it like 20ms");

    let share = |text: &str| text.parse::<Probability>().unwrap_err().to_string();
    assert_eq!(share("120%"), "120% is out of range: give a value from 0% to 100%");
    assert_eq!(share("0.5"), "\"0.5\" has no unit: write it like 0.5%");
    assert_eq!(share("5ms"), "\"5ms\" ends in an unknown unit \"ms\": use %");
    assert_eq!(
        share("100.0000000001%"),
        "100.0000000001% is out of range: give a value from 0% to 100%"
    );
    assert!(share("0.00000000001%").contains("finer than the smallest step"));
}

#[test]
fn rates_and_sizes_are_read_exactly_or_refused() {
    for (text, bits) in [("9600bit", 9600), ("1.5Mbit", 1_500_000), ("2gibit", 2 << 30)] {
        assert_eq!(text.parse().map(BitRate::bits_per_second), Ok(bits), "{text}");
    }
    for (text, bytes) in [("0B", 0), ("1400B", 1400), ("64KiB", 65_536), ("1.5kB", 1500)] {
        assert_eq!(text.parse().map(Bytes::get), Ok(bytes), "{text}");
    }
    let rate = |text: &str| text.parse::<BitRate>().unwrap_err().to_string();
    assert!(rate("10mbps").contains("unknown unit \"mbps\""), "{}", rate("10mbps"));
    assert_eq!(rate("10"), "\"10\" has no unit: write it like 10mbit");
    assert!(rate("0bit").contains("1bit to 1000tbit a second"));
    let size = |text: &str| text.parse::<Bytes>().unwrap_err().to_string();
    assert_eq!(size("1400"), "\"1400\" has no unit: write it like 1400B");
    assert!(size("5000MB").contains("out of range") && size("1 mile").contains("KiB"));
}

#[test]
fn bare_numbers_of_python_are_seconds_and_fractions() {
    assert_eq!(Nanos::from_secs_f64(0.02), Ok(Nanos::from_millis(20)));
    for bad in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
        assert!(Nanos::from_secs_f64(bad).is_err(), "{bad}");
    }
    assert_eq!(Probability::from_fraction(0.5).map(Probability::threshold), Ok(1 << 31));
    assert_eq!(Probability::from_fraction(1.0), Ok(Probability::ONE));
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY, 1e-300] {
        assert!(Probability::from_fraction(bad).is_err(), "{bad}");
    }
}

#[test]
fn certainty_hits_every_draw_and_zero_none() {
    assert!("100%".parse::<Probability>().unwrap().hit(u32::MAX));
    assert!(!"0%".parse::<Probability>().unwrap().hit(0));
    assert_eq!("0.1%".parse::<Probability>().unwrap().to_string(), "0.1%");
}

proptest! {
    #[test]
    fn times_written_read_back(nanos: u64) {
        let time = Nanos::from_nanos(nanos);
        prop_assert_eq!(time.to_string().parse::<Nanos>(), Ok(time));
    }

    #[test]
    fn probabilities_written_read_back(fraction in 0.0f64..=1.0) {
        prop_assume!(fraction == 0.0 || fraction > 1e-9);
        let share = Probability::from_fraction(fraction).unwrap();
        prop_assert_eq!(share.to_string().parse::<Probability>(), Ok(share));
    }

    #[test]
    fn rates_and_sizes_written_read_back(bits in 1u64..=1_000_000_000_000_000, bytes: u32) {
        let rate = BitRate::new(bits).unwrap();
        prop_assert_eq!(rate.to_string().parse::<BitRate>(), Ok(rate));
        prop_assert_eq!(Bytes::new(bytes).to_string().parse::<Bytes>(), Ok(Bytes::new(bytes)));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = text.parse::<Nanos>();
        let _ = text.parse::<Probability>();
    }
}
