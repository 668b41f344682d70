//! Properties: what is composed is parsed to the same, and the `domain` crate agrees.

use domain::base::{Message as Peer, ParsedRecord};
use domain::rdata::AllRecordData;
use proptest::prelude::*;
use udpcore::dns::compose::{Composer, compose};
use udpcore::dns::header::{Flags, Header, Opcode};
use udpcore::dns::message::Section;
use udpcore::dns::query::Query;
use udpcore::dns::rdtype::Class;
use udpcore::dns::value::{bitmap, types};
use udpcore::dns::{Message, Name, RdType};

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6).prop_map(|labels| {
        let text: String = labels
            .iter()
            .map(|label| label.iter().map(|b| format!("\\{b:03}")).collect::<String>() + ".")
            .collect();
        if text.is_empty() { Name::root() } else { text.parse().unwrap() }
    })
}

/// Record data of a type, as raw octets with whole names in them.
fn data() -> impl Strategy<Value = (RdType, Vec<u8>)> {
    let with_name = |rdtype: RdType, octets: usize| {
        (prop::collection::vec(any::<u8>(), octets), name()).prop_map(move |(mut head, name)| {
            head.extend_from_slice(name.as_wire());
            (rdtype, head)
        })
    };
    prop_oneof![
        prop::collection::vec(any::<u8>(), 4).prop_map(|octets| (RdType::A, octets)),
        prop::collection::vec(any::<u8>(), 16).prop_map(|octets| (RdType::AAAA, octets)),
        with_name(RdType::CNAME, 0),
        with_name(RdType::NS, 0),
        with_name(RdType::MX, 2),
        with_name(RdType::SRV, 6),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|octets| (RdType(65_280), octets)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_text_of_a_name_is_that_name(name in name()) {
        let again: Name = name.to_string().parse().unwrap();
        prop_assert_eq!(again.as_wire(), name.as_wire());
    }

    #[test]
    fn a_bitmap_holds_its_types(mut codes in prop::collection::vec(any::<u16>(), 0..50)) {
        let raw = bitmap(codes.iter().map(|code| RdType(*code)).collect());
        codes.sort_unstable();
        codes.dedup();
        prop_assert_eq!(types(&raw).map(|rdtype| rdtype.0).collect::<Vec<_>>(), codes);
    }

    #[test]
    fn a_query_is_what_the_peer_reads(name in name(), id: u16, code: u16, size: u16) {
        prop_assume!(code != RdType::OPT.0);
        let mut query = Query::new(name.clone(), RdType(code));
        query.edns = Some(size);
        let wire = query.compose(id);
        let peer = Peer::from_octets(&wire[..]).unwrap();
        prop_assert_eq!(peer.header().id(), id);
        prop_assert_eq!(peer.opt().unwrap().udp_payload_size(), size);
        let question = peer.first_question().unwrap();
        prop_assert_eq!(question.qtype().to_int(), code);
        let octets: Vec<u8> = question.qname().iter().flat_map(|label| {
            std::iter::once(label.len() as u8).chain(label.as_slice().to_vec())
        }).collect();
        prop_assert_eq!(&octets[..], name.as_wire());
    }

    #[test]
    fn records_survive_compression_and_the_peer_agrees(
        rows in prop::collection::vec((name(), data(), any::<u32>()), 0..12),
    ) {
        let header = Header {
            id: 1, flags: Flags(Flags::QR), opcode: Opcode(0), rcode_low: 0, counts: [0; 4],
        };
        let mut composer = Composer::new(&header);
        for (owner, (rdtype, octets), ttl) in &rows {
            let open = composer.open(Section::Answer, &owner.as_ref(), *rdtype, Class::IN, *ttl);
            composer.bytes(octets);
            composer.close(open).unwrap();
        }
        // Composed a second time, names in the data are compressed as well.
        let plain = Message::parse(composer.finish().unwrap()).unwrap();
        let packed = compose(&plain).unwrap();
        prop_assert!(packed.len() <= plain.wire().len());
        let again = Message::parse(packed.clone()).unwrap();
        prop_assert_eq!(again.to_string(), plain.to_string());
        prop_assert_eq!(compose(&again).unwrap(), packed.clone());
        let peer = Peer::from_octets(&packed[..]).unwrap();
        let records: Vec<ParsedRecord<'_, &[u8]>> =
            peer.answer().unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(records.len(), rows.len());
        for (record, (_, (rdtype, _), ttl)) in records.iter().zip(&rows) {
            prop_assert_eq!(record.rtype().to_int(), rdtype.0);
            prop_assert_eq!(record.ttl().as_secs(), *ttl);
            prop_assert!(record.to_any_record::<AllRecordData<_, _>>().is_ok());
        }
    }

    /// What the peer takes we take; where only one refuses, the message is not well formed.
    #[test]
    fn cut_and_changed_messages_are_refused_alike(at in 12usize..80, octet: u8) {
        let mut wire = Query::new("www.example.test".parse().unwrap(), RdType::A).compose(1);
        let Some(place) = wire.get_mut(at) else { return Ok(()) };
        *place = octet;
        let ours = Message::parse(wire.clone()).is_ok();
        let peer = Peer::from_octets(&wire[..]).unwrap();
        let question = peer.sole_question().is_ok();
        // We check more (nothing behind the end, OPT whole), never less.
        prop_assert!(!ours || question);
    }
}
