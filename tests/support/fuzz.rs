//! Feeds a check with the committed corpus and with seeded mutations of it.

use std::fs;
use std::path::Path;

use crate::support::rng::Rng;

/// Mutations a target gets in a test run.
const MUTATIONS: usize = 100_000;

/// Runs `check` on every file of `tests/fuzz/corpus/<target>` and on mutations of them.
pub(crate) fn corpus_and_mutations(target: &str, mut check: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("a file").path())
        .collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
    corpus.iter().for_each(|bytes| check(bytes));
    let mut rng = Rng::new(0x7564_7063);
    for _ in 0..MUTATIONS {
        let mut bytes = corpus[rng.below(corpus.len() as u64) as usize].clone();
        for _ in 0..=rng.below(4) {
            mutate(&mut bytes, &mut rng);
        }
        check(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len() as u64 + 1) as usize;
    match rng.below(5) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, rng.next() as u8),
        2 => {
            let len = rng.below(12) as usize;
            bytes.extend(rng.bytes(len));
        }
        _ if at == bytes.len() => {}
        3 => bytes[at] ^= 1 << rng.below(8),
        _ => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][rng.below(6) as usize],
    }
}
