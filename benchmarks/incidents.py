"""Whether incidents are found where they are, and called what they are.

    python benchmarks/incidents.py --textbook FILE.npz [--threshold RULE] [--cache FILE.npz]
    python benchmarks/incidents.py --generated 20 [--threshold RULE]

FILE holds series KIND.BASE.COUNT.NOISE.x and their labels .y, to the point. The generated series are of the
package's own generator, so many for each of its kinds, with one anomaly each.

Two tables: the kinds that are named where the labels say which steps belong to the anomaly, and those of the
incidents that were found at the threshold. The second also gives the share of anomalies that were found, the
overlap of both spans (intersection over union, mean) and how many incidents per series hit no anomaly. The
kinds of the makers are not those of the package, so each line says which names count as right.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline, find_incidents
from vetime_plugins.incidents import KINDS
from vetime_plugins.incidents.expected import expect
from vetime_plugins.incidents.kinds import likely_kind
from vetime_plugins.series.period import find_period
from vetime_plugins.synthesis import CorpusConfig, generate

_EITHER = ("spike", "dip")
_SHAPE = ("wrong shape", "change of timing", "change of amplitude")
RIGHT: dict[str, tuple[str, ...]] = {
    # GutenTAG
    "extremum-global": _EITHER,
    "extremum-local": _EITHER,
    "mean": ("level shift",),
    "trend": ("trend change",),
    "variance": ("change of variance",),
    "amplitude": ("change of amplitude",),
    "frequency": ("change of timing",),
    "pattern-shift": ("change of timing",),
    "pattern": _SHAPE,
    "platform": ("flat",),
    # this package's generator
    "spike": _EITHER,
    "local_spike": _EITHER,
    "dip": ("dip", "level shift"),
    "burst": ("spike", "level shift"),
    "noise": ("change of variance",),
    "level_shift": ("level shift",),
    "drift": ("trend change", "level shift"),
    "stuck": ("flat",),
    "variance@": ("change of variance",),
    "amplitude@": ("change of amplitude",),
    "flip": _SHAPE,
    "wrong_shape": _SHAPE,
    "distortion": _SHAPE,
    "frequency@": ("change of timing",),
    "phase": ("change of timing",),
    "missing_cycle": ("missing cycle", "flat"),
}
"""Names that count as right for each kind of the makers; @ marks the generator's where both have a kind."""
GENERATED = list(RIGHT)[10:]
SHORT = {"change of ": "", " change": "", " shift": "", " shape": "", " cycle": "", " relation": ""}


class Case(NamedTuple):
    """A series (T,), its name and its anomalies: kind, first step, the one after the last."""

    name: str
    values: NDArray[np.float64]
    anomalies: list[tuple[str, int, int]]


def textbook(path: str) -> Iterator[Case]:
    """Yield the series of a file."""
    arrays = np.load(path)
    for name in arrays.files:
        if name.endswith(".x"):
            labels = arrays[name[:-2] + ".y"].ravel() > 0
            edges = np.flatnonzero(np.diff(labels.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
            kind = name.split(".")[0]
            anomalies = [(kind, int(a), int(b)) for a, b in edges]
            yield Case(name[:-2], arrays[name].ravel().astype(np.float64), anomalies)


def generated(count: int) -> Iterator[Case]:
    """Yield so many series of 3,000 steps for each kind."""
    for kind in GENERATED:
        config = CorpusConfig(
            clean_share=0.0, single_share=1.0, severity=(0.5, 1.0), kinds={kind.rstrip("@"): 1.0}
        )
        made, seed = 0, 0
        while made < count and seed < 5 * count:
            one = generate(3000, seed=seed, config=config)
            seed += 1
            if one.kinds:
                made += 1
                anomalies = [(kind, a.start, a.stop) for a in one.kinds]
                yield Case(f"{kind}.{seed}", np.asarray(one.values[:, 0], dtype=np.float64), anomalies)


def named(case: Case) -> list[str]:
    """Return the kind that is named where the labels say which steps belong to each anomaly."""
    doubt = np.zeros(len(case.values), dtype=np.int8)
    for _, start, stop in case.anomalies:
        doubt[start:stop] = 2
    period = find_period(case.values)
    return [
        likely_kind(expect(case.values, doubt, start, stop, period), start, stop)
        for _, start, stop in case.anomalies
    ]


def print_confusion(counts: dict[str, Counter[str]], more: dict[str, list[str]], heads: list[str]) -> None:
    """Print one line for each true kind: how often each name was given, in percent."""
    names = [name for name in KINDS if any(name in one for one in counts.values())]
    short = names.copy()
    for long, brief in SHORT.items():
        short = [one.replace(long, brief) for one in short]
    print("| kind | counts as right | right | " + " | ".join(heads + short) + " |")
    print("|---" * (3 + len(heads) + len(short)) + "|")
    shares = []
    for kind, given in counts.items():
        total = sum(given.values())
        shares.append(sum(given[name] for name in RIGHT[kind]) / total if total else np.nan)
        cells = [f"{100 * given[name] / total:.0f}" if given[name] else "" for name in names]
        line = [
            kind.rstrip("@"),
            ", ".join(RIGHT[kind]),
            f"{100 * shares[-1]:.0f}",
            *more.get(kind, []),
            *cells,
        ]
        print("| " + " | ".join(line) + " |")
    print(f"\nmean over kinds: {100 * np.nanmean(shares):.1f} % right\n")


def main() -> None:
    """Find and name, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--textbook", metavar="FILE")
    parser.add_argument("--generated", type=int, metavar="COUNT")
    parser.add_argument("--threshold", default="auto")
    parser.add_argument("--cache", metavar="FILE", help="scores of the textbook series by name")
    args = parser.parse_args()
    if bool(args.textbook) == bool(args.generated):
        parser.error("either --textbook or --generated is needed")
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    known = np.load(args.cache) if args.cache else {}
    cases = textbook(args.textbook) if args.textbook else generated(args.generated)
    told: dict[str, Counter[str]] = defaultdict(Counter)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    hits, overlap, false = defaultdict(list), defaultdict(list), defaultdict(list)
    for case in cases:
        for (kind, _, _), name in zip(case.anomalies, named(case), strict=True):
            told[kind][name] += 1
        scores = known[case.name].astype(float) if case.name in known else pipeline.score(case.values)
        found = find_incidents(scores, case.values, threshold=args.threshold)
        for kind, start, stop in case.anomalies:
            seen[kind].update()
            touching = [one for one in found if one.start < stop and one.end >= start]
            hits[kind].append(bool(touching))
            if touching:
                best = max(touching, key=lambda one: min(stop, one.end + 1) - max(start, one.start))
                inside = min(stop, best.end + 1) - max(start, best.start)
                overlap[kind].append(inside / (max(stop, best.end + 1) - min(start, best.start)))
                seen[kind][str(best.kind)] += 1
        misses = [
            one
            for one in found
            if not any(one.start < stop and one.end >= start for _, start, stop in case.anomalies)
        ]
        false[case.anomalies[0][0]].append(len(misses))
    print("Where the labels say which steps belong to the anomaly:\n")
    print_confusion(told, {}, [])
    print(f"Incidents found at the threshold {args.threshold!r}:\n")
    more = {
        kind: [
            f"{100 * np.mean(hits[kind]):.0f}",
            f"{100 * np.mean(overlap[kind] or [np.nan]):.0f}",
            f"{np.mean(false[kind]):.2f}",
        ]
        for kind in seen
    }
    print_confusion(seen, more, ["found", "overlap", "false"])


if __name__ == "__main__":
    main()
