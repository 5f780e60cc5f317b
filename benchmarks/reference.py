"""What reference data are worth: score the test part alone, beside the train part, and after it.

    python benchmarks/reference.py --data DIR --out DIR [--weights small] [--dataset NAME ...]

``alone`` scores the points behind the train part without having seen it, ``reference`` the same points with
the train part as reference data (what ``fit`` keeps in every adapter), ``whole`` the series in one piece.
Each is a detector of a run of the leaderboard; `benchmarks/tables.py` tabulates the folder, or what
`vetime leaderboard export` makes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tables import table

from vetime_plugins.leaderboard.runner import run_task
from vetime_plugins.leaderboard.tasks import Task
from vetime_plugins.pipeline import cached_pipeline

METRICS = ("VUS-PR", "AUC-PR")
WAYS: dict[str, Callable[[Any, np.ndarray, int], np.ndarray]] = {
    "alone": lambda pipeline, x, n: pipeline.score(x[n:]),
    "reference": lambda pipeline, x, n: pipeline.score(x[n:], reference=x[:n]),
    "whole": lambda pipeline, x, n: pipeline.score(x)[n:],
}
"""From a series (T, C) and its train length to the scores of the test part."""


@dataclass(frozen=True)
class Way:
    """A way to score, as a detector; the train part is not judged and gets zeros."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    framework: str = "vetime_plugins"
    sees_train: bool = True
    supports_multivariate: bool = True

    def fit_score(
        self, values: np.ndarray, train_length: int, period: int | None = None, seed: int = 0
    ) -> np.ndarray:
        """Return scores (T,)."""
        pipeline = cached_pipeline(self.params["weights"])
        return np.concatenate((np.zeros(train_length), WAYS[self.name](pipeline, values, train_length)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, help="folder of results; what it holds is not run again")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--dataset", action="append")
    args = parser.parse_args()
    task = replace(Task.read("tsb-ad").narrowed(folder=args.data, datasets=args.dataset), metrics=METRICS)
    ways = [Way(name, {"weights": args.weights}) for name in WAYS]
    cells = run_task(task, args.out, detectors=ways).cells
    for metric in METRICS:
        print(f"{metric}\n\n{table(cells, metric, 'alone')}\n")


if __name__ == "__main__":
    main()
