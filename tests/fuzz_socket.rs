//! What the kernel hands over with a datagram, on the corpus and on seeded mutations: addresses
//! and control messages are read without panic, and say the same again. What the control messages
//! mean is the matter of `fuzz_batch`.

mod support;

use support::fuzz::corpus_and_mutations;
use udpcore::io::socket::Address;
use udpcore::io::socket::address::View;
use udpcore::io::socket::cmsg;

#[test]
fn addresses() {
    corpus_and_mutations("sockaddr", |bytes| {
        let address = Address::from_bytes(bytes);
        assert!(address.as_bytes().len() <= size_of::<libc::sockaddr_storage>());
        match address.view() {
            View::V4(host, port) => {
                assert_eq!(Address::v4(host, port).view(), View::V4(host, port));
            }
            View::V6(host, port, flow, scope) => {
                let again = Address::v6(host, port, flow, scope);
                assert_eq!(again.view(), address.view());
            }
            View::UnixPath(path) => {
                assert!(!path.contains(&0));
                if let Some(again) = Address::unix(path) {
                    assert_eq!(again.view(), View::UnixPath(path));
                }
            }
            View::UnixAbstract(name) => {
                assert_eq!(name.first(), Some(&0));
                assert_eq!(Address::unix(name).expect("fits").view(), View::UnixAbstract(name));
            }
            View::Netlink(port, groups) => {
                assert_eq!(Address::netlink(port, groups).view(), address.view());
            }
            View::Packet(packet) => {
                assert_eq!(Address::packet(&packet).view(), View::Packet(packet));
            }
            View::None | View::Vsock(..) | View::Can(_) | View::Other(..) => {}
        }
        assert_eq!(address.clone(), address);
    });
}

#[test]
fn control_messages() {
    corpus_and_mutations("control", |control| {
        let mut composed = Vec::new();
        let mut whole = true;
        let mut count = 0;
        for item in cmsg::parse(control) {
            assert!(item.data.len() <= control.len());
            whole &= !item.malformed;
            cmsg::compose(&mut composed, item.level, item.kind, item.data).expect("not larger");
            count += 1;
        }
        if whole {
            let again: Vec<_> = cmsg::parse(&composed).collect();
            assert!(again.into_iter().eq(cmsg::parse(control)));
        }
        assert!(count <= control.len() / size_of::<libc::cmsghdr>() + 1);
    });
}
