"""Measure the selection of a detector without labels.

    python benchmarks/selection.py experience --out benchmarks/results/selection
    python benchmarks/selection.py experience_multivariate --series 40 --out benchmarks/results/selection
    python benchmarks/selection.py development --among others --out benchmarks/results/selection
    python benchmarks/selection.py textbook --textbook FILE.npz --series 64 --among others
    python benchmarks/selection.py synthetic --out benchmarks/results/selection
    python benchmarks/selection.py real --data ../shared/data --out benchmarks/results/selection
    python benchmarks/selection.py multivariate --data ../shared/data --out benchmarks/results/selection
    python benchmarks/selection.py averages --data ../shared/data --textbook FILE.npz
    python benchmarks/selection_tables.py benchmarks/results/selection
    python benchmarks/selection_rules.py benchmarks/results/selection

The first two judge detectors on generated series with known anomalies: the numbers of
`vetime_plugins.selection.experience`. The next five select without showing the labels, and judge each
candidate by them, once among all default candidates, once among those but VETime: on generated and textbook
series that rules are chosen on, on generated ones that nothing is chosen on, and on labelled real ones.
`averages` judges averaged scores on the series of one variable of these. All keep the rows of a series as
soon as it is done, and go on where they were when started again. The last two print tables from the rows.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.leaderboard.datasets import BenchmarkSeries, find_series, read_series
from vetime_plugins.leaderboard.readers import find_textbook
from vetime_plugins.metrics import evaluate, find_buffer
from vetime_plugins.selection import DEFAULT_CANDIDATES, Selection, select_detector
from vetime_plugins.selection.candidates import VETIME, Candidate, Fitted, resolve_all
from vetime_plugins.synthesis import generate

UNIVARIATE = ("IOPS", "MERLION_SYN", "MSL_U", "NAB", "SMAP_U", "SMD_U", "TODS", "UCR", "WSD")
MULTIVARIATE = ("ASD_M", "MSL_M", "SKAB_M", "SMAP_M", "SMD_M")
METRICS = ("VUS-PR", "AUC-PR")
BEFORE = 0.8  # share of a series that is cut that comes before its first anomaly
# Far apart: what is learnt and what it is tried on.
WHAT = (
    "experience",
    "experience_multivariate",
    "development",
    "textbook",
    "synthetic",
    "real",
    "multivariate",
    "averages",
)
EXPERIENCE_SEED, EXPERIENCE_SEED_SEVERAL, SYNTHETIC_SEED = 20_000_000, 30_000_000, 10_000_000
DEVELOPMENT_SEED = 40_000_000
# Without VETime: the two of most experience, and all.
AVERAGES = (DEFAULT_CANDIDATES[1:3], DEFAULT_CANDIDATES[1:])

Rows = list[dict[str, Any]]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/selection"))
    parser.add_argument("--data", type=Path, help="labelled series in the layout of TSB-AD")
    parser.add_argument("--textbook", type=Path, help="file of series of one kind of anomaly each")
    parser.add_argument("--each", type=int, default=6, help="series a data set of labelled ones")
    parser.add_argument("--points", type=int, default=5_000, help="longest labelled series")
    parser.add_argument("--series", type=int, default=60, help="generated series")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--among", nargs="+", choices=("all", "others"), default=("all", "others"))
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps scores: of one version of the detectors"
    )
    args = parser.parse_args()
    path = args.out / f"{args.what}.csv"
    done = finished(path)
    for series in source_of(args):
        if (series.dataset, series.name) in done:
            continue
        begin = time.perf_counter()
        candidates = [Remembering(one, args.cache) for one in resolve_all(DEFAULT_CANDIDATES)]
        if args.what.startswith("experience"):
            rows = judge(series, candidates)
        elif args.what == "averages":
            rows = average(series, candidates)
        else:
            rows = measure(series, candidates, args.trials, args.among)
        append(path, rows)
        found = ", ".join(f"{row['candidate']} {row['VUS-PR']:.2f}" for row in rows if row.get("selected", 1))
        print(f"{series.dataset}/{series.name}: {found}; {time.perf_counter() - begin:.0f} s", flush=True)


def source_of(args: argparse.Namespace) -> Iterator[BenchmarkSeries]:
    """Yield the series that the command line asks for."""
    match args.what:
        case "experience":
            yield from synthetic(args.series, EXPERIENCE_SEED)
        case "experience_multivariate":
            yield from synthetic(args.series, EXPERIENCE_SEED_SEVERAL, several=True)
        case "development":
            yield from synthetic(args.series, DEVELOPMENT_SEED)
        case "textbook":
            yield from textbook(args.textbook, args.series)
        case "synthetic":
            yield from synthetic(args.series, SYNTHETIC_SEED)
        case "real":
            yield from real(args.data, UNIVARIATE, args.each, args.points)
        case "multivariate":
            yield from real(args.data, MULTIVARIATE, args.each, args.points)
        case "averages":
            yield from synthetic(60, DEVELOPMENT_SEED)
            yield from textbook(args.textbook, 64)
            yield from synthetic(60, SYNTHETIC_SEED)
            yield from real(args.data, UNIVARIATE, args.each, args.points)


def synthetic(count: int, seed: int, *, several: bool = False) -> Iterator[BenchmarkSeries]:
    """Yield series of 3,000 points that hold anomalies, of one variable or of two to eight."""
    found = 0
    while found < count:
        made = generate(3_000, n_variables=2 + seed % 7 if several else 1, seed=seed)
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


def textbook(file: Path, count: int) -> Iterator[BenchmarkSeries]:
    """Yield `count` series of one kind of anomaly each, evenly spread over the names in a file."""
    entries = find_textbook(file, {})
    for place in np.unique(np.linspace(0, len(entries) - 1, count).round().astype(int)):
        yield entries[place].load()


def real(folder: Path, datasets: tuple[str, ...], each: int, most: int) -> Iterator[BenchmarkSeries]:
    """Yield up to `each` series of every data set, evenly spread over its files; one of each set in turn."""
    chosen = []
    for dataset in datasets:
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


@dataclass(frozen=True)
class Remembering(Candidate):
    """A candidate that runs once on each series: the second selection and the judgement repeat most runs."""

    inner: Candidate
    folder: Path | None = None
    seen: dict[str, Fitted | Exception] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.inner.name

    @property
    def origin(self) -> Any:
        """What it was made from."""
        return self.inner.origin

    def fit(self, values: NDArray[np.float64], period: int, seed: int) -> Fitted:
        """Return what was fitted, or raise again what was raised."""
        key = hashlib.sha256(f"{self.name} {period} {seed} ".encode() + values.tobytes()).hexdigest()
        kept = None if self.folder is None else self.folder / key[:2] / f"{key}.npy"
        if key not in self.seen:
            try:
                if kept is not None and kept.exists():
                    self.seen[key] = Kept(np.load(kept))
                else:
                    self.seen[key] = self.inner.fit(values, period, seed)
            except Exception as error:
                self.seen[key] = error
        found = self.seen[key]
        if isinstance(found, Exception):
            raise found
        if kept is not None and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{os.getpid()}.npy")
            np.save(part, found.scores)
            part.replace(kept)
        return found


@dataclass(frozen=True)
class Kept(Fitted):
    """Scores of an earlier run."""

    scores: NDArray[np.float64]

    def score(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Refuse: only the scores of the series itself are kept."""
        raise NotImplementedError("only the scores of the series itself are kept")


def judge(series: BenchmarkSeries, candidates: Sequence[Candidate]) -> Rows:
    """Judge every candidate by the labels."""
    buffer = find_buffer(series.values)
    rows = []
    for candidate in candidates:
        value = value_of(candidate, series, buffer)
        rows.append({"dataset": series.dataset, "file": series.name, "candidate": candidate.name, **value})
    return rows


def average(series: BenchmarkSeries, candidates: Sequence[Candidate]) -> Rows:
    """Judge averages of scores, each less its mean and in its deviations; one that fails counts nothing."""
    buffer = find_buffer(series.values)
    scores = {}
    for candidate in (one for one in candidates if one.name != VETIME):
        try:
            found = candidate.fit(series.values, buffer, 0).scores
        except Exception:
            continue
        scores[candidate.name] = (found - found.mean()) / (found.std() or 1.0)
    rows = []
    for names in AVERAGES:
        mean = np.mean([scores[name] for name in names if name in scores], axis=0)
        value = value_by_labels(series, mean, buffer)
        rows.append({"dataset": series.dataset, "file": series.name, "candidate": " + ".join(names), **value})
    return rows


def measure(
    series: BenchmarkSeries, candidates: Sequence[Candidate], n_trials: int, sets: Sequence[str]
) -> Rows:
    """Select on the values alone, among all candidates and among all but VETime; judge them by the labels."""
    buffer = find_buffer(series.values)
    values = {}
    rows = []
    for among in sets:
        chosen = [one for one in candidates if among == "all" or one.name != VETIME]
        selection = select_detector(series.values, chosen, budget=None, n_trials=n_trials)
        for candidate in chosen:
            if candidate.name not in values:
                values[candidate.name] = value_of(candidate, series, buffer)
        rows += rows_of(selection, values, {"dataset": series.dataset, "file": series.name, "among": among})
    return rows


def value_of(candidate: Candidate, series: BenchmarkSeries, buffer: int) -> dict[str, float]:
    """Return the metrics by the labels; 0 for a candidate that fails."""
    try:
        scores = candidate.fit(series.values, buffer, 0).scores
    except Exception:
        return dict.fromkeys(METRICS, 0.0)
    return value_by_labels(series, scores, buffer)


def value_by_labels(series: BenchmarkSeries, scores: NDArray[np.float64], buffer: int) -> dict[str, float]:
    """Return the metrics of scores, (T,)."""
    found = evaluate(series.labels[series.test], scores[series.test], buffer, metrics=METRICS)
    return {name: round(float(found[name]), 6) for name in METRICS}


def rows_of(selection: Selection, values: dict[str, dict[str, float]], common: dict[str, str]) -> Rows:
    """Return a row for each candidate of a selection."""
    return [
        {
            **common,
            "candidate": candidate.name,
            **values[candidate.name],
            "detection": rounded(candidate.detection),
            "pointwise": rounded(candidate.pointwise),
            "agreement": rounded(candidate.agreement),
            "experience": candidate.experience,
            "expected_advantage": rounded(candidate.expected_advantage),
            "rank": candidate.rank,
            "selected": int(candidate.name == selection.name),
            "status": candidate.status,
            "trials": " ".join(f"{found:.4f}" for found in candidate.by_trial),
            "pointwise_trials": " ".join(f"{found:.4f}" for found in candidate.pointwise_by_trial),
        }
        for candidate in selection.candidates
    ]


def rounded(value: float | None) -> float | None:
    """Return six digits: less than the last ones that differ between machines."""
    return None if value is None else round(value, 6)


def append(path: Path, rows: Rows) -> None:
    """Write the rows of one series in one go."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def finished(path: Path) -> set[tuple[str, str]]:
    """Return data set and name of the series that have rows."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as stream:
        return {(row["dataset"], row["file"]) for row in csv.DictReader(stream)}


if __name__ == "__main__":
    main()
