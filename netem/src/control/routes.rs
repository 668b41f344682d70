//! What each request is answered with.

use std::net::IpAddr;

use super::http::{Request, Response};
use super::json::{Member, parse_object, quoted};
use super::metrics::metrics;
use crate::live::{Network, Setup};
use crate::packet::{Direction, FlowOrdinal};
use crate::stats::LinkStats;
use crate::suggest::did_you_mean;

const PAGE: &str = include_str!("page.html");
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers a request about `network`; `start` is what `POST /reset` goes back to, and with
/// `is_public` any name of this machine is good.
pub fn respond(
    network: &dyn Network,
    start: &[Setup; 2],
    is_public: bool,
    request: &Request,
) -> Response {
    if !is_public && !request.host.as_deref().is_some_and(is_local) {
        let message = "this control is for this machine only: ask for localhost or 127.0.0.1";
        return Response::error(403, &message);
    }
    let Request { method, path, .. } = request;
    let method = if method == "HEAD" { "GET" } else { method.as_str() };
    match (method, path.as_str()) {
        ("GET", "/") => Response::ok("text/html; charset=utf-8", page(network)),
        ("GET", "/metrics") => {
            Response::ok("text/plain; version=0.0.4; charset=utf-8", metrics(network))
        }
        ("GET", "/stats") => Response::ok(JSON, stats(network)),
        ("GET", "/log") => match network.log_text() {
            Some(text) => Response::ok(TEXT, text),
            None => Response::error(404, &"a stream has no packets, so there is no decision log"),
        },
        ("GET", "/links") => Response::ok(JSON, links(network, &Direction::BOTH)),
        ("POST", "/rebind") => changed(request, |members| rebind(network, members)),
        ("POST", "/reset") => changed(request, |_| {
            for (way, config) in Direction::BOTH.into_iter().zip(start) {
                network.set_setup(way, config.clone());
            }
            Ok(links(network, &Direction::BOTH))
        }),
        (_, "/" | "/metrics" | "/stats" | "/log" | "/links") => not_allowed("GET, HEAD"),
        (_, "/rebind" | "/reset") => not_allowed("POST"),
        (method, path) => match path.strip_prefix("/links/").and_then(ways) {
            None => Response::error(404, &format!("there is nothing at {path}")),
            Some(ways) => match method {
                "GET" => Response::ok(JSON, links(network, ways)),
                "PATCH" => changed(request, |members| patch(network, ways, &members)),
                _ => not_allowed("GET, HEAD, PATCH"),
            },
        },
    }
}

/// The page, which knows what can be set here.
fn page(network: &dyn Network) -> String {
    let setup = network.setup(Direction::Up);
    let names = setup.names().iter().chain(setup.wholes());
    let names = names.map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    PAGE.replace("/* names */", &names)
}

fn not_allowed(methods: &'static str) -> Response {
    let message = format!("this understands {methods} only");
    Response { allow: Some(methods), ..Response::error(405, &message) }
}

/// Whether `Host` names this machine in a way that nobody else can.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn ways(name: &str) -> Option<&'static [Direction]> {
    match name {
        "up" => Some(&Direction::BOTH[..1]),
        "down" => Some(&Direction::BOTH[1..]),
        "both" => Some(&Direction::BOTH),
        _ => None,
    }
}

/// Does what a body of JSON asks for.
fn changed(
    request: &Request,
    change: impl FnOnce(Vec<Member>) -> Result<String, String>,
) -> Response {
    // A browser sends this type to another origin only after asking, and we do not answer that.
    if request.content_type.as_deref() != Some(JSON) {
        return Response::error(415, &"a change needs Content-Type: application/json");
    }
    let members = std::str::from_utf8(&request.body).map_err(|error| error.to_string());
    let members = members.and_then(|text| parse_object(text).map_err(|error| error.to_string()));
    match members.and_then(change) {
        Ok(body) => Response::ok(JSON, body),
        Err(message) => Response::error(400, &message),
    }
}

/// Both directions are checked before either is changed.
fn patch(network: &dyn Network, ways: &[Direction], members: &[Member]) -> Result<String, String> {
    let setups = ways.iter().map(|&way| {
        let mut setup = network.setup(way);
        setup.change(way, members)?;
        Ok((way, setup))
    });
    for (way, setup) in setups.collect::<Result<Vec<_>, String>>()? {
        network.set_setup(way, setup);
    }
    Ok(links(network, ways))
}

fn rebind(network: &dyn Network, members: Vec<Member>) -> Result<String, String> {
    let mut flow = None;
    for (name, value) in members {
        if name != "flow" {
            return Err(format!("unknown key {name:?}{}", did_you_mean(&name, &["flow"])));
        }
        let number = value.parse().map_err(|_| format!("flow: {value:?} is no flow's number"))?;
        flow = Some(FlowOrdinal(number));
    }
    Ok(format!("{{\"moved\": {}}}\n", network.rebind(flow)))
}

fn links(network: &dyn Network, ways: &[Direction]) -> String {
    let link = |way: &Direction| {
        let settings = network.setup(*way).settings();
        let members = settings.iter().map(|(n, v)| format!("{}: {}", quoted(n), quoted(v)));
        format!("\"{way}\": {{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    let links: Vec<String> = ways.iter().map(link).collect();
    format!("{{{}}}\n", links.join(", "))
}

fn stats(network: &dyn Network) -> String {
    let extra = network.extra();
    let extra = extra.iter().map(|(name, value)| format!(", {}: {value}", quoted(name)));
    let [up, down] = network.link_stats();
    format!(
        "{{\"title\": {}, \"seed\": {}{}, \"up\": {}, \"down\": {}}}\n",
        quoted(&network.title()),
        network.seed(),
        extra.collect::<String>(),
        link_stats(&up),
        link_stats(&down),
    )
}

/// The counters of one direction as JSON.
pub(crate) fn link_stats(stats: &LinkStats) -> String {
    let dropped = stats.dropped_by_reason().map(|(why, count)| format!("\"{why}\": {count}"));
    let dropped = dropped.collect::<Vec<_>>().join(", ");
    let counters = [
        ("received", stats.received),
        ("received_bytes", stats.received_bytes),
        ("duplicated", stats.duplicated),
        ("reordered", stats.reordered),
        ("ahead", stats.ahead),
        ("corrupted", stats.corrupted),
        ("truncated", stats.truncated),
        ("ecn_marked", stats.ecn_marked),
        ("delivered", stats.delivered),
        ("delivered_bytes", stats.delivered_bytes),
        ("queued", stats.queued),
        ("queued_max", stats.queued_max),
    ];
    let counters = counters.map(|(name, value)| format!("\"{name}\": {value}")).join(", ");
    format!("{{{counters}, \"dropped\": {{{dropped}}}}}")
}
