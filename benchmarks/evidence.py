"""Compare what a score starts from: novelty, statistics of windows, excess of points, and how they join.

    python benchmarks/evidence.py small --data DIR --datasets NAB UCR ... [--longest 40000]
    python benchmarks/evidence.py small --textbook FILE.npz
    python benchmarks/evidence.py small --spikes --arms 'novelty' '+ both' --correction 0.25
    python benchmarks/evidence.py small --generated 90 [--relational] --arms '+ rise' '+ relations'

Prints VUS-PR, AUC-PR and the exact-peak rate (x 100) of the same weights with each evidence: of labelled
series in TSB-AD's format, means over data sets; of a file of textbook series, whose keys are
KIND.BASE.COUNT.NOISE.x and .y, means over kinds; of one-step spikes of ten deviations of the noise; and of
generated series of 3 to 30 variables, means over their styles: with anomalies of all kinds, or only such as
part a variable from the others.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import evaluate, find_buffer
from vetime_plugins.network.checkpoint import load_checkpoint
from vetime_plugins.synthesis import Corpus, CorpusConfig

METRICS = ("VUS-PR", "AUC-PR", "Exact-Peak")
TEXTBOOK_BUFFER = 100
RELATIONAL = ("broken_correlation", "lag_change", "one_variable", "partial_loss")

Case = tuple[list[str], NDArray[np.float64], NDArray[np.int_], int, int]
"""Groups that a series counts in, its values, labels, the start of the part that is measured, the buffer."""


Changes = dict[str, object]
MOVING: Changes = {"standstills": False}
ALONE: Changes = {"relations": False, **MOVING}
PLAIN: Changes = {"temperature": 1.0, "smoothing": 1, **ALONE}
ALIKE: Changes = {"variable_pooling": "max", "switches_apart": False}
ARMS: dict[str, tuple[Changes, Changes]] = {
    "novelty": ({"statistics": (), "point_gain": 0.0, **PLAIN}, ALIKE),
    "+ points": ({"statistics": (), **PLAIN}, ALIKE),
    "+ statistics": ({"point_gain": 0.0, **PLAIN}, ALIKE),
    "+ both": (PLAIN, ALIKE),
    "+ temperature": ({"smoothing": 1, **ALONE}, ALIKE),
    "+ smoothing": (ALONE, ALIKE),
    "+ top variables": (ALONE, {**ALIKE, "variable_pooling": "top"}),
    "+ switches apart": (ALONE, {"variable_pooling": "top"}),
    "+ rise": (ALONE, {}),
    "+ relations": (MOVING, {}),
    "+ standstills": ({}, {}),
}
"""What each arm changes in the configuration of retrieval, and in that of the weights."""


def arms(weights: str, names: list[str], correction: float | None) -> dict[str, VETimePipeline]:
    """Return the weights with each evidence, at another strength of the learned correction if given."""
    model, _ = load_checkpoint(weights)
    retrieval = model.config.retrieval
    assert retrieval is not None
    result = {}
    for name in names:
        changed, joined = ARMS[name]
        config = dataclasses.replace(
            model.config,
            retrieval=dataclasses.replace(retrieval, **changed),  # type: ignore[arg-type]
            **joined,  # type: ignore[arg-type]
            correction=model.config.correction if correction is None else correction,
        )
        one = type(model)(config)
        one.load_state_dict(model.state_dict())
        result[name] = VETimePipeline(one, weights, next(one.parameters()).device)
    return result


def labelled(data: str, datasets: list[str] | None, longest: int) -> Iterator[Case]:
    """Yield the series of a folder that are no longer than `longest`."""
    for file in find_series(data, datasets=datasets):
        series = read_series(file.path, dataset=file.dataset)
        if len(series.values) <= longest:
            buffer = find_buffer(series.values)
            yield [file.dataset], series.values, series.labels, series.train_length, buffer


def textbook(path: str) -> Iterator[Case]:
    """Yield the series of a file; each counts in its kind, and in its number of anomalies."""
    arrays = np.load(path)
    for name in arrays.files:
        if name.endswith(".x"):
            kind, _, count, *_ = name.split(".")
            yield [kind, count], arrays[name], arrays[name[:-2] + ".y"], 0, TEXTBOOK_BUFFER


def spikes() -> Iterator[Case]:
    """Yield noise, sines and random walks with spikes of one step."""
    for base, length, count in (
        ("noise", 1000, 5), ("sine", 1000, 5), ("walk", 1000, 5), ("noise", 120, 3), ("sine", 120, 3),
    ):  # fmt: skip
        for seed in range(8):
            rng = np.random.default_rng([seed, length, count])
            noise = rng.standard_normal(length)
            x = {"noise": noise, "sine": 10 * np.sin(np.arange(length) / 4) + noise, "walk": noise.cumsum()}[
                base
            ]
            labels = np.zeros(length, dtype=int)
            at = rng.choice(np.arange(6, length - 6), count, replace=False)
            x[at] += rng.choice([-10.0, 10.0], count)
            labels[at] = 1
            yield [f"{base} {length}"], x, labels, 0, 10


def several(count: int, relational: bool) -> Iterator[Case]:
    """Yield generated series of several variables of which up to four tenths are anomalous."""
    kinds = dict.fromkeys(RELATIONAL, 1.0) if relational else None
    config = CorpusConfig(clean_share=0.0, kinds=kinds)
    corpus = Corpus(4242 + relational, length=(1000, 3000), n_variables=(3, 30), config=config)
    for one in islice((one for one in corpus if 0 < one.labels.mean() < 0.4), count):
        values = one.values.astype(float)
        yield [one.family], values, one.labels.astype(int), 0, find_buffer(values)


def main() -> None:
    """Score each series with each evidence and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--data")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--longest", type=int, default=40_000)
    parser.add_argument("--textbook")
    parser.add_argument("--spikes", action="store_true")
    parser.add_argument("--generated", type=int, metavar="COUNT")
    parser.add_argument("--relational", action="store_true", help="of the generated, only such anomalies")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="only these")
    parser.add_argument("--correction", type=float, help="strength of the learned correction")
    args = parser.parse_args()
    if args.data:
        cases = labelled(args.data, args.datasets, args.longest)
    elif args.textbook:
        cases = textbook(args.textbook)
    elif args.spikes:
        cases = spikes()
    elif args.generated:
        cases = several(args.generated, args.relational)
    else:
        parser.error("one of --data, --textbook, --spikes and --generated is needed")
    pipelines = arms(args.weights, args.arms, args.correction)
    found: dict[str, dict[str, list[list[float]]]] = {name: defaultdict(list) for name in pipelines}
    for groups, values, labels, start, buffer in cases:
        if labels[start:].min() == labels[start:].max():
            continue
        for name, pipeline in pipelines.items():
            scores = pipeline.score(values)[start:]
            result = evaluate(labels[start:], scores, buffer, metrics=METRICS)
            for group in groups:
                found[name][group].append([result[metric] for metric in METRICS])
    for i, metric in enumerate(METRICS):
        names = sorted(next(iter(found.values())))
        # Counts of anomalies stand beside the kinds; the mean is over the kinds.
        averaged = [name for name in names if not (args.textbook and name in ("n1", "n5"))]
        print(f"\n| {metric} | mean | " + " | ".join(names) + " |\n" + "|---" * (2 + len(names)) + "|")
        for arm, table in found.items():
            means = {name: 100 * np.mean([row[i] for row in table[name]]) for name in names}
            overall = np.mean([means[name] for name in averaged])
            print(f"| {arm} | {overall:.1f} | " + " | ".join(f"{means[name]:.1f}" for name in names) + " |")


if __name__ == "__main__":
    main()
