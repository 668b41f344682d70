//! The terminal while the live view is on: another screen, keys without return, no echo.

use std::io::{self, IsTerminal, Write};

/// While it lives, the terminal belongs to the view; then it is as before.
pub(super) struct Terminal {
    #[cfg(unix)]
    before: libc::termios,
}

#[cfg(unix)]
impl Terminal {
    /// Takes the terminal; `None` when standard input or error is none.
    pub(super) fn take() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        // SAFETY: termios is plain numbers; tcgetattr fills it before it is used.
        let mut now: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `now` is a valid termios and lives through the call.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut now) } != 0 {
            return None;
        }
        let before = now;
        // Keys come one by one and are not shown; Ctrl-C stays a signal; reading never waits.
        now.c_lflag &= !(libc::ICANON | libc::ECHO);
        now.c_cc[libc::VMIN] = 0;
        now.c_cc[libc::VTIME] = 0;
        // SAFETY: as above.
        if unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const now) } != 0 {
            return None;
        }
        let _ = write!(io::stderr(), "\x1b[?1049h\x1b[?25l");
        Some(Self { before })
    }

    /// The keys pressed since the last call.
    pub(super) fn keys(&self) -> Vec<char> {
        let mut bytes = [0u8; 64];
        // SAFETY: the buffer is valid for its length; VMIN 0 makes the call return at once.
        let count =
            unsafe { libc::read(libc::STDIN_FILENO, bytes.as_mut_ptr().cast(), bytes.len()) };
        let count = usize::try_from(count).unwrap_or(0);
        bytes[..count].iter().map(|&byte| char::from(byte)).collect()
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        // SAFETY: winsize is plain numbers; ioctl fills it.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: TIOCGWINSZ writes one winsize, which lives through the call.
        let result = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
        if result == 0 && size.ws_col > 0 { size.ws_col.into() } else { 80 }
    }
}

#[cfg(not(unix))]
impl Terminal {
    pub(super) fn take() -> Option<Self> {
        None
    }

    pub(super) fn keys(&self) -> Vec<char> {
        Vec::new()
    }

    pub(super) fn width(&self) -> usize {
        80
    }
}

impl Terminal {
    /// Shows lines from the top, and nothing below.
    pub(super) fn show(&self, lines: &[String]) {
        let mut text = String::from("\x1b[H");
        for line in lines {
            text += line;
            text += "\x1b[K\r\n";
        }
        // A terminal that went away is noticed as a signal.
        let _ = write!(io::stderr(), "{text}\x1b[J");
    }
}

#[cfg(unix)]
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = write!(io::stderr(), "\x1b[?25h\x1b[?1049l");
        // SAFETY: `before` came from tcgetattr.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const self.before) };
    }
}
