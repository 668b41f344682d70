//! The cargo binary: exit codes, messages, and what a signal does.

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const RELAY: [&str; 5] = ["relay", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9"];

fn netem(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netem")).args(words).output().unwrap()
}

#[test]
fn a_wrong_command_line_is_explained_with_code_2() {
    for (words, message) in [
        (&["--loss", "120%"][..], "120% is out of range: give a value from 0% to 100%"),
        (&["--delay", "5"], "\"5\" has no unit: write it like 5ms"),
        (&["--up-jitter", "5ms"], "jitter 5ms is more than the delay"),
        (&["--los", "5%"], "a similar argument exists: '--loss'"),
        (&["--reorder", "2% distance 0"], "reorder distance 0 is out of range"),
        (&["--limit", "0"], "invalid value '0' for '--limit <PACKETS>'"),
    ] {
        let output = netem(&[&RELAY, words].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_duration_ends_it_with_code_0_and_json() {
    let output = netem(&[&RELAY[..], &["--duration", "10ms", "--json", "--seed", "7"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"{\"seed\": 7, "));
}

#[test]
fn signals_end_it_with_a_summary_and_their_code() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let upstream = server.local_addr().unwrap().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_netem"))
            .args(["relay", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--seed", "7"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().nth(2).expect("netem relay ADDRESS -> ...");
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", address).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        server.recv(&mut [0; 10]).unwrap();

        let asked = Instant::now();
        // SAFETY: a signal to the process this test has started and not yet waited for.
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(asked.elapsed() < Duration::from_secs(2));
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(out.contains("\ndelivered "), "{out}");
    }
}
