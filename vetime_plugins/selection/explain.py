"""The reasons of a choice, as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from vetime_plugins.selection.report import CandidateReport

__all__ = ["explain"]

_METRICS = (("VUS-PR", attrgetter("by_group")), ("AUC-PR", attrgetter("pointwise_by_group")))


def explain(
    winner: CandidateReport,
    candidates: Sequence[CandidateReport],
    *,
    default: str | None,
    n_trials: int,
    wanted: int,
    cut: bool,
    missing: str,
) -> tuple[str, ...]:
    """Return, in sentences, why the winner of all candidates was taken.

    `default` is the candidate that wins where the evidence is weak, if any; `wanted` trials were asked for,
    and `cut` says whether the budget ended them; `missing` is what was left out since it is not installed.
    """
    ranked = [one for one in candidates if one.ok]
    others = [one for one in ranked if one.name != winner.name]
    base = next((one for one in candidates if one.name == default), None)
    reasons = [_choice(winner, others, base, n_trials)]
    if n_trials and others:
        reasons += _strengths(winner, others)
    if n_trials < wanted and others:
        reasons.append(_shortage(n_trials, wanted, cut))
    left_out = [f"{one.name} ({one.status.lower()})" for one in candidates if not one.ok]
    if left_out:
        reasons.append(f"Not compared to the end: {', '.join(left_out)}.")
    if missing:
        reasons.append(f"{missing[0].upper()}{missing[1:]}")
    return tuple(reasons)


def _choice(
    winner: CandidateReport,
    others: Sequence[CandidateReport],
    base: CandidateReport | None,
    n_trials: int,
) -> str:
    if not others:
        return f"{winner.name} is the only candidate that could be run."
    if base is None or not base.ok:
        failed = "" if base is None else f"The default {base.name} could not be used. "
        rival = min(others, key=lambda one: one.rank or len(others) + 1)
        order = f"{failed}{winner.name} is the first in the order of all evidence"
        known = f" On generated series, {_experience(winner)} and {_experience(rival)}."
        if not n_trials:
            return f"{order}, of which there is none from trials.{known}"
        return f"{order}. It {_comparison(winner, rival, n_trials)} of the second, {rival.name}.{known}"
    if not n_trials:
        return f"There is no evidence from trials, so the default {winner.name} is taken."
    if winner.name == base.name:
        rival = max(others, key=lambda one: one.expected_advantage or 0.0)
        return (
            f"No other candidate is expected to beat the default {winner.name}. The nearest, {rival.name}, "
            f"{_comparison(rival, winner, n_trials)}, which after shrinkage leaves an expected "
            f"{rival.expected_advantage:+.3f}."
        )
    return (
        f"{winner.name} {_comparison(winner, base, n_trials)} of the default {base.name}: evidence enough to "
        f"leave the default, with an expected advantage of {winner.expected_advantage:+.3f} after shrinkage."
    )


def _experience(one: CandidateReport) -> str:
    value = "has not been measured" if one.experience is None else f"reached {one.experience:.2f}"
    return f"{one.name} {value}"


def _comparison(one: CandidateReport, other: CandidateReport, n_trials: int) -> str:
    trials = "1 trial" if n_trials == 1 else f"{n_trials} trials"
    return (
        f"found the anomalies injected in {trials} with VUS-PR {one.detection:.3f} and AUC-PR "
        f"{one.pointwise:.3f} and agrees with the others by {one.agreement:.2f}, against "
        f"{other.detection:.3f}, {other.pointwise:.3f} and {other.agreement:.2f}"
    )


def _strengths(winner: CandidateReport, others: Sequence[CandidateReport]) -> list[str]:
    """Say at which groups of kinds the winner is first by both metrics, and where another is by one."""
    first, behind = [], []
    for group in winner.by_group:
        better = [
            f"{best.name} {metric} {found(best)[group]:.2f} against {found(winner)[group]:.2f}"
            for metric, found in _METRICS
            for best in [max(others, key=lambda one: found(one)[group])]
            if found(best)[group] > found(winner)[group]
        ]
        if better:
            behind.append(f"{group} ({', '.join(better)})")
        else:
            first.append(group)
    sentences = []
    if first:
        sentences.append(f"Of the injected anomalies {winner.name} was best at: {', '.join(first)}.")
    if behind:
        sentences.append(f"Another candidate was better at: {', '.join(behind)}.")
    return sentences


def _shortage(n_trials: int, wanted: int, cut: bool) -> str:
    made = f"Only {n_trials} of {wanted} trials" if n_trials else "No trial"
    unseen = "could be made: the series is too short, or hides what is injected"
    return f"{made} {'fitted into the budget' if cut else unseen}{'; fewer count less.' if n_trials else '.'}"
