//! Feeds a check with the committed corpus and with seeded mutations of it.
//!
//! A test run gives each target `CASES_DEFAULT` mutations; `UDPCORE_FUZZ_CASES` asks for more
//! (`make fuzz`) and `UDPCORE_FUZZ_SEED` for others. A failure prints the seed, the round, the
//! bytes and the command that repeats it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::rng::Rng;

/// Mutations that a target gets in a test run.
const CASES_DEFAULT: u64 = 100_000;
/// Changes that one mutation makes, at most.
const CHANGES_MAX: u64 = 5;
/// Bytes at which formats change their mind: signs, lengths, pointers, varints.
const TELLING: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];

/// How many mutations a target gets.
pub(crate) fn cases() -> u64 {
    variable("UDPCORE_FUZZ_CASES", CASES_DEFAULT)
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number in the variable"))
}

/// Runs `check` on every file of `tests/fuzz/corpus/<target>` and on [`cases`] mutations of them.
pub(crate) fn corpus_and_mutations(target: &str, mut check: impl FnMut(&[u8])) {
    let mut mutations = Mutations::of(target);
    for bytes in mutations.corpus.clone() {
        check(&bytes);
    }
    for _ in 0..cases() {
        let bytes = mutations.draw();
        mutations.attempt(&bytes, || check(&bytes));
    }
}

/// An endless supply of mutations of a corpus.
pub(crate) struct Mutations {
    target: String,
    corpus: Vec<Vec<u8>>,
    seed: u64,
    round: u64,
    rng: Rng,
}

impl Mutations {
    /// Of the files of `tests/fuzz/corpus/<target>`.
    pub(crate) fn of(target: &str) -> Self {
        let mut paths: Vec<_> = fs::read_dir(folder().join(target))
            .expect("the corpus is committed")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "the corpus of {target} is empty");
        let corpus = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
        let seed = variable("UDPCORE_FUZZ_SEED", 0x7564_7063);
        Self { target: target.to_owned(), corpus, seed, round: 0, rng: Rng::new(seed) }
    }

    /// The committed files, in order of their names.
    pub(crate) fn corpus(&self) -> &[Vec<u8>] {
        &self.corpus
    }

    /// The generator, for what a check draws beside its bytes.
    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The next one: a file of the corpus with one to five changes.
    pub(crate) fn draw(&mut self) -> Vec<u8> {
        let bytes = self.pick();
        self.change(bytes)
    }

    /// One to five changes to `bytes`.
    pub(crate) fn change(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.round += 1;
        let other = self.pick();
        for _ in 0..=self.rng.below(CHANGES_MAX) {
            change(&mut bytes, &other, &mut self.rng);
        }
        bytes
    }

    fn pick(&mut self) -> Vec<u8> {
        let index = self.rng.below(self.corpus.len() as u64) as usize;
        self.corpus[index].clone()
    }

    /// Runs `check`; if it panics, says how to see that again.
    pub(crate) fn attempt(&self, bytes: &[u8], check: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(check)) {
            let Self { target, seed, round, .. } = self;
            eprintln!(
                "{target}: round {round} of seed {seed} fails on {bytes:02x?}\nrepeat with: \
                 UDPCORE_FUZZ_SEED={seed} UDPCORE_FUZZ_CASES={} cargo test fuzz",
                cases()
            );
            std::panic::resume_unwind(panic);
        }
    }
}

/// The corpus, seen from the root crate and from `netem`.
fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let near = here.join("tests/fuzz/corpus");
    if near.is_dir() { near } else { here.join("../tests/fuzz/corpus") }
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.below(bytes.len() as u64 + 1) as usize;
    match rng.below(10) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, rng.next() as u8),
        2 => bytes.insert(at, TELLING[rng.below(8) as usize]),
        3 => {
            let len = rng.below(12) as usize;
            bytes.extend(rng.bytes(len));
        }
        4 => {
            let from = rng.below(other.len() as u64 + 1) as usize;
            bytes.splice(at.., other[from..].iter().copied());
        }
        5 => {
            let end = (at + rng.below(16) as usize).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ if at == bytes.len() => {}
        6 => _ = bytes.remove(at),
        7 => bytes[at] = rng.next() as u8,
        8 => bytes[at] ^= 1 << rng.below(8),
        _ => bytes[at] = TELLING[rng.below(8) as usize],
    }
}
