"""How often the variables that an incident names first are those that people named.

    python benchmarks/sensors.py --smd DIR --interpretation FILE.json [--cache DIR]
    python benchmarks/sensors.py --generated 200

HitRate@100% of an incident is the share of its true variables among as many as there are, ranked first;
HitRate@150% among half as many more. Means x 100 over incidents. The first is of labelled incidents of the
Server Machine Dataset: FILE maps each file of DIR to its segments and their columns, counted from 0. The
second is of incidents that the package's generator puts into one to three of eight variables.

The package's ranking is compared with chance, with the largest |z| of each variable (standard scores over the
series), with the scores of the variables alone, and with the nearest neighbours of each variable's windows.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline
from vetime_plugins.detectors.baselines import sub_knn
from vetime_plugins.incidents import sensors
from vetime_plugins.synthesis import CorpusConfig, generate

Table = NDArray[np.float64]
Segment = tuple[int, int, list[int]]
SHARES = (1.0, 1.5)


def smd(folder: str, interpretation: str) -> Iterator[tuple[str, Table, list[Segment]]]:
    """Yield the name, the values (T, C) and the segments of each file."""
    for name, segments in json.loads(Path(interpretation).read_text(encoding="utf-8")).items():
        values = np.loadtxt(Path(folder) / name, delimiter=",", skiprows=1)[:, :-1]
        yield name, values, [(one["start"], one["stop"], one["columns"]) for one in segments]


def generated(count: int) -> Iterator[tuple[str, Table, list[Segment]]]:
    """Yield series of eight variables with incidents in one to three of them."""
    config = CorpusConfig(clean_share=0.0, severity=(0.3, 1.0))
    for seed in range(count):
        one = generate(2000, 8, seed=seed, config=config)
        segments = [(a.start, a.stop, list(a.variables)) for a in one.kinds if len(a.variables) <= 3]
        if segments:
            yield f"generated-{seed}", np.asarray(one.values, dtype=np.float64), segments


def per_variable(values: Table, score: Callable[[Table], Table]) -> Table:
    """Score every variable that changes by itself."""
    result = np.zeros(values.shape)
    for column in np.flatnonzero(values.std(axis=0) > 0):
        result[:, column] = score(values[:, column])
    return result


def hit_rate(ranked: list[int], truth: list[int], share: float) -> float:
    """Return the share of the true variables among the first ``share * len(truth)``."""
    return len(set(ranked[: int(share * len(truth))]) & set(truth)) / len(truth)


def main() -> None:
    """Rank and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smd", metavar="DIR")
    parser.add_argument("--interpretation", metavar="FILE")
    parser.add_argument("--generated", type=int, metavar="COUNT")
    parser.add_argument("--cache", metavar="DIR", help="keep scores here; for the data set alone")
    args = parser.parse_args()
    if bool(args.smd) == bool(args.generated) or bool(args.smd) != bool(args.interpretation):
        parser.error("either --smd with --interpretation or --generated is needed")
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    cases = smd(args.smd, args.interpretation) if args.smd else generated(args.generated)
    rng, found = np.random.default_rng(0), defaultdict(list)

    def cached(name: str, make: Callable[[], Table]) -> Table:
        if not args.cache:
            return make()
        path = Path(args.cache) / f"{name}.npy"
        if not path.exists():
            np.save(path, make())
        return np.load(path)

    for name, values, segments in cases:
        scores = cached(f"{name}.pv", lambda x=values: pipeline.score(x, per_variable=True))
        scores = scores.astype(np.float64)
        neighbours = cached(f"{name}.knn", lambda x=values: per_variable(x, sub_knn))
        tables = {
            "chance": None,
            "|z|": sensors.deviations(values),
            "nearest neighbours of each variable": neighbours,
            "scores of the variables alone": scores,
            "this package": sensors.evidence(values, scores),
        }
        moving = values.std(axis=0) > 0
        for start, stop, truth in segments:
            for method, table in tables.items():
                size = rng.uniform(size=values.shape[1]) if table is None else table[start:stop].max(axis=0)
                ranked = np.argsort(-np.where(moving, size, -np.inf), kind="stable").tolist()
                found[method].append([hit_rate(ranked, truth, share) for share in SHARES])
    count = len(found["chance"])
    print(f"| {count} incidents | HitRate@100% | HitRate@150% |\n|---|---|---|")
    for method, rates in found.items():
        print(f"| {method} | " + " | ".join(f"{100 * one:.1f}" for one in np.mean(rates, axis=0)) + " |")


if __name__ == "__main__":
    main()
