//! How late and how fast a live relay is: lateness of a delay at 10,000 packets a second beside a
//! bare timerfd loop in the same run, and the rate that comes through at 10 and 100 Mbit/s.
//!
//! `cargo bench -p netem --bench netem_live`; `--json` adds one line for programs. Times of arrival
//! are those of the kernel (SO_TIMESTAMPNS), so that the receiver's own wake-up does not count;
//! what counts is the relay's: it is woken when a datagram comes and when it is due.

#![allow(clippy::print_stdout)]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netem::relay::{Relay, RelayConfig};
use netem::{LinkConfig, Seed};

const ROUNDS: usize = 7;
const PACKETS: u32 = 10_000;
const INTERVAL_NS: u64 = 100_000;
const DELAY_NS: u64 = 2_000_000;
const SIZE_BYTES: usize = 1200;

fn main() {
    let is_json = std::env::args().any(|word| word == "--json");
    let (mut p50, mut p99, mut bare50, mut bare99, mut early) = (vec![], vec![], vec![], vec![], 0);
    for _ in 0..ROUNDS {
        let bare = timerfd_lateness_us();
        let late = relay_lateness_us();
        early += late.iter().filter(|&&us| us < 0.0).count();
        p50.push(quantile(&late, 0.5));
        p99.push(quantile(&late, 0.99));
        bare50.push(quantile(&bare, 0.5));
        bare99.push(quantile(&bare, 0.99));
    }
    let [p50, p99, bare50, bare99] =
        [p50, p99, bare50, bare99].map(|values| quantile(&values, 0.5));
    println!(
        "lateness of 2 ms at 10,000 packets/s: p50 {p50:.1} us, p99 {p99:.1} us, {early} early"
    );
    println!("a bare timerfd loop:                  p50 {bare50:.1} us, p99 {bare99:.1} us");
    let mut rows = vec![
        row("relay: lateness above a timerfd loop, p50", p50 - bare50, bare50, "us", "<= 40"),
        row("relay: lateness above a timerfd loop, p99", p99 - bare99, bare99, "us", "<= 150"),
        row("relay: packets that left early, of 70,000", early as f64, 0.0, "packets", "0"),
    ];
    for mbit in [10.0, 100.0] {
        let measured: Vec<f64> = (0..ROUNDS).map(|_| rate_mbit(mbit)).collect();
        let measured = quantile(&measured, 0.5);
        println!("rate {mbit} Mbit/s: {measured:.3} Mbit/s");
        let work = format!("relay: rate, live, at {mbit} Mbit/s");
        rows.push(row(&work, measured, mbit, "Mbit/s", "within 1 %"));
    }
    if is_json {
        println!("{{\"subject\": \"netem live\", \"rows\": [{}]}}", rows.join(", "));
    }
}

fn row(work: &str, ours: f64, peer: f64, unit: &str, bar: &str) -> String {
    let ratio = if peer == 0.0 { "null".to_owned() } else { format!("{:.3}", ours / peer) };
    format!(
        "{{\"work\": \"{work}\", \"ours\": {ours:.2}, \"peer\": {peer:.2}, \"unit\": \"{unit}\", \
         \"ratio\": {ratio}, \"bar\": \"{bar}\"}}"
    )
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2500")
}

/// Wakes at each interval, as late as a loop that does nothing else.
fn timerfd_lateness_us() -> Vec<f64> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_CLOEXEC) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    let mut late = Vec::new();
    let mut due = now_ns() + INTERVAL_NS;
    for _ in 0..PACKETS {
        let value = libc::timespec {
            tv_sec: (due / 1_000_000_000) as libc::time_t,
            tv_nsec: (due % 1_000_000_000) as libc::c_long,
        };
        let once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: once, it_value: value };
        let (flags, old) = (libc::TFD_TIMER_ABSTIME, std::ptr::null_mut());
        // SAFETY: `spec` lives through the call, the old value is not asked for.
        unsafe { libc::timerfd_settime(fd, flags, &raw const spec, old) };
        let mut count = [0u8; 8];
        // SAFETY: the buffer is the eight bytes the kernel writes.
        unsafe { libc::read(fd, count.as_mut_ptr().cast(), 8) };
        let now = now_ns();
        late.push(now.saturating_sub(due) as f64 / 1e3);
        due = (due + INTERVAL_NS).max(now);
    }
    // SAFETY: the descriptor is ours, and not used after this.
    unsafe { libc::close(fd) };
    late
}

/// How late each datagram came: its arrival less its sending and the delay.
fn relay_lateness_us() -> Vec<f64> {
    let server = server();
    let relay = relay(&server, "delay", "2ms");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    client.connect(relay.address()).expect("loopback");
    let receive = std::thread::spawn(move || {
        let mut late = Vec::new();
        while late.len() < PACKETS as usize {
            let Some((stamp, bytes)) = stamped(&server) else { break };
            let sent = u64::from_ne_bytes(bytes[..8].try_into().expect("eight bytes"));
            late.push((stamp as f64 - (sent + DELAY_NS) as f64) / 1e3);
        }
        late
    });
    let mut due = now_ns();
    for _ in 0..PACKETS {
        while now_ns() < due {
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(now_ns())));
        }
        client.send(&now_ns().to_ne_bytes()).expect("loopback");
        due += INTERVAL_NS;
    }
    receive.join().expect("no panic")
}

/// What comes through when half as much again is sent.
fn rate_mbit(mbit: f64) -> f64 {
    let server = server();
    let relay = relay(&server, "rate", &format!("{mbit}mbit"));
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    client.connect(relay.address()).expect("loopback");
    let receive = std::thread::spawn(move || {
        let (mut first, mut last, mut bytes) = (None, 0, 0);
        while let Some((stamp, data)) = stamped(&server) {
            match first {
                // What came before the clock began does not count.
                None => first = Some(stamp),
                Some(_) => bytes += data.len(),
            }
            last = stamp;
        }
        bytes as f64 * 8.0 / ((last - first.expect("something came")) as f64 / 1e3)
    });
    let gap_ns = (SIZE_BYTES as f64 * 8e3 / (mbit * 1.5)) as u64;
    let (begin, mut due) = (now_ns(), now_ns());
    while now_ns() - begin < 1_000_000_000 {
        while now_ns() < due {
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(now_ns())));
        }
        client.send(&[7; SIZE_BYTES]).expect("loopback");
        due += gap_ns;
    }
    receive.join().expect("no panic")
}

fn relay(server: &UdpSocket, name: &str, value: &str) -> Relay {
    let mut up = LinkConfig::default();
    up.set(name, value).expect("a setting");
    let base = RelayConfig::new(
        "127.0.0.1:0".parse().expect("an address"),
        server.local_addr().expect("bound"),
    );
    Relay::start(RelayConfig { up, seed: Some(Seed(7)), ..base }).expect("a relay")
}

fn server() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(400))).expect("a timeout");
    for (option, value) in [(libc::SO_TIMESTAMPNS, 1), (libc::SO_RCVBUFFORCE, 16 << 20)] {
        let value: libc::c_int = value;
        let (value, length) = ((&raw const value).cast(), size_of::<libc::c_int>() as u32);
        // SAFETY: the pointer is to an int that lives through the call, and the length its size.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, length) };
    }
    socket
}

/// The next datagram and when the kernel took it in; `None` when none comes.
fn stamped(socket: &UdpSocket) -> Option<(u64, Vec<u8>)> {
    let (mut bytes, mut control) = (vec![0u8; 2048], [0u64; 8]);
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zero is a valid header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header points to buffers of the stated sizes that live through the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    bytes.truncate(usize::try_from(length).ok()?);
    // One control message: two words of header, then a timespec.
    Some((control[2] * 1_000_000_000 + control[3], bytes))
}
