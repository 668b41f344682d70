//! The decision about one packet: every impairment in its order, and what comes of it.

use super::{LinkConfig, Semantics};
use crate::flows::Models;
use crate::impair::{Action, PacketView};
use crate::random::Draws;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

/// What was decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) verdict: Verdict,
    /// The delay of the copy, if there is one.
    pub(super) copy_delay: Nanos,
}

impl Plan {
    pub(super) const fn dropped(packet: &PacketView<'_>, reason: DropReason) -> Self {
        let (ordinal, dropped) = (packet.ordinal, Some(reason));
        let verdict = Verdict { ordinal, dropped, effects: Effects::NONE, delay: Nanos::ZERO };
        Self { verdict, copy_delay: Nanos::ZERO }
    }
}

/// Asks every impairment. `has_memory` as [`LinkConfig::has_memory`] says.
#[inline]
pub(super) fn decide(
    config: &LinkConfig,
    has_memory: bool,
    packet: &PacketView<'_>,
    is_ecn_capable: bool,
    draws: &Draws,
    models: &mut Models,
) -> Plan {
    let action = if config.rules.is_empty() { None } else { config.rules.action(packet) };
    let mut dropped = None;
    if action == Some(Action::Drop) {
        dropped = Some(DropReason::Rule);
    } else if config.blackhole.is_down(packet.now) {
        dropped = Some(DropReason::Blackhole);
    }
    let passes = action == Some(Action::Pass);
    let lost = config.loss.decide(draws, &mut models.loss) && !passes;
    let is_tc = config.semantics == Semantics::TcNetem;
    if (dropped.is_some() || lost && !is_tc && !config.ecn.on_loss) && !has_memory {
        return Plan::dropped(packet, dropped.unwrap_or(DropReason::Loss));
    }
    let chosen = |hit: bool, by: Action| (hit && !passes) || action == Some(by);
    let marked = config.ecn.decide(draws, &mut models.ecn);
    let corrupted = config.corrupt.decide(draws, &mut models.corrupt);
    let truncated = config.truncate.decide(draws, &mut models.truncate);
    let duplicated = config.duplicate.decide(draws, &mut models.duplicate);
    let mut duplicated = chosen(duplicated, Action::Duplicate);
    let mut effects = Effects::NONE;
    if is_ecn_capable && (chosen(marked, Action::Mark) || lost && config.ecn.on_loss) {
        effects = effects.with(Effects::MARK);
    }
    if lost && !(is_ecn_capable && config.ecn.on_loss) {
        if is_tc && duplicated {
            duplicated = false;
        } else {
            dropped = dropped.or(Some(DropReason::Loss));
        }
    }
    if chosen(corrupted, Action::Corrupt) && packet.size_bytes > 0 {
        effects = effects.with(Effects::CORRUPT);
    }
    let mut size_bytes = packet.size_bytes;
    if chosen(truncated, Action::Truncate) && size_bytes > config.truncate.to.get() {
        effects = effects.with(Effects::TRUNCATE);
        size_bytes = config.truncate.to.get();
    }
    if config.mtu.is_some_and(|mtu| size_bytes > mtu.get()) {
        dropped = dropped.or(Some(DropReason::Mtu));
    }
    if duplicated {
        effects = effects.with(Effects::DUPLICATE);
    }
    let [mut delay, copy_delay] = config.delay.decide(draws, &mut models.jitter);
    let reordered = config.reorder.decide(draws, &mut models.reorder, &mut models.passed);
    if chosen(reordered, Action::Reorder) {
        if config.reorder.is_ahead() {
            delay = Nanos::ZERO;
            effects = effects.with(Effects::AHEAD);
        } else {
            effects = effects.with(Effects::REORDER);
        }
    }
    if let Some(reason) = dropped {
        return Plan::dropped(packet, reason);
    }
    let ordinal = packet.ordinal;
    Plan { verdict: Verdict { ordinal, dropped: None, effects, delay }, copy_delay }
}
