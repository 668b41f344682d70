//! Take every datagram that waits on a socket, one after the other, without waiting for more.
//!
//! For a server that only adds up what comes: the senders are not asked for.

use std::os::fd::RawFd;

use super::Errno;
use super::sys::{self, Target};

/// Hand up to `count_max` waiting datagrams to `each`; gives back how many there were.
///
/// `room` is where they are put; what is longer is cut off.
///
/// # Errors
/// What the kernel says, but for "nothing there" and for what an earlier send left behind.
pub fn drain(
    fd: RawFd,
    room: &mut [u8],
    count_max: usize,
    mut each: impl FnMut(&[u8]),
) -> Result<usize, Errno> {
    let mut count = 0;
    for _ in 0..count_max {
        // SAFETY: `room` is borrowed until the function returns, longer than `target` lives.
        let target = unsafe { Target::new(room.as_mut_ptr(), room.len()) };
        match sys::recv(fd, target, libc::MSG_DONTWAIT) {
            Ok(len) => {
                count += 1;
                each(&room[..len]);
            }
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR | Errno(libc::ECONNREFUSED)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    #[test]
    fn takes_what_is_there_and_no_more_than_told() {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let sender = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        for text in ["one", "", "three", "four"] {
            sender.send_to(text.as_bytes(), socket.local_addr().unwrap()).unwrap();
        }
        let took = |count_max| {
            let (mut room, mut texts) = ([0; 4], Vec::new());
            let each = |data: &[u8]| texts.push(String::from_utf8_lossy(data).into_owned());
            drain(socket.as_raw_fd(), &mut room, count_max, each).map(|count| (count, texts))
        };
        assert_eq!(took(3), Ok((3, vec!["one".to_owned(), String::new(), "thre".to_owned()])));
        assert_eq!(took(3), Ok((1, vec!["four".to_owned()])));
        assert_eq!(took(3), Ok((0, Vec::new())));
        assert_eq!(drain(-1, &mut [0; 4], 3, |_| ()), Err(Errno::BADF));
    }
}
