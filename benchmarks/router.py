"""Learn whom to believe at each step, and ask on real series whether that was worth learning.

A small network reads the channels of the parameter-free evidence around a step, and their quantiles over the
whole series. Its last layer starts at zero, where the score is the evidence exactly; a term of its loss ties
it to that start, and after training nothing holds it back.

    VETIME_BACKGROUNDS=FILE python benchmarks/router.py --data DIR --textbook FILE.npz --cache DIR
    ... --form lower --tie 0.2 1 --corpus real      a row for each pair of form and tie

Forms: `series` weighs the channels for the whole series, `step` at each step; `change` adds a number to the
evidence at each step, `lower` only takes from it. Corpora: the recipe `mixed`; `real`, its anomalies in real
backgrounds alone; `both`. Points of a corpus are labelled exactly, windows as people do.

Prints VUS-PR and AUC-PR x 100 on development series of up to 40,000 steps, SMD_U and textbook series,
with the difference to the evidence and its 95 % interval (paired bootstrap within data sets); where
the start is the smoothed evidence, the difference to that too.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus_gate import ANOMALOUS, HARD, NORMAL, PAIRED, rank_loss
from corpus_probe import Labelled, kept_or_made
from numpy.typing import NDArray
from router_channels import (
    APART,
    DIFFERENCES,
    DRAWS,
    EVIDENCE,
    FORMS,
    N_CHANNELS,
    N_LOCAL,
    N_WHOLE,
    OF_POINTS,
    POINTS,
    SMOOTH,
    VIEWS,
    WIDTHS,
    Rows,
    development,
    draw_points,
    features_of,
    series_of,
    textbook,
)  # fmt: skip
from torch import Tensor, nn

from vetime_plugins.metrics import auc_pr, vus_pr
from vetime_plugins.metrics.statistics import group_means, paired_bootstrap

HIDDEN, STEPS, BATCH, RATE, DECAY, DROPOUT = 32, 500, 32, 2e-3, 0.1, 0.1
PARTS = (FORMS.stop - FORMS.start, VIEWS.stop - VIEWS.start, 1, 1, 1)  # outputs of the forms that weigh
HEAD = (
    "corpus", "form", "tie", "smooth", "blind", "seeds", "set", "group",
    "evidence VUS-PR", "evidence AUC-PR", "start VUS-PR", "start AUC-PR", "VUS-PR", "AUC-PR",
)  # fmt: skip


Read = tuple[NDArray[np.float32], NDArray[np.float32]]
Moments = tuple[Tensor, Tensor]
"""Means and deviations."""


@dataclass(frozen=True)
class Design:
    """What is learned: the form, the weight of the tie, and two options.

    `smooth` is the share of the start that is averaged over 33 steps, points apart. `blind`
    hides the residuals of points at a step from the network.
    """

    form: str
    tie: float
    smooth: float
    blind: bool


def start_of(local: Tensor, smooth: float) -> Tensor:
    """Return the score (...) that a router starts from."""
    around = local[..., SMOOTH + EVIDENCE] - local[..., SMOOTH + POINTS]
    return local[..., EVIDENCE] + smooth * (around - local[..., EVIDENCE] + local[..., POINTS])


class Router(nn.Module):
    """Say at each step how far to believe the channels; at first nothing changes."""

    def __init__(self, design: Design, local: Moments, whole: Moments) -> None:
        super().__init__()
        self.design, self.local, self.whole = design, local, whole
        self.seen = torch.ones(N_LOCAL)
        if design.blind:
            places = [N_CHANNELS * i + j for i in range(1 + len(WIDTHS)) for j in OF_POINTS]
            self.seen[places] = 0.0
        if design.form == "series":
            self.seen[:] = 0.0
        self.read_local = nn.Sequential(nn.Linear(N_LOCAL, HIDDEN), nn.GELU())
        self.read_whole = nn.Sequential(nn.Linear(N_WHOLE, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT))
        self.both = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT))
        self.last = nn.Linear(HIDDEN, sum(PARTS) if design.form in ("series", "step") else 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, local: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B, P) of steps (B, P, F) of series (B, Q), and how far each left its start."""
        about = self.read_whole(((whole - self.whole[0]) / self.whole[1]).clamp(-2, 2))[:, None]
        step = self.read_local(((local - self.local[0]) / self.local[1]).clamp(-3, 3) * self.seen)
        out = self.last(self.both(torch.cat([about.expand_as(step), step], -1)))
        start = start_of(local, self.design.smooth)
        if self.design.form == "change":
            return start + out[..., 0], out.square().sum(-1) / 2
        if self.design.form == "lower":
            soft = nn.functional.softplus(4 * (out[..., 0] - 1)) - math.log1p(math.exp(-4))
            return start - soft / 4, out.square().sum(-1) / 2
        left = out[..., -3:].square().sum(-1) / 4
        for logits in out.split(PARTS, -1)[:2]:  # divergence from equal weights
            left = left + (logits.softmax(-1) * logits.log_softmax(-1)).sum(-1) + math.log(logits.shape[-1])
        return start + _weigh(local, out) - _weigh(local, torch.zeros_like(out)), left


def _weigh(local: Tensor, out: Tensor) -> Tensor:
    """Join the channels as the evidence does, with weights, and with the differences beside them."""
    forms, views, share, gain, differences = out.split(PARTS, -1)

    def mean(channels: Tensor, logits: Tensor) -> Tensor:
        return torch.asinh((torch.sinh(channels) + logits.log_softmax(-1)).logsumexp(-1))

    share = share[..., 0].sigmoid()
    novelty, view = mean(local[..., FORMS], forms), mean(local[..., VIEWS], views)
    context = torch.asinh((1 - share) * torch.sinh(novelty) + share * torch.sinh(view))
    points = gain[..., 0].clamp(-4, 2).exp() * local[..., POINTS]
    return context + points + differences[..., 0] * local[..., DIFFERENCES]


def learn(rows: Rows, design: Design, seed: int) -> tuple[Router, float, float]:
    """Train a router; return it, and its ranking loss on a tenth of the series, before and after."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    whole, anomalous, normal = (torch.from_numpy(part) for part in rows)
    order = rng.permutation(len(whole))
    held, kept = order[: len(whole) // 10], order[len(whole) // 10 :]
    some = torch.cat([anomalous[kept], normal[kept]], 1).flatten(0, 1)[::7]
    router = Router(
        design, (some.mean(0), some.std(0) + 1e-3), (whole[kept].mean(0), whole[kept].std(0) + 1e-3)
    )
    optimiser = torch.optim.AdamW(router.parameters(), RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)

    def losses(
        rows: NDArray[np.intp], a: Tensor | slice, n: Tensor | slice, hard: int
    ) -> tuple[Tensor, Tensor]:
        high, low = anomalous[rows][:, a], normal[rows][:, n]
        scores, left = router(torch.cat([high, low], 1), whole[rows])
        ranking = rank_loss(scores[:, : high.shape[1]], scores[:, high.shape[1] :], hard).mean()
        return ranking, ranking + design.tie * left.mean()

    def test() -> float:
        router.eval()
        with torch.no_grad():
            return float(losses(held, slice(None), slice(None), HARD)[0])

    before = test()
    for _ in range(STEPS):
        router.train()
        sizes = zip((ANOMALOUS, NORMAL, HARD), PAIRED, strict=True)
        a, n, h = (torch.from_numpy(rng.choice(size, k, replace=False)) for size, k in sizes)
        batch = rng.choice(kept, min(BATCH, len(kept)), replace=False)
        optimiser.zero_grad()
        losses(batch, a, torch.cat([n, NORMAL + h]), PAIRED[2])[1].backward()
        optimiser.step()
        plan.step()
    return router, before, test()


def judge(one: Labelled, read: Read, routers: list[Router], smooth: float = 0.0) -> tuple[float, float]:
    """Return VUS-PR and AUC-PR x 100 of the mean of the routers; without any, of what they start from."""
    local, whole = map(torch.from_numpy, read)
    with torch.no_grad():
        said = [torch.cat([r(part[None], whole[None])[0][0] for part in local.split(8192)]) for r in routers]
    scores = (torch.stack(said).mean(0) if said else start_of(local, smooth)).double().numpy()
    labels, part = one.labels[one.start :], scores[one.start :]
    return 100 * vus_pr(labels, part, one.buffer), 100 * auc_pr(labels, part)


def show(found: NDArray[np.float64], before: NDArray[np.float64], groups: list[str]) -> str:
    """Return VUS-PR / AUC-PR and what they gain."""
    cells = []
    for ours, theirs in zip(found.T, before.T, strict=True):
        gain = paired_bootstrap(ours, theirs, groups)
        cells.append(
            f"{group_means(ours, groups)[1]:.1f} {gain.difference:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        )
    return " / ".join(cells)


def main() -> None:
    """Learn and judge each form with each tie; print a table and add it to a file where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, help="folder of development series")
    add("--textbook", required=True, help="file of textbook series (.npz)")
    add("--cache", required=True, type=Path, help="folder in which channels are kept")
    add("--corpus", default="mixed", choices=(*DRAWS, "both"))
    add("--form", nargs="+", default=["change"], choices=("series", "step", "change", "lower"))
    add("--tie", nargs="+", type=float, default=[4.0], help="weights of the distance from the start")
    add("--smooth", type=float, default=0.0, help="weight of the smoothed evidence in the start")
    add("--blind", action="store_true", help="hide the residuals of points from the network")
    add("--seeds", type=int, default=1, help="routers whose mean is judged")
    add("--out", type=Path, help="CSV file to add a row for each series to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    real = kept_or_made(args.cache / "router-dev.npz", lambda: development(args.data))
    book = kept_or_made(args.cache / "router-textbook.npz", lambda: textbook(args.textbook))
    dev = [one for one in real if one.group != APART]
    sets = {"dev": dev, APART: [one for one in real if one.group == APART], "textbook": book}
    rows = draw_points(series_of(args.corpus, args.cache), np.random.default_rng(0))
    pairs = {name: [(one, features_of(one.channels)) for one in many] for name, many in sets.items()}
    evidence = {name: np.array([judge(*pair, []) for pair in many]) for name, many in pairs.items()}
    start = {name: np.array([judge(*pair, [], args.smooth) for pair in many]) for name, many in pairs.items()}
    table = []
    for form, tie in itertools.product(args.form, args.tie):
        design = Design(form, tie, args.smooth, args.blind)
        about = [args.corpus, form, tie, args.smooth, int(args.blind), args.seeds]
        print(f"\n{args.corpus}, {design}")
        learned = [learn(rows, design, seed) for seed in range(args.seeds)]
        routers = [router for router, _, _ in learned]
        print(
            "  loss:", ", ".join(f"{before:.3f} -> {after:.3f}" for _, before, after in learned), flush=True
        )
        for name, many in sets.items():
            groups = [one.group for one in many]
            found = np.array([judge(*pair, routers) for pair in pairs[name]])
            print(f"  {name}: {show(found, evidence[name], groups)}", flush=True)
            if args.smooth:
                print(f"    the start: {show(start[name], evidence[name], groups)}")
                print(f"    beyond it: {show(found, start[name], groups)}", flush=True)
            for group, *parts in zip(groups, evidence[name], start[name], found, strict=True):
                table.append([*about, name, group, *(f"{x:.3f}" for part in parts for x in part)])
    if args.out:
        new = not args.out.exists()
        with args.out.open("a", newline="") as file:
            csv.writer(file).writerows([HEAD, *table] if new else table)


if __name__ == "__main__":
    main()
