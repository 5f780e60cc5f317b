"""Measure the selection of a detector without labels.

    python benchmarks/selection.py synthetic --out benchmarks/results/selection
    python benchmarks/selection.py real --data ../shared/data --out benchmarks/results/selection
    python benchmarks/selection.py report --out benchmarks/results/selection

The first draws series with known anomalies, and fits to them the constants of
`vetime_plugins.selection.evidence.expected_advantage`. The second selects on labelled real series, without
showing the labels, and judges each candidate by them. Both keep a row a series and candidate as soon as
the series is done, and go on where they were when started again. The third prints the tables from the rows.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.leaderboard.datasets import BenchmarkSeries, find_series, read_series
from vetime_plugins.leaderboard.evaluation import paired_bootstrap
from vetime_plugins.leaderboard.metrics import evaluate, find_buffer
from vetime_plugins.leaderboard.rows import Row
from vetime_plugins.selection import DEFAULT_CANDIDATES, CandidateDetector, select_detector
from vetime_plugins.selection.candidates import VETIME
from vetime_plugins.synthesis import generate

UNIVARIATE = ("IOPS", "MERLION_SYN", "MSL_U", "NAB", "SMAP_U", "TODS", "UCR", "WSD")
METRIC = "VUS-PR"
BEFORE = 0.8  # share of a series that is cut that comes before its first anomaly

FIELDS = (
    "dataset",
    "file",
    "n_points",
    "candidate",
    METRIC,
    "detection",
    "agreement",
    "expected_advantage",
    "rank",
    "selected",
    "status",
    "n_trials",
    "seconds",
)

Rows = dict[tuple[str, str], dict[str, dict[str, Any]]]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("synthetic", "real", "report"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/selection"))
    parser.add_argument("--data", type=Path, help="labelled series in the layout of TSB-AD, for real")
    parser.add_argument("--each", type=int, default=3, help="series a data set, for real")
    parser.add_argument("--points", type=int, default=5_000, help="longest series, for real")
    parser.add_argument("--series", type=int, default=60, help="series, for synthetic")
    parser.add_argument("--trials", type=int, default=8)
    args = parser.parse_args()
    if args.what == "report":
        report(args.out)
        return
    path = args.out / f"{args.what}.csv"
    done = read(path)
    source = synthetic(args.series) if args.what == "synthetic" else real(args.data, args.each, args.points)
    for series in source:
        if (series.dataset, series.name) in done:
            continue
        begin = time.perf_counter()
        rows = measure(series, args.trials)
        append(path, rows)
        chosen = next(row for row in rows if row["selected"])
        print(
            f"{series.dataset}/{series.name}: {chosen['candidate']} {chosen[METRIC]:.3f}, "
            f"best {max(row[METRIC] for row in rows):.3f}, {time.perf_counter() - begin:.0f} s",
            flush=True,
        )


def synthetic(count: int) -> Iterator[BenchmarkSeries]:
    """Yield univariate series of 3,000 points that hold anomalies."""
    found, seed = 0, 10_000_000
    while found < count:
        made = generate(3_000, n_variables=1, seed=seed)
        seed += 1
        if made.labels.any():
            found += 1
            yield BenchmarkSeries(
                name=f"{made.family}-{seed - 1}",
                dataset="synthetic",
                values=made.values.astype(np.float64),
                labels=made.labels.astype(np.int8),
                train_length=0,
            )


def real(folder: Path, each: int, most: int) -> Iterator[BenchmarkSeries]:
    """Yield up to `each` series of every data set, evenly spread over its files; one of each set in turn."""
    chosen = []
    for dataset in UNIVARIATE:
        files = find_series(folder, datasets=[dataset])
        places = np.unique(np.linspace(0, len(files) - 1, min(each, len(files))).round().astype(int))
        chosen += [(turn, files[place]) for turn, place in enumerate(places)]
    for _, file in sorted(chosen, key=lambda one: one[0]):
        series = cut(read_series(file.path, dataset=file.dataset), most)
        if series.labels[series.test].any():
            yield series


def cut(series: BenchmarkSeries, most: int) -> BenchmarkSeries:
    """Return at most so many points, the first anomaly behind the train points among them."""
    n_points = len(series.values)
    if n_points <= most:
        return series
    first = series.train_length + int(np.argmax(series.labels[series.test]))
    start = min(max(first - int(BEFORE * most), 0), n_points - most)
    part = slice(start, start + most)
    return BenchmarkSeries(
        name=series.name,
        dataset=series.dataset,
        values=series.values[part],
        labels=series.labels[part],
        train_length=max(series.train_length - start, 0),
    )


def measure(series: BenchmarkSeries, n_trials: int) -> list[dict[str, Any]]:
    """Select on the values alone; judge every candidate, fitted on the same values, by the labels."""
    selection = select_detector(series.values, budget=None, n_trials=n_trials)
    buffer = find_buffer(series.values)
    rows = []
    for candidate in selection.candidates:
        value = 0.0  # of a candidate that failed
        if candidate.ok:
            scores = CandidateDetector(candidate.name).fit(series.values).decision_scores_
            value = evaluate(series.labels[series.test], scores[series.test], buffer, metrics=METRIC)[METRIC]
        rows.append(
            {
                "dataset": series.dataset,
                "file": series.name,
                "n_points": len(series.values),
                "candidate": candidate.name,
                METRIC: round(float(value), 6),
                "detection": rounded(candidate.detection),
                "agreement": rounded(candidate.agreement),
                "expected_advantage": rounded(candidate.expected_advantage),
                "rank": candidate.rank,
                "selected": int(candidate.name == selection.name),
                "status": candidate.status,
                "n_trials": selection.n_trials,
                "seconds": round(candidate.seconds, 2),
            }
        )
    return rows


def rounded(value: float | None) -> float | None:
    """Return six digits: less than the last ones that differ between machines."""
    return None if value is None else round(value, 6)


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows of one series in one go."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def read(path: Path) -> Rows:
    """Return the rows of a file by data set and file, then by candidate."""
    rows: Rows = {}
    if not path.exists():
        return rows
    with path.open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream):
            numbers = (METRIC, "detection", "agreement", "expected_advantage", "rank", "selected", "seconds")
            row = {**record, **{name: float(record[name] or math.nan) for name in numbers}}
            rows.setdefault((record["dataset"], record["file"]), {})[record["candidate"]] = row
    return rows


def report(folder: Path) -> None:
    """Print the tables of both measurements."""
    for what in ("synthetic", "real"):
        rows = read(folder / f"{what}.csv")
        if rows:
            print(f"## {what}: {len(rows)} series\n")
            if what == "synthetic":
                print(calibration(rows))
            print(table(rows))


def calibration(rows: Rows) -> str:
    """Return the least-squares fit of the true advantage over VETime on both kinds of evidence.

    The interval is a bootstrap over series. The trials' mean is used as `expected_advantage` uses it.
    """
    inputs, targets = [], []
    for by_name in rows.values():
        base = by_name[VETIME]
        trials = float(base["n_trials"])
        ok = [one for name, one in by_name.items() if name != VETIME and one["status"] == "OK"]
        weight = trials / (trials + 4)
        inputs.append(
            [
                [1, weight * (one["detection"] - base["detection"]), one["agreement"] - base["agreement"]]
                for one in ok
            ]
        )
        targets.append([one[METRIC] - base[METRIC] for one in ok])
    groups = [np.array(group) for group in inputs]
    truths = [np.array(group) for group in targets]
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(groups), len(groups)) for _ in range(2_000)]
    fitted = solve(groups, truths, range(len(groups)))
    spread = np.quantile([solve(groups, truths, draw) for draw in draws], [0.025, 0.975], axis=0)
    names = ("constant", "slope of the trials", "slope of the agreement")
    lines = ["| | fitted | 95 % interval |", "| --- | ---: | ---: |"]
    lines += [
        f"| {name} | {value:+.2f} | [{low:+.2f}, {high:+.2f}] |"
        for name, value, low, high in zip(names, fitted, *spread, strict=True)
    ]
    return "\n".join([*lines, ""])


def solve(groups: list[NDArray[Any]], truths: list[NDArray[Any]], chosen: Any) -> NDArray[np.float64]:
    """Return the least-squares coefficients for some of the series."""
    inputs = np.concatenate([groups[i] for i in chosen])
    fitted: NDArray[np.float64] = np.linalg.lstsq(inputs, np.concatenate([truths[i] for i in chosen]))[0]
    return fitted


def policies(rows: Rows) -> dict[str, dict[tuple[str, str], float]]:
    """Return the metric on every series for each way to choose, and for each candidate taken always."""
    found: dict[str, dict[tuple[str, str], float]] = {}

    def add(policy: str, key: tuple[str, str], value: float) -> None:
        found.setdefault(policy, {})[key] = value

    for key, by_name in rows.items():
        ok = [one for one in by_name.values() if one["status"] == "OK"]
        add("best in hindsight, for each series", key, max(one[METRIC] for one in ok))
        add("**selected**", key, next(one[METRIC] for one in ok if one["selected"]))
        add("first in the order of all evidence", key, min(ok, key=lambda one: one["rank"])[METRIC])
        add("best in the trials", key, max(ok, key=lambda one: one["detection"])[METRIC])
        add("most central", key, max(ok, key=lambda one: one["agreement"])[METRIC])
        others = [one for one in ok if one["candidate"] != VETIME]
        add("best of the others in the trials", key, max(others, key=lambda one: one["detection"])[METRIC])
        add("drawn by lot (expected)", key, float(np.mean([one[METRIC] for one in by_name.values()])))
        for name in DEFAULT_CANDIDATES:
            add(f"always {name}", key, by_name[name][METRIC])
    return found


def table(rows: Rows) -> str:
    """Return metric and regret of every policy, for each data set and in the mean over data sets."""
    found = policies(rows)
    datasets = sorted({dataset for dataset, _ in rows})
    counts = {name: sum(dataset == name for dataset, _ in rows) for name in datasets}

    def mean(values: dict[tuple[str, str], float], dataset: str) -> float:
        return float(np.mean([value for key, value in values.items() if key[0] == dataset]))

    best, chosen = found["best in hindsight, for each series"], as_rows(found["**selected**"], "selected")
    header = [
        "policy",
        *(f"{name} ({counts[name]})" for name in datasets),
        "mean",
        "regret",
        "selected minus",
    ]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    overall = np.mean([mean(best, name) for name in datasets])
    for policy, values in found.items():
        by_dataset = [mean(values, name) for name in datasets]
        difference = ""
        if policy != "**selected**":
            gain = paired_bootstrap(chosen, as_rows(values, policy))
            difference = f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
        average = float(np.mean(by_dataset))
        cells = [f"{100 * value:.1f}" for value in (*by_dataset, average, overall - average)]
        lines.append([policy, *cells, difference])
    taken = {name: sum(bool(by[name]["selected"]) for by in rows.values()) for name in DEFAULT_CANDIDATES}
    lists = ", ".join(f"{name} {count}" for name, count in taken.items() if count)
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", f"Selected: {lists}.", ""])


def as_rows(values: dict[tuple[str, str], float], name: str) -> list[Row]:
    """Return what `paired_bootstrap` takes."""
    return [
        Row(
            detector=name,
            dataset=dataset,
            file=file,
            n_points=0,
            n_test=0,
            n_variables=1,
            buffer=0,
            metrics={METRIC: value},
        )
        for (dataset, file), value in values.items()
    ]


if __name__ == "__main__":
    main()
