"""Runs of candidates on a series and on its trials: what each found, what it took, and why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.selection.budget import Budget, OverBudget, forecast
from vetime_plugins.selection.candidates import Candidate, Fitted
from vetime_plugins.selection.experience import experience_of
from vetime_plugins.selection.report import CandidateReport
from vetime_plugins.selection.trials import Found, Trial, measure

__all__ = ["Entry", "Progress", "Work"]

Scores = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(eq=False)
class Entry:
    """A candidate and what is known of it so far."""

    candidate: Candidate
    n_variables: int = 1  # of the series
    status: str = "OK"
    reason: str = ""
    seconds: float = 0.0
    run_seconds: float = 0.0  # of the dearest run on the part that is compared
    growth: float = 1.0  # of the time with the length, as a power
    fitted: Fitted | None = None
    found: list[Found] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    agreed: float | None = None
    mean_rank: float | None = None
    rank: int | None = None
    expected: float | None = None

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate.name

    @property
    def known(self) -> float | None:
        """Experience with it on other series of one variable, or of several."""
        return experience_of(self.candidate, self.n_variables)

    @property
    def alive(self) -> bool:
        """Whether it can still be selected."""
        return self.status == "OK"

    @property
    def raw(self) -> Fitted:
        """Fitted on the series as it came; of a candidate that is alive."""
        assert self.fitted is not None
        return self.fitted

    def drop(self, status: str, reason: str) -> None:
        """Take it out of the comparison."""
        self.status, self.reason = status, reason
        self.rank = self.mean_rank = self.expected = None

    def fail(self, error: Exception) -> None:
        """Take it out, for what it raised."""
        text = " ".join(str(error).split())
        self.drop("FAILED", f"{type(error).__name__}: {text}"[:300])

    def report(self) -> CandidateReport:
        """Return what is known of it."""
        by_group: dict[str, list[Found]] = {}
        for group, found in zip(self.groups, self.found, strict=True):
            by_group.setdefault(group, []).append(found)
        means = {group: np.mean(found, axis=0) for group, found in by_group.items()}
        ranged, pointwise = np.mean(self.found, axis=0).tolist() if self.found else (None, None)
        return CandidateReport(
            name=self.name,
            status=self.status,
            reason=self.reason,
            rank=self.rank,
            mean_rank=self.mean_rank,
            detection=ranged,
            pointwise=pointwise,
            by_trial=tuple(found.ranged for found in self.found),
            pointwise_by_trial=tuple(found.pointwise for found in self.found),
            by_group={group: float(mean[0]) for group, mean in means.items()},
            pointwise_by_group={group: float(mean[1]) for group, mean in means.items()},
            agreement=self.agreed,
            experience=self.known,
            expected_advantage=self.expected,
            seconds=round(self.seconds, 3),
        )


@dataclass
class Work:
    """Runs of candidates on the part of the series, (T, C), that they are compared on.

    `period`, in points, is the buffer of the metric as well; the winner is fitted on `n_whole` points.
    """

    values: Scores
    period: int
    n_whole: int
    clock: Budget
    seed: int
    progress: Progress | None
    cut: bool = False

    def run(self, entry: Entry, values: Scores, period: int | None = None) -> Fitted | None:
        """Fit a candidate; a failure is its result, whatever a third party's code raises."""
        begin = self.clock.spent
        fitted = None
        try:
            fitted = entry.candidate.fit(values, period or self.period, self.seed)
        except Exception as error:
            entry.fail(error)
        seconds = self.clock.spent - begin
        entry.seconds += seconds
        entry.run_seconds = max(entry.run_seconds, seconds)
        return fitted

    def score_raw(self, entries: list[Entry], first: Entry, fewest: int) -> None:
        """Score the series as it came by `first` and every other candidate that the budget allows."""
        planned = 0.0  # seconds still needed by those that were started, for the fewest trials
        for entry in [first, *(entry for entry in entries if entry is not first)]:
            self.show(f"scoring with {entry.name}", 0.0)
            try:
                self.score_one(entry, fewest, planned=None if entry is first else planned)
            except OverBudget as error:
                entry.drop("OVER BUDGET", str(error))
            planned += entry.run_seconds * fewest if entry.alive else 0.0

    def score_one(self, entry: Entry, fewest: int, planned: float | None) -> None:
        """Score the series as it came; raise `OverBudget` unless `planned` is None.

        What it would take on a long series is judged again after the run on its part: a power of the length
        that the pilot's milliseconds show is no ground to turn a candidate down.
        """
        begin = self.clock.spent
        if planned is not None:
            self.clock.check(0.0, planned)
        time = forecast(entry.candidate, self.values, self.n_whole, self.period, self.seed, self.clock)
        entry.seconds += self.clock.spent - begin
        if planned is not None:
            run = time.at(len(self.values))
            fit = run * self.n_whole / len(self.values) if self.in_part else 0.0  # at least, should it win
            self.clock.check(run * (1 + fewest) + fit, planned)
        entry.fitted = self.run(entry, self.values)
        entry.growth = time.growth(entry.run_seconds, len(self.values))
        if planned is not None and entry.alive:
            self.clock.check(entry.run_seconds * fewest + self.seconds_to_fit(entry), planned)

    def run_trials(self, entries: list[Entry], trials: Iterable[Trial], wanted: int) -> list[Trial]:
        """Let all candidates score one trial after the other, so that every one has the same trials."""
        made: list[Trial] = []
        if not wanted:
            return made
        begin, longest = self.clock.spent, 0.0  # seconds of a round, injection and judgement included
        for trial in trials:
            alive = [entry for entry in entries if entry.alive]
            a_round = max(longest, sum(entry.run_seconds for entry in alive))
            last = max(map(self.seconds_to_fit, alive), default=0.0)
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
            longest = max(longest, self.clock.spent - begin)
            begin = self.clock.spent
            if len(made) == wanted:
                break
        return made

    @property
    def in_part(self) -> bool:
        """Whether only a part of the series is compared, so that the winner must be fitted again."""
        return len(self.values) < self.n_whole

    def seconds_to_fit(self, entry: Entry) -> float:
        """Return what fitting a candidate on the whole series will take, should it win."""
        times = self.n_whole / len(self.values)
        return entry.run_seconds * times**entry.growth if self.in_part else 0.0

    def show(self, what: str, done: float) -> None:
        """Tell whoever watches what is being done."""
        if self.progress is not None:
            self.progress(what, min(done, 1.0))
