"""The gate of `corpus_probe.py`: weights of the retrieval channels, learned to rank anomalies first."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 1.0)
ANOMALOUS, NORMAL, HARD = 48, 128, 64  # points kept of a series; hard ones are the highest of `POOL`
POOL = 1024
PAIRED = 24, 64, 32  # anomalous, normal and hard points of a series that one step of training compares
RATIO, SOFT = 30.0, 0.3  # normal points for an anomalous one; margin over which a rank is blurred
STEPS, BATCH, RATE, HIDDEN, DECAY = 1000, 64, 2e-3, 16, 0.3


def quantiles_of(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gate's input (72,)."""
    return np.quantile(channels, QUANTILES, axis=0).T.ravel().astype(np.float32)


def novelty(channels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the parameter-free novelty (T,) of channels (T, 8): log-mean-exp of the z-scores, as asinh."""
    z = np.sinh(channels.astype(np.float64))
    top = z.max(1)
    return np.arcsinh(top + np.log(np.exp(z - top[:, None]).mean(1)))


@dataclass(frozen=True)
class Sample:
    """What training needs of a corpus: a row for each series with an anomaly.

    Attributes
    ----------
    quantiles : ndarray of shape (N, 72)
    anomalous : ndarray of shape (N, 48, 8)
        Channels at anomalous points, repeated where there are fewer; each anomaly has an equal share.
    normal : ndarray of shape (N, 192, 8)
        Channels at normal points; the last 64 are those of 1,024 that equal weights rank highest.
    families : ndarray of str, shape (N,)
    kinds : list of sets of str
    """

    quantiles: NDArray[np.float32]
    anomalous: NDArray[np.float32]
    normal: NDArray[np.float32]
    families: NDArray[np.str_]
    kinds: list[frozenset[str]]

    def rows(self, without: frozenset[str]) -> NDArray[np.bool_]:
        """Return which series have no family and no kind of `without`."""
        pairs = zip(self.families.tolist(), self.kinds, strict=True)
        return np.array([not ({family} | kinds) & without for family, kinds in pairs])


def points_of(
    channels: NDArray[np.float32], labels: NDArray[np.integer], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw the anomalous (48, 8) and normal points (192, 8) that a sample keeps of a series."""
    runs = np.split(np.arange(len(labels)), np.flatnonzero(np.diff(labels)) + 1)
    spans = [run for run in runs if labels[run[0]]]
    hit = [int(rng.choice(spans[i % len(spans)])) for i in range(ANOMALOUS)]
    pool = np.flatnonzero(labels == 0)
    some = rng.choice(pool, POOL)
    hard = some[np.argsort(-novelty(channels[some]), kind="stable")[:HARD]]
    return channels[hit], channels[np.concatenate([rng.choice(pool, NORMAL), hard])]


def join(channels: Tensor, logits: Tensor) -> Tensor:
    """Return the novelty (B, P) of channels (B, P, 8) under weights (B, 8); at equal ones it is `novelty`."""
    return torch.asinh((torch.sinh(channels) + logits.log_softmax(-1)[:, None]).logsumexp(-1))


class Gate(nn.Module):
    """Weights of the channels, a gain and a threshold from the quantiles of a series."""

    def __init__(self, mean: Tensor, deviation: Tensor, n_channels: int, constant: bool = False) -> None:
        super().__init__()
        self.constant = constant
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        last = nn.Linear(HIDDEN, n_channels + 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(len(mean), HIDDEN), nn.GELU(), last)

    def forward(self, quantiles: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
        """Return margins (B, P) of channels (B, P, 8), and the weights (B, 8)."""
        quantiles = self.mean.expand_as(quantiles) if self.constant else quantiles
        out = self.layers(((quantiles - self.mean) / self.deviation).clamp(-2, 2))
        logits, gain, threshold = out.split([out.shape[-1] - 2, 1, 1], dim=-1)
        return gain.exp() * (join(channels, logits) - threshold), logits.softmax(-1)


def rank_loss(high: Tensor, low: Tensor, hard: int) -> Tensor:
    """Return one minus a soft average precision (B,) of margins of anomalous (B, A) and normal points (B, N).

    The precision at an anomalous point is the share of anomalous points among those ranked above it,
    softly, as if one point in `1 + RATIO` were anomalous. The last `hard` normal points stand for the
    highest sixteenth of the normal ones, the others for the rest.
    """
    share = HARD / POOL
    above = torch.sigmoid((high[:, None, :] - high[:, :, None]) / SOFT).mean(2)
    wrong = torch.sigmoid((low[:, None, :] - high[:, :, None]) / SOFT)
    false = RATIO * ((1 - share) * wrong[..., :-hard].mean(2) + share * wrong[..., -hard:].mean(2))
    return 1 - (above / (above + false)).mean(1)


def loss_of(gate: Gate, batch: tuple[Tensor, ...], hard: int, tie: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the loss and its ranking part; `tie` weighs the divergence of the weights from equal ones."""
    quantiles, anomalous, normal = batch
    margins, weights = gate(quantiles, torch.cat([anomalous, normal], 1))
    high, low = margins[:, : anomalous.shape[1]], margins[:, anomalous.shape[1] :]
    ranking = rank_loss(high, low, hard).mean()
    # Gives the threshold a meaning.
    decision = nn.functional.softplus(-high).mean() + nn.functional.softplus(low[:, :-hard]).mean()
    divergence = (weights * (weights * weights.shape[-1]).clamp_min(1e-9).log()).sum(-1).mean()
    return ranking + 0.05 * decision + tie * divergence, ranking


def learn(
    sample: Sample, rows: NDArray[np.bool_], seed: int, constant: bool = False, tie: float = 0.0
) -> tuple[Gate, float, float]:
    """Train a gate; return it at its best step, and its ranking loss before and there.

    Both are taken on a tenth of the series that is held out.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rows)
    held, kept = index[::10], np.setdiff1d(index, index[::10])
    parts = [torch.from_numpy(part) for part in (sample.quantiles, sample.anomalous, sample.normal)]
    own, test = parts[0][kept], tuple(part[held] for part in parts)
    gate = Gate(own.mean(0), own.std(0) + 1e-3, parts[1].shape[-1], constant)
    with torch.no_grad():
        before = best = float(loss_of(gate, test, HARD)[1])
    state = copy.deepcopy(gate.state_dict())
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for step in range(1, STEPS + 1):
        some = rng.choice(kept, min(BATCH, len(kept)), replace=False)
        sizes = zip((ANOMALOUS, NORMAL, HARD), PAIRED, strict=True)
        a, n, h = (rng.choice(size, k, replace=False) for size, k in sizes)
        batch = parts[0][some], parts[1][some][:, a], parts[2][some][:, np.concatenate([n, NORMAL + h])]
        optimiser.zero_grad()
        loss_of(gate, batch, PAIRED[2], tie)[0].backward()
        optimiser.step()
        plan.step()
        if step % 100 == 0:
            with torch.no_grad():
                now = float(loss_of(gate, test, HARD)[1])
            if now < best:
                best, state = now, copy.deepcopy(gate.state_dict())
    gate.load_state_dict(state)
    return gate, before, best


def pulls(anomalous: NDArray[np.float32], normal: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return minus the gradient (N, 8) of each series' ranking loss by the logarithms of its weights."""
    found = []
    for first in range(0, len(anomalous), BATCH):
        parts = [torch.from_numpy(part[first : first + BATCH]) for part in (anomalous, normal)]
        logits = torch.zeros(len(parts[0]), parts[0].shape[-1], requires_grad=True)
        margins = join(torch.cat(parts, 1), logits)
        rank_loss(margins[:, :ANOMALOUS], margins[:, ANOMALOUS:], HARD).sum().backward()
        assert logits.grad is not None
        found.append(-logits.grad.double().numpy())
    return np.concatenate(found)
