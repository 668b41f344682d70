//! How fast UDP relays are: `netem relay` against nginx stream, socat and a small Python relay, in
//! one run, on loopback, with the same load generator and echo server.
//!
//! `cargo bench -p netem --bench netem_relay` (needs nginx with its stream module, and socat; what
//! is missing is left out and said). Each figure is the median of interleaved rounds. CPU is that
//! of the relay's process. A round trip is measured with one datagram in flight, the load on one
//! core and the relay on another. The load generator waits for the oldest echo, then sends one
//! more; with blocks, it waits for the whole block.

#![allow(clippy::print_stdout)]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[path = "netem_relay/relays.rs"]
mod relays;

use relays::Relay;

const WINDOW: usize = 64;
const SIZE_BYTES: usize = 100;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1000);
const FLOWS: usize = 10_000;

/// How the load is made.
#[derive(Clone, Copy, PartialEq)]
struct Load {
    name: &'static str,
    flows: usize,
    window: usize,
    /// The client sends whole windows as one block (UDP GSO).
    blocks: bool,
    /// Client and echo server take and give blocks (UDP GRO and GSO).
    both_ends: bool,
}

const PLAIN: Load =
    Load { name: "64 in flight", flows: 1, window: WINDOW, blocks: false, both_ends: false };
const SENDER: Load = Load { name: "GSO sender", blocks: true, ..PLAIN };
const BOTH: Load = Load { name: "GSO both ends", both_ends: true, ..SENDER };
const ONE: Load = Load { name: "round trip", window: 1, ..PLAIN };
const MANY: Load = Load { name: "10,000 flows", flows: FLOWS, ..PLAIN };

fn main() {
    let only: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_json = std::env::args().any(|word| word == "--json");
    let mut rows = Vec::new();
    let echo = Echo::start(false);
    let blocks = Echo::start(true);
    let mut relays: Vec<Relay> = Vec::new();
    for (name, upstream) in [("", echo.address), (" ", blocks.address)] {
        relays.push(Relay::netem(name, upstream, &[]));
        relays.extend(Relay::nginx(name, upstream));
        relays.extend(Relay::socat(name, upstream));
        relays.extend(Relay::python(name, upstream));
    }
    for load in [PLAIN, SENDER, BOTH, ONE, MANY] {
        if !only.is_empty() && !only.iter().any(|word| load.name.contains(word.as_str())) {
            continue;
        }
        println!("{}", load.name);
        if load == MANY {
            // One of its own: it has met nobody yet. One flow beside it, in the same rounds.
            let fresh = Relay::netem(" many", echo.address, &[]);
            // With one flow datagrams travel in blocks; of many flows no two can.
            let single = Relay::netem(" single", echo.address, &["--no-offload"]);
            let all = [(PLAIN, &relays[0]), (load, &fresh), (PLAIN, &single)];
            rows.extend(many_rows(&compare(&all, &[PLAIN, load], &echo)));
            continue;
        }
        // The echo server in blocks has relays of its own, told apart by a space.
        let suited = relays.iter().filter(|relay| relay.name.ends_with(' ') == load.both_ends);
        let suited: Vec<(Load, &Relay)> = suited.map(|relay| (load, relay)).collect();
        let server = if load.both_ends { &blocks } else { &echo };
        let found = compare(&suited, &[load], server);
        let Some(nginx) = suited.iter().position(|(_, relay)| relay.name.trim() == "nginx") else {
            continue;
        };
        let (ours, peer) = (&found[0], &found[nginx]);
        // The others were there in the same rounds.
        for (other, (_, relay)) in found.iter().zip(&suited).skip(1) {
            if relay.name.trim() != "nginx" && load != ONE {
                let rates = (ours.echoes_per_s, other.echoes_per_s);
                let work = format!("{}, beside {}", load.name, relay.name.trim());
                rows.push(row(&work, rates, "echoes/s", ""));
            }
        }
        let (rate, cpu) = ((ours.echoes_per_s, peer.echoes_per_s), (ours.cpu_us, peer.cpu_us));
        let bar = match load.name {
            _ if load == ONE => {
                let trips = (ours.p50_us, peer.p50_us);
                rows.push(row("pinned round trip, beside nginx", trips, "us", "<= 1.15"));
                continue;
            }
            _ if load == PLAIN => {
                rows.push(row("64 x 100 B in flight: CPU, beside nginx", cpu, "us", "<= 0.65"));
                ">= 1.2"
            }
            _ if load == SENDER => ">= 2",
            _ => ">= 6",
        };
        rows.push(row(&format!("{}, beside nginx", load.name), rate, "echoes/s", bar));
    }
    if is_json {
        println!("{{\"subject\": \"netem relay\", \"rows\": [{}]}}", rows.join(", "));
    }
}

fn row(work: &str, (ours, peer): (f64, f64), unit: &str, bar: &str) -> String {
    format!(
        "{{\"work\": \"{work}\", \"ours\": {ours:.2}, \"peer\": {peer:.2}, \"unit\": \"{unit}\", \
         \"ratio\": {:.2}, \"bar\": \"{bar}\"}}",
        ours / peer
    )
}

/// What the rounds with many flows say. Generator and server have more to do, too, when each
/// datagram has another socket: what that alone costs is told beside.
fn many_rows(found: &[Round]) -> Vec<String> {
    let [one, many, single, direct_one, direct_many] = found else { return Vec::new() };
    let beside = (many.echoes_per_s, one.echoes_per_s);
    let alone = (many.echoes_per_s, single.echoes_per_s);
    let alone_cpu = (many.cpu_us, single.cpu_us);
    let direct = (direct_many.echoes_per_s, direct_one.echoes_per_s);
    let load = (many.load_cpu_us, one.load_cpu_us);
    let bytes = (many.flow_bytes, 2048.0);
    vec![
        row("10,000 flows, beside one flow", beside, "echoes/s", ">= 0.8"),
        row("10,000 flows, beside one flow: CPU of the relay", (many.cpu_us, one.cpu_us), "us", ""),
        row("10,000 flows, beside one flow without GSO", alone, "echoes/s", ""),
        row("10,000 flows, beside one flow without GSO: CPU of the relay", alone_cpu, "us", ""),
        row("10,000 flows, beside one flow: CPU of generator and server", load, "us", ""),
        row("10,000 flows, beside one flow: no relay between", direct, "echoes/s", ""),
        row("memory of a flow, its log included", bytes, "bytes", "<= 1"),
    ]
}

/// The medians of each, in the order of `relays`, then those of `direct` without any relay.
fn compare(relays: &[(Load, &Relay)], direct: &[Load], server: &Echo) -> Vec<Round> {
    let relayed = relays.iter().map(|&(load, relay)| (load, Some(relay)));
    let all: Vec<_> = relayed.chain(direct.iter().map(|&load| (load, None))).collect();
    // The same clients in every round, one after the other at each address: a relay serves as many
    // as are said, and no more, and all have ports.
    let target = |relay: Option<&Relay>| relay.map_or(server.address, |relay| relay.address);
    let mut states: Vec<State> = Vec::new();
    let mut results = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for (&(load, relay), results) in all.iter().zip(&mut results) {
            if let Some(relay) = relay {
                pin(relay.child.id() as i32, (load == ONE).then_some(1));
            }
            let known = states.iter().position(|state| state.load == load);
            let place = known.unwrap_or_else(|| {
                states.push(State::new(load));
                states.len() - 1
            });
            let state = &mut states[place];
            state.aim(target(relay));
            results.push(measure(state, relay, server));
        }
    }
    let medians = |(&(load, relay), results): (&(Load, Option<&Relay>), &Vec<Round>)| {
        let of = Round::median(results);
        let name = relay.map_or("direct", |relay| relay.name.trim());
        of.show(name, load);
        of
    };
    all.iter().zip(&results).map(medians).collect()
}

#[derive(Clone)]
struct Round {
    echoes_per_s: f64,
    cpu_us: f64,
    /// CPU of generator and server together.
    load_cpu_us: f64,
    p50_us: f64,
    lost: u64,
    /// What the process grew by for each new flow, the decision log included.
    flow_bytes: f64,
}

impl Round {
    fn median(rounds: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            echoes_per_s: median(|round| round.echoes_per_s),
            cpu_us: median(|round| round.cpu_us),
            load_cpu_us: median(|round| round.load_cpu_us),
            p50_us: median(|round| round.p50_us),
            lost: rounds.iter().map(|round| round.lost).sum(),
            flow_bytes: rounds[0].flow_bytes,
        }
    }

    fn show(&self, name: &str, load: Load) {
        let Self { echoes_per_s, cpu_us, load_cpu_us, p50_us, lost, flow_bytes } = self;
        println!(
            "  {name:<11}{:>6} flows {echoes_per_s:>9.0} echoes/s  {cpu_us:>6.2} us CPU an echo, \
             {load_cpu_us:>5.2} its load  {p50_us:>6.1} us p50  {lost} lost{}",
            load.flows,
            match flow_bytes {
                0.0 => String::new(),
                bytes => format!("  {bytes:.0} bytes a flow"),
            },
        );
    }
}

fn measure(state: &mut State, relay: Option<&Relay>, server: &Echo) -> Round {
    let load = state.load;
    pin(0, (load == ONE).then_some(0));
    state.lost = 0;
    let before = relay.map_or(0.0, Relay::rss_kib);
    // Every flow is known to the relay before the clock runs.
    state.run(|sent| sent >= 2 * load.flows as u64);
    let grown = relay.map_or(0.0, Relay::rss_kib) - before;
    let load_cpu = || server.cpu_s() + thread_cpu_s("/proc/thread-self".as_ref());
    let (cpu, load_before) = (relay.map_or(0.0, Relay::cpu_s), load_cpu());
    let start = Instant::now();
    let mut trips = Vec::new();
    let echoes = if load.window == 1 {
        while start.elapsed() < ROUND {
            let sent = Instant::now();
            state.run(|sent| sent >= 1);
            trips.push(sent.elapsed());
        }
        trips.len() as u64
    } else {
        state.run(|_| start.elapsed() >= ROUND)
    };
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = relay.map_or(0.0, Relay::cpu_s) - cpu;
    let load_cpu = load_cpu() - load_before;
    pin(0, None);
    trips.sort();
    Round {
        echoes_per_s: echoes as f64 / elapsed,
        cpu_us: cpu * 1e6 / echoes as f64,
        load_cpu_us: load_cpu * 1e6 / echoes as f64,
        p50_us: trips.get(trips.len() / 2).map_or(0.0, |trip| trip.as_secs_f64() * 1e6),
        lost: state.lost,
        flow_bytes: if load.flows > 1 { grown * 1024.0 / load.flows as f64 } else { 0.0 },
    }
}

struct State {
    load: Load,
    sockets: Vec<UdpSocket>,
    next: usize,
    oldest: usize,
    lost: u64,
    buffer: Vec<u8>,
}

impl State {
    fn new(load: Load) -> Self {
        let open = |_| {
            let socket = client();
            if load.blocks {
                set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, SIZE_BYTES as i32);
            }
            if load.both_ends {
                set(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
            }
            socket
        };
        let sockets = (0..load.flows).map(open).collect();
        Self { load, sockets, next: 0, oldest: 0, lost: 0, buffer: vec![0; 1 << 16] }
    }

    fn aim(&self, target: SocketAddr) {
        for socket in &self.sockets {
            socket.connect(target).expect("loopback");
        }
    }

    /// Keeps the window full until `done`, then empties it; returns the echoes that came.
    fn run(&mut self, done: impl Fn(u64) -> bool) -> u64 {
        let (mut sent, mut came) = (0u64, 0u64);
        let window = self.load.window as u64;
        let block = vec![7; SIZE_BYTES * if self.load.blocks { self.load.window } else { 1 }];
        let step = if self.load.blocks { window } else { 1 };
        loop {
            while sent - came < window && !done(sent) {
                let at = self.next % self.sockets.len();
                // A full buffer is as good as a loss, which the next wait finds.
                let _ = self.sockets[at].send(&block);
                self.next += 1;
                sent += step;
            }
            if sent == came {
                return sent - self.lost.min(sent);
            }
            let at = self.oldest % self.sockets.len();
            match self.sockets[at].recv(&mut self.buffer) {
                Ok(size) => came += (size / SIZE_BYTES).max(1) as u64,
                Err(_) => {
                    self.lost += sent - came;
                    came = sent;
                    self.oldest = self.next;
                    continue;
                }
            }
            self.oldest += usize::from(!self.load.blocks);
        }
    }
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20);
    socket
}

/// A thread that sends back what comes.
struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: i32,
}

impl Echo {
    fn start(in_blocks: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20);
        if in_blocks {
            set(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
            set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, SIZE_BYTES as i32);
        }
        let address = socket.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // SAFETY: no pointers, and it cannot fail.
            let _ = tell.send(unsafe { libc::gettid() });
            let mut buffer = vec![0; 1 << 16];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((size, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..size], from);
                }
            }
        });
        Self { address, stop, thread: told.recv().expect("the thread has begun") }
    }

    fn cpu_s(&self) -> f64 {
        thread_cpu_s(format!("/proc/self/task/{}", self.thread).as_ref())
    }
}

/// CPU time of a thread so far, by its folder in proc(5).
fn thread_cpu_s(folder: &Path) -> f64 {
    let text = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Keeps all threads of a process (0: this thread) on one core, or lets them go.
fn pin(process: i32, core: Option<usize>) {
    let tasks = match process {
        0 => vec![0],
        _ => fs::read_dir(format!("/proc/{process}/task"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| task.file_name().to_string_lossy().parse().ok())
            .collect(),
    };
    for task in tasks {
        let mut mask = match core {
            Some(core) => 1u64 << core,
            None => u64::MAX,
        };
        // SAFETY: the pointer is to eight bytes that live through the call.
        unsafe { libc::sched_setaffinity(task, 8, (&raw mut mask).cast()) };
    }
}

fn set(socket: &UdpSocket, level: i32, option: i32, value: i32) {
    let length = size_of::<i32>() as u32;
    let value = (&raw const value).cast();
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
