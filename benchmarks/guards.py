"""Count what the warnings of `vetime_plugins.series.guards` say of labelled series, as they are and spoiled.

    python benchmarks/guards.py FOLDER
    python benchmarks/guards.py --generated 2000
    python benchmarks/guards.py --shortest

FOLDER holds series in the layout of TSB-AD. A warning on a series as it is is a false alarm. Each series is
then spoiled in every way that there is a warning for (its labels, a clock or a row counter among the columns,
windows of it in place of it, its first 10 rows), and should be warned of. --shortest tells from how many rows
on a spike of eight standard deviations gets the highest score, by length. --generated counts warnings on
series of two to eight variables as the package generates them, with switches that are rarely on among them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter

import numpy as np

from vetime_plugins.errors import InputWarning
from vetime_plugins.leaderboard.datasets import iterate_series
from vetime_plugins.series.guards import warn_of_doubtful
from vetime_plugins.series.inputs import as_series


def warned(values: np.ndarray) -> list[str]:
    """Return the warnings about one series."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_doubtful([as_series(values)])
    return [str(one.message) for one in caught if issubclass(one.category, InputWarning)]


def spoiled(values: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return a series (T, C) in every way that is wrong."""
    steps = np.arange(len(values))
    present = np.flatnonzero(np.random.default_rng(0).random(2 * len(values)) < 0.9)[: len(values)]
    return {
        "labels last": np.column_stack([values, labels]),
        "row counter first": np.column_stack([steps, values]),
        "epoch seconds, one in ten rows missing": np.column_stack([1.6e9 + 60.0 * present, values]),
        "elapsed seconds with jitter": np.column_stack(
            [0.1 * steps + np.random.default_rng(0).normal(0, 0.001, len(values)), values]
        ),
        "10 lags of the first variable": np.lib.stride_tricks.sliding_window_view(values[:, 0], 10),
        "first 10 rows": values[:10],
    }


def count_on_generated(n_series: int) -> None:
    """Print how many generated series are warned of, and of what."""
    from vetime_plugins.synthesis.corpus import generate

    found: Counter[str] = Counter()
    for seed in range(n_series):
        rng = np.random.default_rng(seed)
        series = generate(int(rng.integers(100, 2000)), int(rng.integers(2, 9)), seed=seed)
        for message in warned(np.asarray(series.values, dtype=np.float64)):
            words = ("lag matrix", "labels", "time stamps")
            found[next(word for word in words if f"looks like {word}" in message)] += 1
    print(f"{n_series} generated series: {dict(found)}")


def print_shortest(n_series: int = 60) -> None:
    """Print, by length, the share of noise and of noisy sines whose highest score is at their spike."""
    from vetime_plugins import VETimePipeline

    pipeline = VETimePipeline.from_pretrained("small")
    print("rows  noise  sine of 12 rows  by chance")
    for length in (3, 4, 6, 8, 10, 12, 14, 15, 16, 20, 24, 32, 64):
        shares = []
        for wave in (0.0, 1.0):
            rng = np.random.default_rng(length)
            noise = 0.2 * rng.normal(size=(n_series, length))
            values = wave * np.sin(2 * np.pi * np.arange(length) / 12) + noise
            places = rng.integers(0, length, n_series)
            values[np.arange(n_series), places] += 8 * values.std(axis=1) * rng.choice([-1, 1], n_series)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)
                scores = np.stack(pipeline.score(list(values)))
            shares.append(np.mean(scores.argmax(axis=1) == places))
        print(f"{length:4}  {shares[0]:5.0%}  {shares[1]:15.0%}  {1 / length:9.0%}")


def main() -> None:
    """Print the counts."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--shortest", action="store_true")
    parser.add_argument("--generated", type=int, metavar="N")
    args = parser.parse_args()
    if args.generated:
        count_on_generated(args.generated)
        return
    if args.shortest or args.folder is None:
        print_shortest()
        return
    found, seconds, n_series = Counter(), 0.0, 0
    for series in iterate_series(args.folder):
        n_series += 1
        started = time.perf_counter()
        for message in warned(series.values):
            found["as it is"] += 1
            print(f"FALSE ALARM {series.name} {series.values.shape}: {message}")
        seconds += time.perf_counter() - started
        for how, values in spoiled(series.values, series.labels).items():
            found[how] += bool(warned(values))
    print(f"{n_series} series as they are: {found.pop('as it is', 0)} warnings, {seconds:.2f} s in all")
    for how, count in found.items():
        print(f"{how}: {count} of {n_series} warned of")


if __name__ == "__main__":
    main()
