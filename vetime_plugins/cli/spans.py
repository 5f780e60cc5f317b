"""Runs of anomalous rows: what a person wants to read instead of a hundred thousand scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Span", "anomalous_spans"]


@dataclass(frozen=True)
class Span:
    """Rows ``start`` to ``stop - 1``, all anomalous; `peak` is the row of the highest `score`."""

    start: int
    stop: int
    peak: int
    score: float
    start_time: str | None = None
    end_time: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON shows; the time stamps only where there are some."""
        return {name: value for name, value in vars(self).items() if value is not None}


def anomalous_spans(flagged: np.ndarray, scores: np.ndarray, time: np.ndarray | None = None) -> list[Span]:
    """Group flagged rows ``(T,)`` into spans, the highest score first; equal ones in the order of time."""
    edges = np.flatnonzero(np.diff(flagged.astype(np.int8), prepend=0, append=0))
    spans = []
    for start, stop in edges.reshape(-1, 2).tolist():
        peak = start + int(np.argmax(scores[start:stop]))
        times = (None, None) if time is None else (str(time[start]), str(time[stop - 1]))
        spans.append(Span(start, stop, peak, float(scores[peak]), *times))
    return sorted(spans, key=lambda span: (-span.score, span.start))
