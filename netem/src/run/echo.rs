//! What the far side offers when no server was given: an echo on port 7, UDP and TCP (RFC 862).
//!
//! Rule of this file: the sockets are opened on the calling thread, in its namespace; what a peer
//! sends is never looked at.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// RFC 862.
pub(super) const ECHO_PORT: u16 = 7;
/// TCP connections at once; one more is closed.
const CONNECTIONS_MAX: usize = 256;

/// Answers from now on, on threads that end with the process.
pub(super) fn start() -> io::Result<()> {
    let udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, ECHO_PORT))?;
    let tcp = TcpListener::bind((Ipv6Addr::UNSPECIFIED, ECHO_PORT))?;
    let thread = |name: &str| std::thread::Builder::new().name(format!("netem-echo-{name}"));
    thread("udp").spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        // An error is about a datagram that found nobody; the next one may.
        loop {
            if let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(&buffer[..length], from);
            }
        }
    })?;
    let open = Arc::new(AtomicUsize::new(0));
    thread("tcp").spawn(move || {
        for connection in tcp.incoming().flatten() {
            if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let open = Arc::clone(&open);
            let serve = move || {
                // However it ends, it is over.
                let _ = echo(connection);
                open.fetch_sub(1, Ordering::Relaxed);
            };
            if std::thread::Builder::new().spawn(serve).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn echo(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            length => connection.write_all(&buffer[..length])?,
        }
    }
}
