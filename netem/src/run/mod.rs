//! Two network namespaces joined by a bad wire, to run commands in: `netem run`.
//!
//! ```text
//! client namespace          a third one            server namespace
//! eth0 10.77.0.1  ----  left [bridge] right  ----  eth0 10.77.0.2
//!      fd77::1                                          fd77::2
//! ```
//!
//! The namespaces have no name: they are held by file descriptors and by the processes in them, so
//! the kernel removes them, with their interfaces, when those are gone, whatever happens to this
//! program. Loopback is up in both. The machine's own network is neither touched nor reachable.
//!
//! Rules of this folder: whatever runs in the namespaces at the end is killed; the calling thread
//! stays where it is.

mod echo;
mod netlink;

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;

use crate::bridge::{Bridge, BridgeConfig, BridgeError};
use netlink::Netlink;

/// The interface in each namespace.
pub const INTERFACE: &str = "eth0";
const ENDS: [&str; 2] = ["left", "right"];
const PREFIXES: [u8; 2] = [24, 64];

/// A side of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the command runs: left, `up` begins here.
    Client,
    /// The far side: right.
    Server,
}

impl Side {
    /// Its addresses: IPv4 and IPv6.
    ///
    /// ```
    /// use netem::run::Side;
    /// let [v4, v6] = Side::Server.addresses().map(|address| address.to_string());
    /// assert_eq!((v4.as_str(), v6.as_str()), ("10.77.0.2", "fd77::2"));
    /// ```
    pub fn addresses(self) -> [IpAddr; 2] {
        let number = self as u8 + 1;
        [[10, 77, 0, number].into(), [0xFD77, 0, 0, 0, 0, 0, 0, number.into()].into()]
    }
}

/// Why the namespaces could not be built, or nothing run in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Namespaces and interfaces are for the privileged.
    #[error(
        "no right to {what}: the capability {capability} is missing; run as root, or: \
         unshare --user --map-root-user netem run …"
    )]
    MissingCapability {
        /// What was tried.
        what: &'static str,
        /// What is needed for it.
        capability: &'static str,
    },
    /// The system refused it for another reason.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The bridge between them could not start.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

impl RunError {
    /// Whether the caller asked for something that cannot be, rather than the system failing.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::MissingCapability { .. } => true,
            Self::System { .. } => false,
            Self::Bridge(error) => error.is_usage(),
        }
    }
}

/// What the system says about `what`, for which `capability` is needed.
fn refused(what: &'static str, capability: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied => RunError::MissingCapability { what, capability },
        _ => RunError::System { what, source },
    }
}

/// Two namespaces and the bridge between them. Dropping it kills what runs there.
///
/// ```no_run
/// use netem::bridge::BridgeConfig;
/// use netem::run::{Laboratory, Side};
///
/// let mut config = BridgeConfig::new("", "");
/// config.up.delay = "20ms".parse()?;
/// let laboratory = Laboratory::build(config)?;
/// let mut ping = std::process::Command::new("ping");
/// laboratory.spawn(Side::Client, ping.args(["-c", "3", "10.77.0.2"]))?.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Laboratory {
    /// Client, server.
    namespaces: [File; 2],
    bridge: Arc<Bridge>,
}

impl Laboratory {
    /// Builds the namespaces and starts the bridge. The names of its interfaces are chosen here.
    ///
    /// # Errors
    /// [`RunError`]: most often a missing capability (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW).
    pub fn build(config: BridgeConfig) -> Result<Self, RunError> {
        // A thread of its own moves from namespace to namespace; the caller stays where it is.
        let build = std::thread::Builder::new().name("netem-run".to_owned());
        let built = build.spawn(move || Self::build_here(config));
        let built = built.map_err(|source| RunError::System { what: "start a thread", source })?;
        built.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn build_here(mut config: BridgeConfig) -> Result<Self, RunError> {
        let namespaces = [new_namespace()?, new_namespace()?];
        // The thread stays in the third one, and so does the bridge's.
        let _middle = new_namespace()?;
        // The bridge's own ends must not speak.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let open = || Netlink::open().map_err(refused("open a netlink socket", "CAP_NET_ADMIN"));
        let admin = |what| refused(what, "CAP_NET_ADMIN");
        let netlink = open()?;
        for (end, namespace) in ENDS.into_iter().zip(&namespaces) {
            let peer = namespace.as_raw_fd();
            netlink.add_veth(end, INTERFACE, peer).map_err(admin("make an interface"))?;
            netlink.set_up(index_of(end)?).map_err(admin("set an interface up"))?;
        }
        for (side, namespace) in [Side::Client, Side::Server].into_iter().zip(&namespaces) {
            // Sockets are of the namespace that their thread was in when it opened them.
            let _back = Visit::to(namespace.as_raw_fd())?;
            let netlink = open()?;
            let index = index_of(INTERFACE)?;
            for (address, prefix) in side.addresses().into_iter().zip(PREFIXES) {
                let added = netlink.add_address(index, address, prefix);
                added.map_err(admin("give an interface an address"))?;
            }
            for index in [index_of("lo")?, index] {
                netlink.set_up(index).map_err(admin("set an interface up"))?;
            }
        }
        [config.left, config.right] = ENDS.map(str::to_owned);
        Ok(Self { namespaces, bridge: Arc::new(Bridge::start(config)?) })
    }

    /// The bridge between the namespaces.
    pub const fn bridge(&self) -> &Arc<Bridge> {
        &self.bridge
    }

    /// Starts `command` on one side. It dies with this program, and knows the addresses of both
    /// sides from its environment: `NETEM_CLIENT`, `NETEM_CLIENT6`, `NETEM_SERVER`,
    /// `NETEM_SERVER6`.
    ///
    /// # Errors
    /// The system's: most often there is no such program.
    pub fn spawn(&self, side: Side, command: &mut Command) -> io::Result<Child> {
        for (name, side) in [("NETEM_CLIENT", Side::Client), ("NETEM_SERVER", Side::Server)] {
            for (suffix, address) in ["", "6"].into_iter().zip(side.addresses()) {
                command.env(format!("{name}{suffix}"), address.to_string());
            }
        }
        let namespace = self.namespaces[side as usize].as_raw_fd();
        let enter = move || {
            enter(namespace)?;
            // SAFETY: no pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        };
        // SAFETY: between fork and exec only setns and prctl are called, which are
        // async-signal-safe.
        unsafe { command.pre_exec(enter) };
        command.spawn()
    }

    /// Lets the far side answer on port 7, UDP and TCP (RFC 862), as long as this program runs.
    ///
    /// # Errors
    /// The system's.
    pub fn start_echo(&self) -> Result<(), RunError> {
        let server = self.namespaces[Side::Server as usize].as_raw_fd();
        let start = move || enter(server).and_then(|()| echo::start());
        let thread = std::thread::Builder::new().spawn(start);
        let started = thread.map(|thread| thread.join());
        let started = started.and_then(|done| done.unwrap_or(Ok(())));
        started.map_err(|source| RunError::System { what: "start the echo service", source })
    }

    /// The processes in the namespaces.
    pub fn processes(&self) -> Vec<u32> {
        let ours: Vec<u64> =
            self.namespaces.iter().filter_map(|of| Some(of.metadata().ok()?.ino())).collect();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_ours = |process: &u32| {
            let namespace = fs::metadata(format!("/proc/{process}/ns/net"));
            namespace.is_ok_and(|namespace| ours.contains(&namespace.ino()))
        };
        processes.filter(is_ours).collect()
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        for process in self.processes() {
            // SAFETY: no pointers. The process is in a namespace that nobody else has.
            unsafe { libc::kill(process as libc::pid_t, libc::SIGKILL) };
        }
        self.bridge.close();
    }
}

/// Leaves the thread's network namespace for a new one, and returns what holds it.
fn new_namespace() -> Result<File, RunError> {
    // SAFETY: no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        let error = io::Error::last_os_error();
        return Err(refused("make a network namespace", "CAP_SYS_ADMIN")(error));
    }
    let opened = File::open("/proc/thread-self/ns/net");
    opened.map_err(refused("open a network namespace", "CAP_SYS_ADMIN"))
}

/// Moves the thread to a namespace.
fn enter(namespace: RawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    let result = unsafe { libc::setns(namespace, libc::CLONE_NEWNET) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The thread is in another namespace until this is dropped.
struct Visit {
    home: File,
}

impl Visit {
    fn to(namespace: RawFd) -> Result<Self, RunError> {
        let rights = |what| refused(what, "CAP_SYS_ADMIN");
        let home = File::open("/proc/thread-self/ns/net");
        let home = home.map_err(rights("open a network namespace"))?;
        enter(namespace).map_err(rights("enter a network namespace"))?;
        Ok(Self { home })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // The thread ends soon after if this fails: it is used for nothing else.
        let _ = enter(self.home.as_raw_fd());
    }
}

fn index_of(name: &'static str) -> Result<u32, RunError> {
    let missing = || RunError::System { what: "find an interface", source: not_found() };
    let found = std::ffi::CString::new(name).ok().map(|name| {
        // SAFETY: `name` is a C string that lives through the call.
        unsafe { libc::if_nametoindex(name.as_ptr()) }
    });
    found.filter(|&index| index != 0).ok_or_else(missing)
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}
