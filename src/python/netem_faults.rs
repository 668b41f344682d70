//! Faults, logs and shrinking for Python.

use netem::fault::Fault;
use netem::impair::Action;
use netem::log::{ParsedLog, parse_log};
use netem::scenario::of_faults;
use netem::{FlowOrdinal, PacketOrdinal};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::netem_config::direction;

/// (action, direction, flow, ordinal)
pub(super) type FaultTuple = (String, String, u32, u64);
/// (faults, the log with these only, as a scenario, runs, whether none can be left out)
type ShrunkTuple = (Vec<FaultTuple>, String, String, usize, bool);

/// # Errors
/// ValueError for an unknown action or direction.
pub(super) fn fault((action, way, flow, ordinal): &FaultTuple) -> PyResult<Fault> {
    let known = Action::ALL.into_iter().find(|known| known.as_str() == action);
    let action = known.ok_or_else(|| {
        let all = Action::ALL.map(Action::as_str).join(", ");
        PyValueError::new_err(format!("action: {action:?} is unknown: there are {all}"))
    })?;
    let (flow, ordinal) = (FlowOrdinal(*flow), PacketOrdinal(*ordinal));
    Ok(Fault { direction: direction(way)?, flow, ordinal, action })
}

fn tuple(fault: &Fault) -> FaultTuple {
    let Fault { direction, flow, ordinal, action } = fault;
    (action.to_string(), direction.to_string(), flow.0, ordinal.0)
}

fn read(log: &str) -> PyResult<ParsedLog> {
    parse_log(log).map_err(|error| PyValueError::new_err(format!("log: {error}")))
}

/// The seed of a log.
#[pyfunction]
pub(crate) fn netem_log_seed(log: &str) -> PyResult<u64> {
    Ok(read(log)?.seed.0)
}

/// The faults of a log.
#[pyfunction]
pub(crate) fn netem_log_faults(log: &str) -> PyResult<Vec<FaultTuple>> {
    Ok(Fault::all_of(&read(log)?).iter().map(tuple).collect())
}

/// The smallest set of faults of `log` with which `fails(log)` still says yes.
#[pyfunction]
pub(crate) fn netem_shrink(
    log: &str,
    runs: usize,
    fails: &Bound<'_, PyAny>,
) -> PyResult<Option<ShrunkTuple>> {
    let log = read(log)?;
    let mut raised = None;
    let shrunk = netem::shrink::shrink(&Fault::all_of(&log), runs, |faults| {
        if raised.is_some() {
            return false;
        }
        let answer = fails.call1((log.with_only(faults).to_text(),));
        answer.and_then(|answer| answer.is_truthy()).unwrap_or_else(|error| {
            raised = Some(error);
            false
        })
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(shrunk.map(|shrunk| {
            let scenario = of_faults(&shrunk.faults, log.seed, Some(&log));
            let text = log.with_only(&shrunk.faults).to_text();
            let faults = shrunk.faults.iter().map(tuple).collect();
            (faults, text, scenario, shrunk.runs, shrunk.is_minimal)
        })),
    }
}

/// (name, summary, where its numbers come from, up, down) of every profile.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(crate) fn netem_profiles()
-> Vec<(&'static str, &'static str, &'static str, [Vec<(&'static str, String)>; 2])> {
    let profiles = netem::profile::PROFILES.iter();
    let settings = |profile: &netem::profile::Profile| {
        netem::Direction::BOTH.map(|way| profile.config(way).settings())
    };
    let told = |p: &netem::profile::Profile| (p.name, p.summary, p.provenance(), settings(p));
    profiles.map(told).collect()
}
