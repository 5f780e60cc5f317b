"""Labelled series made with fixed seeds, one kind of anomaly each, once and five times: nothing to download.

Normal behaviour and anomalies are those of `vetime_plugins.synthesis`. A data set is a kind of anomaly; a
series is called ``KIND.BASE.nCOUNT``, where the base is a family of normal behaviour. Labels are exact: the
points that differ from the series without the anomaly.

The network of VETime was trained on what the same generators make. Its place here is flattered by that; the
kinds that it lacks are told truly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries

__all__ = ["BASES", "COUNTS", "KINDS", "SERIES"]

KINDS = (
    "spike", "local_spike", "dip", "level_shift", "drift", "stuck", "variance", "amplitude", "flip",
    "wrong_shape", "frequency", "missing_cycle",
)  # fmt: skip
"""Kinds of anomaly, of `vetime_plugins.synthesis.list_kinds`: points, levels, shapes and timing."""

BASES = ("tone", "periodic", "demand")
"""Families of normal behaviour: an oscillation, cycles of any shape, cycles with days and weeks."""

COUNTS = (1, 5)
"""How often an anomaly occurs in a series."""

_LENGTH = 2400
_TRAIN = 400  # points at the beginning without an anomaly
_SEVERITY = (0.5, 1.0)  # from plain to gross
_SHARE = 0.15  # of the judged points that are anomalous, at most
_ATTEMPTS = 200  # seeds tried for one series


def _make(kind: str, base: str, count: int) -> BenchmarkSeries:
    """Return the series of the first seed that gives the wished number of anomalies, and a period."""
    from vetime_plugins.synthesis import CorpusConfig, generate, inject

    normal = CorpusConfig(clean_share=1.0, gap_share=0.0, families={base: 1.0}, dtype="float64")
    place = KINDS.index(kind), BASES.index(base), count
    for attempt in range(_ATTEMPTS):
        clean = generate(_LENGTH, seed=np.random.SeedSequence(0, spawn_key=(*place, attempt)), config=normal)
        if clean.period is None or not 16 <= clean.period <= 120:
            continue
        try:
            spoilt = inject(
                clean.values[_TRAIN:, 0],
                kind,
                n=count,
                density=_SHARE,
                severity=_SEVERITY,
                period=clean.period,
                seed=attempt,
            )
        except InputError:  # the anomaly would not be seen on this one
            continue
        runs = np.count_nonzero(np.diff(spoilt.labels, prepend=0) == 1)
        if len(spoilt.kinds) == count == runs and spoilt.labels.mean() <= _SHARE:
            values = np.concatenate((clean.values[:_TRAIN], spoilt.values))
            labels = np.concatenate((np.zeros(_TRAIN, np.int8), spoilt.labels.astype(np.int8)))
            return BenchmarkSeries(f"{kind}.{base}.n{count}", kind, values, labels, _TRAIN, kind)
    raise InputError(f"no series of {count} {kind} on {base} could be made")


SERIES: dict[tuple[str, str], Callable[[], BenchmarkSeries]] = {
    (kind, f"{kind}.{base}.n{count}"): partial(_make, kind, base, count)
    for kind in KINDS
    for base in BASES
    for count in COUNTS
}
"""Data set and name of each series, with the function that makes it."""
