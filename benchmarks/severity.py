"""Measure whether a worse anomaly of one kind gets a higher score.

    python benchmarks/severity.py small [--places 6] [--kinds spike dip ...]

One anomaly of each kind of the generator is put at the same place of the same calm series with rising
severity, and the highest score over its span and 16 steps beside it is taken. Printed are, per kind, the
number of places, the mean rank correlation (Spearman) of severity and that score, the share of places where
it is at least 0.9, and the share of steps from one severity to the next that lower the score. Kinds that come
in one strength are left out. The series are
noise, a noisy cycle and a random walk, of 1,500 points; kinds between variables get three correlated ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from vetime_plugins import VETimePipeline
from vetime_plugins.errors import InputError
from vetime_plugins.synthesis import inject, list_kinds

LENGTH = 1500
SEVERITIES = (0.1, 0.3, 0.5, 0.7, 0.9)
BESIDE = 16

Array = NDArray[np.float64]


def bases(seed: int) -> Iterator[tuple[Array, float | None]]:
    """Yield calm series and their periods."""
    rng = np.random.default_rng(seed)
    steps = np.arange(LENGTH)
    cycle = np.sin(2 * np.pi * steps / 50)
    yield rng.normal(size=LENGTH), None
    yield cycle + 0.4 * np.sin(4 * np.pi * steps / 50 + 1) + 0.1 * rng.normal(size=LENGTH), 50.0
    yield np.cumsum(rng.normal(size=LENGTH)), None
    factor = cycle + 0.3 * np.cumsum(rng.normal(size=LENGTH)) / LENGTH**0.5
    yield np.outer(factor, [1.0, -0.8, 1.3]) + 0.1 * rng.normal(size=(LENGTH, 3)), 50.0


def place(kind: str, base: Array, period: float | None, seed: int) -> list[tuple[Array, slice]] | None:
    """Return the series with the anomaly at each severity, and its place; None where that differs."""
    found, spans = [], set()
    for severity in SEVERITIES:
        try:
            one = inject(base, kind, n=1, severity=severity, period=period, seed=seed)
        except InputError:  # does not fit this series, or cannot be seen in it
            continue
        anomaly = one.kinds[0]
        spans.add(anomaly.start)
        found.append((one.values, slice(max(0, anomaly.start - BESIDE), anomaly.stop + BESIDE)))
    return found if len(spans) == 1 and len(found) >= 4 else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--places", type=int, default=6, help="per series, before those that do not fit")
    parser.add_argument("--kinds", nargs="+", default=list(list_kinds()))
    args = parser.parse_args()
    pipeline = VETimePipeline.from_pretrained(args.weights, device="cpu")
    print("| kind | places | rank correlation | at least 0.9 | steps that lower it |\n" + "|---" * 5 + "|")
    for kind in args.kinds:
        correlations, lower = [], []
        for seed in range(args.places):
            for base, period in bases(seed):
                cases = place(kind, base, period, seed)
                if cases is None or (
                    base.ndim == 2 and correlations and len(correlations) >= args.places * 3
                ):
                    continue
                if all(np.array_equal(values, cases[0][0]) for values, _ in cases):
                    continue
                peaks = [float(pipeline.score(values)[where].max()) for values, where in cases]
                result = spearmanr(np.arange(len(peaks)), peaks).statistic if np.ptp(peaks) > 0 else 0.0
                correlations.append(float(result))
                lower += [later < earlier for earlier, later in pairwise(peaks)]
        if correlations:
            high = np.mean(np.array(correlations) >= 0.9)
            cells = f"{np.mean(correlations):.2f} | {100 * high:.0f} % | {100 * np.mean(lower):.0f} %"
            print(f"| {kind} | {len(correlations)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
