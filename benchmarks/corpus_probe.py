"""Ask a training corpus whether what is learned on it helps on real data, before any long run.

A gate reads nine quantiles of each of the eight retrieval channels of a series (level and form at four
scales) and gives their weights (softmax), a gain and a threshold. It starts at equal weights, which is the
parameter-free novelty, and is trained on one corpus to rank anomalous points above normal ones. If that makes
the ranking of real series worse, so will whatever else is learned on this corpus.

    python benchmarks/corpus_probe.py --corpus mixed --data ../shared/data --textbook gutentag.npz
    ... --corpus classic --without noise bursts    leave kinds and families out
    ... --corpus classic --pull                    where each kind and family pulls, without learning

Prints VUS-PR and AUC-PR x 100, mean over data sets, before (equal weights) and after, on univariate
development series of up to 40,000 steps, SMD_U apart, and the point-wise AUC-PR, mean over kinds, on textbook
series. Recipes with real backgrounds need these: see docs/synthesis.md.

``--pull`` takes the gradient of the ranking loss by the logarithms of the eight weights, at equal weights,
and prints it for every kind (of series with this kind alone, where there are 15) and family, with its cosine
to the same gradient on the development series, the textbook and SMD_U: 1 is the same way, -1 the opposite.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus_gate import Gate, Sample, learn, novelty, points_of, pulls, quantiles_of
from numpy.typing import NDArray

from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import auc_pr, find_buffer, vus_pr
from vetime_plugins.retrieval import RetrievalConfig, retrieval_distances
from vetime_plugins.series.inputs import as_series
from vetime_plugins.synthesis import Corpus
from vetime_plugins.synthesis.marking import mark
from vetime_plugins.synthesis.recipes import RECIPES

CHANNELS = [name for name in RetrievalConfig().feature_names if name.startswith(("level@", "form@"))]
LONGEST = 40_000  # steps of a development series
APART = "SMD_U"  # reported by itself: where the evidence alone fails
HEAD = (
    "corpus", "labels", "without", "tie", "made", "series", "seed", "loss before", "loss after",
    "dev VUS-PR", "dev AUC-PR", "textbook AUC-PR", "SMD_U VUS-PR", "SMD_U AUC-PR",
)  # fmt: skip


def channels_of(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the channels (T, 8), level and form at four scales, of a univariate series (T,) or (T, 1)."""
    series = as_series(np.asarray(values, np.float64))
    found = retrieval_distances(torch.from_numpy(series.values)).variables[:, 0]
    return found[:, [RetrievalConfig().feature_names.index(name) for name in CHANNELS]].numpy()


def draw_sample(name: str, count: int, seed: int, length: tuple[int, int], labelling: str) -> Sample:
    """Make `count` series of a corpus and keep of those with anomalies what training needs."""
    corpus = Corpus(seed, length=length, config=RECIPES[name])
    rng = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.float32], ...]] = []
    families, kinds = [], []
    for index in range(count):
        one = corpus[index]
        if not one.labels.any() or one.labels.all():
            continue
        labels = mark(one, rng) if labelling == "marked" else one.labels
        channels = channels_of(one.values)
        rows.append((quantiles_of(channels), *points_of(channels, labels, rng)))
        families.append(one.family)
        kinds.append(frozenset(a.kind for a in one.kinds))
    q, a, n = (np.stack(part) for part in zip(*rows, strict=True))
    return Sample(q, a, n, np.array(families), kinds)


def cached_sample(name: str, args: argparse.Namespace) -> Sample:
    """Read a sample of an earlier run with the same arguments, or draw it and keep it."""
    low, high = args.length
    path = args.cache and args.cache / f"{name}-{args.labels}-{args.count}-{args.draw}-{low}-{high}.npz"
    if path and path.exists():
        with np.load(path) as file:
            parts = [frozenset(filter(None, text.split(","))) for text in file["kinds"]]
            return Sample(file["q"], file["a"], file["n"], file["families"], parts)
    sample = draw_sample(name, args.count, args.draw, (low, high), args.labels)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [",".join(sorted(kinds)) for kinds in sample.kinds]
        np.savez(
            path, q=sample.quantiles, a=sample.anomalous, n=sample.normal,
            families=sample.families, kinds=texts,
        )  # fmt: skip
    return sample


@dataclass(frozen=True)
class Labelled:
    """A series to judge by: where it belongs, its channels and labels, and its buffer for VUS-PR."""

    group: str
    channels: NDArray[np.float32]
    labels: NDArray[np.int8]
    start: int
    buffer: int


def kept_or_made(path: Path | None, make: Callable[[], list[Labelled]]) -> list[Labelled]:
    """Return what an earlier run left at `path`, or make it and leave it there."""
    if path is None:
        return make()
    if not path.exists():
        many = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        names = {"groups": "group", "starts": "start", "buffers": "buffer"}
        parts = {name: np.array([getattr(one, field) for one in many]) for name, field in names.items()}
        parts |= {f"c{i}": one.channels for i, one in enumerate(many)}
        np.savez(path, **parts, **{f"l{i}": one.labels for i, one in enumerate(many)})
    with np.load(path) as file:
        about = zip(file["groups"].tolist(), file["starts"].tolist(), file["buffers"].tolist(), strict=True)
        return [
            Labelled(group, file[f"c{i}"], file[f"l{i}"], start, buffer)
            for i, (group, start, buffer) in enumerate(about)
        ]


def development(folder: str) -> list[Labelled]:
    """Read the univariate development series of up to 40,000 steps."""
    found = []
    for entry in find_series(folder):
        one = read_series(entry.path, dataset=entry.dataset)
        if one.values.shape[1] > 1 or len(one.labels) > LONGEST or not one.labels[one.test].any():
            continue
        channels, buffer = channels_of(one.values), find_buffer(one.values)
        found.append(Labelled(entry.dataset, channels, one.labels, one.train_length, buffer))
    return found


def textbook(path: str) -> list[Labelled]:
    """Read a file of arrays whose names begin with a kind and a point and end with ``.x`` and ``.y``."""
    with np.load(path) as file:
        return [
            Labelled(
                name.split(".")[0], channels_of(file[name]), file[f"{name[:-2]}.y"].astype(np.int8), 0, 0
            )
            for name in file.files
            if name.endswith(".x")
        ]


Scores = dict[str, dict[str, tuple[float, float]]]


def judge(sets: dict[str, list[Labelled]], gate: Gate | None) -> tuple[Scores, dict[str, list[float]]]:
    """Return (VUS-PR, AUC-PR) x 100 of every set and group, and the mean weights in every set."""
    scores: Scores = {}
    weights: dict[str, list[float]] = {}
    for name, many in sets.items():
        groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
        used = []
        for one in many:
            if gate is None:
                margins = novelty(one.channels)
            else:
                given = torch.from_numpy(quantiles_of(one.channels)), torch.from_numpy(one.channels)
                with torch.no_grad():
                    out, weight = gate(*(part[None] for part in given))
                margins = out[0].double().numpy()
                used.append(weight[0].numpy())
            labels, part = one.labels[one.start :], margins[one.start :]
            vus = vus_pr(labels, part, one.buffer) if one.buffer else float("nan")
            groups[one.group].append((100 * vus, 100 * auc_pr(labels, part)))
        scores[name] = {group: tuple(np.mean(rows, axis=0)) for group, rows in groups.items()}
        weights[name] = np.mean(used, axis=0).tolist() if used else []
    return scores, weights


def figures(scores: Scores) -> list[float]:
    """Return the five figures of a table row: means over data sets or kinds."""
    dev, book, apart = (np.mean(list(scores[n].values()), axis=0) for n in ("dev", "textbook", APART))
    return [float(x) for x in (*dev, book[1], *apart)]


def show_groups(before: Scores, after: Scores, weights: dict[str, list[float]]) -> None:
    """Print mean weights and the figures of every data set (VUS-PR) and kind (AUC-PR)."""
    for name, groups in after.items():
        k = int(name == "textbook")
        print(f"  {name}: weights", " ".join(f"{w:.2f}" for w in weights[name]))
        print("   ", "  ".join(f"{g} {before[name][g][k]:.1f} -> {v[k]:.1f}" for g, v in groups.items()))


def show_pull(sample: Sample, rows: NDArray[np.bool_], sets: dict[str, list[Labelled]]) -> None:
    """Print where the families and kinds of a corpus pull the weights, beside where real series do."""
    short = [name.replace("level@", "l").replace("form@", "f")[:6] for name in CHANNELS]
    print(f"{'x 1000':18}" + " ".join(f"{name:>6}" for name in short) + "   cosine to " + ", ".join(sets))
    wanted = {}
    for name, many in sets.items():
        rng = np.random.default_rng(0)
        points = [points_of(one.channels[one.start :], one.labels[one.start :], rng) for one in many]
        pull = pulls(*(np.stack(part) for part in zip(*points, strict=True)))
        groups = np.array([one.group for one in many])
        wanted[name] = np.mean([pull[groups == group].mean(0) for group in np.unique(groups)], axis=0)
        print(f"{name:18}" + " ".join(f"{1000 * x:+6.0f}" for x in wanted[name]))
    pull = pulls(sample.anomalous, sample.normal)
    choices = {"(all)": rows} | {
        name: rows & (sample.families == name) for name in np.unique(sample.families)
    }
    for kind in sorted(set().union(*sample.kinds)):
        alone = rows & np.array([kinds == {kind} for kinds in sample.kinds])
        choices[kind] = alone if alone.sum() >= 15 else rows & np.array([kind in k for k in sample.kinds])
    for name, chosen in choices.items():
        if chosen.any():
            mean = pull[chosen].mean(0)
            near = [mean @ x / (np.linalg.norm(mean) * np.linalg.norm(x) + 1e-12) for x in wanted.values()]
            own, cosines = (" ".join(f"{x:{form}}" for x in part) for part, form in (
                (1000 * mean, "+6.0f"), (near, "+.2f")
            ))  # fmt: skip
            print(f"{name:18}{own}   {cosines}  ({chosen.sum()} series)")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--corpus", nargs="+", default=["mixed"], choices=tuple(RECIPES), help="recipes")
    add("--data", required=True, help="folder of development series")
    add("--textbook", required=True, help="file of textbook series (.npz)")
    add("--count", type=int, default=3000, help="series to make (default 3000)")
    add("--length", type=int, nargs=2, default=(500, 8000), help="range of their lengths")
    add("--draw", type=int, default=0, help="seed of the corpus")
    add("--seed", type=int, nargs="+", default=[0], help="seeds of the gate; the mean is shown")
    add("--labels", choices=("marked", "exact"), default="marked", help="as people set them, or exact")
    add("--without", nargs="+", default=[], help="families and kinds to leave out")
    add("--constant", action="store_true", help="the same weights for every series")
    add("--tie", type=float, default=0.0, help="weight of the divergence from equal weights")
    add("--pull", action="store_true", help="print gradients instead of learning")
    add("--groups", action="store_true", help="print every data set and kind")
    add("--cache", type=Path, help="folder in which to keep channels between runs")
    add("--out", type=Path, help="CSV file to add rows to")
    return parser.parse_args()


def main() -> None:
    """Learn and judge; print a table and add it to a file where asked."""
    args = parse()
    torch.set_num_threads(1)
    start = time.monotonic()
    dev = kept_or_made(args.cache and args.cache / "dev.npz", lambda: development(args.data))
    book = kept_or_made(args.cache and args.cache / "textbook.npz", lambda: textbook(args.textbook))
    sets = {
        "dev": [one for one in dev if one.group != APART],
        "textbook": book,
        APART: [one for one in dev if one.group == APART],
    }
    uniform, _ = judge(sets, None)
    first = figures(uniform)
    rows = [["equal weights", *[""] * 8, *(f"{x:.2f}" for x in first)]]
    print("| corpus | left out | series | loss | " + " | ".join(HEAD[-5:]) + " |")
    print("| --- | ---: | ---: | ---: |" + " ---: |" * 5)
    print("| equal weights | | | | " + " | ".join(f"{x:.1f}" for x in first) + " |", flush=True)
    for name in args.corpus:
        sample = cached_sample(name, args)
        chosen = sample.rows(frozenset(args.without))
        if args.pull:
            show_pull(sample, chosen, sets)
            continue
        results = []
        for seed in args.seed:
            gate, before, after = learn(sample, chosen, seed, args.constant, args.tie)
            scores, weights = judge(sets, gate)
            results.append([before, after, *figures(scores)])
            about = [name, args.labels, " ".join(args.without), args.tie, args.count, chosen.sum(), seed]
            rows.append([*map(str, about), *(f"{x:.3f}" for x in results[-1])])
        mean = np.mean(results, axis=0)
        change = [f"{x:.1f} ({x - y:+.1f})" for x, y in zip(mean[2:], first, strict=True)]
        loss = f"{mean[0]:.3f} -> {mean[1]:.3f}"
        print(
            f"| {name} | {len(args.without)} | {chosen.sum()} | {loss} | {' | '.join(change)} |", flush=True
        )
        if args.groups:
            show_groups(uniform, scores, weights)
    print(f"{time.monotonic() - start:.0f} s")
    if args.out and not args.pull:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        new = not args.out.exists()
        with args.out.open("a", newline="") as file:
            csv.writer(file).writerows([HEAD, *rows] if new else rows[1:])


if __name__ == "__main__":
    main()
