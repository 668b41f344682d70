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
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WINDOW: usize = 64;
const SIZE_BYTES: usize = 100;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1000);
const FLOWS: usize = 10_000;

const PYTHON_RELAY: &str = "
import select, socket, sys
listen, upstream = int(sys.argv[1]), int(sys.argv[2])
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
front.bind(('127.0.0.1', listen))
poll = select.epoll()
poll.register(front, select.EPOLLIN)
clients, peers = {}, {}
while True:
    for fd, _ in poll.poll():
        if fd == front.fileno():
            data, address = front.recvfrom(65535)
            if address not in clients:
                back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.connect(('127.0.0.1', upstream))
                poll.register(back, select.EPOLLIN)
                clients[address], peers[back.fileno()] = back, (back, address)
            clients[address].send(data)
        else:
            back, address = peers[fd]
            front.sendto(back.recv(65535), address)
";

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
        relays.push(Relay::netem(name, upstream));
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
            let fresh = Relay::netem(" many", echo.address);
            let found = compare(&[(PLAIN, &relays[0]), (load, &fresh)], load, echo.address);
            let [one, many] = [&found[0], &found[1]];
            let bytes = many.flow_bytes;
            let rate = (many.echoes_per_s, one.echoes_per_s);
            rows.push(row("10,000 flows, beside one flow", rate, "echoes/s", ">= 0.8"));
            rows.push(row("memory of a flow, its log included", (bytes, 2048.0), "bytes", "<= 1"));
            continue;
        }
        // The echo server in blocks has relays of its own, told apart by a space.
        let suited = relays.iter().filter(|relay| relay.name.ends_with(' ') == load.both_ends);
        let suited: Vec<(Load, &Relay)> = suited.map(|relay| (load, relay)).collect();
        let direct = if load.both_ends { blocks.address } else { echo.address };
        let found = compare(&suited, load, direct);
        let Some(nginx) = suited.iter().position(|(_, relay)| relay.name.trim() == "nginx") else {
            continue;
        };
        let (ours, peer) = (&found[0], &found[nginx]);
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

/// The medians of each, in the order of `relays`, then those without any relay.
fn compare(relays: &[(Load, &Relay)], load: Load, direct: SocketAddr) -> Vec<Round> {
    let mut results = vec![Vec::new(); relays.len() + 1];
    for _ in 0..ROUNDS {
        for ((load, relay), results) in relays.iter().zip(&mut results) {
            pin(relay.child.id() as i32, (*load == ONE).then_some(1));
            results.push(measure(*load, relay.address, Some(relay)));
        }
        results[relays.len()].push(measure(load, direct, None));
    }
    let mut medians = Vec::new();
    let names = relays.iter().map(|(_, relay)| relay.name.trim()).chain(["direct"]);
    for (name, results) in names.zip(&results) {
        let median = |of: fn(&Round) -> f64| {
            let mut values: Vec<f64> = results.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let of = Round {
            echoes_per_s: median(|round| round.echoes_per_s),
            cpu_us: median(|round| round.cpu_us),
            p50_us: median(|round| round.p50_us),
            lost: results.iter().map(|round| round.lost).sum(),
            flow_bytes: results[0].flow_bytes,
        };
        println!(
            "  {name:<10}{:>10.0} echoes/s  {:>6.2} us CPU an echo  {:>7.1} us p50  {} lost{}",
            of.echoes_per_s,
            of.cpu_us,
            of.p50_us,
            of.lost,
            match of.flow_bytes {
                0.0 => String::new(),
                bytes => format!("  {bytes:.0} bytes a flow"),
            },
        );
        medians.push(of);
    }
    medians
}

#[derive(Clone)]
struct Round {
    echoes_per_s: f64,
    cpu_us: f64,
    p50_us: f64,
    lost: u64,
    /// What the process grew by for each new flow, the decision log included.
    flow_bytes: f64,
}

fn measure(load: Load, target: SocketAddr, relay: Option<&Relay>) -> Round {
    let sockets: Vec<UdpSocket> = (0..load.flows)
        .map(|_| {
            let socket = client(target);
            if load.blocks {
                set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, SIZE_BYTES as i32);
            }
            if load.both_ends {
                set(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
            }
            socket
        })
        .collect();
    pin(0, (load == ONE).then_some(0));
    let mut state = State { load, sockets, next: 0, oldest: 0, lost: 0, buffer: vec![0; 1 << 16] };
    let before = relay.map_or(0.0, Relay::rss_kib);
    // Every flow is known to the relay before the clock runs.
    state.run(|sent| sent >= 2 * load.flows as u64);
    let grown = relay.map_or(0.0, Relay::rss_kib) - before;
    let (cpu, start) = (relay.map_or(0.0, Relay::cpu_s), Instant::now());
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
    pin(0, None);
    trips.sort();
    Round {
        echoes_per_s: echoes as f64 / elapsed,
        cpu_us: cpu * 1e6 / echoes as f64,
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

fn client(target: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(target).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20);
    socket
}

/// A thread that sends back what comes.
struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
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
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((size, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..size], from);
                }
            }
        });
        Self { address, stop }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A relay in a process of its own, ended when dropped.
struct Relay {
    name: String,
    address: SocketAddr,
    child: Child,
}

impl Relay {
    fn start(name: String, address: SocketAddr, command: &mut Command) -> Option<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = quiet.get_program().to_string_lossy().into_owned();
        let Ok(child) = quiet.spawn() else {
            println!("{program}: not here, left out");
            return None;
        };
        let relay = Self { name, address, child };
        let probe = client(address);
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let _ = probe.send(&[0; SIZE_BYTES]);
            let _ = probe.set_read_timeout(Some(Duration::from_millis(50)));
            if probe.recv(&mut [0; 1 << 16]).is_ok() {
                return Some(relay);
            }
        }
        println!("{program}: does not relay, left out");
        None
    }

    fn netem(tag: &str, upstream: SocketAddr) -> Self {
        let address = free();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
        let (listen, upstream) = (address.to_string(), upstream.to_string());
        command.args(["relay", "--listen", &listen, "--upstream", &upstream, "--seed", "7"]);
        Self::start(format!("netem{tag}"), address, &mut command).expect("netem itself")
    }

    fn nginx(tag: &str, upstream: SocketAddr) -> Option<Self> {
        let address = free();
        let folder = std::env::temp_dir().join(format!("netem-bench-{}", address.port()));
        fs::create_dir_all(&folder).expect("a folder");
        let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let text = format!(
            "load_module {module};\nworker_processes 1;\ndaemon off;\nmaster_process off;\n\
             pid {0}/pid;\nerror_log {0}/log;\nevents {{ worker_connections 30000; }}\n\
             stream {{ server {{ listen {address} udp; proxy_pass {upstream}; }} }}\n",
            folder.display()
        );
        let path = folder.join("conf");
        let mut file = fs::File::create(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(path).arg("-p").arg(&folder);
        Self::start(format!("nginx{tag}"), address, &mut command)
    }

    fn socat(tag: &str, upstream: SocketAddr) -> Option<Self> {
        let address = free();
        let mut command = Command::new("socat");
        // It forks for each client: the figures of CPU do not hold its children.
        let listen = format!("UDP4-LISTEN:{},bind=127.0.0.1,fork,reuseaddr", address.port());
        command.arg(listen).arg(format!("UDP4:{upstream}"));
        Self::start(format!("socat{tag}"), address, &mut command)
    }

    fn python(tag: &str, upstream: SocketAddr) -> Option<Self> {
        let address = free();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON_RELAY, &address.port().to_string()]);
        command.arg(upstream.port().to_string());
        Self::start(format!("python{tag}"), address, &mut command)
    }

    /// CPU time of the process so far: fields 14 and 15 of proc_pid_stat(5), in hundredths; finer
    /// where the scheduler tells nanoseconds.
    fn cpu_s(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let one = |path: std::path::PathBuf| {
            let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0)
        };
        let tasks = tasks.into_iter().flatten().flatten();
        tasks.map(|task| one(task.path())).sum::<f64>() / 1e9
    }

    fn rss_kib(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(
            std::env::temp_dir().join(format!("netem-bench-{}", self.address.port())),
        );
    }
}

fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("bound")
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
