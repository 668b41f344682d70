//! A packet bridge as a first attempt has it: `pnet` on two interfaces, a thread each way, one
//! frame after the other. `tests/bench/netem_bridge.py` compares `netem bridge` with it.
//!
//! It forwards only what is whole: checksums and segments that a sender left to the hardware must
//! have been switched off there. It would forward what it sent itself, so it ignores frames that
//! go out.

use std::io;
use std::os::fd::RawFd;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, DataLinkSender};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [left, right] = &names[..] else { panic!("usage: pnet_loop LEFT RIGHT") };
    let ((left_out, left_in), (right_out, right_in)) = (open(left), open(right));
    let forward = |mut from: Box<dyn DataLinkReceiver>, mut to: Box<dyn DataLinkSender>| {
        move || {
            while let Ok(frame) = from.next() {
                // A frame that cannot be sent is lost, as on any wire.
                let _ = to.send_to(frame, None);
            }
        }
    };
    let up = std::thread::spawn(forward(left_in, right_out));
    std::thread::spawn(forward(right_in, left_out));
    let _ = up.join();
}

fn open(name: &str) -> (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>) {
    let interfaces = datalink::interfaces();
    let interface = interfaces.iter().find(|other| other.name == name).expect("no such interface");
    let config = Config { socket_fd: Some(socket()), promiscuous: true, ..Config::default() };
    match datalink::channel(interface, config).expect("CAP_NET_RAW") {
        Channel::Ethernet(sender, receiver) => (sender, receiver),
        _ => panic!("no Ethernet"),
    }
}

/// A packet socket that does not see what this program sends.
fn socket() -> RawFd {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
    let (one, length): (libc::c_int, _) = (1, size_of::<libc::c_int>() as libc::socklen_t);
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING);
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const one).cast(), length) };
    assert!(fd >= 0 && result == 0, "{}", io::Error::last_os_error());
    fd
}
