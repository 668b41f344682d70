//! DNS against written truth: the messages of RFC 1035 and messages NSD sent, byte for byte.

use udpcore::dns::answer::{self, Verdict};
use udpcore::dns::compose::compose;
use udpcore::dns::message::Section;
use udpcore::dns::{Fault, Message, Name, RdType};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// RFC 1035 §4.1.4: F.ISI.ARPA, FOO.F.ISI.ARPA as a label and a pointer, ARPA, the root.
#[test]
fn compression_of_rfc_1035_section_4_1_4() {
    let mut wire = bytes("0000 0000 0004 0000 0000 0000");
    wire.extend(bytes("0146 0349 5349 0441 5250 4100 0001 0001")); // at 12
    wire.extend(bytes("0346 4f4f c00c 0001 0001"));
    wire.extend(bytes("c012 0001 0001")); // ARPA, at 12 + 6
    wire.extend(bytes("00 0001 0001"));
    let message = Message::parse(wire.clone()).unwrap();
    let names: Vec<_> = message.questions().map(|q| q.name.to_string()).collect();
    assert_eq!(names, ["F.ISI.ARPA.", "FOO.F.ISI.ARPA.", "ARPA.", "."]);
    assert_eq!(compose(&message).unwrap(), wire);
}

/// `web.example.test A` and `www.example.test A` as NSD 4.6.1 answered.
const WWW: &str = "
    1234 8500 0001 0002 0000 0001
    0377 7777 0765 7861 6d70 6c65 0474 6573 7400 0001 0001
    c00c 0005 0001 0000 003c 0006 0377 6562 c010
    c02e 0001 0001 0000 012c 0004 c000 020a
    00 0029 04d0 0000 0000 0000";

#[test]
fn an_alias_and_its_address() {
    let message = Message::parse(bytes(WWW)).unwrap();
    assert_eq!(compose(&message).unwrap(), message.wire());
    let lines: Vec<_> = message.section(Section::Answer).map(|r| r.to_string()).collect();
    assert_eq!(
        lines,
        [
            "www.example.test.\t60\tIN\tCNAME\tweb.example.test.",
            "web.example.test.\t300\tIN\tA\t192.0.2.10",
        ]
    );
    let name: Name = "WWW.example.test".parse().unwrap();
    let read = answer::read(&message, &name, RdType::A);
    assert_eq!((read.verdict, read.ttl), (Verdict::Found, Some(60)));
    assert_eq!(read.canonical.to_string(), "web.example.test.");
    assert_eq!(read.records, [1]);
    let read = answer::read(&message, &name, RdType::MX);
    assert_eq!(read.verdict, Verdict::Elsewhere);
}

#[test]
fn every_cut_of_a_message_tells_where_it_ends() {
    let wire = bytes(WWW);
    for len in 0..wire.len() {
        let error = Message::parse(&wire[..len]).unwrap_err();
        assert!(error.offset <= len, "{len}: {error}");
        assert!(matches!(error.fault, Fault::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn pointers_must_lead_back_and_end() {
    let question = |name: &str| {
        let mut wire = bytes("0000 0000 0001 0000 0000 0000");
        wire.extend(bytes(name));
        wire.extend(bytes("0001 0001"));
        Message::parse(wire).map(|_| ()).map_err(|error| (error.offset, error.fault))
    };
    assert_eq!(question("c00c"), Err((12, Fault::PointerForward(12))));
    assert_eq!(question("0161 c00c"), Err((14, Fault::PointerForward(12))));
    assert_eq!(question("c0ff"), Err((12, Fault::PointerForward(255))));
    // Into the header, which is before: two octets of zero are a root.
    assert_eq!(question("c008"), Ok(()));
    assert_eq!(question("40"), Err((12, Fault::LabelType(0x40))));
    let long = "3f".to_owned() + &"61".repeat(63);
    assert_eq!(question(&(long.repeat(4) + "00")), Err((12 + 3 * 64, Fault::NameTooLong)));
}

#[test]
fn a_chain_of_many_pointers_is_refused() {
    // 200 owners, each a pointer to the one before.
    let mut wire = bytes("0000 8000 0001 00c8 0000 0000 00 0001 0001");
    let mut target = 12usize;
    for _ in 0..200 {
        let at = wire.len();
        wire.extend_from_slice(&[0xc0 | (target >> 8) as u8, target as u8]);
        wire.extend(bytes("ff00 0001 00000000 0000"));
        target = at;
    }
    let error = Message::parse(wire).unwrap_err();
    assert_eq!(error.fault, Fault::PointerChain);
}

#[test]
fn names_keep_to_their_limits() {
    let parse = |text: &str| text.parse::<Name>().map(|name| name.to_string());
    assert_eq!(parse(".").unwrap(), ".");
    assert_eq!(parse("a.b").unwrap(), "a.b.");
    assert_eq!(parse(r"a\.b.c").unwrap(), r"a\.b.c.");
    assert_eq!(parse(r"a\032b").unwrap(), r"a\032b.");
    assert_eq!(parse(&"a".repeat(63)).unwrap().len(), 64);
    let text = parse(&"a".repeat(64)).unwrap_err().to_string();
    assert!(text.contains("64 octets, the limit is 63"), "{text}");
    // Four labels of 62 octets are 252 on the wire with their lengths; "b" makes 254, the root
    // 255.
    let most = [&"a".repeat(62)[..]; 4].join(".") + ".b";
    assert_eq!(most.parse::<Name>().unwrap().as_wire().len(), 255);
    assert!(parse(&(most + "c")).unwrap_err().to_string().contains("256 octets"));
    for bad in ["", "..", ".a", "a..b", r"a\", r"a\25", r"a\256", "a\u{2028}b"] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(parse("Bücher.example").unwrap(), "xn--bcher-kva.example.");
    let name: Name = "A.Example".parse().unwrap();
    assert_eq!(name, "a.eXAMPLE.".parse().unwrap());
    assert_eq!(name.parent().unwrap().to_string(), "Example.");
    let joined = name.join(&"test".parse().unwrap()).unwrap();
    assert_eq!(joined.to_string(), "A.Example.test.");
}

#[test]
fn negative_answers() {
    let soa = "c00c 0006 0001 0000 0e10 0016 00 00 00000001 00000002 00000003 00000004 0000003c";
    let head = |rcode: &str, an: &str| {
        format!("0001 818{rcode} 0001 {an} 0001 0000 0161 0474 6573 7400 0001 0001")
    };
    let name: Name = "a.test".parse().unwrap();
    let read = |hex: String| {
        let read = answer::read(&Message::parse(bytes(&hex)).unwrap(), &name, RdType::A);
        (read.verdict, read.ttl)
    };
    // RFC 2308 §5: the smaller of TTL (3600) and minimum (60).
    assert_eq!(read(head("3", "0000") + soa), (Verdict::NoName, Some(60)));
    assert_eq!(read(head("0", "0000") + soa), (Verdict::NoData, Some(60)));
    let alias_to_self = " c00c 0005 0001 0000 0005 0002 c00c ";
    assert_eq!(read(head("0", "0001") + alias_to_self + soa).0, Verdict::Loop);
}
