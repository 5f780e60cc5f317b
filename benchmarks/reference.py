"""What reference data are worth: score the test part alone, beside the train part, and after it.

    python benchmarks/reference.py --data DIR --out FILE [--weights small] [--dataset NAME ...]

``alone`` scores the points behind the train part without having seen it, ``reference`` the same points with
the train part as reference data (what ``fit`` keeps in every adapter), ``whole`` the series in one piece.
Prints means over the series of each data set and over data sets, and the paired bootstrap of ``reference``
minus ``alone``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from vetime_plugins import VETimePipeline
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.leaderboard.evaluation import paired_bootstrap, summarise
from vetime_plugins.leaderboard.rows import Row, RowFile
from vetime_plugins.metrics import evaluate, find_buffer

METRICS = ("VUS-PR", "AUC-PR")
Scorer = Callable[[np.ndarray, int], np.ndarray]


def scorers(pipeline: VETimePipeline) -> dict[str, Scorer]:
    """Return functions from a series (T, C) and its train length to the scores of the test part."""
    return {
        "alone": lambda x, n: pipeline.score(x[n:]),
        "reference": lambda x, n: pipeline.score(x[n:], reference=x[:n]),
        "whole": lambda x, n: pipeline.score(x)[n:],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, help="CSV file; what it holds is not run again")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--dataset", action="append")
    args = parser.parse_args()
    file = RowFile(args.out, METRICS)
    rows = {row.key: row for row in file.read()}
    results: dict[str, list[Row]] = {}
    pipeline = VETimePipeline.from_pretrained(args.weights)
    for name, score in scorers(pipeline).items():
        for found in find_series(args.data, datasets=args.dataset):
            key = (name, found.dataset, found.path.name)
            if key not in rows:
                series = read_series(found.path, dataset=found.dataset)
                buffer = find_buffer(series.values)
                scores = score(series.values, series.train_length)
                values = evaluate(series.labels[series.test], scores, buffer, metrics=METRICS)
                n_points, n_variables = series.values.shape
                row = Row(
                    detector=name,
                    dataset=found.dataset,
                    file=found.path.name,
                    n_points=n_points,
                    n_test=len(scores),
                    n_variables=n_variables,
                    buffer=buffer,
                    metrics=dict(values),
                    note=values.reason or "",
                )
                file.append(row)
                rows[key] = row
            results.setdefault(name, []).append(rows[key])
    for name, group in results.items():
        print(f"{name}\n\n{summarise(group).to_markdown(METRICS)}\n")
    for metric in METRICS:
        found = paired_bootstrap(results["reference"], results["alone"], metric=metric)
        print(
            f"{metric}, reference minus alone: {100 * found.difference:+.1f} "
            f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        )


if __name__ == "__main__":
    main()
