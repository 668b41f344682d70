//! The command line's networks and faults: every model by option, replay, shrink, enumerate.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use netem::{Direction, FlowOrdinal, LinkConfig, Seed, Simulator};

const RELAY: [&str; 8] = [
    "relay",
    "--listen",
    "127.0.0.1:0",
    "--upstream",
    "127.0.0.1:9",
    "--duration",
    "1ms",
    "--json",
];

fn netem(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netem")).args(words).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder of this test, made anew.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn every_model_can_be_asked_for() {
    let folder = folder("models");
    let trace = written(&folder, "losses", "0001");
    let delays = written(&folder, "delays", "20ms\n25ms\n");
    let lte = written(&folder, "lte.up", "1\n2\n2\n5\n");
    let table = written(&folder, "bell.dist", "-8192 -4096 0 4096 8192\n");
    let scenario = written(
        &folder,
        "s.toml",
        "seed = 9\n[up]\nloss = \"1%\"\n[[timeline]]\nat = \"5s\"\nrebind = true\n",
    );
    for words in [
        &["--loss", "1% 25%", "--duplicate", "1% 10%", "--limit", "50"][..],
        &["--loss", "gemodel 1% 20%", "--mtu", "1400B", "--blackhole", "every 10s for 1s"],
        &["--loss", "state 1% 25% 5% 50% 0.1%", "--ecn", "on-loss"],
        &["--up-loss", "list 3,7-9", "--down-loss", "every 10", "--truncate", "1% to 20B"],
        &["--delay", "20ms", "--jitter", "5ms", "--distribution", "pareto", "--unordered"],
        &["--delay", "20ms 5ms 25% distribution paretonormal", "--corrupt", "1% bits 3"],
        &["--rate", "1mbit overhead 28 cell 48 5", "--queue", "codel target 5ms interval 20ms"],
        &["--rate", "1mbit", "--queue", "drophead 64kB", "--reorder", "2% gap 5 distance 2"],
        &["--loss-trace", &trace, "--rate-trace", &lte, "--up-delay-trace", &delays],
        &["--delay", "20ms 5ms", "--delay-table", &table],
        &["--profile", "wifi-lossy", "--down-delay", "50ms"],
        &["--scenario", &scenario],
        &["--up", "delay 100ms 10ms 25% distribution normal loss 1% seed 9", "--loss", "2%"],
        &["--up", "tc qdisc add dev eth0 root netem loss gemodel 1% 20%", "--down", "rate 1mbit"],
    ] {
        let output = netem(&[&RELAY[..], words].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", error(&output));
        if words.iter().any(|word| *word == scenario || word.ends_with("seed 9")) {
            assert!(text(&output).starts_with("{\"seed\": 9, "), "{}", text(&output));
        }
    }
}

#[test]
fn contradictions_are_refused_with_code_2() {
    let folder = folder("contradictions");
    let scenario = written(&folder, "s.toml", "[up]\nloss = \"1%\"\n");
    let bad = written(&folder, "bad.toml", "[up]\nlsos = \"1%\"\n");
    let trace = written(&folder, "delays", "20ms\n");
    for (words, message) in [
        (&["--scenario", &scenario, "--up-loss", "2%"][..], "leave --up-loss out"),
        (&["--scenario", &bad], "bad.toml:2:1: unknown key \"lsos\" (did you mean \"loss\"?)"),
        (&["--up", "loss 1%", "--up-delay", "2ms"], "leave --up-delay out"),
        (&["--up", "lsos 1%"], "--up: column 1: unknown option \"lsos\" (did you mean \"loss\"?)"),
        (&["--up", "seed 1", "--down", "seed 2"], "one seed is for both"),
        (&["--queue", "codel"], "queue: it waits in front of a limited rate"),
        (&["--delay", "20ms", "--delay-trace", &trace], "--delay-trace and --delay: leave one out"),
        (&["--distribution", "normal"], "distribution: it shapes the jitter: give a jitter"),
        (&["--profile", "wfii"], "unknown profile \"wfii\" (did you mean \"wifi\"?)"),
        (&["--loss", "gemodel 0% 0%"], "p and r are both zero"),
    ] {
        let output = netem(&[&RELAY[..], words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", error(&output));
        assert!(error(&output).contains(message), "{words:?}: {}", error(&output));
    }
}

#[test]
fn profiles_say_where_their_numbers_come_from() {
    let output = text(&netem(&["profiles"]));
    assert!(output.contains("3g            \"Mobile 3G\"\n"), "{output}");
    assert!(output.contains("source: estimate"));
    assert!(output.contains("down: rate = \"1600kbit\", delay = \"150ms\""), "{output}");
}

/// The log of a simulated run of 700 packets a direction, about 500 of them with a fault.
fn log(folder: &Path) -> String {
    let mut config = LinkConfig::default();
    for (name, value) in [("loss", "30%"), ("duplicate", "5%"), ("delay", "1ms")] {
        config.set(name, value).unwrap();
    }
    let mut sim = Simulator::new(Seed(7), config.clone(), config);
    for number in 0..700u32 {
        sim.send(Direction::Up, FlowOrdinal(0), number.to_be_bytes());
        sim.send(Direction::Down, FlowOrdinal(0), number.to_be_bytes());
    }
    written(folder, "run.log", &sim.log_text())
}

#[test]
fn a_log_is_repeated_and_a_divergence_named() {
    let folder = folder("replay");
    let log = log(&folder);
    let same = netem(&["replay", &log]);
    assert_eq!(
        (same.status.code(), &*text(&same)),
        (Some(0), "1400 decisions, all as in the log\n")
    );
    let anew = netem(&["replay", &log, "--loss", "30%", "--duplicate", "5%", "--delay", "1ms"]);
    assert_eq!(anew.status.code(), Some(0), "{}", text(&anew));
    let other = netem(&["replay", &log, "--loss", "30%", "--duplicate", "5%", "--delay", "2ms"]);
    assert_eq!(other.status.code(), Some(1));
    let said = text(&other);
    assert!(said.starts_with("diverged\n  log: up 0 1 4 deliver - 1000000\n"), "{said}");
    assert!(said.ends_with("now: up 0 1 4 deliver - 2000000\n"), "{said}");
    let timed = netem(&["replay", &log, "--rate", "1mbit"]);
    assert_eq!(timed.status.code(), Some(2));
    assert!(error(&timed).contains("--rate depends on time"), "{}", error(&timed));
    let none = netem(&["replay", "no-such.log"]);
    assert_eq!(none.status.code(), Some(1));
    let live = ["--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9", "--duration", "1ms"];
    let live = netem(&[&["replay", &log, "--json"][..], &live].concat());
    assert_eq!(live.status.code(), Some(0), "{}", error(&live));
    assert!(text(&live).starts_with("{\"seed\": 7, "));
}

#[test]
fn a_bug_of_two_faults_among_hundreds_is_found() {
    let folder = folder("shrink");
    let log = log(&folder);
    let faults: Vec<String> = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .filter(|line| line.contains(" drop ") || line.contains(" duplicate "))
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert!((400..600).contains(&faults.len()), "{}", faults.len());
    // A program that survives anything but these two together.
    let (one, other) = (&faults[37], &faults[411]);
    let has = |fault: &str| format!("grep -Eq '^{fault} 4 (drop|deliver duplicate) ' {{}}");
    let script = format!("! ( {} && {} )", has(one), has(other));
    let output = netem(&["shrink", &log, "--runs", "60", "--", "sh", "-c", &script]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(error(&output).contains("netem: 2 of "), "{}", error(&output));
    assert!(error(&output).contains("none can be left out"), "{}", error(&output));
    let scenario = text(&output);
    assert_eq!(scenario.matches("[[rule]]").count(), 2, "{scenario}");
    for fault in [one, other] {
        let ordinal: u64 = fault.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(scenario.contains(&format!("packets = \"{}\"", ordinal + 1)), "{scenario}");
    }
    let passes = netem(&["shrink", &log, "--", "true"]);
    assert_eq!(passes.status.code(), Some(1));
    assert!(error(&passes).contains("nothing to shrink"), "{}", error(&passes));
    let late = netem(&["shrink", &log, "--timeout", "1ms", "--runs", "2", "--", "sleep", "20"]);
    assert_eq!(late.status.code(), Some(0), "{}", error(&late));
    let missing = netem(&["shrink", &log, "--", "no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(error(&missing).contains("cannot run no-such-program"), "{}", error(&missing));
}

#[test]
fn single_faults_are_tried_one_by_one() {
    let folder = folder("enumerate");
    let base = written(&folder, "base.toml", "seed = 3\n[link]\ndelay = \"1ms\"\n");
    let script = "grep -q 'seed = 3' {} && ! grep -q 'packets = \"4\"' $NETEM_SCENARIO";
    let command = ["--first", "6", "--scenario", &base, "--", "sh", "-c", script];
    let output = netem(&[&["enumerate", "drop"][..], &command].concat());
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert_eq!(text(&output), "fails with drop up flow 0 #3\n");
    assert!(error(&output).contains("1 of 6 runs failed"));
    let pairs = ["enumerate", "duplicate", "--first", "4", "--pairs", "--", "true"];
    let output = netem(&pairs);
    assert_eq!(output.status.code(), Some(0));
    assert!(error(&output).contains("0 of 6 runs failed"), "{}", error(&output));
}
