"""What a selection found: the candidates, the evidence on each, the choice, and why."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["CandidateReport", "Selection"]


@dataclass(frozen=True)
class CandidateReport:
    """The evidence on one candidate.

    Attributes
    ----------
    name : str
    status : {"OK", "FAILED", "OVER BUDGET"}
        Only candidates with "OK" can be selected.
    reason : str
        Why it failed or did not fit into the budget; else empty.
    rank : int or None
        Place in the order of all evidence, 1 is best; None unless the status is "OK".
    mean_rank : float or None
        Mean rank over trials, agreement and experience with other series, which `rank` follows from.
    detection : float or None
        Mean VUS-PR on injected anomalies; None without trials.
    pointwise : float or None
        Mean AUC-PR on them, which counts every point and does not forgive a score that is smeared around an
        anomaly. The order and the choice go by the mean of the two.
    by_trial, pointwise_by_trial : tuple of float
        The same for each trial, in their order.
    by_group, pointwise_by_group : dict of str to float
        The same for each group of kinds.
    agreement : float or None
        Mean top-weighted rank correlation with the other candidates on the series itself.
    experience : float or None
        Mean VUS-PR on generated series, measured beforehand; None for what was not (see
        `vetime_plugins.selection.experience`).
    expected_advantage : float or None
        How much better than the default it is expected to find the series' own anomalies; 0 for the default.
        None where there is no default.
    seconds : float
        Spent on the candidate.
    """

    name: str
    status: str = "OK"
    reason: str = ""
    rank: int | None = None
    mean_rank: float | None = None
    detection: float | None = None
    pointwise: float | None = None
    by_trial: tuple[float, ...] = ()
    pointwise_by_trial: tuple[float, ...] = ()
    by_group: dict[str, float] = field(default_factory=dict)
    pointwise_by_group: dict[str, float] = field(default_factory=dict)
    agreement: float | None = None
    experience: float | None = None
    expected_advantage: float | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it could be selected."""
        return self.status == "OK"


@dataclass(frozen=True, repr=False)
class Selection:
    """The outcome of `select_detector`.

    Attributes
    ----------
    name : str
        Of the winner.
    detector : CandidateDetector
        The winner, fitted on the whole series: ``decision_scores_``, ``labels_``, ``threshold_``,
        ``decision_function`` and ``predict`` as PyOD has them.
    default : str or None
        The candidate that wins where the evidence is weak; None where there is none, or it failed.
    reasons : tuple of str
        Sentences.
    candidates : tuple of CandidateReport
        The winner first, then in the order of rank, then those that failed or were over the budget.
    series : str
        What the series is like.
    n_trials : int
        Copies of the series with anomalies that every ranked candidate has scored.
    kinds : dict of str to int
        Anomalies injected, by kind.
    suspect_share : float
        Share of points left out because the candidates agree that they are anomalous in the series itself.
    budget : float or None
        Seconds; None for no limit.
    seconds : float
        Spent.
    complete : bool
        Whether all trials asked for were made: then the choice does not depend on the machine's speed.
    """

    name: str
    detector: Any
    default: str | None
    reasons: tuple[str, ...]
    candidates: tuple[CandidateReport, ...]
    series: str
    n_trials: int
    kinds: dict[str, int]
    suspect_share: float
    budget: float | None
    seconds: float
    complete: bool

    @property
    def ranking(self) -> list[str]:
        """Names of the candidates that were ranked, best first."""
        ranked = (candidate for candidate in self.candidates if candidate.rank is not None)
        return [candidate.name for candidate in sorted(ranked, key=lambda one: one.rank or 0)]

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the detector, of types that JSON knows."""
        result = {name: value for name, value in vars(self).items() if name not in ("detector", "candidates")}
        result["reasons"] = list(self.reasons)
        result["ranking"] = self.ranking
        result["candidates"] = [asdict(candidate) for candidate in self.candidates]
        return _clean(result)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def to_text(self) -> str:
        """Return the outcome for a person: the reasons, then a table."""
        header = (
            "rank",
            "candidate",
            "VUS-PR",
            "AUC-PR",
            "agreement",
            "experience",
            "expected",
            "seconds",
            "",
        )
        rows = [header, *map(_cells, self.candidates)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = [f"selected: {self.name}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += ["", f"series: {self.series}", ""]
        for row in rows:
            cells = (
                cell.ljust(width) if column in (1, 8) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(cells).rstrip())
        lines += [
            "",
            f"VUS-PR, AUC-PR: means over {self.n_trials} trials with injected anomalies; AUC-PR counts every "
            "point. agreement: with the",
            "other candidates. experience: mean VUS-PR on generated series.",
        ]
        if self.default is not None:
            lines.append(f"expected: advantage over {self.default} after shrinkage.")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Selection of {self.name} from {len(self.candidates)} candidates>"


def _cells(candidate: CandidateReport) -> tuple[str, ...]:
    return (
        "-" if candidate.rank is None else str(candidate.rank),
        candidate.name,
        _number(candidate.detection, ".3f"),
        _number(candidate.pointwise, ".3f"),
        _number(candidate.agreement, ".2f"),
        _number(candidate.experience, ".2f"),
        _number(candidate.expected_advantage, "+.3f"),
        f"{candidate.seconds:.2f}",
        "" if candidate.ok else f"{candidate.status.lower()}: {candidate.reason}",
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
