"""What is concealed is not seen; the straight line, the alignment and the read-out do what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import load_checkpoint, load_expectation, save_checkpoint
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork, bridge, conceal
from vetime_plugins.network.phases import REACH, align_phases, compress, decompress, make_windows
from vetime_plugins.network.surprise import Expected, Reader, expect, find_bands, surprise
from vetime_plugins.series.inputs import as_series

TINY = ExpectationConfig(window=256, width=16, depth=1, heads=2)


def _network(config: ExpectationConfig = TINY) -> ExpectationNetwork:
    torch.manual_seed(0)
    network = ExpectationNetwork(config).eval()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network


def _windows(series: np.ndarray, period: int, starts: list[int], length: int = 256):
    size = len(starts)
    bounds = torch.zeros(size, dtype=torch.long), torch.full((size,), len(series))
    source = torch.from_numpy(series).float()
    spread = torch.full((size,), float(series.std()))
    return make_windows(source, torch.tensor(starts), bounds, torch.full((size,), period), spread, length)


@pytest.fixture
def wave() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.sin(2 * np.pi * np.arange(1200) / 40) + 0.05 * rng.normal(size=1200)


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("aligned", [True, False])
def test_concealed_values_do_not_reach_their_expectation(wave: np.ndarray, block: int, aligned: bool) -> None:
    network = _network(replace(TINY, aligned=aligned))
    windows = _windows(wave, 40, [0, 400, 944])
    concealed = conceal(32, block, 4, torch.tensor([0, 1, 2]))
    steps = concealed.repeat_interleave(8, dim=1)
    away = torch.arange(-REACH, 256 + REACH) + windows.lags[..., None]
    inside = (away >= 0) & (away < 256)
    copies = steps[:, None].expand(-1, 8, -1).gather(2, away.clamp(0, 255)) & inside
    other = replace(
        windows,
        values=torch.where(steps, 9.0, windows.values),
        phases=torch.where(copies, -9.0, windows.phases),
    )
    with torch.inference_mode():
        one, two = network(windows, concealed), network(other, concealed)
        seen_too = network(other, torch.zeros_like(concealed))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], seen_too[0])


@pytest.mark.parametrize("block", [1, 4, 16])
def test_as_many_passes_conceal_every_patch_once(block: int) -> None:
    passes = [conceal(64, block, 4, torch.tensor([5 + number * block])) for number in range(4)]
    assert torch.equal(torch.stack(passes).sum(0), torch.ones(1, 64, dtype=torch.long))


def test_bridge_is_straight_inside_and_level_at_the_ends() -> None:
    values = torch.tensor([[9.0, 1.0, 9.0, 9.0, 4.0, 9.0]])
    seen = torch.tensor([[False, True, False, False, True, False]])
    assert torch.allclose(bridge(values, seen), torch.tensor([[1.0, 1.0, 2.0, 3.0, 4.0, 4.0]]))
    assert not bridge(values, torch.zeros_like(seen)).any()


def test_compressed_values_come_back() -> None:
    values = torch.tensor([-400.0, -2.0, 0.0, 0.5, 30.0])
    assert torch.allclose(decompress(compress(values)), values, rtol=1e-4)
    assert decompress(torch.tensor(1e9)).isfinite()


def test_late_periods_are_moved_to_where_they_fit() -> None:
    rng = np.random.default_rng(1)
    shape = np.cumsum(rng.normal(size=96))
    series = np.tile(shape - np.linspace(shape[0], shape[-1], 96), 10)
    late = np.concatenate([series[:480], series[477:]])  # three steps are repeated here
    windows = _windows(late, 96, [400])
    shown = torch.zeros(1, 256, dtype=torch.bool)
    moved, present, _ = align_phases(windows, shown, 8)
    stiff, _, _ = align_phases(windows, shown, 8, move=False)
    before = 3  # one period earlier, for steps behind the seam
    part = slice(160, 170)
    assert present[0, before, part].all()
    errors = [(one[0, before] - windows.values[0]).abs()[part].mean() for one in (moved, stiff)]
    assert errors[0] < 0.05 < errors[1]


def test_no_period_is_no_phase(wave: np.ndarray) -> None:
    phases, present, _ = align_phases(_windows(wave, 1, [0]), torch.zeros(1, 256, dtype=torch.bool), 8)
    assert not present.any()
    assert not phases.any()


@pytest.mark.parametrize("length", [5, 100, 256, 1001])
def test_an_expectation_of_any_length_in_the_unit_of_the_series(length: int) -> None:
    rng = np.random.default_rng(length)
    series = 1e4 + 50 * rng.normal(size=length)
    found = expect(Reader(_network()), series, 20)
    assert [one.values.shape for one in found] == 3 * [(length,)]
    assert all(np.isfinite(one.values).all() and (one.scale > 0).all() for one in found)
    # An affine change of the series changes the expectation alike.
    again = expect(Reader(_network()), 3 * series - 7, 20)
    np.testing.assert_allclose(again[0].values, 3 * found[0].values - 7, rtol=1e-3)
    np.testing.assert_allclose(again[0].scale, 3 * found[0].scale, rtol=1e-2)


def test_an_untrained_network_expects_the_straight_line() -> None:
    ramp = np.linspace(0, 1, 512)
    found = expect(Reader(ExpectationNetwork(TINY).eval()), ramp, 1)
    # sigmoid(1) of the line, about the middle of the window
    assert np.corrcoef(found[0].values, ramp)[0, 1] > 0.9


def test_windows_that_are_read_together_do_not_matter(
    wave: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = expect(Reader(_network(), rows=100), wave, 40)
    monkeypatch.setattr("vetime_plugins.network.surprise._AT_ONCE", 2)
    apart = expect(Reader(_network(), rows=1), wave, 40)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)
        np.testing.assert_allclose(one.scale, other.scale, atol=1e-5)


def test_an_expectation_takes_no_part_of_its_own_step(wave: np.ndarray) -> None:
    other = wave.copy()
    other[600:603] += 0.01  # too little to change the unit of the window, which is made of quantiles
    before, after = (expect(Reader(_network()), one, 40)[0].values for one in (wave, other))
    patch = slice(600, 608)
    np.testing.assert_allclose(before[patch], after[patch], atol=1e-4)
    assert np.abs(before - after)[592:600].max() > 1e-3  # what is beside it sees the change


def test_surprise_is_where_the_series_leaves_its_expectation(wave: np.ndarray) -> None:
    clean = np.sin(2 * np.pi * np.arange(1200) / 40)
    spike, level = wave.copy(), wave.copy()
    spike[600] += 3
    level[900:1000] = 0.0
    expected = 3 * [Expected(clean, np.full(1200, 0.05))]
    assert surprise(spike, expected, 40).argmax() == 600
    assert 900 <= surprise(level, expected, 40).argmax() < 1000
    # Beside a shorter anomaly of the same kind, the longer one is more surprising.
    level[200:210] = 0.0
    found = surprise(level, expected, 40)
    assert found[940] > found[205] > 0.5 > np.median(found)
    assert not surprise(np.ones(50), 3 * [Expected(np.ones(50), np.ones(50))], 1).any()


def test_bands_hold_what_is_usual(wave: np.ndarray) -> None:
    both = np.column_stack([wave, np.ones(1200), 1e6 * wave])
    values, distance = find_bands(Reader(_network()), as_series(both))
    np.testing.assert_array_equal(values[:, 1], 1)
    np.testing.assert_array_equal(distance[:, 1], 0)
    np.testing.assert_allclose(values[:, 2], 1e6 * values[:, 0], rtol=1e-4, atol=1e3)
    inside = np.abs(wave - values[:, 0]) < np.log(2) * distance[:, 0]
    assert 0.45 < inside.mean() < 0.55


def test_a_saved_network_is_the_same(tmp_path) -> None:
    network = _network()
    folder = save_checkpoint(tmp_path / "one", network.config, network.state_dict())
    again = load_expectation(folder)
    assert again.config == network.config
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    with pytest.raises(CheckpointError, match="a VETime network is needed here"):
        load_checkpoint(folder)
    with pytest.raises(CheckpointError, match="an expectation network is needed here"):
        load_expectation("small")
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"width": 16', '"width": 32'))
    with pytest.raises(CheckpointError, match="does not fit its configuration"):
        load_expectation(folder)
    file.write_text(file.read_text().replace('"width"', '"girth"'))
    with pytest.raises(CheckpointError, match=r"unknown key ExpectationConfig\.girth"):
        load_expectation(folder)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"window": 100}, "whole patches"),
        ({"width": 100, "heads": 8}, "multiple"),
        ({"width": 2**20}, "may have 4.3e.09 parameters"),
    ],
)
def test_sizes_that_do_not_fit(sizes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExpectationConfig(**sizes)
