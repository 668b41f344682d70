//! What is read of control messages, on the corpus and on seeded mutations: nothing panics, what
//! is read is in the bytes, runs are cut to what covers them once.

#![cfg(target_os = "linux")]

mod support;

use support::fuzz::corpus_and_mutations;
use udpcore::io::batch::facts::Facts;
use udpcore::io::batch::report::Report;
use udpcore::io::batch::runs::{SEGMENTS_MAX, pieces, run_len};
use udpcore::io::socket::cmsg;

#[test]
fn control_messages() {
    corpus_and_mutations("control", |control| {
        let facts = Facts::parse(control);
        // The quick way finds the first segment length, the full one keeps the last.
        let whole = || cmsg::parse(control).filter(|item| !item.malformed);
        let runs = whole().filter(|item| (item.level, item.kind) == (17, 104)).count();
        if runs <= 1 {
            assert_eq!(facts.segment, Facts::segment_of(control));
        }
        let room: usize = cmsg::parse(control).map(|item| item.data.len()).sum();
        assert!(room <= control.len());
        // What is read composes to messages that say the same.
        let mut composed = Vec::new();
        for item in whole() {
            cmsg::compose(&mut composed, item.level, item.kind, item.data).expect("it fits");
        }
        assert_eq!(Facts::parse(&composed), facts);
        assert_eq!(Report::parse(&composed), Report::parse(control));
    });
}

#[test]
fn coalesced_messages() {
    corpus_and_mutations("control", |bytes| {
        let segment = Facts::parse(bytes).segment;
        let mut end = 0;
        let mut count = 0;
        for piece in pieces(bytes.len(), segment) {
            assert_eq!(piece.offset, end);
            end += piece.len;
            count += 1;
        }
        assert_eq!(end, bytes.len());
        assert!(count <= bytes.len().max(1));
    });
}

#[test]
fn runs_of_datagrams() {
    corpus_and_mutations("control", |bytes| {
        // Each pair of bytes is the length of a datagram.
        let lens: Vec<usize> =
            bytes.chunks_exact(2).map(|b| usize::from(b[0]) << 8 | usize::from(b[1])).collect();
        let segment_max = lens.first().copied().unwrap_or(0).max(lens.len());
        let mut begin = 0;
        while begin < lens.len() {
            let count = run_len(lens[begin..].iter().copied(), segment_max);
            assert!((1..=SEGMENTS_MAX).contains(&count));
            let run = &lens[begin..begin + count];
            if count > 1 {
                let cut: Vec<usize> = pieces(run.iter().sum(), run[0]).map(|p| p.len).collect();
                assert_eq!(cut, run);
            }
            begin += count;
        }
        assert_eq!(begin, lens.len());
    });
}
