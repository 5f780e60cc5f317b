"""Measure what a score means and what the automatic threshold does.

    python benchmarks/thresholds.py small --calm [--seeds 8] [--picture FILE.png]
    python benchmarks/thresholds.py small --calm --variables 8
    python benchmarks/thresholds.py small --trains DIR
    python benchmarks/thresholds.py small --data DIR --datasets NAB UCR ... --textbook FILE.npz

The first makes calm series of 100 to 20,000 points and prints the share of points above a score, beside what
the score says, and the share of series of 2,000 points with a false incident under each rule; the second does
so for calm series of several variables, all of 2,000 points; the third for the training parts of real series
that hold no label, their last 2,000 points. The fourth prints, of labelled series (in TSB-AD's format, and
those of a file of textbook series), the event F1 at the threshold of each rule as a share of the event F1 at
the best threshold, and the share of series where nothing is flagged.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from vetime_plugins import VETimePipeline
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import event_f1, flag_quality
from vetime_plugins.synthesis import Corpus, CorpusConfig
from vetime_plugins.thresholds import find_threshold

RULES = ("auto", "pot", "std", "quantile")
CHANCES = (0.5, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
LENGTHS = (100, 500, 2000, 20_000)
FAMILIES = ("periodic", "tone", "modulated", "heart", "demand", "web", "aperiodic")
LATEST = 2000
PANELS = 7
"""Series of related variables for each seed, as many as families of one variable."""
BURN_IN = 200
"""Steps in which lagged variables of a generated panel still wait for their cause."""

Array = NDArray[np.float64]


def calm_series(length: int, seed: int) -> Iterator[tuple[str, Array]]:
    """Yield one series of each family in which nothing happens."""
    rng = np.random.default_rng([length, seed])
    steps = np.arange(length)
    yield "white noise", rng.normal(size=length)
    yield "sine + noise", np.sin(2 * np.pi * steps / rng.uniform(20, 120)) + 0.1 * rng.normal(size=length)
    yield "random walk", np.cumsum(rng.normal(size=length))
    for memory in (0.5, 0.95):
        yield f"AR {memory}", lfilter([1], [1, -memory], rng.normal(size=length + 500))[500:]
    for family in FAMILIES:
        config = CorpusConfig(clean_share=1.0, gap_share=0.0, families={family: 1.0})
        yield (
            family,
            Corpus(int(rng.integers(2**31)), length=length, config=config)[0].values[:, 0].astype(float),
        )


def calm_panels(length: int, seed: int, n_variables: int) -> Iterator[tuple[str, Array]]:
    """Yield series of several variables in which nothing happens: alike, and related by a common cause."""
    rng = np.random.default_rng([length, seed, n_variables])
    steps, shape = np.arange(length)[:, None], (length, n_variables)
    waves = np.sin(2 * np.pi * steps / rng.uniform(20, 120) + rng.uniform(0, 2 * np.pi, n_variables))
    yield "white noise", rng.normal(size=shape)
    yield "sine + noise", waves + 0.1 * rng.normal(size=shape)
    yield "random walk", rng.normal(size=shape).cumsum(axis=0)
    for memory in (0.5, 0.95):
        noise = rng.normal(size=(length + 500, n_variables))
        yield f"AR {memory}", lfilter([1], [1, -memory], noise, axis=0)[500:]
    config = CorpusConfig(clean_share=1.0, gap_share=0.0)
    panels = Corpus(int(rng.integers(2**31)), length=length + BURN_IN, n_variables=n_variables, config=config)
    for number in range(PANELS):
        one = panels[number]
        yield one.family, one.values[BURN_IN:].astype(float)


def trains(data: str) -> Iterator[tuple[str, Array]]:
    """Yield the end of the training part of each series where that holds no label."""
    for file in find_series(data):
        series = read_series(file.path, dataset=file.dataset)
        start = max(0, series.train_length - LATEST)
        if series.train_length >= 400 and not series.labels[: series.train_length].any():
            yield file.dataset, series.values[start : series.train_length]


def labelled(args: argparse.Namespace) -> Iterator[tuple[str, Array, NDArray[np.int_]]]:
    """Yield group, values and labels of the series that the arguments name."""
    for file in find_series(args.data, datasets=args.datasets) if args.data else ():
        series = read_series(file.path, dataset=file.dataset)
        if len(series.values) <= args.longest:
            yield file.dataset, series.values, series.labels
    arrays = np.load(args.textbook) if args.textbook else None
    for name in [] if arrays is None else arrays.files:
        if name.endswith(".x"):
            kind, _, count, *_ = name.split(".")
            group = "textbook, points" if kind.startswith("extremum") else "textbook, stretches"
            yield f"{group}, {count}", arrays[name], arrays[name[:-2] + ".y"]


def flag(scores: Array, rule: str) -> NDArray[np.bool_]:
    """Return what a rule flags, however it comments on that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return scores > find_threshold(scores, rule)


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print("\n" + "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]))


def report_calm(cases: dict[int, list[tuple[str, Array]]], picture: str | None) -> None:
    """Print nominal against observed rates, and false incidents by family."""
    observed = {}
    for length, found in cases.items():
        scores = np.concatenate([scores for _, scores in found])
        observed[length] = [float((scores > 1 - chance).mean()) for chance in CHANCES], scores.size
    table(
        ["series of", "points", *(f"{chance:g}" for chance in CHANCES)],
        [
            [f"{length:,}", f"{size:,}", *(f"{rate:.2g}" for rate in rates)]
            for length, (rates, size) in observed.items()
        ],
    )
    for length, found in cases.items():
        groups = defaultdict(list)
        for family, scores in found:
            groups[family].append([bool(flag(scores, rule).any()) for rule in RULES])
            groups["all"].append(groups[family][-1])
        rows = [
            [name, str(len(one)), *(f"{100 * share:.1f}" for share in np.mean(one, axis=0))]
            for name, one in groups.items()
        ]
        print(f"\nSeries of {length:,} points with an incident, in %:")
        table(["family", "series", *RULES], [row for row in rows if length == LATEST or row[0] == "all"])
    if picture:
        draw(observed, picture)


def draw(observed: dict[int, tuple[list[float], int]], path: str) -> None:
    """Draw nominal against observed rates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.plot([1e-4, 0.5], [1e-4, 0.5], color="0.6", linewidth=1, label="as the score says")
    for length, (rates, size) in observed.items():
        seen = [(c, rate) for c, rate in zip(CHANCES, rates, strict=True) if c * size >= 5 and rate > 0]
        ax.plot(*zip(*seen, strict=True), marker="o", markersize=4, label=f"series of {length:,} points")
    ax.set(xscale="log", yscale="log", xlabel="1 - score", ylabel="share of calm points above the score")
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    print(f"\npicture: {path}")


def report_labelled(pipeline: VETimePipeline, args: argparse.Namespace) -> None:
    """Print the event F1 of each rule as a share of the best."""
    found = defaultdict(list)
    for group, values, labels in labelled(args):
        if labels.min() == labels.max():
            continue
        scores = pipeline.score(values)
        best = event_f1(labels, scores).f1
        flags = [flag(scores, rule) for rule in RULES]
        shares = [min(1.0, flag_quality(labels, one)["Event-F1"] / best) for one in flags]
        found[group].append([best, *shares, float(not flags[0].any())])
        found["all"].append(found[group][-1])
    rows = []
    for group, one in found.items():
        middle, quiet = np.median(one, axis=0), np.mean(one, axis=0)[-1]
        cells = [f"{value:.2f}" for value in middle[:-1]]
        rows.append([group, str(len(one)), *cells, f"{100 * quiet:.0f} %"])
    table(["series", "number", "best event F1", *RULES, "nothing flagged by auto"], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--variables", type=int, default=1, help="of calm series")
    parser.add_argument("--picture")
    parser.add_argument("--trains")
    parser.add_argument("--data")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--longest", type=int, default=40_000)
    parser.add_argument("--textbook")
    args = parser.parse_args()
    pipeline = VETimePipeline.from_pretrained(args.weights, device="cpu")
    if args.calm:
        cases = {}
        for length in LENGTHS if args.variables == 1 else (LATEST,):
            seeds = range(args.seeds if length <= LATEST else 1)
            made = (
                calm_series(length, seed)
                if args.variables == 1
                else calm_panels(length, seed, args.variables)
                for seed in seeds
            )
            series = chain.from_iterable(made)
            cases[length] = [(family, pipeline.score(values)) for family, values in series]
        report_calm(cases, args.picture)
    if args.trains:
        report_calm({LATEST: [(name, pipeline.score(values)) for name, values in trains(args.trains)]}, None)
    if args.data or args.textbook:
        report_labelled(pipeline, args)
    if not (args.calm or args.trains or args.data or args.textbook):
        parser.error("one of --calm, --trains, --data and --textbook is needed")


if __name__ == "__main__":
    main()
