"""Choosing a detector for a series without labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import check_seed, check_whole, is_real
from vetime_plugins.detectors.specs import installed, left_out
from vetime_plugins.errors import InputError
from vetime_plugins.metrics import find_buffer
from vetime_plugins.selection.budget import Budget
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES, VETIME, Fitted, resolve_all
from vetime_plugins.selection.detector import CandidateDetector
from vetime_plugins.selection.evidence import aggregate_ranks, agreement, expected_advantage
from vetime_plugins.selection.explain import explain
from vetime_plugins.selection.profile import describe
from vetime_plugins.selection.report import Selection
from vetime_plugins.selection.runs import Entry, Progress, Work
from vetime_plugins.selection.trials import find_suspects, iterate_trials, margin_for
from vetime_plugins.series.guards import refuse_doubtful, warn_of_doubtful
from vetime_plugins.series.inputs import Series, as_series
from vetime_plugins.thresholds import check_contamination, check_rule

__all__ = ["select_detector"]

Scores = NDArray[np.float64]

_FEWEST_TRIALS = 3  # a candidate that the budget does not allow so many is not worth starting


def select_detector(
    series: ArrayLike | Series,
    candidates: Iterable[Any] | None = None,
    *,
    budget: float | None = 60.0,
    n_trials: int = 8,
    max_points: int | None = 20_000,
    default: str | None = None,
    threshold: str | float = "quantile",
    contamination: Any = 0.1,
    weights: str = "small",
    device: str = "auto",
    random_state: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """Rank detectors on one's own series, without labels, and return the best one fitted.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
        Rows are time steps, columns variables; NaN marks a gap. It may hold anomalies, which is why one looks
        for a detector.
    candidates : iterable, optional
        Names of detectors (``"vetime"`` and `vetime_plugins.detectors.registry.names`) and objects of
        PyOD, scikit-learn, sktime, Darts and Merlion, in any mixture (see
        `vetime_plugins.selection.objects`). `DEFAULT_CANDIDATES` where left out.
    budget : float or None, default 60.0
        Seconds. The default candidate, else the first, is run in any case; others are started only if a pilot
        on a short stretch says that they fit, and a run that has begun is not interrupted. None is no limit.
    n_trials : int, default 8
        Copies of the series with anomalies, if the budget allows that many. Without any the default is taken,
        or by agreement where there is none.
    max_points : int or None, default 20,000
        Candidates are compared on the latest so many points; the winner is fitted on all.
    default : str, optional
        Name of the candidate that wins where the evidence is weak. Left out, it is ``"vetime"`` where that is
        one of the candidates, else the most experienced (see `vetime_plugins.selection.experience`). Where no
        experience is known of any, there is none, and the first in the order of all evidence is taken.
    threshold, contamination
        Rule for the winner's threshold, see `vetime_plugins.thresholds.find_threshold`.
    weights : str, default "small"
        Of ``"vetime"``: a bundled name or a folder.
    device : str, default "auto"
        Where ``"vetime"`` runs, and detectors of the leaderboard that can use a GPU.
    random_state : int, default 0
        Of the anomalies, and of candidates named by strings that draw numbers.
    progress : callable, optional
        Called with what is being done, and the share of the work or of the budget that is behind.

    Returns
    -------
    Selection
        The fitted winner as ``.detector``, why it was chosen, and the evidence on every candidate. A
        candidate that fails or does not fit into the budget is in there with the reason.

    Raises
    ------
    InputError
        If the series is unusable, an argument is out of its range, a candidate is unknown, or all candidates
        fail; also if a column of a data frame is named like labels or time stamps, or counts the rows.

    Warns
    -----
    InputWarning
        If the series looks like something else, as in `vetime_plugins.VETimePipeline.score`.

    Notes
    -----
    Without labels no choice is safe. `docs/selection.md` has the method and what it was measured to gain.

    The same input gives the same choice on every machine when ``budget=None``. With a budget the number of
    trials and the candidates that fit depend on the machine's speed and load; ``Selection.complete`` says
    whether it mattered. Candidates that are random beyond `random_state` may change the choice as well.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.selection import select_detector
    >>> series = np.sin(np.arange(600) / 5)
    >>> series[300:304] += 2
    >>> found = select_detector(series, ["sub-knn", "moving-variance"], n_trials=4, budget=None)
    >>> found.detector.decision_scores_.shape
    (600,)
    >>> sorted(found.ranking)
    ['moving-variance', 'sub-knn']
    """
    refuse_doubtful(series)
    whole = as_series(series)
    values = whole.with_gaps
    _check(budget, n_trials, max_points)
    check_seed(random_state)
    check_rule(threshold)
    if not hasattr(contamination, "fit"):  # else a thresholder of PyOD
        check_contamination(contamination)
    clock = Budget(budget)
    missing = "" if candidates is not None else left_out(DEFAULT_CANDIDATES)
    chosen = installed(DEFAULT_CANDIDATES) if candidates is None else candidates
    warn_of_doubtful([whole])
    entries = [
        Entry(candidate, values.shape[1]) for candidate in resolve_all(chosen, weights=weights, device=device)
    ]
    base = _default(entries, default)
    part = values if max_points is None or max_points >= len(values) else _latest(values, max_points)
    work = Work(part, find_buffer(part), len(values), clock, random_state, progress)
    work.score_raw(entries, base or entries[0], min(n_trials, _FEWEST_TRIALS))
    alive = [entry for entry in entries if entry.alive]
    if not alive:
        raise InputError(f"every candidate failed: {_failures(entries)}")
    margin = margin_for(work.period)
    suspects = find_suspects([entry.raw.scores for entry in alive], margin)
    profile = describe(whole if part is values else as_series(part))
    trials = work.run_trials(entries, iterate_trials(part, profile, suspects, margin, random_state), n_trials)
    winner, fitted = _rank_and_fit(entries, base, values, work)
    detector = CandidateDetector(
        winner.candidate.origin,
        weights=weights,
        device=device,
        threshold=threshold,
        contamination=contamination,
        random_state=random_state,
    )
    detector.adopt(fitted, values.shape[1])
    return Selection(
        name=winner.name,
        detector=detector,
        default=base.name if base is not None and base.alive else None,
        reasons=explain(
            winner.report(),
            [entry.report() for entry in entries],
            default=None if base is None else base.name,
            n_trials=len(trials),
            wanted=n_trials,
            cut=work.cut,
            missing=missing,
        ),
        candidates=tuple(
            entry.report()
            for entry in sorted(entries, key=lambda one: (one is not winner, one.rank or len(entries) + 1))
        ),
        series=str(profile),
        n_trials=len(trials),
        kinds=dict(sorted(Counter(kind for trial in trials for kind in trial.kinds).items())),
        suspect_share=float(suspects.mean()),
        budget=budget,
        seconds=clock.spent,
        complete=not work.cut and all(entry.status != "OVER BUDGET" for entry in entries),
    )


def _check(budget: float | None, n_trials: int, max_points: int | None) -> None:
    if budget is not None and not (is_real(budget) and budget > 0):
        raise InputError(f"budget must be a number of seconds above 0, or None for no limit, got {budget!r}")
    check_whole("n_trials", n_trials, least=0)
    if max_points is not None:
        check_whole("max_points", max_points, meaning="or None for all")


def _latest(values: Scores, n_points: int) -> Scores:
    """Return the last points; a variable without any value there goes on with its last one from before."""
    part = values[-n_points:]
    silent = np.flatnonzero(np.isnan(part).all(axis=0))
    if not len(silent):
        return part
    part = part.copy()
    for column in silent:
        known = values[~np.isnan(values[:, column]), column]
        part[0, column] = known[-1]
    return part


def _default(entries: list[Entry], name: str | None) -> Entry | None:
    named = {entry.name: entry for entry in entries}
    if name is None:
        known = [entry for entry in entries if entry.known is not None]
        return named.get(VETIME) or max(known, key=lambda entry: entry.known or 0.0, default=None)
    if name not in named:
        raise InputError(f"default must be one of the candidates {', '.join(named)}, got {name!r}")
    return named[name]


def _rank(entries: list[Entry], default: Entry | None) -> Entry:
    """Set ranks and expected advantages; return the one to be taken."""
    alive = [entry for entry in entries if entry.alive]
    agreed = agreement(np.stack([entry.raw.scores for entry in alive]))
    found = np.array([[one.mean for one in entry.found] for entry in alive]).T.reshape(-1, len(alive))
    experience = np.array([math.nan if entry.known is None else entry.known for entry in alive])
    mean_ranks = aggregate_ranks(found, agreed, experience)
    for place, index in enumerate(np.argsort(mean_ranks, kind="stable"), start=1):
        alive[index].rank = place
    default = default if default in alive else None
    expected = (
        None if default is None else expected_advantage(found, agreed, experience, alive.index(default))
    )
    for index, entry in enumerate(alive):
        entry.agreed, entry.mean_rank = float(agreed[index]), float(mean_ranks[index])
        entry.expected = None if expected is None else float(expected[index])
    return min(alive, key=lambda one: (-(one.expected or 0.0), one is not default, one.rank))


def _rank_and_fit(
    entries: list[Entry], default: Entry | None, values: Scores, work: Work
) -> tuple[Entry, Fitted]:
    """Return the best candidate that can be fitted on the whole series, and what was fitted."""
    while any(entry.alive for entry in entries):
        winner = _rank(entries, default)
        # The period is that of the whole series, as for `CandidateDetector.fit`.
        fitted = work.run(winner, values, find_buffer(values)) if work.in_part else winner.fitted
        if fitted is not None:
            return winner, fitted
    raise InputError(f"every candidate failed: {_failures(entries)}")


def _failures(entries: list[Entry]) -> str:
    return "; ".join(f"{entry.name}: {entry.reason}" for entry in entries)
