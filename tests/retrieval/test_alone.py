"""The evidence alone is that which comes with the channels of a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vetime_plugins.retrieval import RetrievalConfig, retrieval_distances, retrieval_evidence
from vetime_plugins.retrieval.neighbours import LEAST_SHARE, scale_distances, share_of_references
from vetime_plugins.retrieval.places import Layout, smallest
from vetime_plugins.retrieval.points import _running_median

CONFIG = RetrievalConfig(statistics=(16, 64), point_gain=1.0, temperature=3.0, smoothing=5)


def _series(length: int, n_variables: int, seed: int = 0) -> torch.Tensor:
    x = (
        np.random.default_rng(seed).normal(size=(length, n_variables))
        + np.sin(np.arange(length) / 6)[:, None]
    )
    return torch.from_numpy((x - x.mean(0)) / x.std(0)).float()


@pytest.mark.parametrize(("length", "n_variables"), [(10, 1), (40, 2), (700, 1), (900, 3), (3000, 1)])
@pytest.mark.parametrize("kind", ["whole", "gap", "reference", "glitch", "constant"])
def test_the_evidence_alone_is_the_same(length: int, n_variables: int, kind: str) -> None:
    x = _series(length, n_variables)
    references = [_series(500, n_variables, seed=1)] if kind == "reference" else []
    valid = torch.ones(length, n_variables, dtype=torch.bool)
    if kind == "gap":
        valid[length // 3 : length // 3 + 9] = False
    if kind == "glitch":
        x[length // 2] = 1e9
    if kind == "constant":
        x[:, 0] = 0.0
    whole = retrieval_distances(x, config=CONFIG, reference=references, valid=valid).evidence
    parts = [part.T for part in (x, *references)]
    alone, together = retrieval_evidence(parts, config=CONFIG, valid=valid.T)
    assert whole is not None
    assert together.equal(alone)
    torch.testing.assert_close(alone.T, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [1, 4, 5, 100, 319, 320, 1000])
def test_the_smallest_are_those_of_a_sort(n: int) -> None:
    values = torch.from_numpy(np.random.default_rng(n).integers(0, 50, (7, n))).float()
    values[3] = torch.inf
    torch.testing.assert_close(smallest(values, 5), values.sort(-1).values[:, :5], rtol=0, atol=0)


@pytest.mark.parametrize("window", [4, 16, 100])
@pytest.mark.parametrize("lengths", [(400,), (400, 3000), (30_000, 500)])
def test_bars_are_infinite_exactly_at_trivial_matches(window: int, lengths: tuple[int, ...]) -> None:
    layout = Layout.of(lengths, window, RetrievalConfig(), torch.device("cpu"))
    for at, bars in [*list(layout.own_blocks())[-2:], *layout.earlier_blocks()]:
        cost = torch.zeros(2, len(at), len(layout.places.columns))
        layout.places.bar(cost, bars)
        near = (at[:, None] - layout.places.columns).abs() < layout.places.zone
        assert torch.equal(cost.isinf(), near.expand_as(cost))
        minima = layout.places.group_minima(cost + layout.places.columns)
        members = (cost + layout.places.columns).unflatten(-1, (layout.places.group, -1))
        assert torch.equal(minima, members.amin(-2))


def test_the_running_median_is_that_of_a_sort() -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (3, 500))).float()
    padded = torch.nn.functional.pad(x, (3, 3), mode="replicate")
    torch.testing.assert_close(_running_median(x), padded.unfold(1, 7, 1).sort(-1).values[..., 3])


def test_references_say_what_is_usual_of_short_series_only() -> None:
    assert share_of_references(6_321) > LEAST_SHARE > share_of_references(6_322)
    reference = _series(3000, 1, seed=1).T.contiguous()
    for length, told in ((1_000, True), (7_000, False)):
        x = _series(length, 1).T.contiguous()
        found = scale_distances([x, 2 * reference], None, 16, RetrievalConfig())
        own = found.windows.mean(-1)
        assert (abs(found.mean[..., 0] - own).max().item() > 5e-3) is told
