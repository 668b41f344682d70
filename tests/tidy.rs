//! The house rules as a test: floors, words, sizes, headers, the top level.
//!
//! Reads the sources as text; a rule that needs the compiler is a lint in Cargo.toml instead.
//! A broken rule prints file, line, what is wrong and what to do.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `src/`, and what each may name with `crate::`.
const FLOORS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("flow", &["wire"]),
    ("fec", &["wire"]),
    ("arq", &["wire", "flow", "fec"]),
    ("transport", &["wire", "flow", "fec"]),
    ("dns", &["wire", "flow", "fec"]),
    ("apps", &["wire", "flow", "fec"]),
    ("io", &["wire", "flow", "fec", "arq", "transport", "dns", "apps"]),
    ("python", &["wire", "flow", "fec", "arq", "transport", "dns", "apps", "io"]),
];

/// Floors where time and randomness are passed in, and no socket is known.
const PURE_FLOORS: &[&str] = &["wire", "flow", "fec", "arq", "transport", "dns", "apps"];

/// The files of `netem` that touch the world; the others are as pure as the lower floors.
const NETEM_DRIVERS: &[&str] = &[
    "relay",
    "stream",
    "bridge",
    "run",
    "cli",
    "main.rs",
    "clock",
    "capture/writer",
    "control/server",
];

/// Words that a pure file never contains, with what to do instead.
const IMPURE_WORDS: &[(&str, &str)] = &[
    ("Instant::now", "take the time as an argument"),
    ("SystemTime", "take the time as an argument"),
    ("std::thread", "start threads in io/"),
    ("thread::spawn", "start threads in io/"),
    ("thread::sleep", "return a deadline"),
    ("UdpSocket", "open sockets in io/"),
    ("TcpStream", "open sockets in io/"),
    ("socket2", "open sockets in io/"),
    ("libc::", "call the system in io/"),
    ("rand::rng", "take the random numbers as an argument"),
    ("RandomState", "use an ordered map"),
];

/// Words that no file contains, with what to do instead.
const BANNED_WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or leave it out"),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("X", "XX"), "say what is wrong, or put it right"),
    (concat!("#[ign", "ore"), "a test runs or is deleted"),
    (concat!("pytest.sk", "ip"), "a missing tool is a failure"),
    (concat!("mark.sk", "ip"), "a missing tool is a failure"),
    (concat!("mark.xf", "ail"), "a test passes or is deleted"),
    (concat!("assert Tr", "ue"), "assert something"),
    (concat!("/wo", "rk/"), "no machine path in the tree"),
    (concat!("/ro", "ot/"), "no machine path in the tree"),
];

/// Everything that may stand at the top of the tree; dotfiles may as well.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "src",
    "python",
    "netem",
    "tests",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "Makefile",
    // What builds leave behind; .gitignore names them.
    "target",
    "dist",
];

const LINES_MAX: usize = 500;
const APP_LINES_MAX: usize = 120;
const COLUMNS_MAX: usize = 100;
/// A file that must be longer says so in its header, with the reason.
const LONG_FILE_EXCUSE: &str = "Longer than 500 lines because";

#[test]
fn arrows_point_down() {
    let mut broken = Vec::new();
    for file in rust_files("src") {
        let Some((floor, allowed)) = FLOORS.iter().find(|(floor, _)| file.is_in(floor)) else {
            continue;
        };
        for (number, line) in file.code_lines() {
            for name in names_after(line, "crate::") {
                let is_floor = FLOORS.iter().any(|(other, _)| *other == name);
                if is_floor && name != *floor && !allowed.contains(&name) {
                    broken.push(file.says(number, &format!("{floor} may not know {name}")));
                }
            }
            if line.contains("crate::{") {
                broken
                    .push(file.says(number, "one `use` a module, so that the arrows can be read"));
            }
            if *floor != "python" && line.contains("pyo3") {
                broken.push(file.says(number, "pyo3 is named only in src/python"));
            }
        }
    }
    report(&broken);
}

#[test]
fn pure_floors_take_time_and_chance_as_arguments() {
    let floors = rust_files("src").into_iter().filter(|f| PURE_FLOORS.iter().any(|p| f.is_in(p)));
    let netem = rust_files("netem/src")
        .into_iter()
        .filter(|f| !NETEM_DRIVERS.iter().any(|driver| f.below("netem/src").starts_with(driver)));
    let mut broken = Vec::new();
    for file in floors.chain(netem) {
        for (number, line) in file.code_lines() {
            for (word, instead) in IMPURE_WORDS {
                if line.contains(word) {
                    broken.push(file.says(number, &format!("{word}: {instead}")));
                }
            }
        }
    }
    report(&broken);
}

#[test]
fn pnet_is_known_only_at_the_packet_level() {
    let mut broken = Vec::new();
    for file in rust_files("netem/src").into_iter().chain(rust_files("src")) {
        let packet_level =
            ["bridge", "packet"].iter().any(|room| file.below("netem/src").starts_with(room));
        for (number, line) in file.code_lines() {
            if !packet_level && line.contains("pnet::") {
                broken.push(file.says(number, "pnet is named only in the bridge"));
            }
        }
    }
    report(&broken);
}

#[test]
fn words_and_columns() {
    let mut broken = Vec::new();
    for file in source_files() {
        for (number, line) in file.lines() {
            for (word, instead) in BANNED_WORDS {
                if line.contains(word) {
                    broken.push(file.says(number, &format!("{word}: {instead}")));
                }
            }
            if line.chars().count() > COLUMNS_MAX && !line.contains("http") {
                broken.push(file.says(number, &format!("more than {COLUMNS_MAX} columns")));
            }
        }
    }
    report(&broken);
}

#[test]
fn every_file_says_what_it_does_and_stays_short() {
    let mut broken = Vec::new();
    for file in source_files() {
        let first = file.text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        let is_rust = file.has_ending("rs");
        let has_header = if is_rust {
            first.starts_with("//!")
        } else {
            first.starts_with("\"\"\"") || first.starts_with("r\"\"\"")
        };
        if !file.text.is_empty() && !has_header {
            broken.push(file.says(1, "begins with a header: what it does, what it does not"));
        }
        let count = file.text.lines().count();
        if count > LINES_MAX && !file.text.contains(LONG_FILE_EXCUSE) {
            broken.push(file.says(count, "longer than 500 lines: split it"));
        }
        if file.below("python/udpcore/apps") != file.path && count > APP_LINES_MAX {
            broken
                .push(file.says(count, "an app is at most 120 lines: a machine is missing below"));
        }
    }
    report(&broken);
}

#[test]
fn the_top_level_holds_only_what_the_design_names() {
    let broken: Vec<String> = fs::read_dir(root())
        .expect("the tree is readable")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("{name}: has no place at the top level"))
        .collect();
    report(&broken);
}

#[test]
fn a_page_has_one_title() {
    let mut broken = Vec::new();
    for path in files_below(&root().join("docs"), &["md"]) {
        let file = Source::read(path);
        let mut in_code = false;
        let mut titles = 0;
        for (_, line) in file.lines() {
            in_code ^= line.starts_with("```");
            titles += usize::from(!in_code && line.starts_with("# "));
        }
        if titles != 1 {
            broken.push(file.says(1, &format!("{titles} titles (#), a page has one")));
        }
    }
    report(&broken);
}

/// One source file, with its path from the top of the tree.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let path = path.strip_prefix(root()).expect("below the root").display().to_string();
        Self { path, text }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of the code itself: no comments, nothing from the unit tests on.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_file = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        self.lines()
            .take_while(move |(_, line)| !is_test_file && !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_in(&self, floor: &str) -> bool {
        let below = self.below("src");
        below.starts_with(&format!("{floor}/")) || below == format!("{floor}.rs")
    }

    /// The path below `folder`, or the whole path when the file is elsewhere.
    fn below(&self, folder: &str) -> &str {
        self.path.strip_prefix(&format!("{folder}/")).unwrap_or(&self.path)
    }

    fn has_ending(&self, ending: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == ending)
    }

    fn says(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<Source> {
    files_below(&root().join(folder), &["rs"]).into_iter().map(Source::read).collect()
}

fn source_files() -> Vec<Source> {
    ["src", "netem", "python", "tests"]
        .iter()
        .flat_map(|folder| files_below(&root().join(folder), &["rs", "py", "pyi"]))
        .map(Source::read)
        .collect()
}

fn files_below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            let built = path.ends_with("target") || path.ends_with("__pycache__");
            if !built {
                found.extend(files_below(&path, endings));
            }
        } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The identifiers that directly follow `prefix` in `line`.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    line.match_indices(prefix)
        .map(|(at, _)| &line[at + prefix.len()..])
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .collect()
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "{} house rules broken:\n{}", broken.len(), broken.join("\n"));
}
