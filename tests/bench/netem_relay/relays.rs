//! The relays that are measured, each a process of its own: netem, nginx, socat, and a small one in
//! Python.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{SIZE_BYTES, client, thread_cpu_s};

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

/// A relay in a process of its own, ended when dropped.
pub(super) struct Relay {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) child: Child,
}

impl Relay {
    fn start(name: String, address: SocketAddr, command: &mut Command) -> Option<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = quiet.get_program().to_string_lossy().into_owned();
        // A group of its own, because socat leaves a child for each client it has met; and none
        // outlives a benchmark that is killed.
        let die_with_us = || {
            // SAFETY: no pointers; prctl may be called between fork and exec.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        };
        // SAFETY: what runs before exec calls the system only, and allocates nothing.
        let quiet = unsafe { quiet.process_group(0).pre_exec(die_with_us) };
        let Ok(child) = quiet.spawn() else {
            println!("{program}: not here, left out");
            return None;
        };
        let relay = Self { name, address, child };
        let probe = client();
        probe.connect(address).expect("loopback");
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

    /// Ours, with more options.
    pub(super) fn netem(tag: &str, upstream: SocketAddr, options: &[&str]) -> Self {
        let address = free();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
        let (listen, upstream) = (address.to_string(), upstream.to_string());
        command.args(["relay", "--listen", &listen, "--upstream", &upstream, "--seed", "7"]);
        command.args(options);
        Self::start(format!("netem{tag}"), address, &mut command).expect("netem itself")
    }

    pub(super) fn nginx(tag: &str, upstream: SocketAddr) -> Option<Self> {
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

    pub(super) fn socat(tag: &str, upstream: SocketAddr) -> Option<Self> {
        let address = free();
        let mut command = Command::new("socat");
        // It forks for each client: the figures of CPU do not hold its children.
        let listen = format!("UDP4-LISTEN:{},bind=127.0.0.1,fork,reuseaddr", address.port());
        command.args(["-T", "30"]).arg(listen).arg(format!("UDP4:{upstream}"));
        Self::start(format!("socat{tag}"), address, &mut command)
    }

    pub(super) fn python(tag: &str, upstream: SocketAddr) -> Option<Self> {
        let address = free();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON_RELAY, &address.port().to_string()]);
        command.arg(upstream.port().to_string());
        Self::start(format!("python{tag}"), address, &mut command)
    }

    /// CPU time of the process so far.
    pub(super) fn cpu_s(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.into_iter().flatten().flatten();
        tasks.map(|task| thread_cpu_s(&task.path())).sum()
    }

    pub(super) fn rss_kib(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // SAFETY: no pointers; the group is that of our own child, which has not been waited for.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
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
