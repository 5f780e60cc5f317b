"""What the router of `router.py` reads: channels of the parameter-free evidence of a series."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import torch
from corpus_gate import ANOMALOUS, HARD, NORMAL, POOL, join
from corpus_probe import CHANNELS, Labelled, kept_or_made
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.stats import rankdata

from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import find_buffer
from vetime_plugins.network.evidence import standardise_together
from vetime_plugins.retrieval import RetrievalConfig, retrieval_distances
from vetime_plugins.retrieval.evidence import FLOOR, window_lengths
from vetime_plugins.retrieval.features import standardise
from vetime_plugins.retrieval.statistics import statistic_distances
from vetime_plugins.series.inputs import as_series
from vetime_plugins.synthesis import Corpus, SyntheticSeries
from vetime_plugins.synthesis.marking import mark
from vetime_plugins.synthesis.recipes import RECIPES

# The evidence as it was before its channels were joined with a temperature and averaged over time.
CONFIG = RetrievalConfig(statistics=(16, 32, 64, 128, 256, 512), point_gain=1.25)
RESIDUALS = [name for name in CONFIG.feature_names if name.startswith("point@")]
# The channels in order: evidence, excess of points, novelty of first differences, then these.
FORMS = slice(3, 3 + len(CHANNELS))
VIEWS = slice(FORMS.stop, FORMS.stop + len(CONFIG.statistics))
N_CHANNELS = VIEWS.stop + len(RESIDUALS)
EVIDENCE, POINTS, DIFFERENCES = 0, 1, 2
OF_POINTS = [POINTS, *range(VIEWS.stop, N_CHANNELS)]

WIDTHS = (9, 33, 129)
RANKED = [EVIDENCE, *range(DIFFERENCES, VIEWS.stop)]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 1.0)
N_LOCAL = N_CHANNELS * (1 + len(WIDTHS)) + len(RANKED)
N_WHOLE = N_CHANNELS * len(QUANTILES) + 1
SMOOTH = N_CHANNELS * (1 + WIDTHS.index(33))  # where the channels averaged over 33 steps begin

DRAWS = {"mixed": (101, 500, None), "real": (201, 400, 1.0)}  # seed, series drawn, share of real backgrounds
LENGTHS = (1000, 6000)
LONGEST, APART = 40_000, "SMD_U"
BUFFER = 100  # of the textbook series
Rows = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def channels_of(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the channels (T, N_CHANNELS) of a univariate series (T,) or (T, 1)."""
    (standardised,), _ = standardise_together([as_series(np.asarray(values, np.float64)).values])
    z = standardised.astype(np.float32)
    found = retrieval_distances(torch.from_numpy(z), config=dataclasses.replace(CONFIG, statistics=()))
    assert found.evidence is not None
    own, novelty = found.variables[:, 0], found.variables[:, 0, 0]
    points = found.evidence[:, 0] - novelty
    standard, _ = standardise([torch.from_numpy(z.T)])
    lengths = window_lengths(CONFIG.statistics, standard)
    views = {}
    for window in dict.fromkeys(lengths):
        distances, mean, deviation = statistic_distances(standard, None, window, CONFIG)
        views[window] = torch.asinh((distances - mean) / (deviation + FLOOR))[0]
    seen = torch.stack(list(views.values()), 1)
    view = join(seen[None], torch.zeros(1, seen.shape[1]))[0]
    evidence = torch.asinh((torch.sinh(novelty) + torch.sinh(view)) / 2) + points
    steps = torch.from_numpy(np.diff(z, axis=0, prepend=z[:1]))
    differences = retrieval_distances(steps, config=CONFIG).variables[:, 0, 0]
    named = [own[:, CONFIG.feature_names.index(name)] for name in (*CHANNELS, *RESIDUALS)]
    n = len(CHANNELS)
    parts = [evidence, points, differences, *named[:n], *(views[w] for w in lengths), *named[n:]]
    return torch.stack(parts, 1).numpy()


def features_of(channels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the router reads of each step (T, N_LOCAL) and of the whole series (N_WHOLE,)."""
    channels = channels.astype(np.float32)
    smooth = [uniform_filter1d(channels, width, axis=0, mode="nearest") for width in WIDTHS]
    total = len(channels)
    ranks = -np.log10((total + 1 - rankdata(channels[:, RANKED], "ordinal", axis=0)) / total)
    whole = np.append(np.quantile(channels, QUANTILES, axis=0).T.ravel(), np.log10(total))
    return np.concatenate([channels, *smooth, ranks], 1).astype(np.float32), whole.astype(np.float32)


def labels_of(one: SyntheticSeries, rng: np.random.Generator) -> NDArray[np.int8]:
    """Label windows as people do, and points exactly."""
    labels = mark(one, rng).astype(np.int8)
    lasting = np.zeros(len(one), bool)
    for anomaly in one.kinds:
        lasting[anomaly.start : anomaly.stop] |= anomaly.stop - anomaly.start > 3
    for run in np.split(np.arange(len(one)), np.flatnonzero(np.diff(labels)) + 1):
        if labels[run[0]] and not lasting[run].any():
            labels[run] = one.labels[run]
    return labels


def corpus(name: str) -> list[Labelled]:
    """Make the univariate series of a corpus that have anomalies."""
    seed, count, share = DRAWS[name]
    recipe = RECIPES["mixed"]
    made = Corpus(
        seed,
        length=LENGTHS,
        config=recipe if share is None else dataclasses.replace(recipe, real_share=share),
    )
    rng, found = np.random.default_rng(seed), []
    for one in map(made.__getitem__, range(count)):
        if one.n_variables == 1 and 0 < one.labels.mean() < 1 and np.isfinite(one.values).all():
            found.append(Labelled(one.family, channels_of(one.values), labels_of(one, rng), 0, 0))
    return found


def development(folder: str) -> list[Labelled]:
    """Read the univariate development series."""
    found = []
    for entry in find_series(folder):
        one = read_series(entry.path, dataset=entry.dataset)
        if one.values.shape[1] == 1 and len(one.labels) <= LONGEST and one.labels[one.test].any():
            buffer = find_buffer(one.values)
            found.append(
                Labelled(entry.dataset, channels_of(one.values), one.labels, one.train_length, buffer)
            )
    return found


def textbook(path: str) -> list[Labelled]:
    """Read a file of arrays whose names begin with a kind and a point and end with ``.x`` and ``.y``."""
    with np.load(path) as file:
        names = sorted(name[:-2] for name in file.files if name.endswith(".x"))
        return [
            Labelled(n.split(".")[0], channels_of(file[f"{n}.x"]), file[f"{n}.y"].astype(np.int8), 0, BUFFER)
            for n in names
        ]


def draw_points(many: list[Labelled], rng: np.random.Generator) -> Rows:
    """Draw what training needs of each series: whole (N, Q), anomalous (N, 48, F), normal (N, 192, F)."""
    rows = []
    for one in many:
        local, whole = features_of(one.channels)
        labels = np.where(np.arange(len(one.labels)) < one.start, -1, one.labels)
        runs = np.split(np.arange(len(labels)), np.flatnonzero(np.diff(labels)) + 1)
        spans = [run for run in runs if labels[run[0]] == 1]
        hit = [int(rng.choice(spans[i % len(spans)])) for i in range(ANOMALOUS)]
        some = rng.choice(np.flatnonzero(labels == 0), POOL)
        hard = some[np.argsort(-local[some, 0], kind="stable")[:HARD]]
        rows.append((whole, local[hit], local[np.concatenate([rng.choice(some, NORMAL), hard])]))
    whole, anomalous, normal = (np.stack(part) for part in zip(*rows, strict=True))
    return whole, anomalous, normal


def series_of(name: str, cache: Path) -> list[Labelled]:
    """Return the series of a corpus, of both for "both"."""
    names = list(DRAWS) if name == "both" else [name]
    found = []
    for draw in names:
        found += kept_or_made(cache / f"router-{draw}.npz", partial(corpus, draw))
    return found
