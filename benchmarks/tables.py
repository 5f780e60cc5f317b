"""Tabulate files of cells: one line a detector, one column a data set.

    python benchmarks/tables.py FILE [FILE ...] [--against sub-knn] [--metric VUS-PR]

Means over the series of a data set x 100, in brackets their number, then the mean over data sets and the
paired bootstrap of the difference to one detector (95 %, series drawn within data sets, seed 0). A file is
one of `vetime leaderboard export`, or the folder of a run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import pandas as pd

from vetime_plugins.leaderboard.export import load_cells
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.leaderboard.summary import compare_cells, summarise_cells
from vetime_plugins.metrics.statistics import PairedDifference


def table(cells: Sequence[Cell], metric: str, against: str) -> str:
    """Return a Markdown table, the best mean last."""
    groups = {name: [cell for cell in cells if cell.detector == name] for name in summarise_cells(cells)}
    counted = pd.Series(
        [c.dataset for c in groups[against] if not math.isnan(c.metrics[metric])]
    ).value_counts()
    rows = []
    for name, summary in summarise_cells(cells).items():
        failed = sum(summary.n_failed.values())
        other = None if name == against else compare_cells(groups[name], groups[against], metric=metric)
        rows.append(
            {"detector": f"{name} ({failed} failed)" if failed else name}
            | {f"{one} ({counted[one]})": values[metric] for one, values in summary.datasets.items()}
            | {"mean": summary.mean[metric], f"against {against}": other and show(other)}
        )
    return to_markdown(pd.DataFrame(rows).sort_values("mean", kind="stable"))


def show(found: PairedDifference) -> str:
    """Return a difference with its interval, in points of 100."""
    return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def to_markdown(frame: pd.DataFrame) -> str:
    """Return a Markdown table: values in [0, 1] as points of 100, all but the first column to the right."""
    shown = frame.map(lambda one: f"{100 * one:.1f}" if isinstance(one, float) else one or "")
    align = ["left", *["right"] * (frame.shape[1] - 1)]
    return str(shown.to_markdown(index=False, colalign=align, disable_numparse=True))


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--against", default="sub-knn")
    parser.add_argument("--metric", default="VUS-PR")
    args = parser.parse_args()
    print(table([cell for file in args.files for cell in load_cells(file)], args.metric, args.against))


if __name__ == "__main__":
    main()
