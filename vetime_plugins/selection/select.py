"""Choosing a detector for a series without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.errors import InputError
from vetime_plugins.inputs import as_float64, as_series
from vetime_plugins.leaderboard.metrics import find_buffer
from vetime_plugins.selection.budget import Budget, OverBudget, forecast
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES, VETIME, Candidate, Fitted, resolve_all
from vetime_plugins.selection.detector import CandidateDetector
from vetime_plugins.selection.evidence import aggregate_ranks, agreement, expected_advantage
from vetime_plugins.selection.explain import explain
from vetime_plugins.selection.profile import describe
from vetime_plugins.selection.report import CandidateReport, Selection
from vetime_plugins.selection.trials import Trial, find_suspects, iterate_trials, margin_for, measure
from vetime_plugins.thresholds import check_contamination, check_rule

__all__ = ["select_detector"]

Scores = NDArray[np.float64]
Progress = Callable[[str, float], None]

_FEWEST_TRIALS = 3  # a candidate that the budget does not allow so many is not worth starting


def select_detector(
    series: ArrayLike,
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
        Names of detectors (``"vetime"`` and `vetime_plugins.leaderboard.detectors.names`) and objects of
        PyOD, scikit-learn, sktime, Darts and Merlion, in any mixture (see
        `vetime_plugins.selection.objects`). `DEFAULT_CANDIDATES` where left out.
    budget : float or None, default 60.0
        Seconds. The default candidate is run in any case; others are started only if a pilot on a short
        stretch says that they fit, and a run that has begun is not interrupted. None is no limit.
    n_trials : int, default 8
        Copies of the series with anomalies, if the budget allows that many. Without any the default is taken,
        or the candidate that agrees most with the others where it fails.
    max_points : int or None, default 20,000
        Candidates are compared on the latest so many points; the winner is fitted on all.
    default : str, optional
        Name of the candidate that wins where the evidence is weak: ``"vetime"`` where it is one of the
        candidates, else the first.
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
        fail.

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
    checked = as_series(series)  # its errors name the argument
    values = as_float64(series, "series").astype(np.float64).reshape(len(checked), -1)
    _check(budget, n_trials, max_points)
    check_rule(threshold)
    if isinstance(contamination, (int, float)):  # else a thresholder of PyOD
        check_contamination(contamination)
    clock = Budget(budget)
    entries = [
        _Entry(candidate)
        for candidate in resolve_all(
            DEFAULT_CANDIDATES if candidates is None else candidates, weights=weights, device=device
        )
    ]
    first = _default(entries, default)
    part = values if max_points is None else values[-max_points:]
    work = _Work(part, find_buffer(part), len(values) / len(part), clock, random_state, progress)
    work.score_raw(entries, first, min(n_trials, _FEWEST_TRIALS))
    alive = [entry for entry in entries if entry.alive]
    if not alive:
        raise InputError(f"every candidate failed: {_failures(entries)}")
    margin = margin_for(work.period)
    suspects = find_suspects([entry.raw.scores for entry in alive], margin)
    profile = describe(as_series(part))
    trials = work.run_trials(entries, iterate_trials(part, profile, suspects, margin, random_state), n_trials)
    order = _rank(entries, first)
    winner, fitted = _fit(order, values, work)
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
        default=first.name if first.alive else None,
        reasons=explain(
            winner.report(),
            [entry.report() for entry in entries],
            default=first.name,
            n_trials=len(trials),
            wanted=n_trials,
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


@dataclass(eq=False)
class _Entry:
    """A candidate and what is known of it so far."""

    candidate: Candidate
    status: str = "OK"
    reason: str = ""
    seconds: float = 0.0
    run_seconds: float = 0.0  # of the dearest run on the whole part
    fitted: Fitted | None = None
    found: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    agreed: float | None = None
    mean_rank: float | None = None
    rank: int | None = None
    expected: float | None = None

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def alive(self) -> bool:
        return self.status == "OK"

    @property
    def raw(self) -> Fitted:
        assert self.fitted is not None  # of all that are alive
        return self.fitted

    def drop(self, status: str, reason: str) -> None:
        self.status, self.reason = status, reason
        self.rank = self.mean_rank = self.expected = None

    def fail(self, error: Exception) -> None:
        text = " ".join(str(error).split())
        self.drop("FAILED", f"{type(error).__name__}: {text}"[:300])

    def report(self) -> CandidateReport:
        groups = {
            group: float(np.mean([f for f, g in zip(self.found, self.groups, strict=True) if g == group]))
            for group in dict.fromkeys(self.groups)
        }
        return CandidateReport(
            name=self.name,
            status=self.status,
            reason=self.reason,
            rank=self.rank,
            mean_rank=self.mean_rank,
            detection=float(np.mean(self.found)) if self.found else None,
            by_group=groups,
            agreement=self.agreed,
            expected_advantage=self.expected,
            seconds=round(self.seconds, 3),
        )


@dataclass
class _Work:
    """Runs of candidates on the part of the series that they are compared on.

    Attributes
    ----------
    values : ndarray of shape (T, C)
    period : int
        In points; the buffer of the metric as well.
    whole : float
        Length of the whole series over that of the part.
    """

    values: Scores
    period: int
    whole: float
    clock: Budget
    seed: int
    progress: Progress | None
    cut: bool = False

    def run(self, entry: _Entry, values: Scores) -> Fitted | None:
        """Fit a candidate; a failure is its result, whatever a third party's code raises."""
        begin = self.clock.spent
        fitted = None
        try:
            fitted = entry.candidate.fit(values, self.period, self.seed)
        except Exception as error:
            entry.fail(error)
        seconds = self.clock.spent - begin
        entry.seconds += seconds
        entry.run_seconds = max(entry.run_seconds, seconds)
        return fitted

    def score_raw(self, entries: list[_Entry], default: _Entry, fewest: int) -> None:
        """Score the series as it came by every candidate that the budget allows, the default first."""
        planned = 0.0  # seconds still needed by those that were started, for the fewest trials
        for entry in [default, *(entry for entry in entries if entry is not default)]:
            self.show(f"scoring with {entry.name}", 0.0)
            begin = self.clock.spent
            try:
                if entry is not default:
                    self.clock.check(0.0, planned)
                run = forecast(entry.candidate, self.values, self.period, self.seed, self.clock)
                entry.seconds += self.clock.spent - begin
                if entry is not default:
                    fit = self.whole if self.whole > 1 else 0.0  # on all points, should it win
                    self.clock.check(run * (1 + fewest + fit), planned)
            except OverBudget as error:
                entry.drop("OVER BUDGET", str(error))
                continue
            entry.fitted = self.run(entry, self.values)
            planned += entry.run_seconds * fewest if entry.alive else 0.0

    def run_trials(self, entries: list[_Entry], trials: Iterable[Trial], wanted: int) -> list[Trial]:
        """Let all candidates score one trial after the other, so that every one has the same trials."""
        made: list[Trial] = []
        if not wanted:
            return made
        for trial in trials:
            alive = [entry for entry in entries if entry.alive]
            a_round = sum(entry.run_seconds for entry in alive)
            last = max((entry.run_seconds * self.whole for entry in alive if self.whole > 1), default=0.0)
            if len(alive) < 2 or not self.clock.allows(a_round + last):
                self.cut = len(alive) > 1
                break
            results = {}
            for entry in alive:
                done = len(made) / wanted if self.clock.limit is None else self.clock.share
                self.show(f"trial {len(made) + 1} ({trial.group}): {entry.name}", done)
                fitted = self.run(entry, trial.values)
                if fitted is not None:
                    results[entry] = measure(trial, fitted.scores, self.period)
            for entry, found in results.items():
                entry.found.append(found)
                entry.groups.append(trial.group)
            made.append(trial)
            if len(made) == wanted:
                break
        return made

    def show(self, what: str, done: float) -> None:
        if self.progress is not None:
            self.progress(what, min(done, 1.0))


def _check(budget: float | None, n_trials: int, max_points: int | None) -> None:
    if budget is not None and not budget > 0:
        raise InputError(f"budget must be a number of seconds above 0, or None for no limit, got {budget!r}")
    if n_trials < 0:
        raise InputError(f"n_trials must be 0 or more, got {n_trials!r}")
    if max_points is not None and max_points < 1:
        raise InputError(f"max_points must be at least 1, or None for all, got {max_points!r}")


def _default(entries: list[_Entry], name: str | None) -> _Entry:
    named = {entry.name: entry for entry in entries}
    if name is None:
        return named.get(VETIME, entries[0])
    if name not in named:
        raise InputError(f"default must be one of the candidates {', '.join(named)}, got {name!r}")
    return named[name]


def _rank(entries: list[_Entry], default: _Entry) -> list[_Entry]:
    """Set ranks and expected advantages; return those alive, the one to be taken first."""
    alive = [entry for entry in entries if entry.alive]
    agreed = agreement(np.stack([entry.raw.scores for entry in alive]))
    found = np.array([entry.found for entry in alive]).T.reshape(-1, len(alive))
    mean_ranks = aggregate_ranks(found, agreed)
    for place, index in enumerate(np.argsort(mean_ranks, kind="stable"), start=1):
        alive[index].rank = place
    expected = expected_advantage(found, agreed, alive.index(default)) if default.alive else None
    for index, entry in enumerate(alive):
        entry.agreed, entry.mean_rank = float(agreed[index]), float(mean_ranks[index])
        entry.expected = None if expected is None else float(expected[index])
    return sorted(alive, key=lambda one: (-(one.expected or 0.0), one is not default, one.rank))


def _fit(order: list[_Entry], values: Scores, work: _Work) -> tuple[_Entry, Fitted]:
    """Return the first candidate of `order` that can be fitted on the whole series, and what was fitted."""
    for entry in order:
        fitted = entry.fitted if len(work.values) == len(values) else work.run(entry, values)
        if fitted is not None:
            return entry, fitted
    raise InputError(f"no candidate could be fitted on the whole series: {_failures(order)}")


def _failures(entries: list[_Entry]) -> str:
    return "; ".join(f"{entry.name}: {entry.reason}" for entry in entries)
