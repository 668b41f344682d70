//! Bytes and text from outside: a committed corpus, and 100,000 seeded mutations of it.
//!
//! The check functions are those that the cargo-fuzz targets call, too.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use netem::impair::{Delay, Duplicate, Loss, Reorder};
use netem::random::philox4x32;
use netem::{Nanos, Probability};

const MUTATIONS: u32 = 100_000;
/// Changing it makes another test; a failure prints it.
const SEED: [u32; 2] = [7, 0];

/// Whatever parses is written so that it parses to the same value.
fn check_text(bytes: &[u8]) {
    fn round_trip<T: FromStr + Display + PartialEq>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} became {value}");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    round_trip::<Nanos>(&text);
    round_trip::<Probability>(&text);
    round_trip::<Loss>(&text);
    round_trip::<Duplicate>(&text);
    round_trip::<Delay>(&text);
    round_trip::<Reorder>(&text);
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let entries = std::fs::read_dir(folder.join(target)).expect("the corpus is committed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One to four changes to `bytes`: a byte set, a bit flipped, an end cut, a piece repeated.
fn mutate(mut bytes: Vec<u8>, number: u32) -> Vec<u8> {
    let draw = |index| philox4x32([number, index, 0, 0], SEED);
    for index in 0..=draw(0)[0] % 4 {
        let [kind, place, value, length] = draw(index + 1);
        let at = place as usize % (bytes.len() + 1);
        match (kind % 5, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = value as u8,
            (1, Some(byte)) => *byte ^= 1 << (value % 8),
            (2, _) => bytes.truncate(at),
            (3, _) => bytes.insert(at, value as u8),
            _ => {
                let end = (at + length as usize % 16).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn run(target: &str, check: fn(&[u8])) {
    let seeds = corpus(target);
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|bytes| check(bytes));
    for number in 0..MUTATIONS {
        let bytes = mutate(seeds[number as usize % seeds.len()].clone(), number);
        let panicked = std::panic::catch_unwind(|| check(&bytes)).is_err();
        assert!(!panicked, "{target}: mutation {number} of seed {SEED:?} panics: {bytes:02x?}");
    }
}

#[test]
fn quantities_and_impairments() {
    run("netem_text", check_text);
}

#[cfg(all(target_os = "linux", feature = "raw"))]
#[test]
fn frames() {
    run("netem_frame", netem::bridge::check_frame);
}
