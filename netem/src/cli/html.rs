//! The report of a run as one HTML file: no script, nothing from elsewhere.

use std::fmt::Write;

use crate::live::{History, Network, Rates, reasons};
use crate::packet::Direction;
use crate::stats::LinkStats;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;\
    padding:0 1rem;color:#1f2937}table{border-collapse:collapse}\
    td,th{padding:.1rem 1rem .1rem 0;text-align:right}\
    td:first-child,th:first-child{text-align:left}svg{width:100%;border:1px solid #d1d5db}\
    polyline{fill:none;stroke-width:1.5}.in{stroke:#2563eb}.out{stroke:#16a34a}\
    .drop{stroke:#dc2626}rect{fill:#16a34a}text{font-size:11px}";

/// The report.
pub(super) fn report(network: &dyn Network, history: &History, elapsed_s: f64) -> String {
    let (title, seed) = (escaped(&network.title()), network.seed());
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>netem {title}</title>\n\
         <style>{STYLE}</style>\n<h1>netem {title}</h1>\n<p>Seed {seed}; {elapsed_s:.1} s.</p>\n"
    );
    let stats = network.link_stats();
    html += &counters(&stats);
    for (side, way) in Direction::BOTH.into_iter().enumerate() {
        let settings = network.setup(way).settings();
        let settings = settings.iter().map(|(name, value)| format!("{name} {value}"));
        let settings = escaped(&settings.collect::<Vec<_>>().join(", "));
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<h2>{way}</h2>\n<p>{settings}</p>");
        html += &curves(history, side);
        html += &delays(&stats[side]);
    }
    let _ = writeln!(html, "<h2>{}</h2>\n<table>", title);
    for (name, value) in network.extra() {
        let _ = writeln!(html, "<tr><td>{}<td>{value}", escaped(name));
    }
    html + "</table>\n</html>\n"
}

fn counters([up, down]: &[LinkStats; 2]) -> String {
    let mut html = "<table>\n<tr><th>packets<th>up<th>down\n".to_owned();
    let mut row = |name: &str, up: u64, down: u64| {
        let _ = writeln!(html, "<tr><td>{name}<td>{up}<td>{down}");
    };
    row("received", up.received, down.received);
    row("duplicated", up.duplicated, down.duplicated);
    row("reordered", up.reordered, down.reordered);
    row("corrupted", up.corrupted, down.corrupted);
    row("delivered", up.delivered, down.delivered);
    let both = reasons(up).chain(reasons(down)).map(|(reason, _)| reason);
    let mut both: Vec<_> = both.collect();
    both.sort_unstable();
    both.dedup();
    for reason in both {
        row(&format!("dropped: {reason}"), up.dropped(reason), down.dropped(reason));
    }
    row("received bytes", up.received_bytes, down.received_bytes);
    row("delivered bytes", up.delivered_bytes, down.delivered_bytes);
    html + "</table>\n"
}

/// Packets a second in time.
fn curves(history: &History, side: usize) -> String {
    let rates: Vec<Rates> = history.rates(side).collect();
    let all = rates.iter().flat_map(|rates| [rates.received, rates.delivered, rates.dropped]);
    let highest = all.fold(1.0, f64::max);
    let end = history.samples().last().map_or(1.0, |last| last.at.as_secs_f64()).max(1e-9);
    let line = |kind: &str, of: fn(&Rates) -> f64| {
        let points = rates.iter().zip(&history.samples()[1..]).map(|(rates, sample)| {
            let x = sample.at.as_secs_f64() / end * WIDTH;
            format!("{x:.1},{:.1}", HEIGHT - of(rates) / highest * (HEIGHT - 16.0))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        format!("<polyline class=\"{kind}\" points=\"{points}\"><title>{kind}</title></polyline>")
    };
    let lines = [
        line("in", |rates| rates.received),
        line("out", |rates| rates.delivered),
        line("drop", |rates| rates.dropped),
    ];
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\">{}<text x=\"4\" y=\"12\">{highest:.0} packets/s; \
         blue in, green out, red dropped; {end:.1} s</text></svg>\n",
        lines.concat()
    )
}

fn delays(stats: &LinkStats) -> String {
    let classes: Vec<_> = stats.delays.classes().filter(|&(_, count)| count > 0).collect();
    let highest = classes.iter().map(|&(_, count)| count).max().unwrap_or(1);
    let mut html = format!("<svg viewBox=\"0 0 {WIDTH} {}\">", 18 * classes.len() + 6);
    for (row, (end, count)) in classes.into_iter().enumerate() {
        let end = end.map_or("more".to_owned(), |end| format!("up to {end}"));
        let (y, width) = (row * 18, count as f64 / highest as f64 * (WIDTH - 240.0));
        let _ = write!(
            html,
            "<text x=\"4\" y=\"{}\">{end}</text><rect x=\"120\" y=\"{}\" width=\"{width:.1}\" \
             height=\"13\"/><text x=\"{:.1}\" y=\"{}\">{count}</text>",
            y + 15,
            y + 4,
            width + 126.0,
            y + 15
        );
    }
    html + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
