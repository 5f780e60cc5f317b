"""Tabulate files of rows that `vetime evaluate` wrote: one line a detector, one column a data set.

    python benchmarks/tables.py FILE [FILE ...] [--against sub-knn] [--metric VUS-PR]

Means over the series of a data set x 100, in brackets their number, then the mean over data sets and the
paired bootstrap of the difference to one detector (95 %, series drawn within data sets, seed 0).
"""

from __future__ import annotations

import argparse

from vetime_plugins.leaderboard.evaluation import paired_bootstrap, summarise
from vetime_plugins.leaderboard.rows import Row, RowFile
from vetime_plugins.metrics import METRIC_NAMES


def table(rows: list[Row], metric: str, against: str) -> str:
    """Return a Markdown table, the best mean last."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.detector, []).append(row)
    summaries = {name: summarise(group) for name, group in groups.items()}
    datasets = sorted({row.dataset for row in rows})
    counts = {
        name: sum(row.dataset == name and not row.undefined for row in groups[against]) for name in datasets
    }
    head = ["detector", *(f"{name} ({counts[name]})" for name in datasets), "mean", f"against {against}"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name in sorted(groups, key=lambda name: summaries[name].mean[metric]):
        summary = summaries[name]
        cells = [f"{100 * summary.datasets[dataset][metric]:.1f}" for dataset in datasets]
        difference = ""
        if name != against:
            found = paired_bootstrap(groups[name], groups[against], metric=metric)
            difference = f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        failed = sum(summary.n_failed.values())
        shown = f"{name} ({failed} failed)" if failed else name
        lines.append([shown, *cells, f"{100 * summary.mean[metric]:.1f}", difference])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--against", default="sub-knn")
    parser.add_argument("--metric", default="VUS-PR")
    args = parser.parse_args()
    rows = [row for file in args.files for row in RowFile(file, METRIC_NAMES).read()]
    print(table(rows, args.metric, args.against))


if __name__ == "__main__":
    main()
