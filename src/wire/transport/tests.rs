//! Round trips, vectors and limits of the transport's wire format.

use super::*;
use proptest::prelude::*;

fn parse_all(bytes: &[u8]) -> Result<Vec<Frame<'_>>, WireError> {
    Frames::new(bytes).collect()
}

#[test]
fn varints_of_rfc_9000_a_1() {
    let vectors: [(&[u8], u64); 5] = [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
        (&[0x40, 0x25], 37),
    ];
    for (bytes, value) in vectors {
        assert_eq!(Reader::new(bytes).varint(), Ok(value));
    }
}

#[test]
fn packet_numbers_of_rfc_9000_a_2_and_a_3() {
    let two = PacketNumberLen::for_number(0xac5c02, Some(0xabe8b3));
    assert_eq!(two.bytes(), 2);
    assert_eq!(PacketNumberLen::for_number(0xace8fe, Some(0xabe8b3)).bytes(), 3);
    assert_eq!(decode_packet_number(0x9b32, two, 0xa82f30eb), 0xa82f9b32);
}

#[test]
fn ack_ranges_of_one_frame() {
    let ranges = [20..=30_u64, 10..=15, 3..=3];
    let mut out = Vec::new();
    let ecn = EcnCounts { ect0: 7, ect1: 0, ce: 1 };
    assert_eq!(compose_ack(&mut out, 100, ranges.iter().cloned(), 900, Some(ecn)), Some(3));
    let frames = parse_all(&out).expect("a valid frame");
    let [Frame::Ack(ack)] = frames[..] else { panic!("{frames:?}") };
    assert_eq!((ack.largest, ack.delay_us, ack.ecn), (30, 900, Some(ecn)));
    assert_eq!(ack.ranges().collect::<Vec<_>>(), ranges);
}

#[test]
fn an_ack_that_lacks_room_keeps_the_newest_ranges() {
    let ranges = (0..50_u64).rev().map(|n| n * 1000..=n * 1000 + 1);
    let mut out = vec![0xaa];
    assert_eq!(compose_ack(&mut out, 3, ranges.clone(), 0, None), None);
    assert_eq!(out, [0xaa]);
    let low = compose_ack(&mut out, 40, ranges, 0, None).expect("one range fits");
    assert!(low > 0 && out.len() <= 41);
    let frames = parse_all(&out[1..]).expect("a valid frame");
    let [Frame::Ack(ack)] = frames[..] else { panic!("{frames:?}") };
    assert_eq!(ack.ranges().last().map(|range| *range.start()), Some(low));
}

#[test]
fn an_ack_below_zero_is_refused() {
    // Largest 1, no delay, no more ranges, first range 2 long.
    let error = parse_all(&[0x02, 1, 0, 0, 2]).expect_err("runs below zero");
    assert_eq!(error.kind, WireErrorKind::AckRange);
}

#[test]
fn a_fragment_stays_inside_its_message() {
    let head =
        MsgHead { channel: 0, id: 0, mode: Mode::Ordered, total: 10, offset: 8, deadline_us: None };
    let mut out = Vec::new();
    head.compose(&mut out, b"abc", false);
    assert_eq!(parse_all(&out).expect_err("outside").kind, WireErrorKind::Fragment);
}

#[test]
fn a_damaged_long_packet_is_told() {
    let header = LongHeader { kind: LongKind::Init, dcid: ConnectionId(1), scid: ConnectionId(2) };
    let packet = LongPacket { header, token: b"tok", payload: b"hello" };
    let mut out = Vec::new();
    packet.compose(&mut out, 1200);
    assert_eq!(out.len(), 1200);
    assert_eq!(LongPacket::parse(&out), Ok(packet));
    assert_eq!(peek_dcid(&out), Some(ConnectionId(1)));
    out[700] ^= 1;
    assert_eq!(LongPacket::parse(&out).expect_err("damaged").kind, WireErrorKind::Checksum);
}

fn varints() -> impl Strategy<Value = u64> {
    (0..62_u32, any::<u64>()).prop_map(|(bits, n)| n & ((2 << bits) - 1) & VARINT_MAX)
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Ordered),
        Just(Mode::Unordered),
        Just(Mode::Sequenced),
        Just(Mode::Unreliable)
    ]
}

fn frames() -> impl Strategy<Value = Frame<'static>> {
    let channel = 0..CHANNELS_MAX as u32;
    prop_oneof![
        Just(Frame::Ping),
        Just(Frame::Blocked),
        Just(Frame::ImmediateAck),
        (channel.clone(), modes(), 0..VARINT_MAX, proptest::option::of(varints())).prop_map(
            |(channel, mode, id, deadline_us)| {
                let head = MsgHead { channel, id, mode, total: 9, offset: 200, deadline_us };
                Frame::Repair(Repair { head, symbol: b"ab" })
            }
        ),
        (channel.clone(), modes(), 0..VARINT_MAX, 0..=MESSAGE_LEN_MAX as u32)
            .prop_map(|(channel, mode, id, total)| Frame::Skip { channel, mode, id, total }),
        varints().prop_map(Frame::MaxData),
        (channel, varints()).prop_map(|(channel, limit)| Frame::MaxChannel { channel, limit }),
        any::<u64>().prop_map(Frame::PathChallenge),
        any::<u64>().prop_map(Frame::PathResponse),
        (varints(), any::<u64>(), any::<[u8; 16]>()).prop_map(|(seq, cid, reset_token)| {
            Frame::NewCid { seq, cid: ConnectionId(cid), reset_token }
        }),
        varints().prop_map(Frame::RetireCid),
        (varints(), varints(), varints()).prop_map(|(seq, threshold, delay_us_max)| {
            Frame::AckFrequency { seq, threshold, delay_us_max }
        }),
        varints().prop_map(|code| Frame::Close { code, reason: "it is over" }),
        varints().prop_map(Frame::Timestamp),
    ]
}

proptest! {
    #[test]
    fn varint_round_trip(value in varints()) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        prop_assert_eq!(out.len(), varint_len(value));
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn frames_round_trip(list in proptest::collection::vec(frames(), 1..20)) {
        let mut out = Vec::new();
        for frame in &list {
            frame.compose(&mut out);
        }
        prop_assert_eq!(parse_all(&out), Ok(list));
    }

    #[test]
    fn messages_round_trip(
        channel in 0..CHANNELS_MAX as u32,
        id in 0..VARINT_MAX,
        mode in modes(),
        data in proptest::collection::vec(any::<u8>(), 1..300),
        cut in proptest::option::of((0..1000_u32, 1..1000_u32)),
        deadline_us in proptest::option::of(varints()),
        to_end in any::<bool>(),
    ) {
        let len = data.len() as u32;
        let (offset, total) =
            cut.map_or((0, len), |(before, after)| (before, before + len + after));
        let head = MsgHead { channel, id, mode, total, offset, deadline_us };
        let mut out = Vec::new();
        head.compose(&mut out, &data, to_end);
        prop_assert_eq!(out.len(), head.len(data.len(), to_end) + data.len());
        prop_assert_eq!(parse_all(&out), Ok(vec![Frame::Msg(Msg { head, data: &data })]));
    }

    #[test]
    fn packet_number_decodes_within_the_window(
        acked in 0..1_u64 << 50,
        ahead in 1..1_u64 << 28,
        seen in 0.0..=1.0_f64,
    ) {
        let number = acked + ahead;
        let len = PacketNumberLen::for_number(number, Some(acked));
        let truncated = number as u32 & (u32::MAX >> (32 - 8 * len.bytes()));
        let expected = acked + 1 + ((ahead - 1) as f64 * seen) as u64;
        prop_assert_eq!(decode_packet_number(truncated, len, expected), number);
    }

    #[test]
    fn short_header_round_trip(
        key_phase in any::<bool>(),
        dcid in any::<u64>(),
        pn in 1..u64::from(u32::MAX),
    ) {
        let number_len = PacketNumberLen::for_number(pn, Some(pn - 1));
        let mask = u32::MAX >> (32 - 8 * number_len.bytes());
        let header = ShortHeader {
            flags: ShortFlags { key_phase, number_len },
            dcid: ConnectionId(dcid),
            truncated_number: pn as u32 & mask,
        };
        let mut out = Vec::new();
        header.compose(&mut out);
        prop_assert_eq!(ShortHeader::parse(&out), Ok((header, out.len())));
        prop_assert_eq!(peek_dcid(&out), Some(ConnectionId(dcid)));
    }

    #[test]
    fn params_round_trip(values in proptest::array::uniform7(varints())) {
        let [message_len_max, max_data, max_channel_data, channels_max, idle_timeout_ms,
            ack_delay_us_max, datagram_len_max] = values;
        let params = Params { message_len_max, max_data, max_channel_data, channels_max,
            idle_timeout_ms, ack_delay_us_max, datagram_len_max };
        let mut out = Vec::new();
        params.compose(&mut out);
        prop_assert_eq!(Params::parse(&out), Ok(params));
    }
}
